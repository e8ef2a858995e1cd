"""The list of lenses: one line for each lens, as much of the line as there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets.option_list import Option

from lenstui.export.lens_list import place_of
from lenstui.jobs.messages import ListedLens
from lenstui.lens.card import Match
from lenstui.lens.kinds import TUNED
from lenstui.lens.names import kind_word
from lenstui.readout.number_texts import mean_nats_text, nats_text, size_text
from lenstui.support.fixed_text import NONE
from lenstui.support.printable import printable
from lenstui.tui.shared.line_list import LineList
from lenstui.tui.shared.status_bar import short_name

# For each column but the first two: its heading, its width, and whether it holds numbers.
_COLUMNS = (
    ("fits", 8, False),
    ("KL", 6, True),
    ("logit", 6, True),
    ("eval", 6, True),
    ("date", 10, True),
    ("size", 7, True),
    ("last evaluation", 36, False),
)
_EVAL, _DATE = 5, 6  # places of the columns that lenses are ordered by
_ROOM_FOR_SIZE = 90  # terminal columns; in fewer, the names need the room of the sizes
_ROOM_FOR_EVALUATION = 112  # and in fewer than these, that of the last evaluation, which the card has


class LensLines(LineList, inherit_bindings=False):  # Enter is a key of the screen
    """A list of lenses, a line for each."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "cursor_down", "Next lens", show=False, id="lenses.down"),
        Binding("up,k", "cursor_up", "Previous lens", show=False, id="lenses.up"),
        Binding("home", "first", "First lens", show=False, id="lenses.first"),
        Binding("end", "last", "Last lens", show=False, id="lenses.last"),
        Binding("pageup", "page_up", "A page up", show=False, id="lenses.page_up"),
        Binding("pagedown", "page_down", "A page down", show=False, id="lenses.page_down"),
    ]
    DEFAULT_CSS = """
    LensLines {
        border: none;
        padding: 0;
        background: $surface;
        scrollbar-size: 1 1;
        &:focus { border: none; background-tint: $surface 0%; }
        & > .option-list--option { padding: 0; }
    }
    """


class LensTable(LensLines):
    """The list of the lenses on this machine, those for the open model first."""

    def __init__(self) -> None:
        super().__init__()
        self._lenses: tuple[ListedLens, ...] = ()

    def show(self, lenses: Sequence[ListedLens], *, by_kl: bool) -> None:
        """Show some lenses; the highlight stays on its lens, or else goes to the one in use or the first.

        Args:
            lenses: the lenses, the newest first.
            by_kl: whether those that fit the model alike are ordered by the KL of their last evaluation.
        """
        before = self.chosen
        lenses = sorted(lenses, key=lambda lens: place_of(lens.card, lens.match, by_kl=by_kl))
        self._lenses = tuple(lenses)
        self.clear_options()
        self.add_options([Option(LensLine(lens)) for lens in lenses])
        wanted = [i for i, lens in enumerate(lenses) if before and lens.card.path == before.card.path]
        wanted += [i for i, lens in enumerate(lenses) if lens.in_use]
        if lenses:
            self.highlighted = next(iter(wanted), 0)

    @property
    def chosen(self) -> ListedLens | None:
        """The highlighted lens."""
        return None if self.highlighted is None else self._lenses[self.highlighted]


class LensLine:
    """A lens on one line, or the headings where there is no lens."""

    def __init__(self, lens: ListedLens | None = None, *, by_kl: bool = False) -> None:
        """Prepare the line.

        Args:
            lens: the lens.
            by_kl: whether the lenses are ordered by the KL of their last evaluation, not by date.
        """
        self._lens = lens
        self._by_kl = by_kl

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a line as wide as there is room; name and model share what the other columns leave."""
        rooms = (_ROOM_FOR_SIZE, _ROOM_FOR_EVALUATION)
        columns = _COLUMNS[: len(_COLUMNS) - sum(options.max_width < room for room in rooms)]
        room = max(options.max_width - 2 - sum(width + 1 for _, width, _ in columns) - 2, 2)
        name = round(room * 0.55)
        widths = [name, room - name, *(width for _, width, _ in columns)]
        numbers = [False, False, *(number for _, _, number in columns)]
        texts, lens = self._texts()[: len(widths)], self._lens
        if lens is not None and lens.card.kind != TUNED:  # in the place of two KLs, by which it is not judged
            texts[3:5] = [kind_word(lens.card.kind)]
            widths[3:5] = [widths[3] + 1 + widths[4]]
            numbers[3:5] = [True]
        cells = " ".join(map(fit_text, texts, widths, numbers))
        line = Text(f"{'●' if lens is not None and lens.in_use else ' '} {cells}", no_wrap=True)
        if lens is not None and lens.match in {Match.NO, Match.OTHER_WEIGHTS}:
            line.stylize("dim")
        yield line

    def _texts(self) -> list[str]:
        lens = self._lens
        if lens is None:
            headings = ["lens", "made for", *(heading for heading, _, _ in _COLUMNS)]
            place, mark = (_EVAL, "▴") if self._by_kl else (_DATE, "▾")
            headings[place] = f"{mark}{headings[place]}"
            return headings
        card = lens.card
        evaluation = card.evaluation
        made_for = "" if card.made_for is None else short_name(card.made_for)
        made_for += "" if card.adapter is None else f" + {short_name(card.adapter)}"
        return [
            printable(card.name),
            made_for,
            "" if lens.match is None else lens.match.value,
            mean_nats_text(card.held_out_kl),
            mean_nats_text(card.logit_lens_kl),
            NONE if evaluation is None or evaluation.kl is None else nats_text(evaluation.kl),
            f"{datetime.fromtimestamp(card.modified):%Y-%m-%d}",
            size_text(card.size),
            "" if evaluation is None else printable(evaluation.in_brief),
        ]


def fit_text(text: str, width: int, number: bool) -> str:
    """Return `text` in exactly `width` terminal cells; a number stands on the right."""
    if cell_len(text) > width:
        return set_cell_size(text, max(width - 1, 0)) + "…"[:width]
    return text.rjust(width) if number else set_cell_size(text, width)
