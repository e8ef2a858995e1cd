"""The messages about exports, each with the number of its order, so that one given up can be ignored."""

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
