"""The pins of Explore: the keys that pin and unpin tokens, and the reading of the pins' numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lenstui.readout.pins import MOST_PINS
from lenstui.tui.explore.cell_panel import ROOM_FOR_PLOT, CellPanel
from lenstui.tui.explore.cell_words import why_no_token, why_not_of_all
from lenstui.tui.grid.pins import with_tokens, without_pin
from lenstui.tui.grid.plotted import PLOTTED
from lenstui.tui.shared.ask_word import AskWord
from lenstui.tui.shared.nothing_yet import NO_PINS

if TYPE_CHECKING:
    from lenstui.jobs.messages import OpenModel, PinsFound
    from lenstui.tui.explore.reader import Reader
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets
    from lenstui.tui.services import Services, Target

FULL = f"{MOST_PINS} tokens are pinned, and more cannot be: u lists them, to unpin one."
HINT = """\
The tokens that are this word are pinned, with and without a space before it; type it behind a space for \
that one alone. Of a word that is no token its first token is pinned, and in the cursor's column the whole \
word is read."""
READ_WHOLE = "In the cursor's column the whole word is read, too."


class Pins:
    """The part of Explore that pins tokens, unpins them, and has their numbers read."""

    def __init__(self, state: ExploreState, widgets: Widgets, services: Services, reader: Reader) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services
        self._reader = reader
        self._case_pins: list[tuple[int, str]] = []  # token and word of the pinned target and foil of a case

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────

    def toggle(self) -> None:
        """Pin the likeliest token of the cell under the cursor; if the token is pinned already, unpin it."""
        if reason := self.why_not_toggle():
            self._services.tell(reason)
            return
        panel, token = self._widgets.panel, self._widgets.panes.token
        assert token is not None
        if any(pin.is_of(token, "") for pin in panel.pins):
            panel.pins = without_pin(panel.pins, token)
        else:
            panel.pins = with_tokens(panel.pins, [(token, self._state.texts[token])])

    def why_not_toggle(self) -> str:
        """Return why the cell's token can be neither pinned nor unpinned; nothing where it can."""
        pins, token = self._widgets.panel.pins, self._widgets.panes.token
        if token is None:
            return why_no_token(self._state, self._widgets.panes)
        if reason := why_not_of_all(self._state, token):
            return reason
        return FULL if len(pins) == MOST_PINS and not any(pin.is_of(token, "") for pin in pins) else ""

    def ask_for_word(self) -> None:
        """Ask for a word, and pin its tokens."""
        if reason := self.why_no_more():
            self._services.tell(reason)
        else:
            self._services.ask(AskWord("pin a word", "pins", HINT), self._look_up)

    def why_no_more(self) -> str:
        """Return why no word can be pinned; nothing where one can."""
        if self._state.model is None:
            return "No model is open: only its tokens can be pinned."
        return FULL if len(self._widgets.panel.pins) == MOST_PINS else ""

    def _look_up(self, word: str | None) -> None:
        if word is not None:
            post = self._services.post_to(self._widgets.screen)
            self._services.prompts.find_pins(word, self._state.text_behind, post)

    def list_all(self) -> None:
        """Show the pins in full, in place of the detail."""
        if self._widgets.panel.pins:
            self._widgets.panel.listing = True
        else:
            self._services.tell(NO_PINS)

    def leave_list(self) -> None:
        """Go from the list of pins to the grid."""
        # At once: a list that is hidden first leaves the focus to nobody.
        self._widgets.screen.set_focus(self._widgets.panes.shown_grid)
        self._widgets.panel.listing = False

    def plot_next(self) -> None:
        """Plot the next of the pins' numbers."""
        panel = self._widgets.panel
        if reason := self.why_no_plot():
            self._services.tell(reason)
        else:
            panel.plotted = PLOTTED[(PLOTTED.index(panel.plotted) + 1) % len(PLOTTED)]

    def why_no_plot(self) -> str:
        """Return why there is no plot of the pins; nothing where there is one."""
        if not self._widgets.panel.pins:
            return NO_PINS
        if not self._widgets.panel.has_room_for_plot:
            return f"The plot of the pins needs a screen of {ROOM_FOR_PLOT} columns."
        return ""

    # ── what comes ───────────────────────────────────────────────────────────────────────────────────────

    def pin_found(self, message: PinsFound) -> None:
        """Pin the tokens of a word, as far as there is room."""
        before = self._widgets.panel.pins
        word = message.several
        pins = with_tokens(before, message.tokens, word)
        names = " and ".join(f'"{text}"' for _, text in message.tokens)
        left_out = sum(not any(pin.is_of(token, word) for pin in pins) for token, _ in message.tokens)
        if left_out:
            self._services.tell(f"{FULL} Of {names} {left_out} is left out.")
        elif not message.whole:
            said = f'No token is "{message.word}": its first token, {names}, is pinned.'
            is_read = word and not self._state.elsewhere
            self._services.tell(f"{said} {READ_WHOLE}" if is_read else said)
        elif pins == before:
            self._services.tell(f"{names}: pinned already.")
        self._widgets.panel.pins = pins

    def follow_value(self) -> None:
        """Have the detail always show the value that colours the cells; plot that value if it is of a pin."""
        panes, panel = self._widgets.panes, self._widgets.panel
        panel.follow(panes.value.key)
        number = panes.value.key.removeprefix("pin-")
        if panes.value.pins and number in PLOTTED:
            panel.plotted = number

    def take_change(self, message: CellPanel.PinsChanged) -> None:
        """Keep the numbers of the pins that stay, and have those of the others read."""
        panes, before = self._widgets.panes, [pin.id for pin in message.before]
        places = [before.index(pin.id) if pin.id in before else -1 for pin in message.after]
        for grid in panes.grids:
            grid.repin(places)
        value = panes.value
        panes.pins = tuple(pin.name for pin in message.after)
        if panes.value.key != value.key:
            needed = "a pin" if value.pins == 1 else "two pins"
            self._services.tell(f"{value.label} needs {needed}: the colours show {panes.value.label} now.")
        if self._widgets.panel.listing and not message.after:
            self.leave_list()
        if self._state.columns:
            self._reader.read_pins()

    def keep_those_of(self, model: OpenModel) -> None:
        """Unpin the tokens that are not in the vocabularies of all models on screen."""
        limit, panel = model.common_vocabulary, self._widgets.panel
        if any(pin.id >= limit for pin in panel.pins):
            panel.pins = tuple(pin for pin in panel.pins if pin.id < limit)

    def forget(self) -> None:
        """Unpin all tokens, since they are of another model."""
        self._widgets.panel.pins = ()

    def pin_targets(self, targets: Sequence[Target]) -> None:
        """Pin the target and the foil of a case, in place of those of the former case."""
        panel = self._widgets.panel
        pins = panel.pins
        for token, word in self._case_pins:
            pins = without_pin(pins, token, word)
        self._case_pins = []
        for target in targets:
            if any(pin.is_of(target.token, target.word) for pin in pins):
                continue
            if len(pins) == MOST_PINS:
                self._services.tell(FULL)
                break
            pins = with_tokens(pins, [(target.token, target.text)], target.word)
            self._case_pins.append((target.token, target.word))
        if pins != panel.pins:
            panel.pins = pins
