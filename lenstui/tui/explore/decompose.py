"""What Explore does to take every block apart: rows of what attention and MLP add."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from textual.binding import Binding, BindingType

from lenstui.jobs.messages import ReadDone, ReadStarted, SublayersRefused, TileRead
from lenstui.model.rows import MID, MLP, Row
from lenstui.tui.explore.reading import ExploreReading

SIDE_BY_SIDE = "This model's attention and MLP run side by side: there is no resid_mid between them."


class ExploreDecompose(ExploreReading):
    """Explore with rows of sublayers."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "s", "sublayers", "Sublayers", show=False, id="explore.sublayers",
            tooltip="Rows of what attention and MLP of each block add, and back",
        ),
    ]  # fmt: skip

    _left_over: float | None = None  # of the final logits, by all parts together, nats
    _is_news = False  # there were no rows of sublayers before
    _is_parallel = False  # attention and MLP run side by side

    def action_sublayers(self) -> None:
        """Read the prompt with rows of sublayers, or without."""
        if self._model is None:
            self._tell("No model is open yet: there is nothing to take apart.")
        else:
            self._reread(replace(self._reading, sublayers=not self._reading.sublayers))

    def on_sublayers_refused(self, message: SublayersRefused) -> None:
        """Say why; the prompt is read without them."""
        if message.serial == self._serial:
            self._reading = replace(self._reading, sublayers=False)
            self._tell(message.text, seconds=12)

    def on_read_started(self, message: ReadStarted) -> None:
        """Begin anew."""
        if message.serial == self._serial:
            self._left_over = None
            self._is_news = self._reading.sublayers and not self._shown_reading.sublayers
            parts = {Row.of(label).part for label in message.rows}
            self._is_parallel = MLP in parts and MID not in parts

    def on_tile_read(self, message: TileRead) -> None:
        """Keep how far the parts of the columns read so far add up to the final logits."""
        if message.serial == self._serial and message.tile.left_over is not None:
            most = np.fmax.reduce(message.tile.left_over)  # NaN where a column has no logits
            self._left_over = float(most if self._left_over is None else np.fmax(most, self._left_over))

    def on_read_done(self, message: ReadDone) -> None:
        """Say what is not there, and how far the rest adds up, the first time."""
        if message.serial != self._serial or not self._is_news:
            return
        self._is_news = False
        sentences = [SIDE_BY_SIDE] if self._is_parallel else []
        if self._left_over is not None:
            sentences.append(adding_up(self._left_over))
        if sentences:
            self._tell(" ".join(sentences), seconds=10)


def adding_up(left_over: float) -> str:
    """How far the parts of all blocks add up to the final logits, in a sentence."""
    return f"Attention, MLPs, emb and biases add up to the final logits to {left_over:.1e}."
