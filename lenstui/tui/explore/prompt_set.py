"""What Explore does with prompt sets: the key that opens their screen, and the way into one prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from lenstui.readout.pins import MOST_PINS
from lenstui.tui.explore.pins import FULL, ExplorePins
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.grid.pins import with_tokens, without_token

if TYPE_CHECKING:
    from lenstui.tui.prompt_sets.screen import PromptSets


class ExplorePromptSet(ExplorePins):
    """Explore with a screen of many prompts behind it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "e", "open_prompts", "Prompt set", show=False, id="explore.prompts",
            tooltip="Read a file of prompts, each at its end",
        ),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._prompts: PromptSets | None = None  # once it was open
        self._case_pin: int | None = None  # the token that was pinned for the case that is shown

    @property
    def prompts(self) -> PromptSets | None:
        """The screen of prompt sets, if it was opened."""
        return self._prompts

    def action_open_prompts(self) -> None:
        """Go there; what was read is still there."""
        from lenstui.tui.prompt_sets.screen import PromptSets  # which the first paint can do without

        if self._prompts is None:
            self._prompts = PromptSets()
            self.app.install_screen(self._prompts, "prompts")
        self.app.push_screen("prompts")

    def read_case(self, text: str, target: tuple[int, str] | None) -> None:
        """Read the prompt of a case, with its target pinned in place of that of the case before.

        Args:
            text: the prompt.
            target: the token to pin, and its display text.
        """
        pins = self.panel.pins
        if self._case_pin is not None:
            pins = without_token(pins, self._case_pin)
            self._case_pin = None
        if target is not None and all(pin.id != target[0] for pin in pins):
            if len(pins) == MOST_PINS:
                self._tell(FULL)
            else:
                pins = with_tokens(pins, [target])
                self._case_pin = target[0]
        if pins != self.panel.pins:
            self.panel.pins = pins
        box = self.query_one(PromptBox)
        box.show(text)
        box.post_message(PromptBox.Submitted(text))
        self.panes.focus_grid()
