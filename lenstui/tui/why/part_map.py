"""The map of blocks by attention heads and MLP, coloured by what each contributes to a logit."""

from __future__ import annotations

import numpy as np
from textual.message import Message

from lenstui.causal.contributions import Contributions
from lenstui.model.rows import ATTENTION, MLP
from lenstui.readout.cells import FloatArray
from lenstui.readout.scales import around_zero
from lenstui.support.fixed_text import MINUS
from lenstui.tui.grid.number_map import NumberMap


class PartMap(NumberMap):
    """A map with a line for each block, the last one on top: attention, its heads, and the MLP."""

    class Moved(Message):
        """The message that another part is under the cursor.

        Attributes:
            block: the index of its block.
            head: the number of the attention head, or None.
            is_mlp: whether it is the MLP.
        """

        def __init__(self, block: int, head: int | None, *, is_mlp: bool) -> None:
            self.block, self.head, self.is_mlp = block, head, is_mlp
            super().__init__()

    def show(self, of: Contributions) -> None:
        """Show contributions; the cursor stays where it is."""
        columns = [of.attention[:, None], of.heads, of.mlp[:, None]]
        numbers: FloatArray = (
            np.concatenate(columns, 1) if len(of.attention) else np.zeros((0, 2), np.float32)
        )
        blocks, count = numbers.shape
        # One part is rarely a tenth of another: on a logarithmic scale the small ones show too.
        scale = around_zero([numbers[:, 1:]], log=True)
        heads = [ATTENTION, *map(str, range(count - 2)), MLP]
        self.show_numbers(numbers, list(map(str, range(blocks))), heads, scale)

    def go_to(self, block: int, head: int | None) -> None:
        """Put the cursor on an attention head, or on the MLP of a block."""
        self.put_cursor(block, self._numbers.shape[1] - 1 if head is None else head + 1)

    def tell(self) -> None:
        """Say which part is under the cursor."""
        is_mlp = self._column == self._numbers.shape[1] - 1
        head = None if is_mlp or not self._column else self._column - 1
        self.post_message(self.Moved(self._row, head, is_mlp=is_mlp))

    def number_text(self, number: float) -> str:
        """Return a contribution as it is shown in a cell."""
        return contribution_text(number)


def contribution_text(number: float) -> str:
    """Return a contribution in at most five cells, with a sign: `+4.43`, `−0.02`, `+31.2`."""
    digits = 2 if abs(number) < 9.995 else 1 if abs(number) < 99.95 else 0
    text = f"{abs(number):.{digits}f}"
    sign = "" if not float(text) else "+" if number > 0 else MINUS
    return f"{sign}{text}"
