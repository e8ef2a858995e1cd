"""The table of the cases of a prompt set, drawn line by line: there may be a hundred thousand cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, TypeVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from lenstui.export.crystallization import settled_text
from lenstui.jobs.set_messages import CaseLine, ReadCase
from lenstui.readout.number_texts import (
    logprob_text,
    points_text,
    probability_text,
    rank_text,
    score_text,
    signed_nats_text,
    signed_text,
)
from lenstui.readout.sets.first_rows import ABOVE
from lenstui.readout.sets.outlier_methods import OutlierMethod
from lenstui.support.cell_width import fit
from lenstui.support.fixed_text import NONE
from lenstui.tui.prompt_sets.view import SETTLES, Pairing, SetView, rows_of, rows_short
from lenstui.tui.shared.step_scroll import StepScroll

_Item = TypeVar("_Item")

_PROMPT, _FINAL, _TARGET = 1, 2, 4  # columns of words
_NARROW = 100  # cells; in fewer, the tokens leave room to the prompts
_LEAST_PROMPT = 8
_EFFECT = 7  # cells of the difference of both runs, with the mark of the sorting
_WHOLE = 7  # cells of the log-probability of the whole target
_DIFFERENCE = 6  # cells of the logit difference with the foil


class SetTable(StepScroll, can_focus=True):
    """A table of the shown cases of a prompt set under headings, with one case highlighted."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Next prompt", show=False, id="prompts.down"),
        Binding("up,k", "move(-1)", "Previous prompt", show=False, id="prompts.up"),
        Binding("pagedown", "page(1)", "A page down", show=False, id="prompts.page_down"),
        Binding("pageup", "page(-1)", "A page up", show=False, id="prompts.page_up"),
        Binding("home", "move(-999999999)", "First prompt", show=False, id="prompts.first"),
        Binding("end", "move(999999999)", "Last prompt", show=False, id="prompts.last"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "set-table--heading",
        "set-table--sorted",
        "set-table--quiet",
        "set-table--failed",
        "set-table--cursor",
    }
    DEFAULT_CSS = """
    SetTable {
        background: $surface;
        scrollbar-size: 1 1;
        .set-table--heading { color: $foreground 65%; }
        .set-table--sorted { color: $primary; text-style: bold; }
        .set-table--quiet { color: $foreground 60%; }
        .set-table--failed { color: $error; }
        .set-table--cursor { background: $foreground 15%; }
        &:focus .set-table--cursor { background: $primary 35%; }
    }
    """
    cursor: reactive[int] = reactive(0, repaint=False)

    class Moved(Message):
        """The message that another case is highlighted."""

    class Chosen(Message):
        """The message that a case was clicked twice."""

    def __init__(self) -> None:
        super().__init__()
        self._cases: Sequence[ReadCase] = ()
        self._view = SetView()
        self._rows: Sequence[str] = ()
        self._lenses: Sequence[str] = ()
        self._pairing: Pairing | None = None
        self._methods: Sequence[OutlierMethod] = ()
        self._has_long_targets = self._has_foils = False
        self._of_rows, self._above = SETTLES, ABOVE
        self._digits = 1

    @property
    def shown(self) -> Sequence[ReadCase]:
        """The shown cases, in the order of the lines."""
        return self._cases

    @property
    def chosen(self) -> ReadCase | None:
        """The highlighted case; None where no case is shown."""
        return self._cases[self.cursor] if self._cases else None

    def show(
        self,
        cases: Sequence[ReadCase],
        view: SetView,
        rows: Sequence[str],
        lenses: Sequence[str],
        *,
        pairing: Pairing | None = None,
        methods: Sequence[OutlierMethod] = (),
        has_long_targets: bool = False,
        has_foils: bool = False,
        of_rows: str = SETTLES,
        above: float = ABOVE,
    ) -> None:
        """Show cases; the highlighted case stays highlighted, if it is still among them.

        Args:
            cases: the cases, in the order of the lines.
            view: the sorting of the cases.
            rows: the labels of the rows that were read.
            lenses: the keys of the lenses.
            pairing: what both runs are, where the cases are read twice, whose difference gets a column.
            methods: the methods of their outlier scores, each of which gets one.
            has_long_targets: whether any target is several tokens, whose log-probability gets one.
            has_foils: whether any case has a foil, the logit difference with which gets one.
            of_rows: which rows the last columns show: `settles`, or the key of a first row of the target.
            above: the limit of the first row where the target's probability is above it.
        """
        before = self.chosen
        self._pairing, self._methods = pairing, methods
        self._has_long_targets, self._has_foils = has_long_targets, has_foils
        self._of_rows, self._above = of_rows, above
        self._cases, self._view, self._rows, self._lenses = cases, view, rows, lenses
        self._digits = max((len(str(case.line.number)) for case in cases), default=1)
        place = next((at for at, case in enumerate(cases) if case is before), None)
        self.virtual_size = Size(0, 1 + len(cases))
        self.cursor = min(self.cursor, max(len(cases) - 1, 0)) if place is None else place
        self._see_cursor()
        self.refresh()
        self.post_message(self.Moved())

    # ── moving ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _page(self) -> int:
        return max(self.size.height - 1, 1)

    def action_move(self, lines: int) -> None:
        """Highlight the case so many lines below, or above if negative."""
        self._go(self.cursor + lines)

    def action_page(self, pages: int) -> None:
        """Highlight the case so many pages below, or above if negative."""
        self._go(self.cursor + pages * self._page)

    def on_resize(self) -> None:
        """Keep the highlighted case on screen."""
        self._see_cursor()

    def on_click(self, event: events.Click) -> None:
        """Highlight the clicked case; post `Chosen` on a second click."""
        line = event.y - 1 + self.scroll_offset.y
        if event.y and 0 <= line < len(self._cases):
            self._go(line)
            if event.chain > 1:
                self.post_message(self.Chosen())

    def _go(self, line: int) -> None:
        line = max(0, min(line, len(self._cases) - 1))
        if line != self.cursor:
            self.cursor = line
            self._see_cursor()
            self.refresh()
            self.post_message(self.Moved())

    def _see_cursor(self) -> None:
        top = self.scroll_offset.y
        wanted = max(min(top, self.cursor), self.cursor - self._page + 1)
        if wanted != top:
            self.scroll_now(0, wanted)

    # ── painting ─────────────────────────────────────────────────────────────────────────────────────────

    def render_line(self, y: int) -> Strip:
        """Return the headings, or the line of a case."""
        width = self.scrollable_content_region.width
        if y == 0:
            return self._headings(width)
        number = y - 1 + self.scroll_offset.y
        if number >= len(self._cases):
            return Strip([]).adjust_cell_length(width, self.rich_style)
        line = self._case(self._cases[number].line, width).adjust_cell_length(width, self.rich_style)
        if number == self.cursor:
            ground = self.get_component_rich_style("set-table--cursor")
            over = Style(bgcolor=ground.bgcolor, bold=True, reverse=ground.reverse)
            return Strip([Segment(text, (style or Style()) + over) for text, style, _ in line])
        return line

    def _widths(self, width: int) -> list[int]:
        """Return the width of each column in cells; the prompt gets the rest."""
        token = 14 if width >= _NARROW else 9 if len(self._some(0, 0, 0)) < 2 else 7
        settles = [max(len(name), 6) for name in self._settling(width)]
        some = self._some(_WHOLE, _DIFFERENCE, _EFFECT)
        scores = [max(len(method.short) + 1, 5) for method in self._methods]  # the mark of the sorting
        widths = [self._digits, 0, token, 5, token, 5, 5, *some, *scores, *settles]
        widths[_PROMPT] = max(width - sum(widths) - len(widths) + 1, _LEAST_PROMPT)
        return widths

    def _some(self, whole: _Item, difference: _Item, effect: _Item) -> list[_Item]:
        """Return those of three that columns are there for, which not every set has."""
        there = (self._has_long_targets, self._has_foils, self._pairing is not None)
        return [each for each, is_there in zip((whole, difference, effect), there, strict=True) if is_there]

    def _settling(self, width: int) -> list[str]:
        """Return the headings of the columns of rows, such as where a prompt settles, one a lens.

        Where there is no room for them beside scores or the like, they are left out, as the last columns.
        """
        if width < _NARROW and (self._methods or len(self._some(0, 0, 0)) > 2):
            return []
        names = [lens[:8] for lens in self._lenses]  # the longest kind is "jacobian"
        if names and width >= _NARROW:
            names[0] = f"{rows_short(self._of_rows, self._above)}: {names[0]}"
        return names

    def _headings(self, width: int) -> Strip:
        scores = [method.short for method in self._methods]
        some = self._some("whole", "− foil", "" if self._pairing is None else self._pairing.heading)
        names = ["", "prompt", "final", "prob", "target", "prob", "rank", *some, *scores]
        names += self._settling(width)
        quiet = self.get_component_rich_style("set-table--heading")
        bold = self.get_component_rich_style("set-table--sorted")
        mark = "▾" if self._view.descending else "▴"
        segments: list[Segment] = []
        for column, (name, size) in enumerate(zip(names, self._widths(width), strict=True)):
            is_sorted = column == self._view.column
            text = f"{mark}{name}" if is_sorted else name
            shown = fit(text, size) if column in {_PROMPT, _FINAL, _TARGET} else text.rjust(size)
            segments.append(Segment(f"{' ' * bool(column)}{shown}", bold if is_sorted else quiet))
        return Strip(segments).adjust_cell_length(width, self.rich_style)

    def _case(self, line: CaseLine, width: int) -> Strip:
        widths = self._widths(width)
        quiet = self.get_component_rich_style("set-table--quiet")
        number = Segment(f"{line.number:>{widths[0]}} ", quiet)
        prompt = Segment(f"{end(line.prompt, widths[_PROMPT])} ", self.rich_style)
        if line.reason is not None:
            room = max(width - widths[0] - widths[_PROMPT] - 2, 1)
            failed = self.get_component_rich_style("set-table--failed")
            return Strip([number, prompt, Segment(fit(line.reason, room), failed)])
        final_prob, target_prob, target_rank = (
            math.nan if number is None else number
            for number in (line.final_prob, line.target_prob, line.target_rank)
        )
        texts = [
            fit(line.final or NONE, widths[_FINAL]),
            probability_text(final_prob),
            fit(line.target, widths[_TARGET]),
            probability_text(target_prob) if line.target else "",
            rank_text(target_rank) if line.target else "",
            *self._some(
                logprob_of(line.whole_logprob), difference_of(line.logit_diff), points_of(line.effect)
            ),
            *(score_text(score) for score in line.scores or [math.nan] * len(self._methods)),
            *(settled_text(self._rows, row) for row in rows_of(line, self._of_rows)),
        ]
        segments = [number, prompt]
        for column, (text, size) in enumerate(zip(texts, widths[2:], strict=False), 2):
            style = self.rich_style if column in {_FINAL, _TARGET} else quiet
            segments.append(Segment(f"{text:>{size}}" if style is quiet else text, style))
            segments.append(Segment(" ", self.rich_style))
        return Strip(segments[:-1])


def logprob_of(number: float | None) -> str:
    """Return a log-probability; nothing where there is none."""
    return "" if number is None else logprob_text(number)


def difference_of(logits: float | None) -> str:
    """Return a difference of two logits with its sign; nothing where there is none."""
    return "" if logits is None else signed_nats_text(logits)


def points_of(effect: float | None) -> str:
    """Return the difference of two probabilities in points, with its sign; nothing where there is none."""
    return "" if effect is None else signed_text(effect, points_text)


def end(text: str, width: int) -> str:
    """Return the end of `text` in exactly `width` cells, with an ellipsis where its beginning is cut off."""
    if cell_len(text) <= width:
        return fit(text, width)
    kept = text[-width:]
    while cell_len(kept) >= width:
        kept = kept[1:]
    return fit(f"…{kept}", width)
