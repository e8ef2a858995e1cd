"""The rows of what attention and MLP of each block add, on Explore, and their sum beside the final logits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lenstui.model.rows import MID, MLP, Row

if TYPE_CHECKING:
    from lenstui.jobs.messages import ReadStarted, SublayersRefused, TileRead
    from lenstui.tui.explore.reading_options import ReadingOptions
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.services import Services

SIDE_BY_SIDE = "This model's attention and MLP run side by side: there is no resid_mid between them."


class Sublayers:
    """The part of Explore that has sublayers read, and tells once how far they add up to the final logits."""

    def __init__(self, state: ExploreState, services: Services, options: ReadingOptions) -> None:
        self._state = state
        self._services = services
        self._options = options
        self._left_over: float | None = None  # the most by which all parts together miss the final logits
        self._is_news = False  # whether there were no rows of sublayers before
        self._is_parallel = False  # whether attention and MLP run side by side

    def toggle(self) -> None:
        """Read the prompt with rows of sublayers, or without them again."""
        if self._state.model is None:
            self._services.tell("No model is open yet: there is nothing to take apart.")
        elif self._state.elsewhere:
            self._services.tell(self._state.elsewhere)
        else:
            reading = self._state.reading
            self._options.change(replace(reading, sublayers=not reading.sublayers))

    def refuse(self, message: SublayersRefused) -> None:
        """Tell the user why the prompt is read without sublayers."""
        self._state.reading = replace(self._state.reading, sublayers=False)
        self._services.tell(message.text, seconds=12)

    def begin(self, message: ReadStarted) -> None:
        """Note which sublayers are read; to be called before `shown_reading` becomes the new reading."""
        self._left_over = None
        self._is_news = self._state.reading.sublayers and not self._state.shown_reading.sublayers
        parts = {Row.of(label).part for label in message.rows}
        self._is_parallel = MLP in parts and MID not in parts

    def add(self, message: TileRead) -> None:
        """Note how far the sublayers of some columns add up to the final logits."""
        if message.tile.left_over is not None:
            most = np.fmax.reduce(message.tile.left_over)  # NaN where a column has no logits
            self._left_over = float(most if self._left_over is None else np.fmax(most, self._left_over))

    def say(self) -> None:
        """Tell the user, of new sublayers, which are missing and how far the others add up to the logits."""
        if not self._is_news:
            return
        self._is_news = False
        sentences = [SIDE_BY_SIDE] if self._is_parallel else []
        if self._left_over is not None:
            sentences.append(adding_up(self._left_over))
        if sentences:
            self._services.tell(" ".join(sentences), seconds=10)


def adding_up(left_over: float) -> str:
    """Return a sentence about how far the parts of all blocks add up to the final logits."""
    return f"Attention, MLPs, emb and biases add up to the final logits to {left_over:.1e}."
