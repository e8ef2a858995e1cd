"""First rows of a target: where it first leads, and where its probability is first above a limit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lenstui.support.errors import LensError

if TYPE_CHECKING:  # this needs torch
    from lenstui.readout.sets.cases import LastColumn

ABOVE = 0.5  # the limit, unless another is named


@dataclass(frozen=True, slots=True)
class FirstRow:
    """A row of a case: the first of those read, by one lens, that has something of the target.

    Of a target of several tokens it is that of the first one.

    Attributes:
        key: the short name.
        stored: the name in files.
        has: returns where a lens has it, given the limit, `[rows]`.
        short: the heading of a column; `{}` in it stands for the limit.
        label: what it is, likewise.
    """

    key: str
    stored: str
    has: Callable[[LastColumn, float], npt.NDArray[np.bool_]]
    short: str
    label: str

    def of(self, column: LastColumn, above: float) -> int | None:
        """Return its place among the rows that were read; None where no row has it.

        Args:
            column: the numbers of one lens.
            above: the limit of the probability.
        """
        found = np.flatnonzero(self.has(column, above))
        return int(found[0]) if found.size else None

    def index(self, column: LastColumn, above: float) -> float:
        """Return its index in the residual stream, 0 for `emb`; NaN where no row has it."""
        place = self.of(column, above)
        return float("nan") if place is None else float(column.rows[place])


_FIRST_ROWS = (
    FirstRow(
        "leads",
        "target_leads",
        lambda column, above: column.target_rank == 0,
        "leads",
        "first row where the target leads (rank 0)",
    ),
    FirstRow(
        "above",
        "target_above",
        lambda column, above: column.target_prob.astype(np.float64) > above,
        "p > {}",
        "first row where p(target) > {}",
    ),
)


def first_rows() -> tuple[FirstRow, ...]:
    """Return every kind of first row, in the order of all lists."""
    return _FIRST_ROWS


def first_row(key: str) -> FirstRow:
    """Return the kind of first row with a key."""
    return next(each for each in first_rows() if each.key == key)


def limit_of(typed: str) -> float:
    """Return the limit of a probability as it was typed.

    Raises:
        LensError: if it is none.
    """
    try:
        limit = float(typed)
    except ValueError:
        limit = math.nan
    if not 0 <= limit < 1:
        raise LensError(f"{typed!r} is no probability from 0 to below 1.")
    return limit


def limit_text(above: float) -> str:
    """Return the limit of a probability with no more digits than it needs: `0.5`."""
    return f"{above:g}"
