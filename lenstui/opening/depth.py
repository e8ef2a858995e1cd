"""Rows of models of unequal depth side by side: each beside the row at the same share of the blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lenstui.model.rows import Row

if TYPE_CHECKING:
    from lenstui.model.load import Model


def at_same_depth(row: Row, blocks: int, others: int) -> Row:
    """Return the row of a model that is as deep, relative to its blocks, as a row of another model.

    `emb` stays `emb`, and the last row the last one; between them it is the nearest row, of two equally near
    ones the later. Of a deeper model rows are passed over; of a shallower one rows come twice.

    Args:
        row: a row of the residual stream, or of a sublayer where the models have equally many blocks.
        blocks: the number of blocks of its model.
        others: the number of blocks of the other model.
    """
    if blocks == others:
        return row
    assert row.part is None
    return Row((2 * row.h * others + blocks) // (2 * blocks))


def rows_beside(rows: Sequence[Row], first: Model, other: Model) -> tuple[Row, ...]:
    """Return the rows of a model that stand beside some rows of the first one, by relative depth."""
    return tuple(at_same_depth(row, first.num_blocks, other.num_blocks) for row in rows)
