"""The messages of the jobs that explain a cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from textual.message import Message

from lenstui.causal.contributions import Contributions
from lenstui.export.shape import Shape
from lenstui.export.why import Why
from lenstui.jobs.export_things import Thing
from lenstui.support.request import Start


@dataclass(frozen=True, slots=True)
class CellAsked:
    """A cell on one side, and the logit in it that is to be explained.

    Attributes:
        serial: the number of the reading on screen.
        place: the place of the side.
        row: the index of the row among those on screen.
        column: the column on screen.
        token: the token; None for the cell's likeliest.
        minus: the token whose logit is taken off; None for the mean over the vocabulary.
    """

    serial: int
    place: int
    row: int
    column: int
    token: int | str | None = None
    minus: int | str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class WhySource:
    """What the files of an explained cell, and the command that says the same, are made of.

    Attributes:
        why: the contributions, with display texts of their tokens.
        lens_files: the files of the lens that the command names.
        start: the request that the program was started with.
        shape: the kind of lens, the options for reading the prompt, and the edits.
        no_command: why no command says the same, as a comment; empty where one does.
    """

    why: Why
    lens_files: tuple[Path, ...]
    start: Start
    shape: Shape
    no_command: str


@dataclass(frozen=True, slots=True, eq=False)
class WhyOrder:
    """An order to export an explained cell.

    Attributes:
        number: the number of the order.
        source: what is exported.
        thing: in which form.
        path: the file; None for the clipboard.
    """

    number: int
    source: WhySource
    thing: Thing
    path: Path | None


@dataclass
class WhyRead(Message):
    """What wrote the logit of a token in a cell.

    Attributes:
        asked: the cell.
        contributions: the contributions of all components.
        texts: display texts of the prompt's tokens and of those that are explained, by id.
        command: the command that says the same, or a comment that says why there is none.
        source: what the cell is exported from.
    """

    asked: CellAsked
    contributions: Contributions
    texts: Mapping[int, str]
    command: str
    source: WhySource


@dataclass
class WhyNotRead(Message):
    """Why a cell cannot be explained.

    Attributes:
        asked: the cell.
        text: the reason.
    """

    asked: CellAsked
    text: str
