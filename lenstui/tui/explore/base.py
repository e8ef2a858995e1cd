"""What every key of Explore works on: the open model, the columns that are read, and the panes."""

from __future__ import annotations

from collections.abc import Mapping

from lenstui.jobs.messages import OpenModel
from lenstui.lens.names import no_row
from lenstui.model.not_finite import IN_CELL
from lenstui.model.rows import is_sublayer, says_part
from lenstui.opening.side_facts import SideFacts
from lenstui.readout.reading import Reading
from lenstui.tui.grid.grid import Grid
from lenstui.tui.grid.panes import Panes
from lenstui.tui.shared.lean_screen import LeanScreen
from lenstui.tui.shared.screen import AppScreen

NOT_READ = "This cell is not read yet."
NO_COLUMN = "The other prompt is longer: there is no token here."


class GridScreen(LeanScreen[None], AppScreen[None]):
    """A screen with the panes in it. Each thing that Explore does with them may be a class of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._model: OpenModel | None = None
        self._downloading = False
        self._serial = 0
        self._awaited = False  # the columns of that reading are not known yet
        self._shown_reading = Reading()
        self._rows: tuple[str, ...] = ()
        self._columns: tuple[str, ...] = ()
        self._others: Mapping[int, tuple[str, ...]] = {}  # the same of sides with a prompt of their own
        self._prompt = ""
        self._counted = ""  # how many columns the prompt has, in words
        self._texts: dict[int, str] = {}  # display texts of tokens

    @property
    def panes(self) -> Panes:
        """The sides."""
        return self.query_one(Panes)

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The grids of the sides, in their order."""
        return self.panes.grids

    @property
    def sides(self) -> tuple[SideFacts, ...]:
        """What is on the sides; nothing while no model is open."""
        return () if self._model is None else self._model.sides

    @property
    def model(self) -> OpenModel | None:
        """What is open."""
        return self._model

    @property
    def serial(self) -> int:
        """Display texts of the prompt's tokens in the reading that is shown."""
        return self._serial

    @property
    def rows(self) -> tuple[str, ...]:
        """Labels of the rows that are shown, the last one last."""
        return self._rows

    @property
    def shown_reading(self) -> Reading:
        """How what is shown was read."""
        return self._shown_reading

    @property
    def columns(self) -> tuple[str, ...]:
        """Display texts of its input tokens."""
        return self._columns

    def columns_of(self, place: int) -> tuple[str, ...]:
        """Return the display texts of a side's input tokens: it may read a prompt of its own."""
        return self._others.get(place, self._columns)

    def place_text(self, row: int, column: int) -> str:
        """Which cell this is: its row, and the token of its column in either prompt; then what comes next."""
        label = self._rows[row]
        said = f", {says_part(label)}" if is_sublayer(label) else ""
        follows = f" → next {self._tokens_at(column + 1)}" if column + 1 < len(self._columns) else ""
        return f"row {label}{said} · column {column} {self._tokens_at(column)}{follows}"

    def _tokens_at(self, column: int) -> str:
        tokens = dict.fromkeys(self.columns_of(place)[column] for place in range(self.panes.count))
        return " │ ".join(f'"{token}"' if token else "–" for token in tokens)

    @property
    def _why_no_token(self) -> str:
        """Why the cell under the cursor has no token."""
        panes = self.panes
        label = self._rows[panes.cursor.row] if self._rows else ""
        if panes.cursor.column in panes.grids[panes.shown].gap:
            return NO_COLUMN
        cells = panes.grids[panes.shown].cells
        if cells is not None and cells.not_numbers[panes.cursor.row, panes.cursor.column]:
            return IN_CELL
        if is_sublayer(label) and panes.shown_grid.is_absent(panes.cursor):
            return no_row(self.sides[panes.shown].kind, label)
        return NOT_READ
