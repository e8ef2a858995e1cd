"""How the room of the grids is shared: what a cell shows, how wide a column is, how many lines a row has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from rich.cells import cell_len

FIGURE = 4  # terminal cells of a figure behind the label of a row
NUMBER = 6  # terminal cells that a number takes, with the space before it
LEAST, MOST = 6, 14  # terminal cells of a column of tokens, with the space before each
USUAL = 10  # the widest column where not all columns are seen anyway
ROOM_FOR_MOST = 150  # terminal columns in which as many sides as there may be have room beside each other


class Contents(Enum):
    """What a cell shows: its likeliest token, the number that colours it, or both."""

    TOKEN = "tokens"
    NUMBER = "numbers"
    BOTH = "tokens and numbers"


@dataclass(frozen=True, slots=True)
class ColumnLayout:
    """The layout of all columns of the grids.

    Attributes:
        width: the width of a column in terminal cells, the space before its text included.
        contents: what its cells show.
    """

    width: int = USUAL
    contents: Contents = Contents.TOKEN


@dataclass(frozen=True, slots=True)
class RowFigures:
    """What stands behind the labels of rows, and which of these rows are dim.

    Attributes:
        texts: by the label of a row, its figure; None where no grid has figures, and they take no room.
        dim: the labels of the rows that are dim.
    """

    texts: Mapping[str, str] | None = None
    dim: frozenset[str] = frozenset()

    @property
    def width(self) -> int:
        """The terminal cells that the figures take behind the labels, with the space before them."""
        return 0 if self.texts is None else FIGURE + 1

    def behind(self, label: str) -> str:
        """Return what stands behind a label, as wide as `width`."""
        return "" if self.texts is None else f"{self.texts.get(label, ''):>{FIGURE + 1}}"


NO_FIGURES = RowFigures()


def column_layout(
    room: int, columns: int, widest: int, *, extra: int = 0, contents: Contents | None = None
) -> ColumnLayout:
    """Return the layout with which first all columns are seen, then tokens are whole, then numbers have room.

    Args:
        room: terminal cells for all columns together.
        columns: how many columns there are.
        widest: terminal cells of the widest token that is to be shown whole.
        extra: terminal cells that each cell needs beside its text and the space before it.
        contents: what cells are to show; None for numbers where they have room.
    """
    each = room // max(columns, 1)
    whole = min(max(1 + widest, LEAST), MOST) + extra
    if contents is Contents.NUMBER:
        return ColumnLayout(1 + NUMBER + extra, contents)
    if each < LEAST + extra:  # not all columns are seen, whatever the width
        width = min(whole, USUAL + extra)
        if contents is Contents.BOTH:
            return ColumnLayout(width + NUMBER, contents)
        return ColumnLayout(width, Contents.TOKEN)
    if contents is Contents.BOTH:
        return ColumnLayout(min(max(each, LEAST + extra + NUMBER), whole + NUMBER), contents)
    if contents is None and each >= whole + NUMBER:
        return ColumnLayout(whole + NUMBER, Contents.BOTH)
    return ColumnLayout(min(each, whole), Contents.TOKEN)


def lines_of_row(room: int, rows: int, most: int) -> int:
    """Return how many lines each row has so that all rows fill the room; 1 where they do not fit.

    Args:
        room: lines for all rows together.
        rows: how many rows there are.
        most: the most lines that a row may have.
    """
    return min(max(room // max(rows, 1), 1), most)


def widest_of(texts: Iterable[str]) -> int:
    """Return the terminal cells of the widest text; 0 if there is none."""
    return max(map(cell_len, texts), default=0)
