"""Columns of the prompt on Explore's screen as a lens in training reads them, which other screens hear of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lenstui.readout.cells import Cells


@dataclass(frozen=True, slots=True, eq=False)
class FittedCells:
    """Some columns of the prompt on Explore's screen, read through a fitted lens of the open model.

    Attributes:
        kind: the kind of that lens.
        start: the first column.
        cells: the cells of all rows of the columns.
        texts: display texts of every token in the cells.
    """

    kind: str
    start: int
    cells: Cells
    texts: Mapping[int, str]
