"""The panel under the grids: the pins, the cell under the cursor in detail, and a plot of the pins by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.reactive import reactive

from lenstui.lens.kinds import reads_next
from lenstui.lens.names import no_row
from lenstui.model.not_finite import IN_CELL
from lenstui.readout.number_texts import logprob_text, nats_text
from lenstui.readout.reading import WORDS_ONLY
from lenstui.support.fixed_text import NONE
from lenstui.tui.explore.detail import Detail
from lenstui.tui.explore.pin_line import PinLine
from lenstui.tui.explore.pin_list import PinList
from lenstui.tui.grid.cursor import Cursor
from lenstui.tui.grid.plotted import PLOTTED
from lenstui.tui.shared.side_names import SideNames

if TYPE_CHECKING:
    from lenstui.jobs.messages import WordsRead
    from lenstui.opening.side_facts import SideFacts
    from lenstui.readout.cells import Cells, FloatArray
    from lenstui.tui.explore.pin_plot import PinPlot
    from lenstui.tui.grid.pins import Pinned, PinNumbers

ROOM_FOR_PLOT = 120  # columns


class CellPanel(Vertical):
    """The pins, the detail of a cell, and a plot. The list of pins replaces the detail while `listing`."""

    DEFAULT_CSS = """
    CellPanel {
        height: auto;
        Horizontal { height: 8; }
        Detail { width: 2fr; height: 100%; }
        PinPlot { width: 1fr; }
    }
    """

    pins: reactive[tuple[Pinned, ...]] = reactive((), init=False)
    listing: reactive[bool] = reactive(False, init=False)
    plotted: reactive[str] = reactive(PLOTTED[0], init=False)  # the plotted number of the pins

    class PinsChanged(Message):
        """The message that other tokens are pinned, or that the pins have another order."""

        def __init__(self, before: tuple[Pinned, ...], after: tuple[Pinned, ...]) -> None:
            self.before = before
            self.after = after
            super().__init__()

    def __init__(self) -> None:
        super().__init__()
        self._plot: PinPlot | None = None
        self.names = SideNames()
        self.sides: Sequence[SideFacts] = ()
        self._cells: Sequence[Cells | None] = ()
        self._cursor = Cursor(0, 0)
        self._rows: Sequence[str] = ()
        # By the place of a side, KL(first ‖ side) of the final distributions, nats, `[cols]`.
        self.finals: Mapping[int, FloatArray] = {}
        self.words: WordsRead | None = None  # pinned words of several tokens in the cursor's column

    def compose(self) -> ComposeResult:
        """Yield what is seen while nothing is pinned."""
        with Horizontal():
            yield Detail()

    async def complete(self) -> None:
        """Add what the first paint did without: the pins, hidden above and beside the detail."""
        line, pins = PinLine(), PinList()
        line.display = pins.display = False
        await self.mount(line, before=0)
        await self.query_one(Horizontal).mount(pins)

    def follow(self, value: str) -> None:
        """Always show the numbers of the value with this key in the detail, since it colours the cells."""
        self.query_one(Detail).follow(value)

    def set_lines(self, lines: int) -> None:
        """Set the height of the detail in lines, its frame included."""
        self.query_one(Horizontal).styles.height = lines

    def forget(self) -> None:
        """Empty the detail and the pins' numbers, since there is no cell."""
        self._cells = ()
        self.query_one(Detail).show("", [None] * len(self.names.brief))
        self._show_pins()

    def show(
        self,
        title: str,
        cells: Sequence[Cells | None],
        cursor: Cursor,
        rows: Sequence[Sequence[str]],
        texts: Mapping[int, str],
        *,
        missing: Mapping[int, str],
        words_only: bool = False,
    ) -> None:
        """Show a cell.

        Args:
            title: the name of the cell: its row, its column and its tokens.
            cells: all cells of each side, None where nothing is read.
            cursor: the row and column of the cell.
            rows: the labels of each side's rows.
            texts: display texts, at least of the top tokens.
            missing: by place, why a side has no cell in this column.
            words_only: whether its tokens are those with a letter or digit.
        """
        from lenstui.tui.explore.cell_facts import CellFacts  # the first paint can do without
        from lenstui.tui.grid.settling import of_column

        self._cells, self._cursor, self._rows = cells, cursor, rows[0]
        row, column = cursor.row, cursor.column
        sides = list(zip(self.names.brief, cells, strict=True))
        facts = [
            None if of_side is None else CellFacts.of(name, of_side, row, column, texts)
            for name, of_side in sides
        ]
        nothing: dict[int, str] = {}
        for place, (fact, of_side) in enumerate(zip(facts, cells, strict=True)):
            label = rows[place][row]
            if fact is None and of_side is not None and self.sides[place].has_no_row(label):
                nothing[place] = no_row(self.sides[place].kind, label)
            if place in missing:
                nothing[place] = missing[place]
            if of_side is not None and of_side.not_numbers[row, column]:
                nothing[place] = IN_CELL
        # Of a model that is not as deep, not all rows are on screen, or some are twice.
        as_deep = {name: of_side for place, (name, of_side) in enumerate(sides) if rows[place] == rows[0]}
        settled = of_column(as_deep, rows[0], column, words_only=words_only)
        below = " · ".join(filter(None, (WORDS_ONLY * words_only, settled, self._finals_in(column))))
        self.query_one(Detail).show(title, facts, below=below, nothing=nothing)
        self._show_pins()

    def _finals_in(self, column: int) -> str:
        """Return how far the last rows of the sides part in a column, as text; empty where they do not."""
        shown = [
            f"{nats_text(float(kl[column]))} nats{f' ({self.names.brief[place]})' * (len(self.sides) > 2)}"
            for place, kl in self.finals.items()
            if place < len(self.sides) and column < len(kl)
        ]
        return f"KL of the last rows {', '.join(shown)}" if shown else ""

    def show_words(self, words: WordsRead) -> None:
        """Show pinned words of several tokens, as read in the cursor's column."""
        self.words = words
        self._show_pins()

    # ── pins ─────────────────────────────────────────────────────────────────────────────────────────────

    def watch_pins(self, before: tuple[Pinned, ...], after: tuple[Pinned, ...]) -> None:
        """Show the new pins, and post `PinsChanged`, so that their numbers are read."""
        self.query_one(PinLine).display = bool(after)
        if after and self._plot is None:
            self.call_next(self._add_plot)
        self._make_room()
        self._show_pins()
        self.post_message(self.PinsChanged(before, after))

    async def _add_plot(self) -> None:
        from lenstui.tui.explore.pin_plot import PinPlot  # which the first paint can do without

        if self._plot is None:
            plot = PinPlot()
            await self.query_one(Horizontal).mount(plot)
            self._plot = plot
            self._make_room()

    def watch_listing(self) -> None:
        """Show the list of pins in place of the detail, or the detail again."""
        pins = self.query_one(PinList)
        pins.display, self.query_one(Detail).display = self.listing, not self.listing
        if self.listing:
            pins.focus()

    def on_resize(self) -> None:
        """Show the plot of the pins if there is room for it now."""
        self._make_room()

    @property
    def has_room_for_plot(self) -> bool:
        """Whether the panel is wide enough for a plot."""
        return self.size.width >= ROOM_FOR_PLOT

    def watch_plotted(self) -> None:
        """Plot another number of the pins."""
        self._show_pins()

    def _make_room(self) -> None:
        if self._plot is not None:
            self._plot.display = bool(self.pins) and self.has_room_for_plot
            self._show_pins()

    def _show_pins(self) -> None:
        if not self.pins:
            return
        from lenstui.tui.grid.pins import numbers_at  # the first paint can do without

        row, column = self._cursor.row, self._cursor.column
        numbers = {
            name: [
                self._with_word(of_pin, pin, place, row)
                for of_pin, pin in zip(numbers_at(cells, len(self.pins), row, column), self.pins, strict=True)
            ]
            for place, (name, cells) in enumerate(zip(self.names.brief, self._cells, strict=False))
            if cells is not None
        }
        line = self.query_one(PinLine)
        line.pins, line.numbers = self.pins, numbers
        self.query_one(PinList).show(self.pins, numbers)
        if self._plot is not None and self._plot.display and numbers:
            names = self.names.brief
            of_words = [[self._total(place, pin) for pin in self.pins] for place, _ in enumerate(self._cells)]
            self._plot.show(
                self.pins, self._cells, self._rows, column, names, plotted=self.plotted, words=of_words
            )

    def _with_word(self, numbers: PinNumbers | None, pin: Pinned, place: int, row: int) -> PinNumbers | None:
        """Return the numbers of a pin with that of the whole word that it begins, where the side has one."""
        if numbers is None or not pin.word or not reads_next(self.sides[place].kind):
            return numbers
        if self.words is None:
            return replace(numbers, whole="…")
        total = self._total(place, pin)
        return replace(numbers, whole=NONE if total is None else logprob_text(float(total[row])))

    def _total(self, place: int, pin: Pinned) -> FloatArray | None:
        """Return the log-probability of the word that a pin begins, `[rows]`; None where there is none."""
        if self.words is None:
            return None
        word = self.words.words.get(place, {}).get(pin.word)
        return None if word is None else word.total

    @on(PinList.Unpinned)
    def unpin(self, message: PinList.Unpinned) -> None:
        """Unpin the token that the user has unpinned in the list of pins."""
        from lenstui.tui.grid.pins import without_pin

        self.pins = without_pin(self.pins, message.pin.id, message.pin.word)

    @on(PinList.PutFirst)
    def put_first(self, message: PinList.PutFirst) -> None:
        """Make the token that the user has chosen in the list of pins the first pin."""
        self.pins = tuple(sorted(self.pins, key=lambda pin: pin != message.pin))
