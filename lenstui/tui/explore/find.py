"""What Explore does to find a column or a row: by what is in it, or by its number."""

from __future__ import annotations

import re
from typing import ClassVar

from textual.binding import Binding, BindingType

from lenstui.model.rows import Row, is_sublayer
from lenstui.model.tokens import visible
from lenstui.tui.explore.ask_word import AskWord
from lenstui.tui.explore.base import GridScreen
from lenstui.tui.grid.grid import Cursor

NOTHING_READ = "Nothing is read yet: there is no column to go to."
FIND_HINT = """\
A part of an input token, as the header of the grid shows it; upper and lower case are the same. n goes on \
to the next one, N back."""
GO_HINT = "A column by its number (12); a row by its label behind a word (row 5); or emb, last."
_PLACE = re.compile(
    r"(?:(row|column|col|c|r)\s*)?(\d{1,9}\.(?:attn|mid|mlp)|\d{1,9}|emb|last)", re.IGNORECASE
)


class ExploreFind(GridScreen):
    """Explore with a search among the columns."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "slash", "find", "Find", key_display="/", show=False, id="explore.find",
            tooltip="Find a token among the columns",
        ),
        Binding(
            "n", "find_next(1)", "Find next", show=False, tooltip="The next one found", id="explore.next"
        ),
        Binding(
            "N", "find_next(-1)", "Find previous", show=False, tooltip="The one found before",
            id="explore.previous",
        ),
        Binding(
            "g", "go_to", "Go to", show=False, tooltip="Go to a column or row by number", id="explore.go_to"
        ),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._sought = ""

    def action_find(self) -> None:
        """Ask for a token, and go to it."""
        if self.columns:
            self.app.push_screen(AskWord("find a token among the columns", "finds", FIND_HINT), self._find)
        else:
            self._tell(NOTHING_READ)

    def _find(self, word: str | None) -> None:
        if word is not None:
            self._sought = word
            self._go_on(1, stay=True)

    def action_find_next(self, step: int) -> None:
        """Go to the next column found, or the one before."""
        if not self.columns:
            self._tell(NOTHING_READ)
        elif not self._sought:
            self._tell("Nothing is being looked for: / finds a token among the columns.")
        else:
            self._go_on(step)

    def _go_on(self, step: int, *, stay: bool = False) -> None:
        """From the cursor on, round and round; `stay` where that very column will do."""
        sought = visible(self._sought)
        sides = zip(*(self.columns_of(place) for place in range(self.panes.count)), strict=True)
        found = [i for i, texts in enumerate(sides) if any(sought.casefold() in t.casefold() for t in texts)]
        if not found:
            self._tell(f'No column has "{sought}".')
            return
        here = self.panes.cursor.column
        if step > 0:
            place = next((i for i, at in enumerate(found) if at > here or (stay and at == here)), 0)
        else:
            place = next((i for i, at in reversed([*enumerate(found)]) if at < here), len(found) - 1)
        self._go_to_cell(self.panes.cursor.row, found[place])
        self._tell(
            f'"{sought}" is in {len(found)} of {len(self.columns)} columns; this is number {place + 1}.'
        )

    def action_go_to(self) -> None:
        """Ask for a column or a row, and go there."""
        if self.columns:
            self.app.push_screen(AskWord("go to", "goes", GO_HINT, "a column or a row"), self._go_to)
        else:
            self._tell(NOTHING_READ)

    def _go_to(self, word: str | None) -> None:
        if word is None or self.model is None:
            return
        rows, cursor = self.rows, self.panes.cursor
        match = _PLACE.fullmatch(word.strip())
        if match is None:
            self._tell(f"{visible(word)} is no column and no row. {GO_HINT}")
            return
        kind, name = (match[1] or "").lower(), match[2].lower()
        if kind.startswith("r") or (not kind and (name in {"emb", "last"} or is_sublayer(name))):
            label = rows[-1] if name == "last" else Row.of(name).label
            if label in rows:
                self._go_to_cell(rows.index(label), cursor.column)
            elif is_sublayer(label):
                self._tell(f"Row {label} is not among those that are read: s reads parts of blocks.")
            elif label in self.model.rows:
                self._tell(f"Row {label} is not among those that are read: b chooses them.")
            else:
                self._tell(f"There is no row {label}: this model has rows emb, 0 … {self.model.rows[-1]}.")
        else:
            last = len(self.columns) - 1
            column = last if name == "last" else int(name) if name.isdigit() else -1
            if 0 <= column <= last:
                self._go_to_cell(cursor.row, column)
            else:
                self._tell(f"There is no column {name}: the prompt has columns 0 … {last}.")

    def _go_to_cell(self, row: int, column: int) -> None:
        self.panes.focus_grid()
        self.grids[0].go_to(Cursor(row, column))
