"""What every key of Explore works on: the open model, the columns that are read, and both panes."""

from __future__ import annotations

from collections.abc import Mapping

from lenstui.lens.reading import Reading
from lenstui.lens.rows import is_sublayer, no_translator
from lenstui.ui.app_screen import AppScreen
from lenstui.ui.lean_screen import LeanScreen
from lenstui.ui.messages import OpenModel
from lenstui.ui.widgets.grid import Grid
from lenstui.ui.widgets.panes import Panes

NOT_READ = "This cell is not read yet."


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
        self._prompt = ""
        self._counted = ""  # how many columns the prompt has, in words
        self._texts: dict[int, str] = {}  # display texts of tokens

    @property
    def panes(self) -> Panes:
        """Both lenses."""
        return self.query_one(Panes)

    @property
    def grids(self) -> Mapping[str, Grid]:
        """The grids by lens name."""
        return self.panes.grids

    @property
    def model(self) -> OpenModel | None:
        """What is open."""
        return self._model

    @property
    def serial(self) -> int:
        """Of the reading that is shown."""
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

    @property
    def _why_no_token(self) -> str:
        """Why the cell under the cursor has no token."""
        panes = self.panes
        label = self._rows[panes.cursor.row] if self._rows else ""
        if is_sublayer(label) and panes.shown_grid.is_absent(panes.cursor):
            return no_translator(label)
        return NOT_READ
