"""The list of pins, one a line: to read their numbers, to unpin them, and to choose the first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message

from lenstui.readout.number_texts import probability_text, rank_text
from lenstui.support.cell_width import fit
from lenstui.support.fixed_text import fixed_text
from lenstui.tui.explore.pin_line import pin_name
from lenstui.tui.shared.line_list import LineList

if TYPE_CHECKING:
    from lenstui.tui.explore.pin_line import Numbers
    from lenstui.tui.grid.pins import Pinned, PinNumbers

_NAME_WIDTH = 14
NO_SUM = "no sum"  # a lens that is no distribution of the next token


class PinList(LineList, inherit_bindings=False):
    """A list of the pins, each with its probability, log-probability and rank on each side."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "cursor_down", "Next pin", show=False, id="pins.down"),
        Binding("up,k", "cursor_up", "Previous pin", show=False, id="pins.up"),
        Binding("home", "first", "First pin", show=False, id="pins.home"),
        Binding("end", "last", "Last pin", show=False, id="pins.end"),
        Binding(
            "p,x,delete,backspace", "unpin", "Unpin", key_display="p",
            tooltip="Unpin the token: also x, Delete", id="pins.unpin",
        ),
        Binding(
            "enter", "put_first", "First", tooltip="Make it the first pin, which always has room",
            id="pins.first",
        ),
        Binding("escape,u", "leave", "To the grid", id="pins.leave"),
    ]  # fmt: skip
    DEFAULT_CSS = """
    PinList {
        width: 2fr;
        height: 100%;
        padding: 0 1;
        border: round $border;
        background: $background;
        scrollbar-size: 1 1;
        &:focus { border: round $border; background-tint: $surface 0%; }
        & > .option-list--option { padding: 0; }
        & > .option-list--option-highlighted, &:focus > .option-list--option-highlighted {
            background: $foreground 15%;
            color: $foreground;
        }
    }
    """

    class Unpinned(Message):
        """The message that the user wants to unpin a token."""

        def __init__(self, pin: Pinned) -> None:
            self.pin = pin
            super().__init__()

    class PutFirst(Message):
        """The message that the user wants a token to be the first pin."""

        def __init__(self, pin: Pinned) -> None:
            self.pin = pin
            super().__init__()

    class Left(Message):
        """The message that the user wants to go back to the grid."""

    def __init__(self) -> None:
        super().__init__()
        self._pins: tuple[Pinned, ...] = ()
        self.border_subtitle = "p unpins · enter puts first · esc closes"

    def show(self, pins: tuple[Pinned, ...], numbers: Numbers) -> None:
        """Show pins and their numbers; the highlight stays on its line."""
        before, self._pins = self.highlighted, pins
        self.border_title = "pins · probability, log p in nats, rank"
        self.set_options([pin_entry(i, pin, numbers) for i, pin in enumerate(pins)])
        if pins:
            self.highlighted = min(before or 0, len(pins) - 1)

    @property
    def chosen(self) -> Pinned:
        """The highlighted pin."""
        return self._pins[self.highlighted or 0]

    def why_not_first(self) -> str:
        """Return that the highlighted pin is the first already; nothing where it can become the first."""
        return "" if self.highlighted else "It is the first already."

    def action_unpin(self) -> None:
        """Unpin the highlighted token."""
        if self.highlighted is not None:
            self.post_message(self.Unpinned(self._pins[self.highlighted]))

    def action_put_first(self) -> None:
        """Make the highlighted token the first pin."""
        if self.highlighted is not None:
            self.post_message(self.PutFirst(self._pins[self.highlighted]))
            self.highlighted = 0

    def action_leave(self) -> None:
        """Go back to the grid."""
        self.post_message(self.Left())


def pin_entry(place: int, pin: Pinned, numbers: Numbers) -> Text:
    """Return the line of a pin, with all its numbers on each side; of a word's first token a second one."""
    line = Text.assemble(pin_name(place, pin, _NAME_WIDTH), no_wrap=True, overflow="ellipsis")
    if pin.word:
        line.append_text(_of_whole(place, numbers)).append("\n")
        line.append(fit(f"  1st {pin.name}", 2 + _NAME_WIDTH), style="dim")
    for lens, of_lens in numbers.items():
        line.append(f"  {lens} ", style="dim").append_text(_full(of_lens[place]))
    return line


def _of_whole(place: int, numbers: Numbers) -> Text:
    """Return the numbers of a whole word of several tokens on each side, below those of other pins."""
    line = Text()
    for lens, of_lens in numbers.items():
        of_side = of_lens[place]
        whole = "…" if of_side is None else of_side.whole or NO_SUM
        line.append(f"  {lens} ", style="dim").append(f"{'whole':>5} {whole:>6} {'':>4}")
    return line


def _full(numbers: PinNumbers | None) -> Text:
    if numbers is None:
        return Text(f"{'…':<20}")
    if math.isnan(numbers.logprob):
        return Text(f"{'–':<20}", "dim")
    prob, log_prob = probability_text(numbers.probability), fixed_text(numbers.logprob, 2)
    return Text(f"{prob:>5} {log_prob:>6} {rank_text(numbers.rank):>4}")
