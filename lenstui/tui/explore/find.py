"""The keys of Explore that find a column by its input token, and go to a column or row by its number."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lenstui.model.reasoning import ANSWER, REASONING, column_at
from lenstui.model.rows import Row, is_sublayer
from lenstui.model.tokens import visible
from lenstui.support.errors import LensError
from lenstui.tui.grid.cursor import Cursor
from lenstui.tui.shared.ask_word import AskWord
from lenstui.tui.shared.nothing_yet import NO_PROMPT

if TYPE_CHECKING:
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets
    from lenstui.tui.services import Services

FIND_HINT = """\
A part of an input token, as the header of the grid shows it; upper and lower case are the same. n goes on \
to the next one, N back."""
GO_HINT = "A column by its number (12); a row by its label behind a word (row 5); or emb, last."
TURN_HINT = " A turn: turn 2, or t2. The end of a thinking model's reasoning, or answer: by that word."
_PLACE = re.compile(
    r"(?:(row|column|col|c|r|turn|t)\s*)?(\d{1,9}\.(?:attn|mid|mlp)|\d{1,9}|emb|last|reasoning|answer)",
    re.IGNORECASE,
)


class Find:
    """The part of Explore that finds a token among the columns, and goes to columns and rows by number."""

    def __init__(self, state: ExploreState, widgets: Widgets, services: Services) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services
        self._sought = ""

    def ask(self) -> None:
        """Ask for a token, and go to the first column that has this token, from the cursor on."""
        if self._state.columns:
            screen = AskWord("find a token among the columns", "finds", FIND_HINT)
            self._services.ask(screen, self._find)
        else:
            self._services.tell(NO_PROMPT)

    def _find(self, word: str | None) -> None:
        if word is not None:
            self._sought = word
            self._go_on(1, stay=True)

    def go_on(self, step: int) -> None:
        """Go to the next column that has the sought token (1), or to the previous one (-1)."""
        if not self._state.columns:
            self._services.tell(NO_PROMPT)
        elif not self._sought:
            self._services.tell("Nothing is being looked for: / finds a token among the columns.")
        else:
            self._go_on(step)

    def _go_on(self, step: int, *, stay: bool = False) -> None:
        """Go to the next column found, round and round; with `stay`, the cursor's own column counts too."""
        state, panes, sought = self._state, self._widgets.panes, visible(self._sought)
        sides = zip(*(state.columns_of(place) for place in range(panes.count)), strict=True)
        found = [i for i, texts in enumerate(sides) if any(sought.casefold() in t.casefold() for t in texts)]
        if not found:
            self._services.tell(f'No column has "{sought}".')
            return
        here = panes.cursor.column
        if step > 0:
            place = next((i for i, at in enumerate(found) if at > here or (stay and at == here)), 0)
        else:
            place = next((i for i, at in reversed([*enumerate(found)]) if at < here), len(found) - 1)
        self._go_to_cell(panes.cursor.row, found[place])
        self._services.tell(
            f'"{sought}" is in {len(found)} of {len(state.columns)} columns; this is number {place + 1}.'
        )

    def ask_place(self) -> None:
        """Ask for a column or a row, and move the cursor there."""
        if self._state.columns:
            wanted = "a column or a row" if self._state.turns is None else "a column, a row or a turn"
            self._services.ask(AskWord("go to", "goes", self._hint, wanted), self._go_to)
        else:
            self._services.tell(NO_PROMPT)

    def _go_to(self, word: str | None) -> None:
        if word is None or self._state.model is None:
            return
        rows, known, cursor = self._state.rows, self._state.model.rows, self._widgets.panes.cursor
        match = _PLACE.fullmatch(word.strip())
        if match is None:
            self._services.tell(f"{visible(word)} is no column and no row. {self._hint}")
            return
        kind, name = (match[1] or "").lower(), match[2].lower()
        if not kind and name in {REASONING, ANSWER}:
            self._go_to_end_of(name)
        elif kind.startswith("t"):
            self._go_to_turn(name)
        elif kind.startswith("r") or (not kind and (name in {"emb", "last"} or is_sublayer(name))):
            label = rows[-1] if name == "last" else Row.of(name).label
            if label in rows:
                self._go_to_cell(rows.index(label), cursor.column)
            elif is_sublayer(label):
                self._services.tell(f"Row {label} is not among those that are read: s reads parts of blocks.")
            elif label in known:
                self._services.tell(f"Row {label} is not among those that are read: b chooses them.")
            else:
                self._services.tell(f"There is no row {label}: this model has rows emb, 0 … {known[-1]}.")
        else:
            last = len(self._state.columns) - 1
            column = last if name == "last" else int(name) if name.isdigit() else -1
            if 0 <= column <= last:
                self._go_to_cell(cursor.row, column)
            else:
                self._services.tell(f"There is no column {name}: the prompt has columns 0 … {last}.")

    @property
    def _hint(self) -> str:
        return GO_HINT + TURN_HINT * (self._state.turns is not None)

    def _go_to_end_of(self, place: str) -> None:
        """Go to the last column of the reasoning or of the answer, or say why there is none."""
        try:
            column = column_at(place, self._state.columns, self._state.turns)
        except LensError as error:
            self._services.tell(str(error))
        else:
            self._go_to_cell(self._widgets.panes.cursor.row, column)

    def _go_to_turn(self, name: str) -> None:
        """Go to the first column of a turn, or say why there is none."""
        turns = self._state.turns
        if turns is None:
            self._services.tell("The prompt is one text, and not turns: I makes turns of it.")
        elif turns.unknown:
            self._services.tell(f"Which columns are of which turn is unknown: {turns.unknown}.")
        else:
            last, begins = max(turns.begins, default=0), turns.begins
            turn = last if name == "last" else int(name) if name.isdigit() else -1
            if turn in begins:
                self._go_to_cell(self._widgets.panes.cursor.row, begins[turn])
            elif turn in turns.left_out:
                self._services.tell(f"Turn {turn} was left out: the context has no room for it.")
            else:
                self._services.tell(f"No column is of turn {name}: the turns are 0 … {last}.")

    def _go_to_cell(self, row: int, column: int) -> None:
        self._widgets.panes.focus_grid()
        self._widgets.grids[0].go_to(Cursor(row, column))
