"""What Explore does with pins: the keys that pin and unpin, and how their numbers come."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType

from lenstui.jobs.messages import PinsFound, PinsNotFound
from lenstui.readout.pins import MOST_PINS
from lenstui.tui.explore.ask_word import AskWord
from lenstui.tui.explore.base import GridScreen
from lenstui.tui.explore.cell_panel import ROOM_FOR_PLOT, CellPanel
from lenstui.tui.explore.pin_list import PinList
from lenstui.tui.grid.pins import PLOTTED, with_tokens, without_token

FULL = f"{MOST_PINS} tokens are pinned, and more cannot be: u lists them, to unpin one."
NOTHING_PINNED = "Nothing is pinned: p pins the cell's token, P a word."
HINT = """\
The tokens that are this word are pinned, with and without a space before it; type it behind a space for \
that one alone. Of a word that is no token its first token is pinned."""


class ExplorePins(GridScreen):
    """Explore with pins."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "P", "pin_word", "Pin a word", show=False, tooltip="Pin a word that you type",
            id="explore.pin_word",
        ),
        Binding(
            "u", "list_pins", "Pins", show=False, tooltip="The pins in full: unpin, or choose the first",
            id="explore.pins",
        ),
        Binding(
            "R", "plot_next", "Plot", show=False, id="explore.plot",
            tooltip="Plot the pins' probability, rank or log-probability by row",
        ),
    ]  # fmt: skip

    @property
    def panel(self) -> CellPanel:
        """What shows the pins."""
        return self.query_one(CellPanel)

    def on_mount(self) -> None:
        """The plot and the detail follow what colours the cells."""
        self.watch(self.panes, "value_index", self._follow_value, init=False)

    def action_pin(self) -> None:
        """Pin the likeliest token of the cell under the cursor, or unpin it."""
        panel, token = self.panel, self.panes.token
        if token is None:
            self._tell(self._why_no_token)
        elif any(pin.id == token for pin in panel.pins):
            panel.pins = without_token(panel.pins, token)
        elif len(panel.pins) == MOST_PINS:
            self._tell(FULL)
        else:
            panel.pins = with_tokens(panel.pins, [(token, self._texts[token])])

    def action_pin_word(self) -> None:
        """Ask for a word and pin its tokens."""
        if self._model is None:
            self._tell("No model is open: only its tokens can be pinned.")
        elif len(self.panel.pins) == MOST_PINS:
            self._tell(FULL)
        else:
            self.app.push_screen(AskWord("pin a word", "pins", HINT), self._look_up)

    def _look_up(self, word: str | None) -> None:
        if word is not None:
            self._app.request_pins(word, self._prompt)

    def on_pins_found(self, message: PinsFound) -> None:
        """Pin them, as far as there is room."""
        before = self.panel.pins
        pins = with_tokens(before, message.tokens)
        names = " and ".join(f'"{text}"' for _, text in message.tokens)
        left_out = sum(all(pin.id != token for pin in pins) for token, _ in message.tokens)
        if left_out:
            self._tell(f"{FULL} Of {names} {left_out} is left out.")
        elif not message.whole:
            self._tell(f'No token is "{message.word}": its first token, {names}, is pinned.')
        elif pins == before:
            self._tell(f"{names}: pinned already.")
        self.panel.pins = pins

    def on_pins_not_found(self, message: PinsNotFound) -> None:
        """Say why."""
        self._tell(message.text)

    def action_list_pins(self) -> None:
        """Show the pins in full, in place of the detail."""
        if self.panel.pins:
            self.panel.listing = True
        else:
            self._tell(NOTHING_PINNED)

    def action_plot_next(self) -> None:
        """Plot another of the pins' numbers."""
        panel = self.panel
        if not panel.pins:
            self._tell(NOTHING_PINNED)
        elif not panel.has_room_for_plot:
            self._tell(f"The plot of the pins needs a screen of {ROOM_FOR_PLOT} columns.")
        else:
            panel.plotted = PLOTTED[(PLOTTED.index(panel.plotted) + 1) % len(PLOTTED)]

    def _follow_value(self) -> None:
        """The number that colours the cells stays in the detail; that of a pin is plotted."""
        self.panel.follow(self.panes.value.key)
        number = self.panes.value.key.removeprefix("pin-")
        if self.panes.value.pins and number in PLOTTED:
            self.panel.plotted = number

    @on(CellPanel.PinsChanged)
    def keep_numbers(self, message: CellPanel.PinsChanged) -> None:
        """The numbers of the pins that stay are there still; the others are to be read."""
        before = [pin.id for pin in message.before]
        places = [before.index(pin.id) if pin.id in before else -1 for pin in message.after]
        for grid in self.grids:
            grid.repin(places)
        value = self.panes.value
        self.panes.pins = tuple(pin.text for pin in message.after)
        if self.panes.value.key != value.key:
            needed = "a pin" if value.pins == 1 else "two pins"
            self._tell(f"{value.label} needs {needed}: the colours show {self.panes.value.label} now.")
        if self.panel.listing and not message.after:
            self.leave_pins()
        if self._columns:
            self._read_pins()

    def _read_pins(self) -> None:
        """Read the prompt again for the numbers of the pins; all others stay."""

    @on(PinList.Left)
    def leave_pins(self) -> None:
        """Go to the grid."""
        self.set_focus(self.panes.shown_grid)  # at once: a list that is hidden first leaves it to nobody
        self.panel.listing = False
