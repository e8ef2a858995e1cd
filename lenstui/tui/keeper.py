"""What is kept: the prompts, how each model was looked at and read, the theme that was chosen."""

from __future__ import annotations

from textual import on
from textual.theme import Theme

from lenstui.readout.reading import Reading
from lenstui.support.request import Start
from lenstui.support.settings import Settings
from lenstui.tui.app_base import AppBase
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.session.history import History
from lenstui.tui.session.session import Look, Session, first_reading
from lenstui.tui.shared.themes import THEMES


class Keeper(AppBase):
    """An app that goes on where it was left."""

    def __init__(
        self, start: Start, settings: Settings, history: History, session: Session, look: Look | None
    ) -> None:
        super().__init__(start, settings, history, session)
        self._look = look
        self._restores = look is not None  # else the first model is looked at afresh
        self._readings: dict[str, Reading] = {}  # of the models that were open before

    # ── prompts ──────────────────────────────────────────────────────────────────────────────────────────

    @on(PromptBox.Submitted)
    def keep_prompt(self, message: PromptBox.Submitted) -> None:
        """For Up in the prompt, now and at the next start."""
        before = self._history.trouble
        self._history.add(message.text)
        if self._history.trouble != before:
            self.explore.remark(str(self._history.trouble))

    # ── models ───────────────────────────────────────────────────────────────────────────────────────────

    def look_as_before(self) -> None:
        """Look at the first model as it was left, and say what of that is lost."""
        self.explore.remark(*filter(None, (self._session.trouble, self._history.trouble)))
        if self._look is not None:
            self._look.put_back(self.explore)

    def first_reading(self, model: str) -> Reading:
        """How a model that was just opened is read: as it was while the program runs, or as it starts."""
        if model in self._readings:
            return self._readings[model]
        return first_reading(self._start, self._session.reading_of(model) if self._restores else Reading())

    def _keep_reading(self) -> None:
        """Another model is about to be opened."""
        if self.explore.model is not None:
            self._readings[self.explore.model.name] = self.explore.reading
        self._restores = True

    def keep_session(self) -> None:
        """Keep for the next time how things are looked at now."""
        if self.explore.is_mounted:
            start = self._start
            named = start.revision is None and not start.trust_remote_code
            self._session.keep(self.explore, named=named)
        if self.theme != self._first_theme:
            self._session.keep_theme(self.theme, self.settings)
        if trouble := self._session.save():
            self.last_words = self.last_words or f"lenstui: {trouble}"

    # ── the theme ────────────────────────────────────────────────────────────────────────────────────────

    def show_theme(self, name: str | None) -> None:
        """Begin with a theme, which is no choice to be kept."""
        self.theme = self._first_theme = name or next(iter(THEMES))

    @property
    def available_themes(self) -> dict[str, Theme]:
        """Ours alone: the colours of the grids are made for these."""
        return THEMES if hasattr(self, "settings") else super().available_themes
