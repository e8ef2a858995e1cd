"""The look of one cell of the grid: its text, cut to its width, and its style."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rich.style import Style
from textual.widget import Widget

from lenstui.export.difference import DIFFERENT
from lenstui.readout.scales import NO_LEVEL
from lenstui.support.cell_width import fit
from lenstui.tui.grid import palette
from lenstui.tui.grid.palette import Mode

PENDING = "·"
ABSENT = "–"
REVERSED = Style(bold=True, reverse=True)
BAR, PLAIN_BAR = "▌", "┃"  # a plain cell has a block right before it
_NUMBER = 6  # cells that a number takes, with the space before it


def with_number(text: str, number: str, width: int) -> str:
    """Return a token's text with a number aligned at the right, together as wide as `width`."""
    return f"{fit(text, width - _NUMBER)}{number:>{_NUMBER}}"


@dataclass(frozen=True, slots=True)
class Look:
    """The styles of a grid, as the theme and the terminal decide them.

    Attributes:
        mode: the mode of the palette.
        steps: the number of levels from dark to bright.
        blank: the style where there is no cell.
        header: that of the tokens above the columns.
        gutter: that of the labels of rows.
        part: that of the labels of rows that are no residual stream.
        here: that of the label of the cursor's row, and of its column.
        pending: that of cells that are not read yet.
        cursor: what the cursor adds to the style of its cell.
        settled: what the cell where a column settles has besides.
        levels: the style of each level.
    """

    mode: Mode
    steps: int
    blank: Style
    header: Style
    gutter: Style
    part: Style
    here: Style
    pending: Style
    cursor: Style
    settled: Style
    levels: Mapping[int, Style]

    @classmethod
    def of(cls, grid: Widget, mode: Mode) -> Look:
        """Return the styles of a grid's component classes, in a mode of the palette."""
        blank = grid.rich_style
        styles = {level: blank + style for level, style in palette.styles(mode).items()}
        return cls(
            mode=mode,
            steps=palette.steps(grid.app),
            blank=blank,
            header=grid.get_component_rich_style("grid--header"),
            gutter=grid.get_component_rich_style("grid--gutter"),
            part=grid.get_component_rich_style("grid--part"),
            here=grid.get_component_rich_style("grid--here"),
            pending=grid.get_component_rich_style("grid--pending"),
            cursor=REVERSED
            if mode is Mode.PLAIN
            else grid.get_component_rich_style("grid--cursor", partial=True),
            settled=grid.get_component_rich_style("grid--settled", partial=True),
            levels={**styles, NO_LEVEL: blank},
        )

    def text_width(self, column_width: int) -> int:
        """Return the terminal cells left for the text of a cell."""
        return column_width - (3 if self.mode is Mode.PLAIN else 1)

    def cell(
        self, text: str, level: int, *, first: bool, chosen: bool, differs: bool = False
    ) -> tuple[str, Style]:
        """Return a line of a cell as drawn, and its style.

        The text has to be as wide as `text_width` returns. Without enough colours a glyph in front of the
        first line shows the level, and brackets show the cursor. A mark in front of the text shows that the
        token `differs` from the other side's.
        """
        style = self.levels[level]
        if chosen:
            style += self.cursor
        if self.mode is not Mode.PLAIN:
            return f"{DIFFERENT if differs else ' '}{text}", style
        framed = self._framed(palette.glyph(level, self.steps) if first else " ", text, chosen=chosen)
        return f"{framed[0]}{DIFFERENT}{framed[2:]}" if differs else framed, style

    def marked(self, text: str, style: Style, *, last: bool) -> Iterator[tuple[str, Style]]:
        """Yield a line of a cell with a bar in place of the space before its text; the last is underlined.

        The mark of a token that differs stays in the bar's place, in the colour of the bar.
        """
        before = 1 if self.mode is Mode.PLAIN else 0  # the glyph of the level
        if before:
            yield text[0], style
        bar = PLAIN_BAR if self.mode is Mode.PLAIN else BAR
        yield DIFFERENT if text[before] == DIFFERENT else bar, palette.bar(style, self.mode)
        yield text[before + 1 :], style + self.settled if last else style

    def label(self, text: str, column_width: int) -> str:
        """Return the text above a column, aligned with the texts of its cells."""
        return self._framed(" ", fit(text, self.text_width(column_width)), chosen=False)

    def empty_cell(self, column_width: int, *, chosen: bool, sign: str = PENDING) -> tuple[str, Style]:
        """Return a cell that is not read yet, or that has no number, as drawn, and its style."""
        style = self.pending + self.cursor if chosen else self.pending
        width = self.text_width(column_width)
        if self.mode is Mode.PLAIN:
            return self._framed(sign, " " * width, chosen=chosen), style
        return self._framed(" ", fit(sign, width), chosen=chosen), style

    def _framed(self, glyph: str, text: str, *, chosen: bool) -> str:
        if self.mode is not Mode.PLAIN:
            return f" {text}"
        return f"{glyph}[{text}]" if chosen else f"{glyph} {text} "
