"""The question of what becomes of the fit under way when the program is quit."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Label

from lenstui.jobs.fit_messages import CheckpointWritten, FitStatus, Phase
from lenstui.tui.services import Services
from lenstui.tui.shared.box import Box, BoxScreen
from lenstui.tui.shared.fit_words import how_to_go_on
from lenstui.tui.shared.shown import shown

LIMIT = 10.0  # seconds after which it is said that a checkpoint takes long
DISCARD_LIMIT = 2.0  # seconds after which quitting does not wait any more

_ASKED = """\
A lens is in training.

c  save a checkpoint and quit: t, or lenstui train --resume, goes on with it
d  discard the lens and quit"""


class QuitTraining(BoxScreen[None]):
    """A question whether to save or to discard the fit under way and quit; Escape stays."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "save", "Save a checkpoint and quit", id="quit.checkpoint"),
        Binding("d", "discard", "Discard and quit", id="quit.discard"),
        Binding("escape,q", "dismiss", "Stay", id="quit.stay"),
    ]
    DEFAULT_CSS = """
    QuitTraining {
        Box { width: 84; border: round $warning; }
        Label { width: 1fr; }
    }
    """

    def __init__(self, services: Services, leave: Callable[[str], object]) -> None:
        """Make the question.

        Args:
            services: the services of the program.
            leave: ends the program, with some last words.
        """
        super().__init__()
        self._services = services
        self._leave = leave
        self._discards = False

    def compose(self) -> ComposeResult:
        """Yield a box with the question, and the keys that answer it."""
        with Box("quit?", "c checkpoint · d discard · esc stay"):
            yield Label(Text(_ASKED))

    def on_mount(self) -> None:
        """Subscribe to the changes of the fit."""
        self._services.signals.fit_changed.subscribe(self, self.show_fit)
        self.show_fit(self._services.training.status)

    def _say(self, text: str) -> None:
        self.query_one(Label).update(shown(text))

    def action_save(self) -> None:
        """Write a checkpoint; the program ends when that is done."""
        self._say("Writing a checkpoint …")
        late = (
            f"The checkpoint is not written after {LIMIT:.0f} s. It is still being tried: wait, or d quits."
        )
        self.set_timer(LIMIT, lambda: self._say(late))
        self._services.training.write_checkpoint(self._services.post_to(self))

    def action_discard(self) -> None:
        """Discard the fit; the program ends when that is done, or takes too long."""
        self._discards = True
        self._say("Discarding …")
        self.set_timer(DISCARD_LIMIT, self._quit_without)
        self._services.training.discard()

    def _quit_without(self) -> None:
        self._leave("lenstui: the fit was discarded")

    def on_checkpoint_written(self, message: CheckpointWritten) -> None:
        """Leave the program if the checkpoint was written; if not, say why and ask again."""
        if self._discards:
            return
        if message.path is not None:
            self._leave(how_to_go_on(message.path))
        else:
            self._say(f"No checkpoint: {message.trouble}\n\nThe fit is paused. d quits without, esc stays.")

    def show_fit(self, status: FitStatus) -> None:
        """Leave once the fit is discarded; close the question if the fit has finished meanwhile."""
        if status.phase is Phase.DISCARDED and self._discards:
            self._quit_without()
        elif status.phase is Phase.KEPT:
            self.dismiss()
