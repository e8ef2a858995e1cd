"""The cell under the cursor, in full, for every side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.reactive import reactive
from textual.widget import Widget

from lenstui.lens.kinds import first_kinds
from lenstui.opening.sides import MOST_SIDES
from lenstui.readout.cells import Cells
from lenstui.readout.values import Value, cell_numbers
from lenstui.support.cell_width import fit

_ONE_LINE = 64  # cells that all numbers but the minor ones take at the most, in short

_Part = tuple[str, str]  # of a line: a name and a number


@dataclass(frozen=True, slots=True)
class CellFacts:
    """One cell of one side.

    Attributes:
        lens: what the side is called.
        tokens: display text and probability of its likeliest tokens, best first.
        numbers: its other numbers with the values that they are of; those of the next token are left out in
            the last column.
    """

    lens: str
    tokens: tuple[tuple[str, float], ...]
    numbers: tuple[tuple[Value, float], ...]

    @classmethod
    def of(cls, lens: str, cells: Cells, row: int, column: int, texts: Mapping[int, str]) -> CellFacts | None:
        """The facts of a cell; None while it has not been read, and where it is not a number."""
        ids = cells.top_ids[row, column]
        if ids[0] < 0:
            return None
        return cls(
            lens=lens,
            tokens=tuple(
                (texts.get(int(token), f"[id {token}]"), float(probability))
                for token, probability in zip(ids, cells.top_probs[row, column], strict=True)
            ),
            numbers=tuple(cell_numbers(cells, row, column)),
        )


class CellView(Widget):
    """The facts of one lens's cell: its numbers, then the likeliest tokens with bars."""

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
    value: reactive[str] = reactive("")  # key of what colours the cells
    nothing: reactive[str] = reactive("")

    def render(self) -> Text:
        """As many tokens as there are lines."""
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
    """The cell under the cursor, for the sides from left to right."""

    DEFAULT_CSS = """
    Detail {
        height: 8;
        border: round $border-blurred;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;
    }
    """

    def compose(self) -> ComposeResult:
        """One view a side."""
        for place in range(MOST_SIDES):
            view = CellView(id=f"detail-{place}")
            view.display = place < len(first_kinds())
            yield view

    def follow(self, value: str) -> None:
        """Have the numbers of a value, by its key, in sight whatever the room: it colours the cells."""
        for view in self.query(CellView):
            view.value = value

    def show(
        self,
        title: str,
        sides: Sequence[CellFacts | None],
        *,
        settled: str = "",
        nothing: Mapping[int, str] | None = None,
    ) -> None:
        """Show a cell.

        Args:
            title: which one.
            sides: its facts on each side, None where there are none.
            settled: where its column settles.
            nothing: why a side has no facts of it, by place.
        """
        self.border_title, self.border_subtitle = Text(title), settled
        for place, view in enumerate(self.query(CellView)):
            view.display = place < len(sides)
            if view.display:
                view.nothing = (nothing or {}).get(place, "")
                view.facts = sides[place]


def _numbers(facts: CellFacts, coloured: str, lens: Style, quiet: Style, width: int) -> list[Text]:
    """The lens's name and its numbers, in full words where there is room for them, else on two lines.

    What has no room is left out whole, but for the value that colours the cells.
    """
    head = f"{facts.lens:<5}"
    of_cell = [(value, number) for value, number in facts.numbers if not value.of_next]
    of_next = [(value, number) for value, number in facts.numbers if value.of_next]
    if of_next and width < _ONE_LINE:  # always, so that nothing jumps from column to column
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
    """The numbers by their brief names, without those that have no room: minor ones first, the last first."""
    parts = {value: (value.brief, value.amount(number, unit=False)) for value, number in numbers}
    last_first = list(parts)[::-1]
    for value in sorted(last_first, key=lambda value: not value.is_minor):
        if _width(parts.values()) <= room:
            break
        if value.key != coloured:
            del parts[value]
    return list(parts.values())


def _following(numbers: Sequence[tuple[Value, float]], *, unit: bool) -> str:
    """The numbers of the next token behind one name: `-2.31 nats, rank 12`."""
    (value, number), *others = numbers
    named = (f"{value.brief} {value.amount(number, unit=unit)}" for value, number in others)
    return ", ".join([value.amount(number, unit=unit), *named])


def _width(parts: Iterable[_Part]) -> int:
    """Terminal cells that parts take on a line."""
    return sum(cell_len(f"  {label} {number}") for label, number in parts)


def _line(head: str, parts: Iterable[_Part], lens: Style, quiet: Style) -> Text:
    line = Text.assemble((head, lens))
    for label, number in parts:
        line.append_text(Text.assemble((f"  {label} ", quiet), number))
    return line


def _bar(share: float, width: int) -> str:
    """A bar of eighths of a cell."""
    eighths = round(max(0.0, min(1.0, share)) * max(0, width) * 8)
    full, part = divmod(eighths, 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")
