"""The keeper of prompts, of the look and the reading of each model, and of the chosen theme."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from lenstui.readout.reading import Reading
from lenstui.support.request import Again, Start
from lenstui.tui.session.model_key import model_key
from lenstui.tui.session.session import Look, Session, first_reading

if TYPE_CHECKING:
    from lenstui.support.settings import Settings
    from lenstui.support.turns import Conversation
    from lenstui.tui.explore.screen import Explore
    from lenstui.tui.session.history import History


class Keeper:
    """The keeper of looks and readings: while the program runs, and from one session to the next."""

    def __init__(self, start: Start, history: History, session: Session, look: Look | None) -> None:
        """Prepare the keeper; nothing is kept yet.

        Args:
            start: the request of the command line.
            history: the prompts that were read before.
            session: the store from one session to the next.
            look: the look of the first model in the last session, if that is to be restored.
        """
        self._start = start
        self._history = history
        self._session = session
        self._look = look
        self._restores = look is not None  # if not, the first model is read afresh
        self._readings: dict[str, Reading] = {}  # by the names of the models that were open before
        self._lenses: dict[tuple[str, str | None], Again] = {}  # by name and revision

    def recent(self) -> list[str]:
        """Return the names of models that were open before, the last one first."""
        return self._session.recent()

    @property
    def is_first_start(self) -> bool:
        """Whether no session has ended before that could be restored."""
        return self._session.is_first

    def add_prompt(self, prompt: str | Conversation) -> str | None:
        """Add a prompt to the history; return why that failed, unless the user knows the reason already."""
        before = self._history.trouble
        self._history.add(prompt)
        return self._history.trouble if self._history.trouble != before else None

    def look_as_before(self, explore: Explore) -> None:
        """Restore the look of the first model in Explore, and show there what could not be restored."""
        explore.remark(*filter(None, (self._session.trouble, self._history.trouble)))
        if self._look is not None:
            explore.put_back(self._look)

    def first_reading(self, model: str) -> Reading:
        """Return the options for reading a model that was just opened: its last, or the command line's."""
        if model in self._readings:
            return self._readings[model]
        return first_reading(self._start, self._session.reading_of(model) if self._restores else Reading())

    def again(self, name: str, revision: str | None) -> Again:
        """Return what is known of a model that is to be opened: the lens that was chosen for it, if any.

        Args:
            name: the name of the model, or of its adapter.
            revision: the revision of the model, where one was named.
        """
        key = model_key(name), revision
        if key in self._lenses:
            known = self._lenses[key]
            return known if known.adapter is not None else replace(known, model=name)
        return self._session.again(name, revision)

    def keep_model(self, explore: Explore) -> None:
        """Remember how the open model is read and the choice of its lens, before another model is opened."""
        if (model := explore.model) is not None:
            self._readings[model.label] = explore.reading
            choice = Again(model.name, model.chosen_lens, time.time(), model.other_lenses, model.adapter)
            self._lenses[model_key(model.label), model.revision] = choice
        self._restores = True

    def keep_look(self, explore: Explore, start: Start) -> None:
        """Remember the look of the open model (prompt, cursor, appearance) for the next session."""
        if explore.is_mounted and explore.model is not None:
            named = start.revision is None and not start.trust_remote_code
            knows_lens = start.again is not None or bool(start.lenses)
            self._session.keep(explore.model.label, explore.look(), named=named, knows_lens=knows_lens)

    def keep_order(self, *, by_kl: bool) -> None:
        """Remember whether the list of lenses is ordered by their last evaluation."""
        self._session.lenses_by_kl = by_kl

    def save(self, theme: str | None, settings: Settings) -> str | None:
        """Write the session to its file; return why that failed, or None.

        Args:
            theme: the theme that the user chose in this session, if any.
            settings: the user's settings.
        """
        if theme is not None:
            self._session.keep_theme(theme, settings)
        return self._session.save()
