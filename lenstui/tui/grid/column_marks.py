"""Marks of columns: where turns begin, which columns are dim, and where others are folded away."""

from __future__ import annotations

from dataclasses import dataclass

BEGINS = "▏"  # in the header, before the token with which a turn begins

FOLDED = "⋯"  # in the header, before the token behind columns that are folded away


@dataclass(frozen=True, slots=True)
class ColumnMarks:
    """Marks of the columns of a grid.

    Attributes:
        begins: the columns with which a turn of the prompt begins.
        dim: the columns that are dim.
        folded: the columns before which others are folded away.
    """

    begins: frozenset[int] = frozenset()
    dim: frozenset[int] = frozenset()
    folded: frozenset[int] = frozenset()


NO_MARKS = ColumnMarks()
