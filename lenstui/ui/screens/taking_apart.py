"""What Explore does to take every block apart: rows of what attention and MLP add."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.binding import Binding, BindingType

from lenstui.lens.rows import MID, MLP, Row
from lenstui.ui.messages import ReadStarted, SublayersRefused
from lenstui.ui.screens.rereading import Rereading

SIDE_BY_SIDE = "This model's attention and MLP run side by side: there is no resid_mid between them."


class TakingApart(Rereading):
    """Explore with rows of sublayers."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "s", "sublayers", "Sublayers", show=False, id="explore.sublayers",
            tooltip="Rows of what attention and MLP of each block add, and back",
        ),
    ]  # fmt: skip

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
        """Say what is not there, the first time."""
        if message.serial != self._serial or not self._reading.sublayers or self._shown_reading.sublayers:
            return
        parts = {Row.of(label).part for label in message.rows}
        if MLP in parts and MID not in parts:
            self._tell(SIDE_BY_SIDE, seconds=8)
