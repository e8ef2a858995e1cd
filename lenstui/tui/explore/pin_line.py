"""The line of pins, with their numbers in the cell under the cursor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from lenstui.readout.number_texts import logprob_text, probability_text, rank_text
from lenstui.support.cell_width import fit

if TYPE_CHECKING:
    from lenstui.tui.grid.pins import Pinned, PinNumbers

    Numbers = Mapping[str, Sequence[PinNumbers | None]]
    """The numbers of each pin by the name of the side, None where not read; without sides without cells."""

_TEXT_WIDTH = 12  # the most cells of a token
_ROOM_FOR_LENSES = 90  # columns for the names of the sides too; in fewer, the pins need the room


class PinLine(Widget):
    """A line with as many pins as there is room for, and the number of the others."""

    DEFAULT_CSS = """
    PinLine { height: 1; padding: 0 2; }
    """

    pins: reactive[tuple[Pinned, ...]] = reactive(())
    numbers: reactive[Numbers] = reactive({})

    def render(self) -> Text:
        """Return the heading, the pins that have room, and the number of the others."""
        room = self.content_size.width
        line = Text.assemble(("pins", "bold"), no_wrap=True)
        if room >= _ROOM_FOR_LENSES:
            line.append(f" {' │ '.join(self.numbers)}", style="dim")
        ranks = room >= _ROOM_FOR_LENSES
        items = [pin_item(i, pin, self.numbers, ranks=ranks) for i, pin in enumerate(self.pins)]
        for i, item in enumerate(items):
            left = len(items) - i
            more = Text(f"  +{left}: u", style="dim")
            enough = sum(3 + item.cell_len for item in items[i:])
            if line.cell_len + min(3 + item.cell_len + more.cell_len, enough) > room:
                return line.append_text(more)
            line.append("   ").append_text(item)
        return line


def pin_name(place: int, pin: Pinned, width: int = 0) -> Text:
    """Return a pin's number and its token or word, in the pin's colour, padded to `width` cells if not 0."""
    from lenstui.model.tokens import visible  # the first paint can do without

    name = visible(pin.word) if pin.word else pin.text
    text = fit(name, width) if width else fit(name, min(_TEXT_WIDTH, Text(name).cell_len))
    return Text.assemble((f"{place + 1} {text}", pin.colour))


def pin_item(place: int, pin: Pinned, numbers: Numbers, *, ranks: bool = True) -> Text:
    """Return a pin on each side: its probability and rank, or log p of a word's first token and of all.

    Args:
        place: the place of the pin.
        pin: the pin.
        numbers: the numbers of the pins.
        ranks: whether there is room for the rank of a word's first token.
    """
    item = pin_name(place, pin)
    for i, of_lens in enumerate(numbers.values()):
        item.append(" │ " if i else " ", style="dim").append_text(_brief(of_lens[place], pin, ranks=ranks))
    return item


def _brief(numbers: PinNumbers | None, pin: Pinned, *, ranks: bool) -> Text:
    if numbers is None:
        return Text("…")
    if math.isnan(numbers.logprob):
        return Text("–", "dim")
    if pin.word:
        rank = f" r{rank_text(numbers.rank)}" if ranks else ""
        line = Text.assemble(("1st ", "dim"), logprob_text(numbers.logprob), (rank, "dim"))
        return line.append(" whole ", "dim").append(numbers.whole) if numbers.whole else line
    return Text.assemble(probability_text(numbers.probability), (f" r{rank_text(numbers.rank)}", "dim"))
