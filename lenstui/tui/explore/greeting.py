"""The lines of the first start above the prompt, which follow what is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Static

from lenstui.tui.shared.shown import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lenstui.jobs.instant_messages import InstantStatus
    from lenstui.jobs.messages import OpenModel

    GreetingWords = Callable[[OpenModel | None, InstantStatus], Sequence[str]]
    """Returns the lines for the open model, if any, and the status of its instant lens."""


class Greeting(Static):
    """Lines of the first start: the model, the lenses, what one can do."""

    def __init__(self, words: GreetingWords) -> None:
        self._words = words
        super().__init__(id="greeting")

    def say(self, model: OpenModel | None, instant: InstantStatus) -> None:
        """Show the lines for a model and the status of its instant lens."""
        self.update(shown("\n".join(self._words(model, instant))))
