"""Marks of columns: where turns begin, and which columns are dim."""

from __future__ import annotations

from dataclasses import dataclass

BEGINS = "▏"  # in the header, before the token with which a turn begins


@dataclass(frozen=True, slots=True)
class ColumnMarks:
    """Marks of the columns of a grid.

    Attributes:
        begins: the columns with which a turn of the prompt begins.
        dim: the columns that are dim.
    """

    begins: frozenset[int] = frozenset()
    dim: frozenset[int] = frozenset()


NO_MARKS = ColumnMarks()
