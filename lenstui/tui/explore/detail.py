"""The detail: the numbers and likeliest tokens of the cell under the cursor, for every side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.reactive import reactive
from textual.widget import Widget

from lenstui.lens.kinds import first_kinds
from lenstui.opening.side_count import MOST_SIDES
from lenstui.readout.values import Value
from lenstui.support.cell_width import fit

if TYPE_CHECKING:
    from lenstui.tui.explore.cell_facts import CellFacts

TOP_K = 16  # tokens that each cell keeps, to be shown here
_ONE_LINE = 64  # cells that all but the minor numbers take at most, by their brief names

_Part = tuple[str, str]  # a part of a line: a name and a number


class CellView(Widget):
    """A widget that shows the cell of one side: its numbers, then its likeliest tokens with bars."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"cell-view--lens", "cell-view--bar", "cell-view--quiet"}
    DEFAULT_CSS = """
    CellView {
        width: 1fr;
        height: 1fr;
        padding: 0 1;
        .cell-view--lens { text-style: bold; }
        .cell-view--bar { color: $primary; }
        .cell-view--quiet { color: $foreground 60%; }
    }
    """
    facts: reactive[CellFacts | None] = reactive(None)
    value: reactive[str] = reactive("")  # the key of the value that colours the cells
    nothing: reactive[str] = reactive("")  # why there are no facts

    def render(self) -> Text:
        """Return the numbers of the cell, and as many of its tokens as there are lines."""
        facts, width, height = self.facts, self.content_size.width, self.content_size.height
        if facts is None or not width:
            return Text(self.nothing, self.get_component_rich_style("cell-view--quiet", partial=True))
        lens = self.get_component_rich_style("cell-view--lens", partial=True)
        bar = self.get_component_rich_style("cell-view--bar", partial=True)
        quiet = self.get_component_rich_style("cell-view--quiet", partial=True)
        lines = _numbers(facts, self.value, lens, quiet, width)
        name_width = min(16, max(8, width // 3))
        for text, probability in facts.tokens[: max(height - len(lines), 0)]:
            name = fit(text, name_width)
            shown = f"{100 * probability:.1f}%" if probability >= 0.0005 else "<0.1%"
            line = Text(f"{name} {shown:>6} ")
            line.append(_bar(probability, width - line.cell_len), style=bar)
            lines.append(line)
        return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)


class Detail(Horizontal):
    """A widget that shows the cell under the cursor on every side, from left to right."""

    DEFAULT_CSS = """
    Detail {
        height: 8;
        border: round $border-blurred;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;
    }
    """

    def compose(self) -> ComposeResult:
        """Yield a view for each side that there may be."""
        for place in range(MOST_SIDES):
            view = CellView(id=f"detail-{place}")
            view.display = place < len(first_kinds())
            yield view

    def follow(self, value: str) -> None:
        """Always show the numbers of the value with this key, whatever the room: it colours the cells."""
        for view in self.query(CellView):
            view.value = value

    def show(
        self,
        title: str,
        sides: Sequence[CellFacts | None],
        *,
        below: str = "",
        nothing: Mapping[int, str] | None = None,
    ) -> None:
        """Show a cell.

        Args:
            title: the name of the cell.
            sides: the facts of the cell on each side, None where there are none.
            below: a text on the lower edge: which tokens are shown, and where the column settles.
            nothing: by place, why a side has no facts of the cell.
        """
        self.border_title, self.border_subtitle = Text(title), below
        for place, view in enumerate(self.query(CellView)):
            view.display = place < len(sides)
            if view.display:
                view.nothing = (nothing or {}).get(place, "")
                view.facts = sides[place]


def _numbers(facts: CellFacts, coloured: str, lens: Style, quiet: Style, width: int) -> list[Text]:
    """Return the lines with the name of a side and its numbers, in full words where there is room for them.

    A number without room is left out whole, unless it is of the value that colours the cells.
    """
    head = f"{facts.lens:<5}"
    of_cell = [(value, number) for value, number in facts.numbers if not value.of_next]
    of_next = [(value, number) for value, number in facts.numbers if value.of_next]
    if of_next and width < _ONE_LINE:  # in every column, so that nothing jumps when the cursor moves
        first, second = (_fitting(each, coloured, width - len(head)) for each in (of_cell, of_next))
        return [_line(head, first, lens, quiet), _line(" " * len(head), second, lens, quiet)]
    full = [(value.name, value.amount(number)) for value, number in of_cell]
    following: list[_Part] = []
    if of_next:
        full.append((of_next[0][0].name, _following(of_next, unit=True)))
        following.append(("next", _following(of_next, unit=False)))
    line = _line(head, full, lens, quiet)
    if line.cell_len <= width:
        return [line]
    short = _fitting(of_cell, coloured, width - len(head) - _width(following))
    return [_line(head, [*short, *following], lens, quiet)]


def _fitting(numbers: Sequence[tuple[Value, float]], coloured: str, room: int) -> list[_Part]:
    """Return the numbers that have room, by their brief names; minor and last ones are left out first."""
    parts = {value: (value.brief, value.amount(number, unit=False)) for value, number in numbers}
    last_first = list(parts)[::-1]
    for value in sorted(last_first, key=lambda value: not value.is_minor):
        if _width(parts.values()) <= room:
            break
        if value.key != coloured:
            del parts[value]
    return list(parts.values())


def _following(numbers: Sequence[tuple[Value, float]], *, unit: bool) -> str:
    """Return the numbers of the next token as one text: `-2.31 nats, rank 12`."""
    (value, number), *others = numbers
    named = (f"{value.brief} {value.amount(number, unit=unit)}" for value, number in others)
    return ", ".join([value.amount(number, unit=unit), *named])


def _width(parts: Iterable[_Part]) -> int:
    """Return the number of terminal cells that parts take on a line."""
    return sum(cell_len(f"  {label} {number}") for label, number in parts)


def _line(head: str, parts: Iterable[_Part], lens: Style, quiet: Style) -> Text:
    line = Text.assemble((head, lens))
    for label, number in parts:
        line.append_text(Text.assemble((f"  {label} ", quiet), number))
    return line


def _bar(share: float, width: int) -> str:
    """Return a bar as text, drawn in eighths of a terminal cell."""
    eighths = round(max(0.0, min(1.0, share)) * max(0, width) * 8)
    full, part = divmod(eighths, 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")
