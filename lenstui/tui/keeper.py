"""What is kept: the prompts, how each model was looked at and read, the theme that was chosen."""

from __future__ import annotations

from lenstui.readout.reading import Reading
from lenstui.support.request import Start
from lenstui.support.settings import Settings
from lenstui.tui.explore.screen import Explore
from lenstui.tui.session.history import History
from lenstui.tui.session.session import Look, Session, first_reading


class Keeper:
    """Keeps how things are looked at: while the program runs, and from one session to the next."""

    def __init__(self, start: Start, history: History, session: Session, look: Look | None) -> None:
        """Keep nothing yet.

        Args:
            start: what was asked for on the command line.
            history: of the prompts.
            session: what is kept from one session to the next.
            look: how the first model was looked at in the last session, if that is to be restored.
        """
        self._start = start
        self._history = history
        self._session = session
        self._look = look
        self._restores = look is not None  # else the first model is looked at afresh
        self._readings: dict[str, Reading] = {}  # of the models that were open before

    def recent(self) -> list[str]:
        """Return the names of models that were open before, the last one first."""
        return self._session.recent()

    def add_prompt(self, text: str) -> str | None:
        """Add a prompt to the history; return why that failed, if that is news."""
        before = self._history.trouble
        self._history.add(text)
        return self._history.trouble if self._history.trouble != before else None

    def look_as_before(self, explore: Explore) -> None:
        """Show the first model as it was left, and say what of that is lost."""
        explore.remark(*filter(None, (self._session.trouble, self._history.trouble)))
        if self._look is not None:
            explore.put_back(self._look)

    def first_reading(self, model: str) -> Reading:
        """Return how a model that was just opened is read: as it was last, or as the command line says."""
        if model in self._readings:
            return self._readings[model]
        return first_reading(self._start, self._session.reading_of(model) if self._restores else Reading())

    def keep_reading(self, explore: Explore) -> None:
        """Remember how the open model is read, before another one is opened."""
        if explore.model is not None:
            self._readings[explore.model.name] = explore.reading
        self._restores = True

    def keep_look(self, explore: Explore, start: Start) -> None:
        """Remember how the open model is looked at, for the next session."""
        if explore.is_mounted and explore.model is not None:
            named = start.revision is None and not start.trust_remote_code
            self._session.keep(explore.model.name, explore.look(), named=named)

    def save(self, theme: str | None, settings: Settings) -> str | None:
        """Write the session; return why that failed, if it did.

        Args:
            theme: the one that the user chose in this session, if any.
            settings: the user's.
        """
        if theme is not None:
            self._session.keep_theme(theme, settings)
        return self._session.save()
