"""The screen of one cell in full, with its likeliest tokens on every side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from lenstui.lens.names import no_row
from lenstui.model.not_finite import IN_CELL
from lenstui.tui.explore.cell_words import NO_COLUMN, place_text
from lenstui.tui.explore.token_list import TokenList
from lenstui.tui.explore.word_text import words_text
from lenstui.tui.shared.key_footer import KeyFooter
from lenstui.tui.shared.lean_screen import LeanScreen
from lenstui.tui.shared.nothing_yet import NO_PROMPT
from lenstui.tui.shared.screen import AppScreen
from lenstui.tui.shared.shown import shown

if TYPE_CHECKING:
    from lenstui.jobs.messages import CellNotRead, CellRead
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets
    from lenstui.tui.explore.words import Words
    from lenstui.tui.grid.panes import Panes
    from lenstui.tui.services import Services


class CellScreen(LeanScreen[None], AppScreen[None]):
    """A screen with the likeliest tokens of the cell under Explore's cursor; its keys move that cursor."""

    CSS_PATH = Path(__file__).with_suffix(".tcss")
    # Two lists of tokens and numbers need more room than two grids.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012  as Textual declares them
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "app.show_keys", "Help", key_display="?", id="cell.help"),
        Binding("space", "menu", "Menu", tooltip="What can be done with this cell", id="cell.menu"),
        Binding("down", "scroll(1)", "Line down", show=False, id="cell.line_down"),
        Binding("up", "scroll(-1)", "Line up", show=False, id="cell.line_up"),
        Binding(
            "pagedown", "page(1)", "Page down", key_display="PgDn", tooltip="Next page of tokens",
            id="cell.page_down",
        ),
        Binding(
            "pageup", "page(-1)", "Page up", key_display="PgUp", tooltip="Page of tokens before",
            id="cell.page_up",
        ),
        Binding("home", "page(-9999)", "Likeliest", show=False, id="cell.first"),
        Binding("end", "page(9999)", "Last listed", show=False, id="cell.last"),
        Binding(
            "h", "move(0, -1)", "Column left", show=False, tooltip="The cell to the left", id="cell.left"
        ),
        Binding("j", "move(1, 0)", "Row down", show=False, tooltip="The cell below", id="cell.down"),
        Binding("k", "move(-1, 0)", "Row up", show=False, tooltip="The cell above", id="cell.up"),
        Binding(
            "l", "move(0, 1)", "Next cell", key_display="hjkl", tooltip="The cell to the right",
            id="cell.right",
        ),
        Binding(
            "tab", "next_side", "Next side", show=False, id="cell.other",
            tooltip="The next side, where only one has room",
        ),
        Binding(
            "colon", "app.command_palette", "Commands", key_display=":", show=False,
            tooltip="Command palette: every action by name", id="cell.commands",
        ),
        Binding("escape,q,enter", "dismiss", "Back", key_display="esc q", id="cell.back"),
    ]  # fmt: skip

    def __init__(
        self,
        state: ExploreState,
        panes: Panes,
        services: Services,
        words: Words,
        show_menu: Callable[[CellScreen], object],
    ) -> None:
        super().__init__()
        self._words = words
        self._show_menu = show_menu
        self._state = state
        self._panes = panes
        self._services = services
        self._places = range(panes.count)
        self._active = 0

    def compose(self) -> ComposeResult:
        """Yield the title of the cell, and a list of tokens for each side."""
        yield Static(id="cell-title")
        with Horizontal(id="rankings"):
            for place in self._places:
                with Vertical(id=f"ranking-{place}", classes="ranking"):
                    yield Static(classes="ranking--words")
                    yield TokenList(id=f"tokens-{place}")
                    yield Static(classes="ranking--message")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Read the cell under the cursor."""
        self._begin()

    def _begin(self) -> None:
        first, *others = map(self.list_of, self._places)
        first.pair(*others)
        self._active = self._panes.active
        self._arrange()
        self.read()

    async def take_sides(self) -> None:
        """Lay the screen out for the sides that Explore has now, and read the cell on them."""
        self._places = range(self._panes.count)
        await self.recompose()
        self._begin()
        self.on_resize()

    def on_resize(self) -> None:
        """Shorten the titles of the lists to the room that there is."""
        room = self.size.width // (1 if self.has_class("-narrow") else len(self._places)) - 6
        titles = self._panes.names.fitting(lambda titles: max(map(cell_len, titles)) <= room)
        for place in self._places:
            self.query_one(f"#ranking-{place}").border_title = Text(titles[place])

    def list_of(self, place: int) -> TokenList:
        """Return the list of tokens of a side."""
        return self.query_one(f"#tokens-{place}", TokenList)

    def read(self) -> None:
        """Ask for the likeliest tokens of the cell under the cursor; the lists stay until these come.

        While another prompt is being read the cell is one of the prompt before, and is asked for after that.
        """
        if self._state.is_awaited:
            return
        cursor = self._panes.cursor
        post = self._services.post_to(self)
        self._services.prompts.rank_cell(self._state.serial, cursor.row, cursor.column, post)

    def on_cell_read(self, message: CellRead) -> None:
        """Show the likeliest tokens of a cell, if the cursor is still there."""
        state, panes = self._state, self._panes
        cursor, model = panes.cursor, state.model
        here = (state.serial, cursor.row, cursor.column)
        if model is None or (message.serial, message.row, message.column) != here:
            return
        mark = state.shown_reading.mark
        title = place_text(state, panes.count, message.row, message.column)
        shown = Text.assemble(title, (f" · {mark}" if mark else "", "bold"))
        self.query_one("#cell-title", Static).update(shown)
        for place, side in zip(self._places, model.sides, strict=False):
            ranking = message.rankings.get(place)
            missing = state.no_lens(side.kind)
            label = state.rows_of(place)[message.row]
            if side.has_lens and side.has_no_row(label):
                missing = no_row(side.kind, label)
            if message.column in panes.grids[place].gap:
                missing = NO_COLUMN
            if ranking is not None and not ranking.ids.size:
                missing = IN_CELL
            self._say(place, "" if ranking is not None and ranking.ids.size else missing)
            frame = self.query_one(f"#ranking-{place}")
            frame.border_subtitle = ""
            if ranking is not None:
                words = " words" * state.shown_reading.words_only
                frame.border_subtitle = f"top {len(ranking.ids)}{words} of {side.vocabulary}"
                self.list_of(place).show(ranking, message.texts)
        self.show_words()

    def show_words(self) -> None:
        """Show the pinned words of several tokens above each list, as far as they are read."""
        row = self._panes.cursor.row
        for place in self._places:
            shown_words = self.query_one(f"#ranking-{place} .ranking--words", Static)
            text = words_text(self._words, place, row)
            shown_words.update(text)
            shown_words.display = bool(text)

    def on_cell_not_read(self, message: CellNotRead) -> None:
        """Show why the likeliest tokens of the cell cannot be read."""
        if message.serial == self._state.serial:
            self.say(message.text)

    def say(self, text: str) -> None:
        """Show a text in place of the lists: why there are none."""
        for place in self._places:
            self._say(place, text)

    def _say(self, place: int, text: str) -> None:
        message = self.query_one(f"#ranking-{place} .ranking--message", Static)
        message.update(shown(text))
        message.display, self.list_of(place).display = bool(text), not text

    def action_scroll(self, lines: int) -> None:
        """Scroll the lists of all sides by lines."""
        self._leader.scroll_by(lines)

    def action_page(self, pages: int) -> None:
        """Scroll the lists of all sides by pages."""
        self._leader.scroll_by(pages * self._leader.page)

    @property
    def _leader(self) -> TokenList:
        """The list that the others scroll with: the last one that is shown, all being of one length."""
        return self.list_of(next((place for place in reversed(self._places) if self.list_of(place).size), 0))

    def action_move(self, down: int, right: int) -> None:
        """Move Explore's cursor to a neighbouring cell, and read that cell."""
        grid = self._panes.grids[0]
        before = grid.cursor
        grid.action_move(down, right)
        if grid.cursor == before:
            self.app.clear_notifications()
            self.notify("The grid ends here.", timeout=2)
        else:
            self.read()

    def action_next_side(self) -> None:
        """Show the list of the next side, where there is room for one side only."""
        self._active = (self._active + 1) % len(self._places)
        self._arrange()

    def why_no_other(self) -> str:
        """Return why no other side can be shown; nothing where there is room for one only, of several."""
        if len(self._places) == 1:
            return "There is one side."
        return "" if self.has_class("-narrow") else "All sides are shown."

    def action_menu(self) -> None:
        """Show what can be done with the cell."""
        self._show_menu(self)

    def _arrange(self) -> None:
        """Mark the sides that are hidden where there is room for one only: all but the active one."""
        for place in self._places:
            self.query_one(f"#ranking-{place}").set_class(place != self._active, "-behind")


