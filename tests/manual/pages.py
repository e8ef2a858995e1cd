"""The pages of the manual, taken apart: headings, tables, code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.programs import ROOT

README = ROOT / "README.md"
MANUAL = ROOT / "assets" / "manual"
PAGES = (README, *sorted(MANUAL.glob("*.md")))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Row:
    """A row of a table: the headings over it, of the table's columns too, and its cells."""

    section: str  # the heading of the second level
    part: str  # that of the third, empty where there is none
    columns: tuple[str, ...]
    cells: tuple[str, ...]


def rows(page: Path) -> Iterator[Row]:
    """Yield the rows of all tables of a page."""
    section = part = ""
    columns: tuple[str, ...] = ()
    for line in FENCE.sub("", page.read_text("utf-8")).splitlines():
        if line.startswith("## "):
            section, part = line.removeprefix("## "), ""
        elif line.startswith("### "):
            part = line.removeprefix("### ")
        if not line.startswith("|"):
            columns = ()
            continue
        cells = tuple(cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1])
        if not columns:
            columns = cells
        elif not set(line) <= set("|-: "):
            yield Row(section, part, columns, cells)


def section_text(page: Path, section: str) -> str:
    """Return what stands under a heading of the second level."""
    _, found, rest = page.read_text("utf-8").partition(f"\n## {section}\n")
    assert found, f"{page.name} has no section {section}"
    return rest.partition("\n## ")[0]


def codes(text: str) -> list[str]:
    """Return what stands in a text between backquotes."""
    return re.findall(r"`([^`\n]+)`", text)


def fences(page: Path) -> list[tuple[str, str]]:
    """Return the blocks of code of a page, each with its language."""
    return FENCE.findall(page.read_text("utf-8"))


def prose_codes(page: Path) -> list[str]:
    """Return what stands between backquotes within the text of a page."""
    return codes(FENCE.sub("", page.read_text("utf-8")))


def command_lines(page: Path) -> Iterator[list[str]]:
    """Yield the words of each command line of lenstui's that a page quotes, without what goes into a pipe."""
    quoted = [line for language, code in fences(page) if language in {"", "sh"} for line in code.splitlines()]
    for line in (*quoted, *prose_codes(page)):
        for command in line.split("&&"):
            if re.match(r"\s*(\S*/)?lenstui($|\s)", command):
                words = shlex.split(command, comments=True)
                yield words[1 : words.index("|") if "|" in words else None]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    """Return the addresses of a page's links and pictures."""
    return re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text("utf-8")))
