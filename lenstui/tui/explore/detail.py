"""The cell under the cursor, in full, for every side."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.reactive import reactive
from textual.widget import Widget

from lenstui.lens.kinds import lens_kinds
from lenstui.opening.sides import MOST_SIDES
from lenstui.readout.cells import Cells
from lenstui.readout.values import nats_text, rank_text
from lenstui.support.cell_width import fit
from lenstui.support.fixed_text import fixed_text

_ONE_LINE = 64  # cells that all numbers take at the most, in short


@dataclass(frozen=True, slots=True)
class CellFacts:
    """One cell of one side.

    Attributes:
        lens: what the side is called.
        tokens: display text and probability of its likeliest tokens, best first.
        entropy: nats.
        kl: KL(final ‖ lens), nats.
        final_rank: rank of the final top-1 token.
        next_logprob: log-probability of the token that really follows, nats; None in the last column.
        next_rank: its rank; None in the last column.
    """

    lens: str
    tokens: tuple[tuple[str, float], ...]
    entropy: float
    kl: float
    final_rank: int
    next_logprob: float | None
    next_rank: int | None

    @classmethod
    def of(cls, lens: str, cells: Cells, row: int, column: int, texts: Mapping[int, str]) -> CellFacts | None:
        """The facts of a cell; None while it has not been read, and where it is not a number."""
        ids = cells.top_ids[row, column]
        if ids[0] < 0:
            return None
        last = cells.next_rank[row, column] < 0
        return cls(
            lens=lens,
            tokens=tuple(
                (texts.get(int(token), f"[id {token}]"), float(probability))
                for token, probability in zip(ids, cells.top_probs[row, column], strict=True)
            ),
            entropy=float(cells.entropy[row, column]),
            kl=float(cells.kl[row, column]),
            final_rank=int(cells.final_rank[row, column]),
            next_logprob=None if last else float(cells.next_logprob[row, column]),
            next_rank=None if last else int(cells.next_rank[row, column]),
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
    nothing: reactive[str] = reactive("")

    def render(self) -> Text:
        """As many tokens as there are lines."""
        facts, width, height = self.facts, self.content_size.width, self.content_size.height
        if facts is None or not width:
            return Text(self.nothing, self.get_component_rich_style("cell-view--quiet", partial=True))
        lens = self.get_component_rich_style("cell-view--lens", partial=True)
        bar = self.get_component_rich_style("cell-view--bar", partial=True)
        quiet = self.get_component_rich_style("cell-view--quiet", partial=True)
        lines = _numbers(facts, lens, quiet, width)
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
            view.display = place < len(lens_kinds()[:2])
            yield view

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


def _numbers(facts: CellFacts, lens: Style, quiet: Style, width: int) -> list[Text]:
    """The lens's name and its numbers, in full words where there is room for them, else on two lines."""
    entropy, kl, rank = nats_text(facts.entropy), nats_text(facts.kl), rank_text(facts.final_rank)
    short = [("entropy", entropy), ("KL", kl), ("rank", rank)]
    full = [("entropy", f"{entropy} nats"), ("KL from final", f"{kl} nats"), ("final top-1 at rank", rank)]
    following: list[tuple[str, str]] = []
    if facts.next_logprob is not None and facts.next_rank is not None and not math.isnan(facts.next_logprob):
        log_prob = fixed_text(facts.next_logprob, 2)
        next_rank = rank_text(facts.next_rank)
        following = [("log p(next)", log_prob), ("rank", next_rank)]
        short.append(("next", f"{log_prob}, rank {next_rank}"))
        full.append(("log p(next)", f"{log_prob} nats, rank {next_rank}"))
    if following and width < _ONE_LINE:  # always, so that nothing jumps from column to column
        return [_line(f"{facts.lens:<5}", short[:3], lens, quiet), _line(" " * 5, following, lens, quiet)]
    line = _line(f"{facts.lens:<5}", full, lens, quiet)
    return [line if line.cell_len <= width else _line(f"{facts.lens:<5}", short, lens, quiet)]


def _line(head: str, parts: Iterable[tuple[str, str]], lens: Style, quiet: Style) -> Text:
    line = Text.assemble((head, lens))
    for label, number in parts:
        line.append_text(Text.assemble((f"  {label} ", quiet), number))
    return line


def _bar(share: float, width: int) -> str:
    """A bar of eighths of a cell."""
    eighths = round(max(0.0, min(1.0, share)) * max(0, width) * 8)
    full, part = divmod(eighths, 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")
