"""The cursor of the grids."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cursor:
    """A cell: an index into the rows (0 is `emb`) and one into the columns."""

    row: int
    column: int
