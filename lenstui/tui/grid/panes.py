"""The panes of the sides beside each other, or as tabs: one cursor, one scroll, one value on one scale.

In place of all of them the difference of two sides may show; prompts are read into the sides' own grids then,
too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.reactive import reactive

from lenstui.export.legend import shares_text
from lenstui.model.rows import is_whole_stream
from lenstui.opening.side_count import MOST_SIDES
from lenstui.readout.alignment import NO_GAP
from lenstui.readout.reading import WORDS_ONLY
from lenstui.readout.values import PIN_LOGPROB, PROBABILITY, Value, values_for
from lenstui.support.cell_width import clip
from lenstui.support.late_numpy import np
from lenstui.tui.grid.column_marks import NO_MARKS, ColumnMarks
from lenstui.tui.grid.difference_grid import DifferenceGrid
from lenstui.tui.grid.difference_pane import NO_PLACE, DifferencePane
from lenstui.tui.grid.grid import Grid
from lenstui.tui.grid.legend import Legend
from lenstui.tui.grid.pane import Pane
from lenstui.tui.grid.pane_titles import PaneTitles
from lenstui.tui.grid.places import HEADER, MAX_DEPTH, MOST_LINES
from lenstui.tui.grid.room import NO_FIGURES, Contents, RowFigures, column_layout, lines_of_row, widest_of
from lenstui.tui.shared.side_names import SideNames, first_names

if TYPE_CHECKING:
    from lenstui.export.difference import Difference
    from lenstui.lens.trust import Trust
    from lenstui.tui.grid.cursor import Cursor

_SCROLLBAR = 1  # terminal cells that are kept free for one
_FRAME, _LEGEND = 2, 1  # lines
_TEXT_WIDTH = 12  # of the text of a pin, in the name of a value


class Panes(Vertical):
    """A pane for each side, one for a difference of two, and the legend of what they show."""

    DEFAULT_CSS = """
    Panes {
        height: 1fr;
        Horizontal { height: 1fr; }
        Legend { padding: 0 2; }
    }
    """

    value_index: reactive[int] = reactive(0, init=False)
    names: reactive[SideNames] = reactive(first_names, init=False)
    pins: reactive[tuple[str, ...]] = reactive((), init=False)
    active: reactive[int] = reactive(0, init=False)  # the side that keys change
    # The sides that show the lens in training.
    training: reactive[frozenset[int]] = reactive(frozenset, init=False)
    crystallization: reactive[bool] = reactive(False, init=False)
    words_only: reactive[bool] = reactive(False, init=False)  # the readout filter
    # How far the lens of each side can be trusted, in the order of the sides; None: that is not shown.
    trusts: reactive[tuple[Trust | None, ...] | None] = reactive(None, init=False)
    tabs: reactive[bool] = reactive(False, init=False)
    difference: reactive[bool] = reactive(False, init=False)

    # Why sides have nothing to show, by their places: these take no room.
    missing: reactive[Mapping[int, str]] = reactive(dict, init=False)
    depth: reactive[int | None] = reactive(None, init=False)  # lines of a row; None: as many as fill the room
    contents: reactive[Contents | None] = reactive(None, init=False)  # None: numbers where they have room
    lent: reactive[int] = reactive(0, init=False)  # lines that no row needs, for what is below
    lendable: reactive[int] = reactive(0, init=False)  # as many as are of use there

    def __init__(self, *, depth: int | None = None) -> None:
        """Make the panes.

        Args:
            depth: how many lines a row has; None for as many as fill the room.
        """
        super().__init__()
        self.set_reactive(Panes.depth, depth)
        self._widest = 0  # terminal cells of the widest token, of header and first tile
        self._vocabulary = 0
        self._pair = (0, 1)  # the sides whose difference the grid is laid out for

    def compose(self) -> ComposeResult:
        """Yield the panes that are seen at first, from left to right, and the legend."""
        with Horizontal():
            for place in range(self.count):
                yield Pane(place)
        yield Legend()

    def on_mount(self) -> None:
        """Show that the program is starting."""
        self._arrange()
        self.say("starting …")

    async def complete(self) -> None:
        """Add the panes that the first paint did without: of the other sides, and of a difference.

        All grids share one cursor then, those of the sides one scroll too.
        """
        more = [*(Pane(place) for place in range(self.count, MOST_SIDES)), DifferencePane()]
        for pane in more:
            pane.display = False
        await self.query_one(Horizontal).mount(*more)
        self._arrange()
        first, *others = self.grids_of_all_sides
        first.pair(*others)
        first.join(self._compared)
        self._frame_cursor()

    # ── what is in them ──────────────────────────────────────────────────────────────────────────────────

    @property
    def count(self) -> int:
        """The number of sides."""
        return len(self.names.brief)

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The grids of the sides, in their order."""
        return tuple(self.pane(place).grid for place in range(self.count))

    @property
    def grids_of_all_sides(self) -> tuple[Grid, ...]:
        """The grids of the sides that there are, and of those that there may be."""
        return tuple(grid for grid in self.query(Grid) if not isinstance(grid, DifferenceGrid))

    @property
    def _difference_pane(self) -> DifferencePane:
        """The pane of the difference."""
        return self.query_one(DifferencePane)

    @property
    def _compared(self) -> DifferenceGrid:
        """The grid of the difference."""
        return self._difference_pane.compared

    @property
    def _all_grids(self) -> tuple[Grid, ...]:
        return tuple(self.query(Grid))

    def pane(self, place: int) -> Pane:
        """Return the pane of a side by its place."""
        return self.query_one(f"#pane-{place}", Pane)

    @property
    def pair(self) -> tuple[int, int]:
        """The sides of the difference, by their places: the second one minus the first one.

        They are the first side of all and the active side; the second side where the first is active.
        """
        return (0, self.active or 1)

    @property
    def value(self) -> Value:
        """The value that colours the cells."""
        return self.values[self.value_index]

    @property
    def values(self) -> tuple[Value, ...]:
        """The values that may colour the cells; those of pins only where there are enough pins."""
        return values_for([clip(pin, _TEXT_WIDTH) for pin in self.pins])

    @property
    def cursor(self) -> Cursor:
        """The cell that the cursor is on, on all sides."""
        return self.grids[0].cursor

    @property
    def has_cells(self) -> bool:
        """Whether the first side has any cells that are read."""
        return self.grids[0].cells is not None

    @property
    def shown(self) -> int:
        """The place of the active side, or of the difference's second side; 0 where that side has no grid."""
        place = self.pair[1] if self.difference else self.active
        return place if self.grids[place].display else 0

    @property
    def shown_grid(self) -> Grid:
        """The grid that the keys move in."""
        return self._compared if self.difference else self.grids[self.shown]

    @property
    def token(self) -> int | None:
        """The likeliest token of the cell under the cursor, on the shown side; None where there is none."""
        cells = self.grids[self.shown].cells
        token = -1 if cells is None else int(cells.top_ids[self.cursor.row, self.cursor.column, 0])
        return None if token < 0 else token

    @property
    def not_numbers(self) -> list[int]:
        """The columns that have a cell which is not a number, on any side."""
        found = [grid.cells.not_numbers.any(axis=0) for grid in self.grids if grid.cells is not None]
        return sorted({column for each in found for column in np.flatnonzero(each).tolist()})

    @property
    def columns_on_screen(self) -> range:
        """The columns on screen of the pane that is shown."""
        return self.shown_grid.visible_columns()

    @property
    def sides_with_room(self) -> Sequence[int]:
        """The places of the sides that have something to show; of all while none has."""
        there = [place for place in range(self.count) if self._has_something(place)]
        return there or list(range(self.count))

    @property
    def seen(self) -> Sequence[int]:
        """The places of the sides that are on screen when no difference is: of tabs the active one."""
        there = self.sides_with_room
        if not self.tabs:
            return there
        return [self.active if self.active in there else there[0]]

    def _has_something(self, place: int) -> bool:
        """Return whether a side has a grid, or will have one."""
        return place not in self.missing or self.pane(place).grid.display

    @property
    def page_columns(self) -> int:
        """The number of columns that fit in a pane."""
        panes = 1 if self.difference else len(self.seen)
        return max(1, self.size.width // panes // self.shown_grid.column_width)

    def say(self, text: str) -> None:
        """Show a message in place of all grids."""
        for pane in self.query(Pane):
            pane.say(text)

    def lay_out(
        self,
        place: int,
        rows: tuple[str, ...],
        columns: tuple[str, ...],
        vocabulary: int,
        cursor: Cursor,
        *,
        gap: range = NO_GAP,
    ) -> None:
        """Show the grid of a side, with no cells in it yet; the columns of the `gap` never have any."""
        self._vocabulary = vocabulary
        pane = self.pane(place)
        pane.grid.start(rows, columns, vocabulary, gap=gap)
        pane.show_grid()
        self._widest = max(self._widest, widest_of(columns))
        self._arrange()
        pane.grid.move_to(cursor)
        if place == self.pair[1]:
            self._lay_out_difference()

    def _lay_out_difference(self) -> None:
        """Show the grid of the difference of `pair`."""
        self._pair = self.pair
        left, right = (self.grids[place] for place in self.pair)
        self._difference_pane.lay_out(left, right, self._vocabulary)

    def empty(self, place: int, rows: tuple[str, ...], vocabulary: int, message: str) -> None:
        """Forget the cells of a side, and show a message in their place.

        Without its second side there is no difference: then the sides show again in its place.
        """
        self._vocabulary = vocabulary
        for pane in self._panes_with(place):
            pane.grid.start(rows, (), vocabulary)
            pane.say(message)
        self._arrange()
        if place == self.pair[1] and message:
            self.difference = False

    def _panes_with(self, place: int) -> Iterator[Pane]:
        """Yield the pane of a side; with the difference's second side also the pane of the difference."""
        yield self.pane(place)
        if place == self.pair[1]:
            yield self._difference_pane

    def resize_to(self, columns: Sequence[str]) -> None:
        """Show columns that are fewer or more at the end; cells of the columns that stay are kept.

        Args:
            columns: display texts of the input tokens.
        """
        for grid in self._all_grids:
            if grid.display:
                grid.resize_to(columns)
        self._compare()

    def mark_columns(self, marks: ColumnMarks, places: Collection[int]) -> None:
        """Show where turns begin, and which columns are dim, on the sides that read the prompt of turns."""
        for place, grid in enumerate(self.grids_of_all_sides):
            grid.column_marks = marks if place in places else NO_MARKS
        self._compared.column_marks = marks

    def fold(self, columns: frozenset[int]) -> None:
        """Fold columns away on all sides, and show all others."""
        if all(grid.hidden == columns for grid in self._all_grids):
            return
        for grid in self._all_grids:
            grid.hidden = columns
        self.call_after_refresh(self.fit)  # lines that were lent are in the size by then

    # ── where one is ─────────────────────────────────────────────────────────────────────────────────────

    def focus_grid(self) -> None:
        """Focus the grid that is shown."""
        self.shown_grid.focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Make the side whose grid has the focus the active one."""
        if event.widget in self.grids:
            self.active = self.grids.index(event.widget)

    # ── how they look ────────────────────────────────────────────────────────────────────────────────────

    def watch_active(self) -> None:
        """Frame the cursor on the new active side, show that of tabs, and lay out the difference for it."""
        self._frame_cursor()
        self._arrange()
        if self.trusts is not None:
            self.watch_trusts()
        if self._pair != self.pair and self.pair[1] < self.count and self.grids[self.pair[1]].display:
            self._lay_out_difference()
            if self.difference:
                self.rescale()

    def _frame_cursor(self) -> None:
        """Frame the cursor on the active side; on the others it has one edge, which takes fewer bytes."""
        for place, grid in enumerate(self.grids_of_all_sides):
            grid.framed = place == self.active

    def watch_names(self) -> None:
        """Show the panes of the new sides, and clear those of sides that are gone."""
        self.active = min(self.active, self.count - 1)
        if self.count < 2:
            self.difference = False
        for place in range(self.count, MOST_SIDES):  # what was read there is of a side that is gone
            self.pane(place).grid.clear()
            self.pane(place).say("")
        self._arrange()
        if self.screen.focused is None and self.has_cells:  # what had the focus is gone
            self.focus_grid()
        self.rescale()

    def watch_training(self) -> None:
        """Write the titles anew, which say where the lens in training shows; nothing is known of that."""
        self._title()
        self.watch_trusts()

    def trust(self, place: int) -> Trust | None:
        """Return how far the lens of a side can be trusted; None where that is not shown, or not known."""
        if self.trusts is None or place in self.training or place >= len(self.trusts):
            return None
        return self.trusts[place]

    def watch_trusts(self) -> None:
        """Dim the rows that are not to be trusted, and show their figures behind their labels.

        In a difference a row is dim where one of the two sides has it dim.
        """
        known = {place: trust for place in range(self.count) if (trust := self.trust(place)) is not None}
        nothing = RowFigures({}) if known else NO_FIGURES
        for place, grid in enumerate(self.grids_of_all_sides):
            trust = known.get(place)
            grid.figures = nothing if trust is None else RowFigures(trust.texts, trust.doubtful)
        dim = (
            row
            for place in self.pair
            if place in known
            for row, label in enumerate(self.grids[place].rows)
            if label in known[place].doubtful
        )
        rows = self._compared.rows
        self._compared.figures = RowFigures(None, frozenset(rows[row] for row in dim if row < len(rows)))
        self.fit()
        self.shown_grid.show_cursor()  # by now all grids have the same room
        self._say_below()

    def watch_words_only(self) -> None:
        """Write the titles anew, which say that the tokens are filtered."""
        self._title()
        self._say_below()

    def watch_tabs(self) -> None:
        """Show the panes as tabs or beside each other, with their titles and summaries."""
        self._arrange()
        self._say_below()

    def watch_difference(self) -> None:
        """Show the difference in place of the sides, or the other way round.

        The cursor stays in sight, and the focus on a grid.
        """
        compared, here = self._compared, self.screen.focused
        if self.difference:
            compared.show_place_of(self.grids[0])
        if isinstance(here, Grid) and here in self._all_grids:
            self.focus_grid()  # before it is hidden
        self._arrange()
        self.rescale()

    def _arrange(self) -> None:
        """Show the panes that there are, of tabs the active one, or the difference alone."""
        for pane in self.query(Pane):
            if self.difference or pane.place == NO_PLACE:
                pane.display = self.difference and pane.place == NO_PLACE
            else:
                pane.display = pane.place in self.seen
        self._share_width()
        self._title()
        self.fit()

    def _share_width(self) -> None:
        """Make all panes equally wide, so that they show the same columns; width left over stays free."""
        equal = 1 if self.difference else len(self.seen)
        for grid in self.grids_of_all_sides:
            if grid.parent is not None and self.size.width:
                grid.parent.styles.width = self.size.width // equal if self.size.width % equal else "1fr"

    def watch_value_index(self) -> None:
        """Show the new value in all panes, on one scale."""
        for grid in self.grids_of_all_sides:
            grid.value = self.value
        self._title()
        self.rescale()

    def watch_pins(self, before: tuple[str, ...], after: tuple[str, ...]) -> None:
        """Show the new pins' numbers and name; where there are too few for the value, show another value."""
        keys = [value.key for value in self.values]
        if self.value_index >= len(keys):
            self.value_index = keys.index((PIN_LOGPROB if after else PROBABILITY).key)
        elif self.value.pins:
            self.watch_value_index()

    def rescale(self) -> None:
        """Show all sides on one scale, made of what has been read so far, and what depends on it."""
        read = [
            (name, grid)
            for name, grid in zip(self.names.brief, self.grids, strict=True)
            if grid.cells is not None
        ]
        scaled = {name: grid.scaled_values for name, grid in read}
        scale = self.value.scale(list(scaled.values()), self._vocabulary)
        for grid in self.grids:
            grid.scale = scale
        legend = self.query_one(Legend)
        if self.difference:
            self._compare()
            legend.show(self._difference, self._compared.scale, [self._compared.values])
        else:
            shown, note = [grid.values for _, grid in read], shares_text(self.value, scaled)
            legend.show(self.value, scale, shown, note)
        self._say_below()

    @property
    def _difference(self) -> Difference:
        """The difference that is shown: of the chosen value, between the two sides of `pair`."""
        from lenstui.export.difference import Difference  # the first paint can do without

        return Difference(self.value, *(self.names.brief[place] for place in self.pair))

    def _compare(self) -> None:
        """Compare the two sides, with a summary in the frame, if the difference is shown."""
        if not self.difference:
            return
        left, right = (self.grids[place] for place in self.pair)
        pane = self._difference_pane
        pane.compare(left, right, self._difference, self._vocabulary)
        from lenstui.tui.grid.cell import BAR  # the first paint can do without

        has_marks = self.crystallization and is_whole_stream(self._compared.rows)
        marks = f" · {BAR} the {self.names.spoken[self.pair[1]]} settles" if has_marks else ""
        first, second = (self.names.outputs[place] for place in self.pair)
        pane.sum_up(self._room(1), last=first != second, marks=marks)

    def watch_crystallization(self) -> None:
        """Mark where columns settle, in all grids, with a summary in the frames; or take these away."""
        for grid in self._all_grids:
            grid.marks = self.crystallization
        self._compare()
        self._say_below()

    def on_resize(self) -> None:
        """Share the new width among the panes, and write titles and summaries that fit."""
        self._share_width()
        self._title()
        self._say_below()
        self.fit()

    def _say_below(self) -> None:
        """Write below the sides where they settle and which rows are dim, or how to get another side."""
        hint = next(iter(self.missing.values()), "") if len(self.seen) < self.count and not self.tabs else ""
        for place, grid in enumerate(self.grids):
            text = hint
            if self.crystallization and grid.display:
                from lenstui.tui.grid.settling import summary  # the first paint can do without

                text = summary(
                    grid.settled, grid.rows, self._room(), gap=grid.gap, words_only=self.words_only
                )
            if self.trusts is not None and grid.display:
                from lenstui.lens.trust import with_trust

                text = with_trust(text, self.trust(place), self._room())
            self.pane(place).border_subtitle = text

    def next_value(self, step: int) -> None:
        """Colour the cells by the value that is some steps further in the list."""
        self.value_index = (self.value_index + step) % len(self.values)

    def deepen(self, step: int) -> bool:
        """Make rows taller or flatter by some lines; return whether they can be."""
        depth = self.shown_grid.depth + step
        if not 1 <= depth <= self.most_lines:
            return False
        self.depth = depth
        return True

    def watch_depth(self) -> None:
        """Give the rows as many lines as the user wants, or as fill the room."""
        self.fit()

    def watch_contents(self) -> None:
        """Show tokens, numbers, or both."""
        self.fit()

    def watch_lendable(self) -> None:
        """Lend more of the lines that no row needs, or fewer."""
        self.fit()

    def watch_missing(self, before: Mapping[int, str], after: Mapping[int, str]) -> None:
        """Give a side with nothing to show no room, and say in one line how to get it."""
        if before.keys() != after.keys():
            self._arrange()
        self._say_below()

    # ── the room ─────────────────────────────────────────────────────────────────────────────────────────

    def begin_reading(self) -> None:
        """Forget how wide the tokens of the last reading were."""
        self._widest = 0

    def fit_tokens(self, texts: Iterable[str]) -> None:
        """Give the columns the width that these tokens need, too: those of the first tile of a reading."""
        self._widest = max(self._widest, widest_of(texts))
        self.fit()

    def fit(self) -> None:
        """Share the room among columns and rows, on all sides alike."""
        grid = self.shown_grid
        if not self.size.width or not grid.columns:
            return
        width = self.size.width // (1 if self.difference else len(self.seen))
        layout = column_layout(
            width - _FRAME - grid.gutter_width - _SCROLLBAR,
            len(grid.shown_columns),
            self._widest,
            extra=grid.extra_width,
            contents=self.contents,
        )
        room = self.size.height + self.lent - _LEGEND - _FRAME - HEADER - _SCROLLBAR
        lines = self.depth or lines_of_row(room, len(grid.rows), self.most_lines)
        for each in self._all_grids:
            each.column_layout = layout
            each.depth = lines
        self.lent = min(max(room - lines * len(grid.rows), 0), self.lendable)

    @property
    def most_lines(self) -> int:
        """The largest number of lines that a row may have."""
        return MOST_LINES if self.difference else MAX_DEPTH

    def flip(self) -> None:
        """Turn all grids upside down: the last row on top, or at the bottom."""
        for grid in self._all_grids:
            grid.bottom_up = not grid.bottom_up

    def _title(self) -> None:
        """Write the titles of all panes; where the panes are tabs, each names all sides."""
        shown = f"{self.value.label} · {WORDS_ONLY}" if self.words_only else self.value.label
        titles = PaneTitles(self.names, self.training, shown)
        for pane in self.query(Pane):
            if pane.place >= self.count:
                continue
            of_difference = pane.place == NO_PLACE
            room = self._room(1 if of_difference else None)
            if of_difference:
                pane.border_title = titles.of_difference(self.pair, room)
            elif self.tabs:
                pane.border_title = titles.of_tabs(pane.place, room)
            else:
                pane.border_title = titles.of_side(pane.place, room)

    def _room(self, panes: int | None = None) -> int:
        """Return the width that the frame of a pane has for words, in terminal cells.

        Args:
            panes: how many panes stand beside each other; None for as many as there are.
        """
        count = panes or len(self.seen)
        return self.size.width // count - 6  # without corners and spaces
