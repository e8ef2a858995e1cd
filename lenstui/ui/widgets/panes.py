"""Both lenses side by side: one cursor, one scroll, one value on one scale. Tabs where it is narrow."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.reactive import reactive

from lenstui.export.values import VALUES, Value
from lenstui.ui.crystallization import summary
from lenstui.ui.widgets.grid import MAX_DEPTH, Cursor, Grid
from lenstui.ui.widgets.legend import Legend
from lenstui.ui.widgets.pane import Pane

LENSES = ("logit", "tuned")


class Panes(Vertical):
    """The two panes, and the legend of what they show."""

    DEFAULT_CSS = """
    Panes {
        height: 1fr;
        Horizontal { height: 1fr; }
        Legend { padding: 0 2; }
        /* Too narrow for two: they become tabs. */
        &.-tabs Pane { display: none; }
        &.-tabs Pane.-shown { display: block; }
    }
    """

    value_index: reactive[int] = reactive(0, init=False)
    shown_lens: reactive[str] = reactive("logit", init=False)
    in_training: reactive[bool] = reactive(False, init=False)
    crystallization: reactive[bool] = reactive(False, init=False)
    tabs: reactive[bool] = reactive(False, init=False)

    def __init__(self, *, depth: int = 1) -> None:
        super().__init__()
        self._depth = depth
        self._vocabulary = 0

    def compose(self) -> ComposeResult:
        """Logit lens on the left, tuned lens on the right."""
        with Horizontal():
            for lens in LENSES:
                yield Pane(lens)
        yield Legend()

    def on_mount(self) -> None:
        """Nothing is read yet."""
        self._title()
        for pane in self.query(Pane):
            pane.grid.depth = self._depth
            pane.say("starting …")
        self.grids["logit"].pair(self.grids["tuned"])

    # ── what is in them ──────────────────────────────────────────────────────────────────────────────────

    @property
    def grids(self) -> Mapping[str, Grid]:
        """The grids by lens name."""
        return {lens: self.pane(lens).grid for lens in LENSES}

    def pane(self, lens: str) -> Pane:
        """The pane of one lens."""
        return self.query_one(f"#pane-{lens}", Pane)

    @property
    def value(self) -> Value:
        """What colours the cells."""
        return VALUES[self.value_index]

    @property
    def cursor(self) -> Cursor:
        """The cell that is looked at, in both panes."""
        return self.grids["logit"].cursor

    @property
    def has_cells(self) -> bool:
        """Whether anything is read."""
        return self.grids["logit"].cells is not None

    @property
    def shown_grid(self) -> Grid:
        """Of the lens that is shown; of the logit lens where that has no cells."""
        shown = self.grids[self.shown_lens]
        return shown if shown.display else self.grids["logit"]

    @property
    def token(self) -> int | None:
        """The likeliest token of the cell under the cursor, by the lens that is shown; None if not read."""
        cells = self.shown_grid.cells
        token = -1 if cells is None else int(cells.top_ids[self.cursor.row, self.cursor.column, 0])
        return None if token < 0 else token

    @property
    def columns_on_screen(self) -> range:
        """Of the pane that is shown."""
        return self.shown_grid.visible_columns()

    @property
    def page_columns(self) -> int:
        """How many columns fit in a pane."""
        return max(1, self.size.width // (1 if self.tabs else 2) // self.grids["logit"].column_width)

    def say(self, text: str) -> None:
        """Show a message in place of both grids."""
        for pane in self.query(Pane):
            pane.say(text)

    def lay_out(
        self, lens: str, rows: tuple[str, ...], columns: tuple[str, ...], vocabulary: int, cursor: Cursor
    ) -> None:
        """Show the grid of a lens, with no cells in it yet."""
        self._vocabulary = vocabulary
        pane = self.pane(lens)
        pane.grid.start(rows, columns, vocabulary)
        pane.show_grid()
        pane.grid.move_to(cursor)

    def empty(self, lens: str, rows: tuple[str, ...], vocabulary: int, message: str) -> None:
        """Forget the cells of a lens, and show a message in their place."""
        self._vocabulary = vocabulary
        pane = self.pane(lens)
        pane.grid.start(rows, (), vocabulary)
        pane.say(message)

    # ── where one is ─────────────────────────────────────────────────────────────────────────────────────

    def focus_grid(self) -> None:
        """Go to the grid that is shown."""
        self.shown_grid.focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """The focused pane is the shown one."""
        if isinstance(event.widget, Grid):
            self.shown_lens = "tuned" if event.widget.id == "grid-tuned" else "logit"

    # ── how they look ────────────────────────────────────────────────────────────────────────────────────

    def watch_shown_lens(self) -> None:
        """Of tabs one shows."""
        self._title()

    def watch_in_training(self) -> None:
        """The tuned pane says whose lens it shows."""
        self._title()

    def watch_tabs(self) -> None:
        """Titles say more where the panes are tabs."""
        self.set_class(self.tabs, "-tabs")
        self._title()
        self._say_where_settled()

    def watch_value_index(self) -> None:
        """Both panes show the same value on the same scale."""
        for grid in self.grids.values():
            grid.value = self.value
        self._title()
        self.rescale()

    def rescale(self) -> None:
        """One scale for both panes, from what has been read so far."""
        read = [grid.values for grid in self.grids.values() if grid.cells is not None]
        scale = self.value.scale(read, self._vocabulary)
        for grid in self.grids.values():
            grid.scale = scale
        legend = self.query_one(Legend)
        legend.value, legend.scale = self.value, scale

        self._say_where_settled()

    def watch_crystallization(self) -> None:
        """Both grids mark where their columns settle, and their frames sum it up."""
        for grid in self.grids.values():
            grid.marks = self.crystallization
        self._say_where_settled()

    def on_resize(self) -> None:
        """The frames have room for more words, or for fewer."""
        self._say_where_settled()

    def _say_where_settled(self) -> None:
        room = self.size.width // (1 if self.tabs else len(LENSES)) - 6
        for pane in self.query(Pane):
            grid = pane.grid
            shown = self.crystallization and grid.display
            pane.border_subtitle = summary(grid.settled, grid.rows, room) if shown else ""

    def next_value(self, step: int) -> None:
        """Colour by another value."""
        self.value_index = (self.value_index + step) % len(VALUES)

    def deepen(self, step: int) -> bool:
        """Taller or flatter rows; whether they can be."""
        depth = self.grids["logit"].depth + step
        if not 1 <= depth <= MAX_DEPTH:
            return False
        for grid in self.grids.values():
            grid.depth = depth
        return True

    def flip(self) -> None:
        """Last row on top, or at the bottom."""
        for grid in self.grids.values():
            grid.bottom_up = not grid.bottom_up

    def _title(self) -> None:
        """Where the panes are tabs, each names both."""
        for pane in self.query(Pane):
            pane.set_class(pane.lens == self.shown_lens, "-shown")
            names = LENSES if self.tabs else (pane.lens,)
            title = Text(" │ ").join(
                Text(f"{name} lens", style="bold" if name == pane.lens else "dim") for name in names
            )
            if self.in_training and "tuned" in names:
                title.append(" in training", style="italic")
            pane.border_title = title.append(f" · {self.value.label}")
