"""What is said of an export: immutable, and numbered, so that one that was given up is passed over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual.message import Message

from lenstui.jobs.export_things import Thing


@dataclass
class ExportProgress(Message):
    """So many of all columns are read for it."""

    number: int
    done: int
    columns: int


@dataclass
class FileTaken(Message):
    """It is written to a file; `remark` is what else is to be said of it."""

    number: int
    path: Path
    remark: str | None = None


@dataclass
class TextTaken(Message):
    """It is a text for the clipboard.

    Attributes:
        number: of the export.
        thing: which one it is.
        text: itself.
    """

    number: int
    thing: Thing
    text: str


@dataclass
class NotTaken(Message):
    """It failed, and why."""

    number: int
    text: str
