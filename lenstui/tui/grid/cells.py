"""The contents of a grid: one lens's cells as they come in, their steps on the palette and their texts."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from lenstui.readout.alignment import NO_GAP
from lenstui.readout.cells import (
    NOT_A_NUMBER,
    NOT_READ,
    Cells,
    FloatArray,
    IntArray,
    crystallization_rows,
)
from lenstui.readout.scales import NO_LEVEL, LevelArray, Scale
from lenstui.readout.values import PROBABILITY, Value
from lenstui.support.cell_width import fit
from lenstui.support.late_numpy import np
from lenstui.tui.grid.cell import CellLine, with_number
from lenstui.tui.grid.room import Contents

if TYPE_CHECKING:
    import numpy.typing as npt

_OF_PINS = ("pin_logits", "pin_logprobs", "pin_ranks")


class GridCells:
    """The cells of one lens for a whole prompt, filled in by runs of columns.

    Attributes:
        values: the chosen value, `[rows, columns]`, NaN where not yet read.
        levels: the steps of the palette for `values`, `[rows, columns]`.
        settled: the crystallization row of each column, -1 where there is none or it is not known,
            `[columns]`.
        labels: the labels of the rows; None where all rows are of the residual stream.
        gap: the columns that never have any cells.
        cells: all the numbers, NaN and -1 where not yet read; None while nothing is read.
        texts: display texts by token id, at least of the top tokens.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.values: FloatArray = np.full((rows, columns), np.nan, np.float32)
        self.levels: LevelArray = np.full((rows, columns), NO_LEVEL, np.uint8)
        self.settled: IntArray = np.full(columns, NOT_READ, np.int32)
        self.labels: Sequence[str] | None = None
        self.gap = NO_GAP
        self.cells: Cells | None = None
        self._columns = columns
        self._value = PROBABILITY
        self.texts: MutableMapping[int, str] = {}

    @property
    def first_column(self) -> int:
        """The column of the first token."""
        return 0 if self.gap.start else self.gap.stop

    def put(self, start: int, cells: Cells, texts: Mapping[int, str], value: Value, scale: Scale) -> None:
        """Fill in the cells of the columns from `start` on, with their values and levels."""
        if self.cells is None:
            self.cells = _blank(cells, self._columns)
        elif self.cells.pin_ranks.shape[2] != cells.pin_ranks.shape[2]:  # numbers of other pins are of no use
            self.repin([NOT_READ] * cells.pin_ranks.shape[2])
        self.texts.update(texts)
        self._value = value
        columns = slice(start, start + cells.columns)
        for field in fields(Cells):
            getattr(self.cells, field.name)[:, columns] = getattr(cells, field.name)
        self.values[:, columns] = value.of(cells)
        self.levels[:, columns] = scale.levels(self.values[:, columns])
        self.settled[columns] = crystallization_rows(cells.top1, self.labels)

    def repin(self, places: Sequence[int]) -> None:
        """Arrange the numbers of pins anew.

        Args:
            places: the former place of each pin, -1 for a pin that is not read yet.
        """
        if self.cells is None:
            return
        kept = {}
        for name in _OF_PINS:
            array = getattr(self.cells, name)
            unread = np.full((*array.shape[:2], 1), _nothing(array), array.dtype)
            kept[name] = np.concatenate([array, unread], axis=2)[..., list(places)]  # -1 is the last one
        self.cells = replace(self.cells, **kept)

    def resize(self, columns: int) -> None:
        """Change the number of columns; those that are new, at the end, are not yet read."""
        kept = slice(min(columns, self._columns))
        cells, values, levels, settled = self.cells, self.values, self.levels, self.settled
        self._columns = columns
        self.values = np.full((len(values), columns), np.nan, np.float32)
        self.levels = np.full((len(values), columns), NO_LEVEL, np.uint8)
        self.settled = np.full(columns, NOT_READ, np.int32)
        self.values[:, kept], self.levels[:, kept] = values[:, kept], levels[:, kept]
        self.settled[kept] = settled[kept]
        if cells is not None:
            self.cells = _blank(cells, columns)
            for field in fields(Cells):
                getattr(self.cells, field.name)[:, kept] = getattr(cells, field.name)[:, kept]

    def choose(self, value: Value, scale: Scale) -> None:
        """Show another value, on its scale."""
        self._value = value
        if self.cells is not None:
            self.values = value.of(self.cells).copy()
        self.rescale(scale)

    def rescale(self, scale: Scale) -> None:
        """Show the value on another scale."""
        self.levels = scale.levels(self.values)

    def drawn(self, columns: slice, depth: int, contents: Contents) -> npt.NDArray[np.float64]:
        """Return all that decides the look of some columns' cells, for comparison, `[rows, columns, …]`."""
        if self.cells is None:
            return np.full((*self.levels[:, columns].shape, 1), np.nan)
        parts: list[npt.NDArray[Any]] = [
            self.levels[:, columns, None],
            (self.settled[columns] == np.arange(len(self.levels))[:, None])[..., None],
            self.cells.top_ids[:, columns, :depth],
        ]
        if contents is not Contents.TOKEN:
            parts += [self.cells.top_probs[:, columns, :depth], self.values[:, columns, None]]
        return np.concatenate(parts, axis=2, dtype=np.float64)

    def differing(self, row: int, columns: slice, line: CellLine) -> list[bool]:
        """Return which cells of a row are marked as different: none, as all are of one lens."""
        return [False] * (columns.stop - columns.start)

    def absent(self, row: int, columns: slice) -> list[bool]:
        """Return which cells of a row have no number and will have none.

        Such a cell is in the gap, or is read and not a number, or the lens does not read its row while its
        column is read.
        """
        absent = [False] * len(self.levels[row, columns])
        if self.cells is not None:
            first = self.cells.top1[:, columns]
            unread = (first[row] == NOT_READ) & (first[-1] != NOT_READ)
            absent = (unread | (first[row] == NOT_A_NUMBER)).tolist()
        for column in range(max(columns.start, self.gap.start), min(columns.stop, self.gap.stop)):
            absent[column - columns.start] = True
        return absent

    def line(self, row: int, columns: slice, line: CellLine) -> list[str | None]:
        """Return the texts of one line of a row, of one width; None for a cell that has none, or none yet.

        Where numbers are shown the first token is followed by the value that the colour shows, the others by
        their probability; numbers alone are on the first line.
        """
        if self.cells is None:
            return [None] * len(self.levels[row, columns])
        ids, place, width = self.cells.top_ids[row, columns], line.place, line.width
        if place >= ids.shape[1] or (place and line.contents is Contents.NUMBER):
            return [None if first < 0 else " " * width for first in ids[:, 0].tolist()]
        tokens = ids[:, place].tolist()
        known = self.texts.get
        texts = [None if token < 0 else known(token) or f"#{token}" for token in tokens]
        if line.contents is Contents.TOKEN:
            return [text if text is None else fit(text, width) for text in texts]
        value = PROBABILITY if place else self._value
        numbers = self.cells.top_probs[row, columns, place] if place else self.values[row, columns]
        if line.contents is Contents.NUMBER:
            texts = [text if text is None else "" for text in texts]
        return [
            text if text is None else with_number(text, value.format(number), width)
            for text, number in zip(texts, numbers.tolist(), strict=True)
        ]


def _blank(like: Cells, columns: int) -> Cells:
    """Return whole rows of cells in which nothing is read yet: NaN and -1 throughout."""

    def room(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.full((len(array), columns, *array.shape[2:]), _nothing(array), array.dtype)

    return Cells(**{field.name: room(getattr(like, field.name)) for field in fields(Cells)})


def _nothing(array: npt.NDArray[Any]) -> float:
    """Return the number that an array has where nothing is read: NaN, or -1 for integers."""
    return np.nan if array.dtype.kind == "f" else NOT_READ
