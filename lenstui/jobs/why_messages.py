"""The messages of the jobs that explain a cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from textual.message import Message

from lenstui.causal.contributions import Contributions


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


@dataclass
class WhyRead(Message):
    """What wrote the logit of a token in a cell.

    Attributes:
        asked: the cell.
        contributions: the contributions of all components.
        texts: display texts of the prompt's tokens and of those that are explained, by id.
        command: the command that says the same, or a comment that says why there is none.
    """

    asked: CellAsked
    contributions: Contributions
    texts: Mapping[int, str]
    command: str


@dataclass
class WhyNotRead(Message):
    """Why a cell cannot be explained.

    Attributes:
        asked: the cell.
        text: the reason.
    """

    asked: CellAsked
    text: str
