"""One cell in full: its likeliest tokens by both lenses, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Footer, Static

from lenstui.jobs.messages import CellNotRead, CellRead, ReadDone
from lenstui.jobs.slots import LENSES
from lenstui.model.not_finite import IN_CELL
from lenstui.model.rows import is_sublayer, no_translator
from lenstui.tui.explore.base import NO_COLUMN, GridScreen
from lenstui.tui.explore.token_list import TokenList
from lenstui.tui.shared.lean_screen import LeanScreen
from lenstui.tui.shared.screen import AppScreen
from lenstui.tui.shared.shown import shown

CELL_TOKENS = 1000  # tokens that are listed at most
NO_LENS = "No tuned lens for this model: t trains one, o opens one."


class CellScreen(LeanScreen[None], AppScreen[None]):
    """The likeliest tokens of the cell under Explore's cursor, which moves along."""

    CSS_PATH = Path(__file__).with_suffix(".tcss")
    # Two lists of tokens and numbers need more room than two grids.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012  as Textual declares them
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "app.show_keys", "Help", key_display="?", id="cell.help"),
        Binding("down", "scroll(1)", "Line down", show=False, id="cell.line_down"),
        Binding("up", "scroll(-1)", "Line up", show=False, id="cell.line_up"),
        Binding(
            "pagedown,space", "page(1)", "Page down", key_display="PgDn", tooltip="Next page of tokens",
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
            "tab", "other_lens", "Other lens", show=False, id="cell.other",
            tooltip="The other lens, where only one has room",
        ),
        Binding(
            "colon", "app.command_palette", "Commands", key_display=":", show=False,
            tooltip="Command palette: every action by name", id="cell.commands",
        ),
        Binding("escape,q,enter", "dismiss", "Back", key_display="esc q", id="cell.back"),
    ]  # fmt: skip

    def __init__(self, explore: GridScreen) -> None:
        super().__init__()
        self._explore = explore

    def compose(self) -> ComposeResult:
        """Which cell, then a list for each lens."""
        yield Static(id="cell-title")
        with Horizontal(id="rankings"):
            for lens in LENSES:
                with Vertical(id=f"ranking-{lens}", classes="ranking"):
                    yield TokenList(id=f"tokens-{lens}")
                    yield Static(classes="ranking--message")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Read the cell under the cursor."""
        self.list_of("logit").pair(self.list_of("tuned"))
        self._show_lens(self._explore.panes.shown_lens)
        self.read()

    def on_resize(self) -> None:
        """Titles say as much as there is room for."""
        room = self.size.width // (1 if self.has_class("-narrow") else len(LENSES)) - 6
        names = self._explore.panes.slots.fitting(lambda names: max(map(cell_len, names.values())) <= room)
        for lens in LENSES:
            self.query_one(f"#ranking-{lens}").border_title = Text(names[lens])

    def list_of(self, lens: str) -> TokenList:
        """The list of a lens."""
        return self.query_one(f"#tokens-{lens}", TokenList)

    def read(self) -> None:
        """Ask for the cell under the cursor; what is shown stays until it comes."""
        cursor = self._explore.panes.cursor
        self._app.request_cell(self._explore.serial, cursor.row, cursor.column)

    def show(self, message: CellRead) -> None:
        """A cell has come."""
        explore = self._explore
        cursor, model = explore.panes.cursor, explore.model
        here = (explore.serial, cursor.row, cursor.column)
        if model is None or (message.serial, message.row, message.column) != here:
            return
        label, mark = explore.rows[message.row], explore.shown_reading.mark
        title = explore.place_text(message.row, message.column)
        shown = Text.assemble(title, (f" · {mark}" if mark else "", "bold"))
        self.query_one("#cell-title", Static).update(shown)
        for lens in LENSES:
            ranking = message.rankings.get(lens)
            missing = no_translator(label) if model.has_two_sides and is_sublayer(label) else NO_LENS
            if message.column in explore.grids[lens].gap:
                missing = NO_COLUMN
            if ranking is not None and not ranking.ids.size:
                missing = IN_CELL
            self._say(lens, "" if ranking is not None and ranking.ids.size else missing)
            if ranking is not None:
                self.list_of(lens).show(ranking, message.texts)
                frame = self.query_one(f"#ranking-{lens}")
                vocabulary = model.vocabulary
                if model.comparison is not None and lens == "tuned":
                    vocabulary = model.comparison.right.vocabulary
                frame.border_subtitle = f"top {len(ranking.ids)} of {vocabulary}"

    def say(self, text: str) -> None:
        """Why there is no cell."""
        for lens in LENSES:
            self._say(lens, text)

    def _say(self, lens: str, text: str) -> None:
        message = self.query_one(f"#ranking-{lens} .ranking--message", Static)
        message.update(shown(text))
        message.display, self.list_of(lens).display = bool(text), not text

    def action_scroll(self, lines: int) -> None:
        """Scroll both lists."""
        self._leader.scroll_by(lines)

    def action_page(self, pages: int) -> None:
        """Scroll both lists by pages."""
        self._leader.scroll_by(pages * self._leader.page)

    @property
    def _leader(self) -> TokenList:
        """The one that leads: the lists of both lenses are of one length, but one may not be shown."""
        return self.list_of("tuned" if self.list_of("tuned").size else "logit")

    def action_move(self, down: int, right: int) -> None:
        """Go to a neighbouring cell."""
        grid = self._explore.grids["logit"]
        before = grid.cursor
        grid.action_move(down, right)
        if grid.cursor == before:
            self.app.clear_notifications()
            self.notify("The grid ends here.", timeout=2)
        else:
            self.read()

    def action_other_lens(self) -> None:
        """Show the other lens, where there is room for one."""
        self._show_lens("tuned" if self.has_class("-logit") else "logit")

    def _show_lens(self, lens: str) -> None:
        for name in LENSES:
            self.set_class(name == lens, f"-{name}")


class ExploreCell(GridScreen):
    """The key that opens the cell under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter", "open_cell", "Top tokens", show=False, key_display="enter", id="explore.open_cell",
            tooltip="The cell's likeliest tokens, by both lenses, in full",
        ),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._cell: CellScreen | None = None  # while it is open

    def action_open_cell(self) -> None:
        """List the likeliest tokens of the cell under the cursor."""
        if not self.columns:
            self._tell("Nothing is read yet: there is no cell to open.")
            return

        def closed(_: None) -> None:
            self._cell = None

        self._cell = CellScreen(self)
        self.app.push_screen(self._cell, closed)

    def on_cell_read(self, message: CellRead) -> None:
        """Show it."""
        if self._cell is not None and self._cell.is_mounted:
            self._cell.show(message)

    def on_cell_not_read(self, message: CellNotRead) -> None:
        """Say why."""
        if self._cell is not None and message.serial == self.serial:
            self._cell.say(message.text)

    @on(ReadDone)
    def read_cell_anew(self) -> None:
        """Its numbers may be others now."""
        if self._cell is not None and self._cell.is_mounted:
            self._cell.read()