class CellInFull:
    """The part of Explore that opens the screen of the cell under the cursor, and keeps it up to date."""

    def __init__(
        self,
        state: ExploreState,
        widgets: Widgets,
        services: Services,
        words: Words,
        show_menu: Callable[[CellScreen], object],
    ) -> None:
        """Open nothing yet.

        Args:
            state: the state of Explore.
            widgets: the widgets of Explore.
            services: the services of the program.
            words: the pinned words of several tokens.
            show_menu: shows what can be done with the cell on its screen.
        """
        self._state = state
        self._widgets = widgets
        self._services = services
        self._words = words
        self._show_menu = show_menu
        self._screen: CellScreen | None = None  # while the screen of a cell is open

    def open(self) -> None:
        """Open a screen with the likeliest tokens of the cell under the cursor."""
        if reason := self.why_not_open():
            self._services.tell(reason)
            return

        def closed(_: None) -> None:
            self._screen = None

        self._screen = CellScreen(
            self._state, self._widgets.panes, self._services, self._words, self._show_menu
        )
        self._services.ask(self._screen, closed)

    def why_not_open(self) -> str:
        """Return why there is no cell to open; nothing where there is one."""
        return "" if self._state.columns else NO_PROMPT

    def show_words(self) -> None:
        """Have an open screen of a cell show the pinned words of several tokens."""
        if self._screen is not None and self._screen.is_mounted:
            self._screen.show_words()

    def take_sides(self) -> None:
        """Have an open screen of a cell show other sides, once Explore shows these."""
        if self._screen is not None and self._screen.is_mounted:
            self._screen.call_later(self._screen.take_sides)

    def read_anew(self) -> None:
        """Have an open screen of a cell read the cell again, whose numbers may have changed."""
        if self._screen is not None and self._screen.is_mounted:
            self._screen.read()

    def fail(self, text: str) -> None:
        """Have an open screen of a cell, which waits for its prompt, say why this was not read."""
        if self._screen is not None and self._screen.is_mounted:
            self._screen.say(text)
