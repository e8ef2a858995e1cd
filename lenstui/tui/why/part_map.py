"""The map of blocks by attention heads and MLP, coloured by what each contributes to a logit."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from lenstui.causal.contributions import Contributions
from lenstui.model.rows import ATTENTION, MLP
from lenstui.readout.cells import FloatArray
from lenstui.readout.scales import Scale, around_zero
from lenstui.support.fixed_text import MINUS
from lenstui.tui.grid import palette
from lenstui.tui.shared.step_scroll import StepScroll

_LABEL = 4  # cells for the number of a block, with a gap
_NARROW, _WIDE = 2, 7  # cells of a column; from _NUMBERS on they hold numbers
_NUMBERS = 6


class PartMap(StepScroll, can_focus=True):
    """A map with a line for each block, the last one on top: attention, its heads, and the MLP."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1, 0)", "Block below", show=False, id="why.down"),
        Binding("up,k", "move(-1, 0)", "Block above", show=False, id="why.up"),
        Binding("left,h", "move(0, -1)", "Head before", show=False, id="why.left"),
        Binding("right,l", "move(0, 1)", "Next head", show=False, id="why.right"),
        Binding("home", "move(0, -9999)", "Attention", show=False, id="why.home"),
        Binding("end", "move(0, 9999)", "MLP", show=False, id="why.end"),
    ]
    DEFAULT_CSS = """
    PartMap { background: $background; scrollbar-size: 1 1; }
    """

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

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._numbers: FloatArray = np.zeros((0, 0), np.float32)  # [blocks, attention and heads and MLP]
        self._scale = Scale.around_zero(1)
        self._block, self._column = 0, 0

    def show(self, of: Contributions) -> None:
        """Show contributions; the cursor stays where it is."""
        columns = [of.attention[:, None], of.heads, of.mlp[:, None]]
        self._numbers = np.concatenate(columns, 1) if len(of.attention) else np.zeros((0, 0), np.float32)
        # One part is rarely a tenth of another: on a logarithmic scale the small ones show too.
        self._scale = around_zero([self._numbers[:, 1:]], log=True)
        blocks, count = self._numbers.shape
        self._block, self._column = min(self._block, max(blocks - 1, 0)), min(self._column, max(count - 1, 0))
        self._make_room()
        self.refresh()

    def go_to(self, block: int, head: int | None) -> None:
        """Put the cursor on an attention head, or on the MLP of a block."""
        self._block = block
        self._column = self._numbers.shape[1] - 1 if head is None else head + 1
        self._scroll_to_cursor()
        self.refresh()

    def on_resize(self) -> None:
        """Make the columns as wide as there is room for."""
        self._make_room()
        self.refresh()

    def _make_room(self) -> None:
        blocks, count = self._numbers.shape
        self.virtual_size = Size(_LABEL + count * self._width, 1 + blocks)

    @property
    def _width(self) -> int:
        """The width of a column: the widest with which all have room, or else the narrowest."""
        count = max(int(self._numbers.shape[1]), 1)
        return max(_NARROW, min(_WIDE, (self.size.width - _LABEL - 1) // count))

    def action_move(self, down: int, right: int) -> None:
        """Move the cursor, over what a block does not have."""
        blocks, count = self._numbers.shape
        if not blocks:
            return
        block = max(0, min(self._block - down, blocks - 1))  # the last block is on top
        there = np.flatnonzero(~np.isnan(self._numbers[block]))
        column = max(0, min(self._column + right, count - 1))
        if not there.size:
            return
        if right:
            ahead = there[there >= column] if right > 0 else there[there <= column]
            column = int(ahead[0 if right > 0 else -1]) if ahead.size else self._column
        if column not in there:
            column = int(there[np.abs(there - column).argmin()])
        self._block, self._column = block, column
        self._scroll_to_cursor()
        self.refresh()
        self._tell()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the part under the pointer."""
        blocks, count = self._numbers.shape
        line, column = (
            event.y + self.scroll_offset.y - 1,
            (event.x + self.scroll_offset.x - _LABEL) // self._width,
        )
        if (
            0 <= line < blocks
            and 0 <= column < count
            and not np.isnan(self._numbers[blocks - 1 - line, column])
        ):
            self._block, self._column = blocks - 1 - line, column
            self.refresh()
            self._tell()

    def _tell(self) -> None:
        is_mlp = self._column == self._numbers.shape[1] - 1
        head = None if is_mlp or not self._column else self._column - 1
        self.post_message(self.Moved(self._block, head, is_mlp=is_mlp))

    def _scroll_to_cursor(self) -> None:
        line = len(self._numbers) - 1 - self._block
        place = Region(_LABEL + self._column * self._width, line, self._width, 2)
        self.scroll_to_region(place, animate=False, immediate=True)

    def render_line(self, y: int) -> Strip:
        """Return the heads of the columns, or the line of a block."""
        width, line = self.scrollable_content_region.width, y - 1 + self.scroll_offset.y
        blocks = len(self._numbers)
        if y == 0 or not blocks:
            segments = self._heads() if y == 0 and blocks else []
        elif line < blocks:
            segments = self._line(blocks - 1 - line)
        else:
            segments = []
        strip = Strip(segments)
        x = self.scroll_offset.x
        if x and strip.cell_length:
            label, rest = strip.crop(0, _LABEL), strip.crop(_LABEL + x, x + width)
            strip = Strip.join([label, rest])
        return strip.adjust_cell_length(width, self.rich_style)

    def _heads(self) -> list[Segment]:
        count, width = self._numbers.shape[1], self._width
        names = [ATTENTION, *map(str, range(count - 2)), MLP]
        dim = self.rich_style + Style(dim=True)
        texts = (name[: width - 1].rjust(width - 1) + " " for name in names)
        return [Segment(" " * _LABEL, dim), *(Segment(text, dim) for text in texts)]

    def _line(self, block: int) -> list[Segment]:
        mode, width = palette.mode_of(self.app), self._width
        styles, steps = palette.styles(mode), palette.steps(self.app)
        levels = self._scale.levels(self._numbers[block])
        segments = [Segment(f"{block:>{_LABEL - 1}} ", self.rich_style + Style(dim=True))]
        for column, (number, level) in enumerate(
            zip(self._numbers[block].tolist(), levels.tolist(), strict=True)
        ):
            text = "" if np.isnan(number) else contribution_text(number) if width >= _NUMBERS else ""
            if mode is palette.Mode.PLAIN and not np.isnan(number) and width < _NUMBERS:
                text = palette.glyph(level, steps)
            style = self.rich_style if np.isnan(number) else self.rich_style + styles[level]
            if (block, column) == (self._block, self._column):
                style += (
                    Style(reverse=True, bold=True) if self.has_focus else Style(underline=True, bold=True)
                )
                text = text or "◆"
            segments += [Segment(text.rjust(width - 1)[: width - 1], style), Segment(" ", self.rich_style)]
        return segments


def contribution_text(number: float) -> str:
    """Return a contribution in at most five cells, with a sign: `+4.43`, `−0.02`, `+31.2`."""
    digits = 2 if abs(number) < 9.995 else 1 if abs(number) < 99.95 else 0
    text = f"{abs(number):.{digits}f}"
    sign = "" if not float(text) else "+" if number > 0 else MINUS
    return f"{sign}{text}"
