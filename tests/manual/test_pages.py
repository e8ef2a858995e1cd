"""README and the manual as pages: their length, their links, the picture, the examples of the library."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import lenstui
from lenstui.support.settings import Settings, read
from tests.manual.pages import MANUAL, PAGES, README, anchors, codes, fences, links, rows
from tests.programs import ROOT

LIBRARY: Any = lenstui  # with what its types do not show
NAMES: list[str] = LIBRARY.__all__
LINKING = (*PAGES, ROOT / "lenstui" / "ARCHITECTURE.md")
PICTURE = ROOT / "assets" / "explore.svg"
SVG = "{http://www.w3.org/2000/svg}"


def test_the_readme_is_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", LINKING, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_in_the_index_and_linked_from_the_readme() -> None:
    pages = {page.name for page in MANUAL.glob("*.md")} - {"README.md"}
    assert {link for link in links(MANUAL / "README.md") if "/" not in link} == pages
    assert {link.partition("#")[0] for link in links(README)} >= {f"assets/manual/{page}" for page in pages}


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────


def test_every_setting_is_in_the_manual() -> None:
    files = MANUAL / "files.md"
    named = [code for row in rows(files) if row.columns[0] == "setting" for code in codes(row.cells[0])]
    settings = [name for name in Settings.__dataclass_fields__ if name != "trouble"]
    assert sorted(named) == sorted(settings)
    ((_, sample),) = (fence for fence in fences(files) if fence[0] == "toml")
    assert read(sample).keys
    assert sample.isascii()
    assert all(re.search(rf"^\[*{name}\b", sample, re.MULTILINE) for name in settings)


# ── the library ──────────────────────────────────────────────────────────────────────────────────────────


def test_every_name_of_the_library_is_in_the_manual() -> None:
    named = [code for row in rows(MANUAL / "library.md") for code in codes(row.cells[0])]
    assert sorted(named) == sorted(NAMES)


def test_every_name_of_the_library_is_in_an_example_and_the_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = [code for language, code in fences(MANUAL / "library.md") if language == "python"]
    used = set(re.findall(r"lenstui\.(\w+)", "\n".join(examples)))
    assert used >= set(NAMES)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, example in enumerate(examples):
        exec(compile(example, f"library.md, example {number + 1}", "exec"), names)


# ── the picture ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_picture_shows_one_caption_at_any_time() -> None:
    """A caption is what stands in the bar over the screen; the first is there where nothing moves, too."""
    assert PICTURE.stat().st_size < 1_500_000
    root = ElementTree.fromstring(PICTURE.read_text("utf-8"))
    style = root.findtext(f"{SVG}style") or ""
    steps = {
        name: [
            (float(at), shown == "visible") for at, shown in re.findall(r"([\d.]+)%\{visibility:(\w+)\}", of)
        ]
        for name, of in re.findall(r"@keyframes (\w+)\{(.*)\}$", style, re.MULTILINE)
    }
    captions = [str(group.get("class")) for group in root.findall(f"{SVG}g[@class]")]
    times = sorted({at for of in steps.values() for at, _ in of})
    assert len(captions) == len(times) > 10
    for time in times:
        shown = [name for name in captions if [is_so for at, is_so in steps[name] if at <= time][-1]]
        assert len(shown) == 1, time
    still = [name for name in captions if f".{name}{{animation:{name} " in style and _is_seen(style, name)]
    assert still == [name for name in captions if steps[name][0] == (0.0, True)]


def _is_seen(style: str, name: str) -> bool:
    """Whether a class is visible where nothing moves."""
    (rule,) = re.findall(rf"^\.{name}\{{(.*)\}}$", style, re.MULTILINE)
    return "visibility:hidden" not in rule
