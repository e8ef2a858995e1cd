"""The key of Explore that finds the first row of a column where a word is the likeliest token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lenstui.export.first_row import Sought, first_row_text
from lenstui.jobs.messages import WordFound
from lenstui.model.rows import stream_places
from lenstui.readout.cells import NOT_READ, first_rows
from lenstui.support.turns import text_of
from lenstui.tui.grid.cursor import Cursor
from lenstui.tui.shared.ask_word import AskWord
from lenstui.tui.shared.nothing_yet import NO_PROMPT

if TYPE_CHECKING:
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets
    from lenstui.tui.services import Services

HINT = """\
The cursor goes to the first row of its column, from emb on, where the word is the likeliest token in the \
lens that is shown: with or without a space before it; type it behind a space for that one alone."""
OWN = 'a word, or nothing for the cell\'s "{}"'
_NEAREST = 5  # columns with the word that are named, where the cursor's has none


class FirstRow:
    """The part of Explore that looks for a word along the rows of a column."""

    def __init__(self, state: ExploreState, widgets: Widgets, services: Services) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services

    def ask(self) -> None:
        """Ask for a word, and go to the first row of the cursor's column with the word on top."""
        if reason := self.why_not_ask():
            self._services.tell(reason)
            return
        token, title = self._widgets.panes.token, "find the first row with a word on top"
        if token is None:
            self._services.ask(AskWord(title, "finds", HINT), self._look_up)
            return
        own = self._state.texts[token]
        found = WordFound(own, ((token, own),), whole=True)
        screen = AskWord(title, "finds", HINT, OWN.format(own), empty="")
        self._services.ask(screen, lambda word: self.go(found) if word == "" else self._look_up(word))

    def why_not_ask(self) -> str:
        """Return why there are no rows to look for a word in; nothing where there are."""
        return "" if self._state.columns else NO_PROMPT

    def _look_up(self, word: str | None) -> None:
        if word is not None:
            post = self._services.post_to(self._widgets.screen)
            self._services.prompts.find_word(word, text_of(self._state.prompt), post)

    def go(self, message: WordFound) -> None:
        """Go to the active side's first row with a word on top, and tell the user that row of every side."""
        rows, panes = self._state.rows, self._widgets.panes
        column, stream = panes.cursor.column, stream_places(rows)
        read = {
            place: grid.cells.top1[stream]
            for place, grid in enumerate(panes.grids)
            if grid.display and grid.cells is not None and grid.cells.top1[-1, column] != NOT_READ
        }
        sides = sorted(read, key=lambda place: place != panes.shown)
        if not sides:
            self._services.tell("This column is not read yet.")
            return
        spoken, labels = panes.names.spoken, [rows[place] for place in stream]
        sought, shown = Sought(message.word, message.tokens, message.whole), sides[0]
        of_sides = {spoken[place]: read[place] for place in sides}
        others = {spoken[place]: rows for place, rows in self._state.other_rows.items()}  # no sublayers there
        said = first_row_text(sought, of_sides, labels, column, others=others) + "."
        found = first_rows(read[shown], sought.ids)
        if found[column] >= 0:
            panes.focus_grid()
            panes.grids[0].go_to(Cursor(stream[found[column]], column))
        else:
            elsewhere = np.flatnonzero(found >= 0).tolist()
            said += f" The {spoken[shown]} has it in {self._named(shown, elsewhere, column)}."
        if self._state.shown_reading.words_only:
            said += " All tokens count here, not words only."
        self._services.tell(said, seconds=8)

    def _named(self, place: int, columns: Sequence[int], column: int) -> str:
        """Return columns of a side in words, those nearest to `column` first."""
        ordered = sorted(columns, key=lambda other: abs(other - column))
        texts = self._state.columns_of(place)
        named = ", ".join(f'{other} "{texts[other]}"' for other in ordered[:_NEAREST])
        more = f" and {len(ordered) - _NEAREST} more" if len(ordered) > _NEAREST else ""
        return f"column{'s' * (len(ordered) > 1)} {named}{more}" if columns else "no column that is read"
