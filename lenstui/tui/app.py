"""The app: the first paint, its other screens, and the end. What else it does is of classes of its own."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from textual.binding import Binding
from textual.screen import Screen

from lenstui.support import paths
from lenstui.support.request import Start
from lenstui.support.settings import Settings, trouble
from lenstui.tui import keymap
from lenstui.tui.app_base import FIRST_PROMPT
from lenstui.tui.commands import Commands
from lenstui.tui.ending import Ended, Ending
from lenstui.tui.model_switch import ModelSwitch
from lenstui.tui.requests import Requests
from lenstui.tui.session.history import History
from lenstui.tui.session.session import Look, Session, depth_of
from lenstui.tui.training.quit import QuitTraining

__all__ = ["FIRST_PROMPT", "LenstuiApp", "run"]

# A full collection takes as long as a frame, and painting makes many objects but no cycles: let it be rare.
COLLECT = (5000, 20, 50)


class LenstuiApp(ModelSwitch, Requests, Commands):
    """The full-screen program."""

    TITLE = "lenstui"
    CSS_PATH = Path(__file__).parent / "explore" / "screen.tcss"
    CSS = """
    * {
        scrollbar-color: $border-blurred;
        scrollbar-color-hover: $border;
        scrollbar-color-active: $border;
        scrollbar-background: $surface;
        scrollbar-background-hover: $surface;
        scrollbar-background-active: $surface;
        scrollbar-corner-color: $surface;
    }
    """
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar = [Binding("ctrl+q", "quit", "Quit", show=False, priority=True, id="app.quit_always")]

    def __init__(
        self,
        start: Start,
        settings: Settings | None = None,
        history: History | None = None,
        session: Session | None = None,
        look: Look | None = None,
    ) -> None:
        """Prepare the first paint. Without a history or a session nothing is kept."""
        super().__init__(start, settings or Settings(), history or History(), session or Session(), look)
        self.set_keymap({name: ",".join(keys) for name, keys in self.settings.keys.items()})
        self.show_theme(self.settings.theme)

    def get_default_screen(self) -> Screen[None]:
        """Explore."""
        return self.explore

    def on_ready(self) -> None:
        """The first paint is out: now torch may be imported, and garbage collected."""
        gc.enable()
        self.look_as_before()
        self._check_settings()
        self.load(self._start)

    def _check_settings(self) -> None:
        """Say what of the user's settings cannot be followed."""
        reason = self.settings.trouble
        try:
            if self.settings.keys:
                keymap.check(self.settings.keys, LenstuiApp)
        except ValueError as error:
            reason = trouble(str(error), "default keys")
            self.settings = replace(self.settings, keys={})
            self.set_keymap({})
        if reason is not None:
            self.explore.remark(reason)

    # ── its other screens ────────────────────────────────────────────────────────────────────────────────

    def action_show_lenses(self) -> None:
        """List the lenses."""

        def closed(_: None) -> None:
            self._lenses = None

        from lenstui.tui.lenses.screen import Lenses

        self._lenses = Lenses(self.explore.model)
        self.push_screen(self._lenses, closed)

    def action_train(self) -> None:
        """Fit a lens, or see how the fit is doing."""
        from lenstui.tui.training.screen import (
            Train,  # it brings the plot, which the first paint can do without
        )

        if self._train is None:
            self._train = Train(self.explore.model)
            self.install_screen(self._train, "train")
        self.push_screen("train")

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────

    async def action_quit(self) -> None:
        """End the program; what becomes of a fit under way is asked first."""

        def closed(_: None) -> None:
            self._quit_training = None

        if not self.training.is_under_way:
            self.exit()
        elif self._quit_training is None:
            self._quit_training = QuitTraining()
            self.push_screen(self._quit_training, closed)

    def leave(self, last_words: str) -> None:
        """End the program, and say something on the terminal that is left."""
        self.last_words = last_words
        self.training.let_go()
        self.exit()

    def on_ended(self, message: Ended) -> None:
        """A signal came, and what had to be saved is."""
        self.exit()

    def exit(self, *args: Any, **options: Any) -> None:
        """Leave, and keep for the next time how things were looked at."""
        self.keep_session()
        super().exit(*args, **options)


def run(
    start: Start, settings: Settings, *, theme: str | None, depth: int | None, restores: bool
) -> NoReturn:
    """Run the program until the user quits, and leave the process.

    Args:
        start: what was asked for.
        settings: the user's.
        theme: the one that was asked for.
        depth: how many tokens of a cell were asked for.
        restores: go on where the last session ended.
    """
    session = Session(paths.session(), restores=restores)
    start, look = session.resume(start)
    start = replace(start, top_k=depth or depth_of(look) or start.top_k)
    app = LenstuiApp(start, settings, History(paths.history()), session, look)
    app.show_theme(theme or session.theme(settings))
    gc.set_threshold(*COLLECT)
    Ending(app).run()
