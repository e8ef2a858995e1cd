"""Error analysis on screen: scanning, searching, a position in Explore, exports, and what goes wrong."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from lenstui.readout.cells import crystallization_rows
from lenstui.scan.folder import parts_of, read_manifest
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.export.dialog import ExportDialog
from lenstui.tui.scan.ask_scan import AskScan
from lenstui.tui.scan.means_plot import MeansPlot
from lenstui.tui.scan.open_scan import OpenScan
from lenstui.tui.scan.screen import Scan
from lenstui.tui.scan.table import ScanTable
from tests.programs.calls import status
from tests.tui.pilots.looking import said, subtitle, until
from tests.tui.pilots.scan_pilot import (
    ask_for_scan,
    fill,
    hint,
    lines,
    open_folder,
    open_screen,
    places,
    searched,
    subtitle_of,
    text,
    title,
)

SIZE = (160, 40)
LENGTH = 16
# Characters of several bytes, each of them a token: many positions are in the middle of a character.
DOCUMENTS = [f"Ein grüner Bäumchen-Fluß № {number} läuft über die Straße." for number in range(12)]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "story.txt"
    path.write_text("\n\n".join(DOCUMENTS))
    return path


@pytest.fixture(scope="module")
def scanned(tiny_model: Path, story: Path) -> Path:
    """The folder of a scan, made on the command line."""
    folder = story.parent / "records"
    words = ("--model", tiny_model, "--lens", tiny_model / "lens.pt", "--device", "cpu")
    assert status("scan", folder, "--data", story, *words, "--seq-len", LENGTH) == 0
    return folder


def records(folder: Path) -> list[dict[str, Any]]:
    return list(pa.concat_tables([pq.read_table(part.path) for part in parts_of(folder)]).to_pylist())


def place_of(record: dict[str, Any]) -> str:
    return f"{record['block']}.{record['column']}"


def sorted_by(found: list[dict[str, Any]], name: str, *, desc: bool = False) -> list[dict[str, Any]]:
    known = [each for each in found if each[name] is not None]
    known.sort(key=lambda each: each[name], reverse=desc)
    return [*known, *(each for each in found if each[name] is None)]


# Scanning.


async def test_a_text_is_scanned_as_on_the_command_line(
    opened: Any, story: Path, scanned: Path, tmp_path: Path
) -> None:
    async with opened(size=SIZE) as (app, pilot):
        screen = await open_screen(app, pilot)
        assert "n scans a text" in text(screen, "message")
        dialog = await ask_for_scan(app, pilot, text=story, length=LENGTH)
        assert dialog.query_one("#ask-scan-folder", Input).value == "tiny-story"
        fill(dialog, folder=tmp_path / "mine")
        await pilot.press("enter")
        await until(pilot, lambda: text(screen, "said").startswith("scanned: "))
        await searched(screen, pilot)
        whole = records(scanned)
        assert f"{len(whole)} records of story.txt · " in text(screen, "folder").replace(",", "")
        assert records(tmp_path / "mine") == whole
        manifest = read_manifest(tmp_path / "mine")
        assert manifest is not None
        assert manifest.finished

        found = [r for r in whole if r["tuned_best_rank"] == 0 and (r["next_rank"] or 0) > 0]
        assert title(screen).startswith(f"{len(found)} of {len(whole)} positions")
        wanted = [place_of(record) for record in sorted_by(found, "tuned_best_prob", desc=True)]
        assert places(screen) == wanted[: len(places(screen))]
        assert len(wanted) > 2


async def test_stopped_it_keeps_what_was_read_and_goes_on(
    opened: Any, story: Path, scanned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lenstui.jobs.scan._PART_SECONDS", 0.0)
    written, go_on, fsync = [0], threading.Event(), os.fsync

    def waits_after_a_few(number: int) -> None:
        written[0] += 1
        if written[0] > 4:
            go_on.wait(60)
        fsync(number)

    monkeypatch.setattr(os, "fsync", waits_after_a_few)
    async with opened(size=SIZE) as (app, pilot):
        screen = await open_screen(app, pilot)
        await ask_for_scan(app, pilot, text=story, length=LENGTH, folder=tmp_path / "mine")
        await pilot.press("enter")
        await until(pilot, lambda: screen.state.has_found)  # while it is under way
        assert "at most" in text(screen, "said")
        await pilot.press("s")
        go_on.set()
        await until(pilot, lambda: "Stopped: " in text(screen, "said"))
        await searched(screen, pilot)
        kept, whole = records(tmp_path / "mine"), records(scanned)
        assert 0 < len(kept) < len(whole)
        assert kept == whole[: len(kept)]
        assert f" of {len(kept)} positions" in title(screen).replace(",", "")
        assert "not finished: g goes on" in text(screen, "folder")
        await pilot.press("g")
        await until(pilot, lambda: text(screen, "said").startswith("scanned: "))
        await until(pilot, lambda: f" of {len(whole)} positions" in title(screen).replace(",", ""))
        assert records(tmp_path / "mine") == whole
        await pilot.press("g")
        assert "whole text is scanned" in said(app)


async def test_a_full_disk_leaves_what_was_written(
    opened: Any, story: Path, scanned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lenstui.jobs.scan._PART_SECONDS", 0.0)
    room, fsync = [3], os.fsync  # the manifest, two parts

    def no_more(number: int) -> None:
        if room[0] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room[0] -= 1
        fsync(number)

    folder = tmp_path / "mine"
    async with opened(size=SIZE) as (app, pilot):
        screen = await open_screen(app, pilot)
        await ask_for_scan(app, pilot, text=story, length=LENGTH, folder=folder)
        monkeypatch.setattr(os, "fsync", no_more)
        await pilot.press("enter")
        await until(pilot, lambda: "No space left on device" in text(screen, "said"))
        await searched(screen, pilot)
        monkeypatch.setattr(os, "fsync", fsync)
        assert f"{2 * LENGTH} records are kept, g goes on." in text(screen, "said")
        assert "\n" not in text(screen, "said")
        assert f" of {2 * LENGTH} positions" in title(screen)
        assert records(folder) == records(scanned)[: 2 * LENGTH]
        await pilot.press("g")
        await until(pilot, lambda: text(screen, "said").startswith("scanned: "))
    assert records(folder) == records(scanned)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("", "There is no text in"), ("Too short.", "too little text for a single block")],
)
async def test_a_text_that_fills_no_block_goes_back_to_the_form(
    opened: Any, tmp_path: Path, content: str, complaint: str
) -> None:
    (tmp_path / "little.txt").write_text(content)
    async with opened(size=SIZE) as (app, pilot):
        screen = await open_screen(app, pilot)
        await ask_for_scan(app, pilot, text=tmp_path / "little.txt", length=LENGTH, folder=tmp_path / "mine")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, AskScan) and complaint in hint(app.screen))
        assert app.screen.query_one("#ask-scan-text", Input).value == str(tmp_path / "little.txt")
        await pilot.press("escape")
        assert "n scans a text" in text(screen, "message")
    assert not (tmp_path / "mine").exists()


async def test_what_makes_no_sense_stays_in_the_form(opened: Any, story: Path, tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, object], str]] = [
        ({"text": tmp_path / "none.txt"}, "There is no file"),
        ({"text": story, "length": 1}, "block length: a whole number from 2 on"),
        ({"length": 65}, "block length: the model reads at most 64 tokens"),
        ({"length": "", "tokens": "many"}, "tokens: a whole number"),
        ({"tokens": 8, "length": 16}, "no more than the 8 tokens"),
        ({"tokens": 64, "folder": ""}, "records in: the name of a folder"),
    ]
    async with opened(size=SIZE) as (app, pilot):
        await open_screen(app, pilot)
        dialog = await ask_for_scan(app, pilot)
        for values, complaint in wrong:
            fill(dialog, **values)
            await pilot.pause()
            await pilot.press("enter")
            await until(pilot, lambda complaint=complaint: complaint in hint(dialog))
            assert app.screen is dialog


async def test_a_folder_of_another_scan_is_not_written_into(
    opened: Any, scanned: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(scanned, folder)
    (tmp_path / "other.txt").write_text("Another text, long enough for several blocks. " * 3)
    async with opened(size=SIZE) as (app, pilot):
        await open_screen(app, pilot)
        await ask_for_scan(app, pilot, text=tmp_path / "other.txt", length=LENGTH, folder=folder)
        await pilot.press("enter")
        await until(pilot, lambda: "was scanned with another text" in text(app.program.scan, "said"))
    assert records(folder) == records(scanned)


# A position in Explore.


async def test_a_position_is_read_as_exactly_its_tokens(opened: Any, scanned: Path) -> None:
    """The numbers in Explore are those of the record, also in the middle of a character; then back."""
    async with opened("Hello, you", size=SIZE) as (app, pilot):
        screen = await open_folder(app, pilot, scanned)
        await searched(screen, pilot)
        await pilot.press("0", "slash")  # the first of two bytes
        screen.query_one("#scan-where", Input).value = 'token = "\\xc3" and next_id is not missing'
        await pilot.press("enter")
        await searched(screen, pilot)
        assert screen.state.found is not None
        record = dict(screen.state.found.matches.top[3])
        whole = records(scanned)
        block = [each for each in whole if each["block"] == record["block"]]
        full = block[record["column"]]
        ids = [each["token_id"] for each in block[: record["column"] + 1]]
        await pilot.press("down", "down", "down", "enter")
        await until(pilot, lambda: app.screen is app.explore and app.explore.state.ids)
        await until(pilot, lambda: subtitle(app).endswith(" s"))

        grids = app.explore.grids
        await until(pilot, lambda: all(grid.cells is not None for grid in grids[:2]))
        assert subtitle(app).startswith(f"{len(ids)} tokens")
        tokenizer = app.program.model_jobs.opened.model.tokenizer
        assert app.explore.widgets.prompt.prompt == tokenizer.decode(ids)
        assert tokenizer(tokenizer.decode(ids))["input_ids"] != ids  # a part of a character
        assert "tokens as scanned" in str(app.explore.widgets.prompt.border_title)
        assert len(app.explore.panel.pins) == 1
        assert app.explore.panel.pins[0].id == full["next_id"]
        cursor = app.explore.panes.cursor
        assert (cursor.row - 1, cursor.column) == (full["tuned_best_row"], len(ids) - 1)
        for place, lens in enumerate(("logit", "tuned")):
            cells = grids[place].cells
            assert cells is not None
            np.testing.assert_allclose(np.exp(cells.pin_logprobs[-1, -1, 0]), full["next_prob"], rtol=1e-4)
            np.testing.assert_allclose(cells.kl[:, -1], full[f"{lens}_kl"], rtol=1e-3, atol=1e-5)
            np.testing.assert_allclose(cells.entropy[:, -1], full[f"{lens}_entropy"], rtol=1e-4)
            settled = crystallization_rows(cells.top1)[-1] - 1
            assert settled == full[f"{lens}_crystallization"]

        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        assert screen.query_one(ScanTable).cursor == 3
        assert record["position"] == full["position"]


async def test_scanned_tokens_stay_until_the_text_is_edited(opened: Any, scanned: Path) -> None:
    async with opened("Hello, you", size=SIZE) as (app, pilot):
        screen = await open_folder(app, pilot, scanned)
        await searched(screen, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.explore and subtitle(app).endswith(" s"))
        ids, box = app.explore.state.ids, app.explore.widgets.prompt
        await until(pilot, lambda: len(app.explore.state.columns) == len(ids))
        await pilot.press("a")  # behind them
        await until(pilot, lambda: "1 appended" in subtitle(app) and subtitle(app).endswith(" s"))
        assert app.explore.state.columns[: len(ids)] == tuple(
            app.program.model_jobs.opened.model.texts[token] for token in ids
        )
        assert "tokens as scanned" in str(box.border_title)
        await pilot.press("Y")
        assert "than were scanned" in said(app) or app.clipboard.startswith("lenstui read")

        await pilot.press("i")
        box.show("Something else")
        await pilot.press("enter")
        await until(pilot, lambda: subtitle(app).startswith("14 tokens") and subtitle(app).endswith(" s"))
        assert "tokens as scanned" not in str(box.border_title)
        await pilot.press("escape")
        assert app.screen is app.explore  # nothing to go back to
        await pilot.press("C")
        await until(pilot, lambda: app.screen is screen)
        assert lines(screen)


async def test_records_of_another_model_are_named(
    opened: Any, scanned: Path, tmp_path: Path, chat_model: Path
) -> None:
    """The chat model has the same weights; its tokenizer is another."""
    folder = tmp_path / "copy"
    shutil.copytree(scanned, folder)
    manifest = json.loads((folder / "_scan.json").read_text())
    manifest["settings"]["model"] = "0" * 32
    manifest["source"]["model"] = "someone/another"
    (folder / "_scan.json").write_text(json.dumps(manifest))
    async with opened("Hello, you", size=SIZE) as (app, pilot):
        screen = await open_folder(app, pilot, folder)
        await searched(screen, pilot)
        await pilot.press("enter")
        await until(
            pilot, lambda: "The records are of someone/another, which is not the open model" in said(app)
        )
        assert app.screen is screen
        assert app.explore.widgets.prompt.prompt == "Hello, you"


async def test_another_lens_than_the_scanned_one_is_said(opened: Any, scanned: Path) -> None:
    async with opened("Hello, you", size=SIZE, lens=False) as (app, pilot):
        screen = await open_folder(app, pilot, scanned)
        await searched(screen, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.explore)
        await until(pilot, lambda: " lens " in said(app) and "scanned" in said(app))


# Searching.


async def test_queries_conditions_sorting_and_lenses(opened: Any, scanned: Path) -> None:
    whole = records(scanned)
    async with opened("Hello, you", size=SIZE) as (app, pilot):
        screen = await open_folder(app, pilot, scanned)
        await searched(screen, pilot)
        known = [r for r in whole if r["next_rank"] is not None]

        async def shows(found: list[dict[str, Any]]) -> None:
            await searched(screen, pilot)
            assert title(screen).startswith(f"{len(found)} of {len(whole)} positions")
            assert places(screen) == [place_of(each) for each in found][: len(places(screen))]

        late = [r for r in whole if r["tuned_crystallization"] == 1]  # of rows 0 to 2
        await pilot.press("2")
        await shows(sorted_by(late, "final_prob", desc=True))
        await pilot.press("3")
        never = [r for r in whole if r["tuned_crystallization"] == 2]
        await shows(sorted_by(never, "final_prob", desc=True))
        await pilot.press("L")
        await shows(sorted_by([r for r in whole if r["logit_crystallization"] == 2], "final_prob", desc=True))
        assert "L logit lens" in text(screen, "queries")

        await pilot.press("0")
        await shows(whole)
        await pilot.press("slash")
        screen.query_one("#scan-where", Input).value = "next_rank > 20"
        await pilot.press("enter")
        ranked = [r for r in known if r["next_rank"] > 20]
        await shows(ranked)
        await pilot.press("c", "c")  # next, next_prob
        await shows(sorted_by(ranked, "next_prob"))
        assert "▴prob" in lines(screen)[0]
        await pilot.press("r")
        await shows(sorted_by(ranked, "next_prob", desc=True))
        assert "by next_prob ▾" in subtitle_of(screen)
        await pilot.press("less_than_sign")
        await shows(sorted_by(ranked, "next"))


@pytest.mark.parametrize(
    ("condition", "place", "complaint"),
    [
        ("next_rank > 0 and nexd = 3", 18, "there is no column nexd"),
        ("next_rank >", 11, "there should be a value"),
        ('final_prob = "x"', 13, "is compared with a number"),
    ],
)
async def test_what_is_wrong_with_a_condition_is_marked(
    opened: Any, scanned: Path, condition: str, place: int, complaint: str
) -> None:
    async with opened("Hello, you", size=SIZE) as (app, pilot):
        screen = await open_folder(app, pilot, scanned)
        await searched(screen, pilot)
        before = lines(screen)
        await pilot.press("slash")
        line = screen.query_one("#scan-where", Input)
        line.value = condition
        await pilot.press("enter")
        await until(pilot, lambda: complaint in text(screen, "said"))
        assert line.has_focus
        assert line.cursor_position == place
        said_line = screen.query_one("#scan-said")
        mark = said_line.content_region.x + text(screen, "said").index("▲")
        assert mark == line.content_region.x + place
        assert lines(screen) == before
        await pilot.press("ctrl+u", "home", "end")
        line.value = "next_rank > 0"
        await pilot.pause()
        assert complaint not in text(screen, "said")
        await pilot.press("enter")
        await searched(screen, pilot)
        assert "and next_rank > 0" in title(screen)


async def test_counts_and_means(opened: Any, scanned: Path) -> None:
    whole = records(scanned)
    found = [r for r in whole if r["tuned_best_rank"] == 0 and (r["next_rank"] or 0) > 0]
    rest = [r for r in whole if r not in found]
    async with opened("Hello, you", size=SIZE) as (app, pilot):
        screen = await open_folder(app, pilot, scanned)
        await searched(screen, pilot)
        await pilot.press("v")
        (token, count), *_ = Counter(r["next"] for r in found).most_common()
        assert lines(screen)[1].split()[:3] == ["1", token, str(count)]
        await pilot.press("v")
        settled = Counter(r["tuned_crystallization"] for r in found)
        best = Counter(r["tuned_best_row"] for r in found)
        for line, row in zip(lines(screen)[1:], (2, 1, 0, -1), strict=True):
            words = [word for word in line.split() if "█" not in word]
            assert words == ["emb" if row < 0 else str(row), str(settled[row]), str(best[row])]
        await pilot.press("v")
        plot = screen.query_one(MeansPlot)
        for column, name in enumerate(("next_logprob", "kl", "entropy")):
            for part, (label, chosen) in enumerate((("matches", found), ("rest", rest))):
                values = np.array([r[f"tuned_{name}"] for r in chosen], float)
                means = np.nanmean(values, axis=0)
                np.testing.assert_allclose(plot.curves[label], means, rtol=1e-5, atol=1e-6)
                shown = [line.split()[1 + 2 * column + part] for line in lines(screen)[1:]]
                assert [float(each.replace("−", "-")) for each in shown] == pytest.approx(
                    means[::-1].tolist(), abs=6e-4
                )
            await pilot.press("R")
        await pilot.press("enter")
        assert "v shows the matches" in said(app)
        await pilot.press("v")
        assert "text" in lines(screen)[0]


async def test_columns_without_room_are_scrolled(opened: Any, scanned: Path) -> None:
    async with opened("Hello, you", size=(80, 24)) as (app, pilot):
        screen = await open_folder(app, pilot, scanned)
        await searched(screen, pilot)
        assert lines(screen)[0].endswith("›")
        seen = set(lines(screen)[0].replace("›", "").split())
        for _ in range(14):
            await pilot.press("right")
            seen |= set(lines(screen)[0].replace("›", "").replace("‹", "").split())
        assert not lines(screen)[0].endswith("›")
        assert {"at", "text", "next", "final", "settles", "best", "swing"} <= {
            each.strip("▾") for each in seen
        }
        await pilot.press(*["left"] * 14)
        assert "next" in lines(screen)[0]


# The command and the files.


async def test_the_command_finds_the_same(
    opened: Any, scanned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened("Hello, you", size=SIZE) as (app, pilot):
        screen = await open_folder(app, pilot, scanned)
        await searched(screen, pilot)
        await pilot.press("2", "slash")
        screen.query_one("#scan-where", Input).value = 'next != "e" and final_prob > 0.01'
        await pilot.press("enter")
        await searched(screen, pilot)
        await pilot.press("Y")
        await until(pilot, lambda: app.clipboard.startswith("lenstui scan"))
        command, shown = shlex.split(app.clipboard), places(screen)
    capsys.readouterr()
    assert status(*command[1:], "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    assert [place_of(record) for record in content["top"]][: len(shown)] == shown


async def test_a_file_is_as_the_command_line_writes_it(
    opened: Any, scanned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened("Hello, you", size=SIZE) as (app, pilot):
        screen = await open_folder(app, pilot, scanned)
        await searched(screen, pilot)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        await pilot.press("down")
        app.screen.query_one(Input).value = str(tmp_path / "found.json")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is screen and "Written" in said(app))
    capsys.readouterr()
    assert status("scan", scanned, "--query", "known-and-lost", "--top", 1000, "--format", "json") == 0
    assert (tmp_path / "found.json").read_text() == capsys.readouterr().out


# Folders that are no scans, and the list of scans.


async def test_folders_that_hold_no_records(opened: Any, scanned: Path, tmp_path: Path) -> None:
    def broken(name: str, change: Callable[[Path], object]) -> Path:
        shutil.copytree(scanned, tmp_path / name)
        change(tmp_path / name)
        return tmp_path / name

    part = "part-00000000.parquet"
    wrong = [
        (tmp_path / "none", "There is no folder"),
        (tmp_path, "holds no scan"),
        (broken("cut", lambda folder: (folder / part).write_bytes((folder / part).read_bytes()[:99])), part),
        (broken("manifest", lambda folder: (folder / "_scan.json").write_text("{")), "damaged"),
        (broken("begun", lambda folder: (folder / part).unlink()), "no records yet"),
    ]
    async with opened("Hello, you", size=SIZE) as (app, pilot):
        screen = await open_screen(app, pilot)
        for folder, complaint in wrong:
            await open_again(app, pilot, screen, folder)
            await until(pilot, lambda complaint=complaint: complaint in text(screen, "message"))
            await pilot.press("enter")  # nothing to open
            assert app.screen is screen
        await open_again(app, pilot, screen, scanned)
        await until(pilot, lambda: screen.state.has_found)
        assert places(screen)


async def open_again(app: LenstuiApp, pilot: Pilot[None], screen: Scan, folder: Path) -> None:
    await pilot.press("o")
    await until(pilot, lambda: isinstance(app.screen, OpenScan))
    app.screen.query_one(Input).value = str(folder)
    await pilot.press("enter")
    await until(pilot, lambda: app.screen is screen)


async def test_the_last_scans_are_listed(
    opened: Any, scanned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lenstui.support.paths.scans", lambda: tmp_path)
    for name, when in (("older", 1_000), ("newer", 2_000)):
        shutil.copytree(scanned, tmp_path / name)
        os.utime(tmp_path / name / "_scan.json", (when, when))
        os.utime(tmp_path / name, (when, when))
    async with opened("Hello, you", size=SIZE) as (app, pilot):
        await open_screen(app, pilot)
        await until(pilot, lambda: isinstance(app.screen, OpenScan))  # as there are some
        listed = app.screen.query_one(OptionList)
        names = [str(listed.get_option_at_index(place).prompt).split()[0] for place in range(2)]
        assert names == ["newer", "older"]
        await pilot.press("down", "enter")
        screen = app.program.scan
        assert screen is not None
        await until(pilot, lambda: app.screen is screen and screen.state.has_found)
        assert screen.state.folder == tmp_path / "older"
        await pilot.press("C")
        assert isinstance(app.screen.query_one(PromptBox), PromptBox)
