"""The contents of the difference's grid: the tokens of two sides, and a value of one minus the other's."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lenstui.export.difference import DIFFERENT, Difference
from lenstui.readout.cells import NOT_A_NUMBER, NOT_READ, FloatArray, IntArray
from lenstui.readout.values import PROBABILITY
from lenstui.support.cell_width import fit
from lenstui.support.late_numpy import np
from lenstui.tui.grid.cell import CellLine, with_number
from lenstui.tui.grid.cells import GridCells
from lenstui.tui.grid.places import MOST_LINES
from lenstui.tui.grid.room import Contents

if TYPE_CHECKING:
    import numpy.typing as npt

    from lenstui.readout.scales import Scale

_RIGHT, _LEFT = 0, 1  # the lines of the two sides


def marked(left: Sequence[str], right: Sequence[str]) -> tuple[str, ...]:
    """Return the right side's input tokens, marked in the columns where the left side has another token."""
    if len(left) != len(right):  # the left side's are not known yet
        return tuple(right)
    both = zip(left, right, strict=True)
    return tuple(text if text in {other, ""} else DIFFERENT + text for other, text in both)


class DifferenceCells(GridCells):
    """The cells of two sides, compared.

    What is drawn is copied from the cells of the sides, for these go on being filled in.

    Attributes:
        values: the difference, `[rows, columns]`, NaN where a side is not yet read.
        differs: whether the likeliest tokens of the two sides differ, `[rows, columns]`.
        cells: the cells of the right side, whose token a cell shows first; None until both sides have some.
        settled: the crystallization rows of the right side, `[columns]`.
    """

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__(rows, columns)
        self._difference = Difference(PROBABILITY, "", "")
        self._gaps: tuple[range, ...] = ()  # of the sides
        self._forget(columns)

    def resize(self, columns: int) -> None:
        """Change the number of columns, and forget the comparison, which has to be made anew."""
        super().resize(columns)
        self._forget(columns)

    def _forget(self, columns: int) -> None:
        both = (2, len(self.values), columns)
        self._top1: IntArray = np.full(both, NOT_READ, np.int32)
        self._numbers: FloatArray = np.full(both, np.nan, np.float32)
        self._compare_tokens()

    def compare(self, left: GridCells, right: GridCells, difference: Difference, vocabulary: int) -> Scale:
        """Show the difference of what two sides have read by now.

        Returns:
            The scale that the difference is shown on.
        """
        self._difference = difference
        self._gaps = left.gap, right.gap
        if left.cells is not None and right.cells is not None:
            both = right.cells, left.cells
            self.cells = right.cells
            self.settled = right.settled.copy()
            self.texts = ChainMap(right.texts, left.texts)
            self._top1 = np.stack([cells.top_ids[:, :, 0] for cells in both])
            self._numbers = np.stack([difference.value.of(cells) for cells in both])
            self._compare_tokens()
            self.values = difference.of(left.cells, right.cells)
        scale = difference.scale(self.values[:, self.first_column :], vocabulary)
        self.rescale(scale)
        return scale

    def _compare_tokens(self) -> None:
        # Read on both sides, and a number.
        self._is_read: npt.NDArray[np.bool_] = np.all(self._top1 >= 0, axis=0)
        self.differs: npt.NDArray[np.bool_] = self._is_read & (self._top1[_RIGHT] != self._top1[_LEFT])

    def counted(self, *, last: bool) -> tuple[int, int]:
        """Return in how many cells another token leads, and how many cells both sides have read.

        The first token's column, often an attention sink, does not count.

        Args:
            last: whether the last row counts, in which only two models, or two prompts, can differ.
        """
        counted = np.s_[: None if last else -1, self.first_column + 1 :]
        return int(self.differs[counted].sum()), int(self._is_read[counted].sum())

    def drawn(self, columns: slice, depth: int, contents: Contents) -> npt.NDArray[np.float64]:
        """Return all that decides the look of some columns' cells, for comparison, `[rows, columns, …]`."""
        parts: list[npt.NDArray[Any]] = [
            self.levels[None],
            self._is_read[None],
            (self.settled == np.arange(len(self.levels))[:, None])[None],
            self._top1,
        ]
        if depth > 1 or contents is not Contents.TOKEN:
            parts += [self.values[None], self._numbers]
        seen = np.concatenate([part[:, :, columns] for part in parts], dtype=np.float64)
        return np.moveaxis(seen, 0, 2)

    def differing(self, row: int, columns: slice, line: CellLine) -> list[bool]:
        """Return which cells of a row have the mark of a difference on a line.

        The mark is before the token in rows of one line, before the second of two tokens in taller rows.
        """
        differs: list[bool] = self.differs[row, columns].tolist()
        return differs if line.place == (0 if line.depth < 2 else 1) else [False] * len(differs)

    def absent(self, row: int, columns: slice) -> list[bool]:
        """Return which cells of a row have no number and will have none, on either side."""
        of_either = (self._top1[:, row, columns] == NOT_A_NUMBER).any(axis=0).tolist()
        in_a_gap = [any(column in gap for gap in self._gaps) for column in range(columns.start, columns.stop)]
        return list(map(any, zip(super().absent(row, columns), of_either, in_a_gap, strict=True)))

    def line(self, row: int, columns: slice, line: CellLine) -> list[str | None]:
        """Return the texts of one line of a row, all of one width; None for a cell that is not yet read.

        In rows of two lines the left side's token is below the right one's, and in rows of three the
        difference is below both. Where numbers are shown, the difference is behind the first token of one or
        two lines, and behind each of three lines' tokens its own number.
        """
        is_read = self._is_read[row, columns].tolist()
        if line.place >= MOST_LINES or (line.place and line.contents is Contents.NUMBER):
            return [" " * line.width if read else None for read in is_read]
        texts = self._texts_of(row, columns, line)
        return [text if read else None for text, read in zip(texts, is_read, strict=True)]

    def _texts_of(self, row: int, columns: slice, line: CellLine) -> list[str]:
        numbers = map(self._difference.format, self.values[row, columns].tolist())
        if line.place == 2 or line.contents is Contents.NUMBER:
            return [f"{number:>{line.width}}" for number in numbers]
        tokens = self._top1[line.place, row, columns].tolist()
        texts = [self.texts.get(token, f"#{token}") for token in tokens]
        if line.contents is Contents.TOKEN or (line.depth == 2 and line.place == _LEFT):
            return [fit(text, line.width) for text in texts]
        if line.depth > 2:
            numbers = map(self._difference.value.format, self._numbers[line.place, row, columns].tolist())
        return [with_number(*both, line.width) for both in zip(texts, numbers, strict=True)]
