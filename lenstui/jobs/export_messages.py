"""The messages about exports.

Those of an order have its number, so that one given up can be ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual.message import Message

from lenstui.jobs.export_things import Thing


@dataclass
class ExportProgress(Message):
    """The progress of an export: the number of columns read so far, and of all columns."""

    number: int
    done: int
    columns: int


@dataclass
class FileTaken(Message):
    """The message that an export was written to a file, with a remark for the user, if any."""

    number: int
    path: Path
    remark: str | None = None


@dataclass
class TextTaken(Message):
    """The text of an export to the clipboard.

    Attributes:
        number: the number of the order.
        thing: the thing that was exported.
        text: the text to copy.
    """

    number: int
    thing: Thing
    text: str


@dataclass
class NotTaken(Message):
    """The message that an export failed, and why."""

    number: int
    text: str


@dataclass
class ViewKept(Message):
    """The message that a view was kept in the lab notebook, for every screen.

    Attributes:
        views: the number of views in the notebook now.
        no_figure: why it was kept without a figure; empty where it has one.
    """

    views: int
    no_figure: str = ""

    @property
    def text(self) -> str:
        """What the user is told."""
        views = "1 view" if self.views == 1 else f"{self.views} views"
        without = f"\nWithout a figure: {self.no_figure}" if self.no_figure else ""
        return f"Kept: {views}. lenstui report -o notes.html{without}"
