"""`lenstui report`: which views, in which form, and a notebook that is empty, damaged or cleared."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

from lenstui.export.notebook import KeptView, keep
from lenstui.support.paths import notebook
from tests.programs.calls import run, status


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def kept() -> None:
    for day in (1, 2, 3):
        markdown = f"**table {day}**\n\n```sh\nlenstui read {day}\n```\n"
        keep(KeptView(datetime(2026, 1, day, 9).astimezone(), "why", f"prompt {day}", markdown), notebook())


def shown(text: str) -> list[int]:
    return [day for day in (1, 2, 3) if f"lenstui read {day}" in text]


@pytest.mark.usefixtures("kept")
def test_all_views_as_a_page_or_as_markdown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, notes = tmp_path / "notes.html", tmp_path / "notes.md"
    assert status("report", "-o", page) == status("report", "-o", notes) == 0
    assert shown(page.read_text("utf-8")) == shown(notes.read_text("utf-8")) == [1, 2, 3]
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert notes.read_text("utf-8").startswith("# Lab notebook\n")
    assert status("report") == 0
    assert capsys.readouterr().out == page.read_text("utf-8")
    assert status("report", "--format", "md") == 0
    assert capsys.readouterr().out == notes.read_text("utf-8")


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("options", "days"),
    [
        (("--since", "2026-01-02"), [2, 3]),
        (("--since", "2026-01-02T10:00"), [3]),
        (("--last", 2), [2, 3]),
        (("--last", 9), [1, 2, 3]),
        (("--since", "2026-01-02", "--last", 1), [3]),
    ],
)
def test_some_of_the_views(
    options: tuple[object, ...], days: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("report", "--format", "md", *options) == 0
    assert shown(capsys.readouterr().out) == days


@pytest.mark.usefixtures("kept")
def test_what_was_reported_is_cleared_once_it_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("report", "--clear", "-o", tmp_path / "no folder" / "x.md") == 1  # nothing is removed
    assert status("report", "--clear", "--since", "2026-01-02", "-o", tmp_path / "x.md") == 0
    assert capsys.readouterr().err.endswith("2 views were removed.\n")
    assert status("report", "--format", "md") == 0
    assert shown(capsys.readouterr().out) == [1]


def test_markdown_has_its_figures_in_a_folder_beside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    svgs = ["<svg>1</svg>", "", "<svg>3</svg>"]
    for day, svg in enumerate(svgs, 1):
        caption = "the <b>first</b> ![x](y) [one]" if svg else ""
        kept_on = datetime(2026, 1, day, 9).astimezone()
        keep(KeptView(kept_on, "why", f"prompt {day}", f"table {day}\n", svg, caption), notebook())
    notes = tmp_path / "my notes.md"
    assert status("report", "-o", notes) == 0
    assert capsys.readouterr().err == ""
    html = MarkdownIt().render(notes.read_text("utf-8"))
    links = re.findall('<img src="([^"]*)" alt="([^"]*)"', html)
    assert len(links) == html.count("<img") == 2
    for (link, alt), svg in zip(links, filter(None, svgs), strict=True):
        assert alt == "the &lt;b&gt;first&lt;/b&gt; ![x](y) [one]"
        file = tmp_path / unquote(link)
        assert file.parent == tmp_path / "my notes_figures"
        assert file.read_text() == svg
    assert html.count("<p><em>the &lt;b&gt;first&lt;/b&gt; ![x](y) [one]</em></p>") == 2
    assert html.index("table 1") > html.index(links[0][0]) and "<b>" not in html
    assert len(list((tmp_path / "my notes_figures").iterdir())) == 2
    assert status("report", "--format", "md") == 0
    out, err = capsys.readouterr()
    assert "![" not in out and "The figures are left out" in err


def test_figures_are_not_written_where_the_notes_cannot_be(tmp_path: Path) -> None:
    keep(KeptView(datetime.now().astimezone(), "why", "x", "text\n", "<svg/>", "x"), notebook())
    (tmp_path / "notes.md").mkdir()
    assert status("report", "--format", "md", "-o", tmp_path / "notes.md") == 1
    assert [path.name for path in tmp_path.iterdir() if "figures" in path.name] == []
    (tmp_path / "other_figures").write_text("a file")
    assert status("report", "-o", tmp_path / "other.md") == 1
    assert not (tmp_path / "other.md").exists()


def test_nothing_is_kept_yet(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("report") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "Nothing is kept yet: K keeps" in err


@pytest.mark.usefixtures("kept")
def test_what_makes_no_sense_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, said in (
        (("--since", "yesterday"), "'yesterday' is no date"),
        (("--last", "0"), "'0' is no number of views"),
        (("-o", tmp_path / "x.pdf"), "the ending .pdf does not tell the format"),
    ):
        assert status("report", *options) == 2
        assert said in capsys.readouterr().err
    assert status("report", "--since", "2026-01-04") == 1
    assert "Nothing was kept since 2026-01-04 00:00" in capsys.readouterr().err


@pytest.mark.usefixtures("kept")
def test_a_damaged_file_is_said_and_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    file = notebook() / "20260102T000000.000000-00000000.json"
    file.write_text("{")
    assert status("report", "--format", "md") == 0
    out, err = capsys.readouterr()
    assert shown(out) == [1, 2, 3]
    assert f"1 file is damaged and passed over: {file.name}." in err


@pytest.mark.usefixtures("kept")
def test_a_program_of_its_own_writes_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    program = run("report", "--last", "1")
    assert program.returncode == 0
    assert status("report", "--last", "1") == 0
    assert program.stdout.decode() == capsys.readouterr().out
