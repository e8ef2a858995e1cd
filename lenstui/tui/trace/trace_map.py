"""The map of a causal trace: rows by columns, or blocks by attention heads, by what each restores."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from textual.message import Message

from lenstui.readout.scales import Scale, round_top
from lenstui.tui.grid.number_map import NumberMap

if TYPE_CHECKING:
    from lenstui.export.trace import Traced

_LEAST_TOP = 0.05  # of the colours: smaller shares all look like nothing


class TraceMap(NumberMap):
    """A map with a line for each row of a trace, the last one on top."""

    WIDEST: ClassVar[int] = 9
    TALLEST: ClassVar[int] = 3

    class Moved(Message):
        """The message that the cursor is on another patch."""

    def show(self, traced: Traced) -> None:
        """Show the recovered shares of a trace, as far as it is."""
        of = traced.trace
        self.show_numbers(of.recovered, of.rows, traced.heads, scale_of(traced))

    @property
    def cursor(self) -> tuple[int, int]:
        """The index of the row under the cursor, and its column or attention head."""
        return self._row, self._column

    def tell(self) -> None:
        """Say that the cursor is on another patch."""
        self.post_message(self.Moved())


def scale_of(traced: Traced) -> Scale:
    """Return the scale of the colours, around zero.

    The residual stream goes up to 1, all of what the corruption changed; of the others, which restore less
    one by one, the largest share sets the end.
    """
    of = traced.trace
    if of.options.what == "resid" or not np.isfinite(of.recovered).any():
        return Scale.around_zero(1.0)
    largest = float(np.nanmax(np.abs(of.recovered[np.isfinite(of.recovered)])))
    return Scale.around_zero(min(1.0, round_top(max(largest, _LEAST_TOP))))
