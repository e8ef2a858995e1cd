"""What Explore does to find where a word comes up: the first row of a column that has it on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from textual.binding import Binding, BindingType

from lenstui.export.first_row import Sought, first_row_text
from lenstui.jobs.messages import WordFound, WordNotFound
from lenstui.model.rows import stream_places
from lenstui.readout.cells import NOT_READ, first_rows
from lenstui.tui.explore.ask_word import AskWord
from lenstui.tui.explore.find import NOTHING_READ, ExploreFind

HINT = """\
The cursor goes to the first row of its column, from emb on, where the word is the likeliest token in the \
lens that is shown: with or without a space before it; type it behind a space for that one alone."""
_NEAREST = 5  # columns that are named


class ExploreFirstRow(ExploreFind):
    """Explore with a search along the rows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "F", "first_row", "First row", show=False, id="explore.first_row",
            tooltip="Find the first row with a word on top",
        ),
    ]  # fmt: skip

    def action_first_row(self) -> None:
        """Ask for a word, and go to the first row of the column where it is the likeliest."""
        if self.columns:
            self.app.push_screen(AskWord("find the first row with a word on top", "finds", HINT), self._ask)
        else:
            self._tell(NOTHING_READ)

    def _ask(self, word: str | None) -> None:
        if word is not None:
            self._app.request_word(word, self._prompt)

    def on_word_not_found(self, message: WordNotFound) -> None:
        """Say why."""
        self._tell(message.text)

    def on_word_found(self, message: WordFound) -> None:
        """Go there on the active side, and say what each side has."""
        column, stream = self.panes.cursor.column, stream_places(self.rows)
        read = {
            place: grid.cells.top_ids[stream, :, 0]
            for place, grid in enumerate(self.grids)
            if grid.display and grid.cells is not None and grid.cells.top_ids[-1, column, 0] != NOT_READ
        }
        sides = sorted(read, key=lambda place: place != self.panes.shown)
        if not sides:
            self._tell("This column is not read yet.")
            return
        spoken, labels = self.panes.names.spoken, [self.rows[place] for place in stream]
        sought, shown = Sought(message.word, message.tokens, message.whole), sides[0]
        said = first_row_text(sought, {spoken[place]: read[place] for place in sides}, labels, column) + "."
        rows = first_rows(read[shown], sought.ids)
        if rows[column] >= 0:
            self._go_to_cell(stream[rows[column]], column)
        else:
            elsewhere = np.flatnonzero(rows >= 0).tolist()
            said += f" The {spoken[shown]} has it in {self._named(shown, elsewhere, column)}."
        self._tell(said, seconds=8)

    def _named(self, place: int, columns: Sequence[int], column: int) -> str:
        """Some of the columns of a side, the nearest to one of them first."""
        ordered = sorted(columns, key=lambda other: abs(other - column))
        named = ", ".join(f'{other} "{self.columns_of(place)[other]}"' for other in ordered[:_NEAREST])
        more = f" and {len(ordered) - _NEAREST} more" if len(ordered) > _NEAREST else ""
        return f"column{'s' * (len(ordered) > 1)} {named}{more}" if columns else "no column that is read"
