"""The list of a cell's likeliest tokens: rank, token, id, probability, logit, cumulative probability."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.geometry import Size
from textual.strip import Strip

from lenstui.support.cell_width import fit
from lenstui.tui.shared.step_scroll import StepScroll

if TYPE_CHECKING:
    from lenstui.readout.cells import Ranking

_MOST_TOKEN = 40  # cells that a token takes at most
_NUMBERS = 43  # cells that all other parts of a line take


class TokenList(StepScroll, can_focus=False):
    """A list of the likeliest tokens of a cell on one side. Lists that are paired scroll together."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"token-list--heading", "token-list--quiet"}
    DEFAULT_CSS = """
    TokenList {
        background: $surface;
        scrollbar-size: 1 1;
        .token-list--heading { color: $foreground 65%; }
        .token-list--quiet { color: $foreground 60%; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[tuple[str, str, str]] = []
        self.twins: tuple[TokenList, ...] = ()

    def pair(self, *others: TokenList) -> None:
        """Have this list and others scroll together."""
        group = (self, *others)
        for one in group:
            one.twins = tuple(other for other in group if other is not one)

    def show(self, ranking: Ranking, texts: Mapping[int, str]) -> None:
        """Show a ranking of tokens from its top."""
        self._lines = [
            (
                f"{rank:>5} ",
                texts[token],
                f"{token:>7} {_probability(prob):>8} {logit:>9.3f} {sum_:>9.5f}",
            )
            for rank, token, prob, logit, sum_ in zip(
                ranking.ranks.tolist(),
                ranking.ids.tolist(),
                ranking.probs.tolist(),
                ranking.logits.tolist(),
                ranking.cumulative.tolist(),
                strict=True,
            )
        ]
        self.virtual_size = Size(0, 1 + len(self._lines))
        self.scroll_now(0, 0)
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scroll the paired lists to the same line."""
        super().watch_scroll_y(old_value, new_value)
        for twin in self.twins:
            if twin.scroll_offset.y != self.scroll_offset.y:
                twin.scroll_now(0, self.scroll_offset.y)

    def scroll_by(self, lines: int) -> None:
        """Scroll down by a number of lines, or up if it is negative."""
        self.scroll_now(0, self.scroll_offset.y + lines)

    @property
    def page(self) -> int:
        """The number of lines on screen, without the heading."""
        return max(self.size.height - 1, 1)

    def render_line(self, y: int) -> Strip:
        """Return the heading, or the line of a token."""
        width = self.scrollable_content_region.width
        token_width = max(min(width - _NUMBERS, _MOST_TOKEN), 1)
        if y == 0:
            text = f"{'rank':>5} {fit('token', token_width)} {'id':>7} {'prob':>8} {'logit':>9} {'sum':>9}"
            return self._strip([Segment(text, self.get_component_rich_style("token-list--heading"))], width)
        number = y - 1 + self.scroll_offset.y
        if number >= len(self._lines):
            return self._strip([], width)
        rank, token, numbers = self._lines[number]
        quiet = self.get_component_rich_style("token-list--quiet")
        segments = [
            Segment(rank, quiet),
            Segment(fit(token, token_width), self.rich_style),
            Segment(f" {numbers}", quiet),
        ]
        return self._strip(segments, width)

    def _strip(self, segments: list[Segment], width: int) -> Strip:
        return Strip(segments).adjust_cell_length(width, self.rich_style)


def _probability(number: float) -> str:
    return f"{number:.5f}" if number >= 0.001 else f"{number:.1e}"
