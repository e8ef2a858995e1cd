"""The tokens and numbers of one cell, as the detail and the cell in full show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenstui.readout.values import Value, cell_numbers

if TYPE_CHECKING:
    from lenstui.readout.cells import Cells


@dataclass(frozen=True, slots=True)
class CellFacts:
    """The tokens and numbers of one cell of one side.

    Attributes:
        lens: the name of the side.
        tokens: the display text and probability of each of the likeliest tokens, best first.
        numbers: the other numbers of the cell, each behind its value; numbers of the next token are left out
            in the last column.
    """

    lens: str
    tokens: tuple[tuple[str, float], ...]
    numbers: tuple[tuple[Value, float], ...]

    @classmethod
    def of(cls, lens: str, cells: Cells, row: int, column: int, texts: Mapping[int, str]) -> CellFacts | None:
        """Return the facts of a cell; None where the cell is not read, or is not a number."""
        ids = cells.top_ids[row, column]
        if ids[0] < 0:
            return None
        return cls(
            lens=lens,
            tokens=tuple(
                (texts.get(int(token), f"[id {token}]"), float(probability))
                for token, probability in zip(ids, cells.top_probs[row, column], strict=True)
            ),
            numbers=tuple(cell_numbers(cells, row, column)),
        )
