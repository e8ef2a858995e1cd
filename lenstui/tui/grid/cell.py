"""The look of one cell of the grid: its text, cut to its width, and its style."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.widget import Widget

from lenstui.export.difference import DIFFERENT
from lenstui.readout.scales import NO_LEVEL
from lenstui.support.cell_width import fit
from lenstui.tui.grid import palette
from lenstui.tui.grid.palette import Mode
from lenstui.tui.grid.room import NUMBER, USUAL, Contents

# Filters of lines, and the ground that dim text fades into.
LineFilters = tuple[Color, tuple[LineFilter, ...]]

PENDING = "·"
ABSENT = "–"
REVERSED = Style(bold=True, reverse=True)
BAR = "┃"  # where a column settles
_BOLD = Style(bold=True)
LEFT_EDGE, RIGHT_EDGE = "▐", "▌"  # of the cursor, in the places before its text and before the next one


def with_number(text: str, number: str, width: int) -> str:
    """Return a token's text with a number aligned at the right, together as wide as `width`."""
    return f"{fit(text, width - NUMBER)}{number:>{NUMBER}}"


@dataclass(frozen=True, slots=True)
class CellLine:
    """One line of a cell, as it is drawn.

    Attributes:
        place: of the line in the cell; 0 is the first.
        depth: how many lines the cell has.
        width: terminal cells for the text.
        contents: what the cell shows.
    """

    place: int
    depth: int = 1
    width: int = USUAL - 1
    contents: Contents = Contents.TOKEN


@dataclass(frozen=True, slots=True)
class Marks:
    """What is to be seen of a line of a cell beside its text and its colour.

    Attributes:
        first: it is the first line of the cell.
        last: it is the last one.
        chosen: the cursor is on the cell.
        beside: the cursor is on the cell to the left.
        differs: its token differs from the other side's.
        settled: its column settles here.
    """

    first: bool = True
    last: bool = True
    chosen: bool = False
    beside: bool = False
    differs: bool = False
    settled: bool = False


@cache
def marks_of(first: bool, last: bool, chosen: bool, beside: bool, differs: bool, settled: bool) -> Marks:  # noqa: PLR0917  one call a cell
    """Return marks; all that there are have been made after a moment, which saves time for every cell."""
    return Marks(first, last, chosen, beside, differs, settled)


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
            settled=grid.get_component_rich_style("grid--settled", partial=True),
            levels={**styles, NO_LEVEL: blank},
        )

    def dimmed(self) -> Look:
        """Return the styles of rows that are not to be trusted."""
        plain = self.mode is Mode.PLAIN
        ground = Style() if plain else self.blank
        return replace(
            self, levels={level: palette.dimmed(style, ground) for level, style in self.levels.items()}
        )

    def changing(self, ground: Color, filters: Sequence[LineFilter]) -> LineFilters:
        """Return those of some filters that change anything of the look, and the ground that they need.

        To apply the others, as Textual does, takes as long as to draw the cells. What marks add to a style
        is bold, underlined, or in a colour that no filter changes where there are enough colours.
        """
        if self.mode is Mode.PLAIN:
            return ground, tuple(filters)
        own = (self.blank, self.header, self.gutter, self.part, self.here, self.pending, self.settled)
        dim = self.dimmed().levels.values()
        drawn = [Segment("", style) for style in (*own, *self.levels.values(), *dim)]
        return ground, tuple(each for each in filters if each.apply(drawn, ground) != drawn)

    @property
    def has_edges(self) -> bool:
        """Whether the cursor has coloured edges; else it has brackets."""
        return self.mode is not Mode.PLAIN

    def text_width(self, column_width: int) -> int:
        """Return the terminal cells left for the text of a cell."""
        return column_width - (3 if self.mode is Mode.PLAIN else 1)

    def bare_cells(
        self, texts: Sequence[str | None], levels: Sequence[int], *, first: bool
    ) -> Iterable[tuple[str, Style]]:
        """Return the pieces of a line of cells that have a text each and no marks: nearly all cells do.

        They are those that `cell` yields, in less time: a whole page of them is drawn at every scroll.

        Args:
            texts: as wide as `text_width` returns.
            levels: the steps of the palette.
            first: whether it is the first line of the cells.
        """
        styles = self.levels
        if self.mode is not Mode.PLAIN:
            return [(f" {text}", styles[level]) for text, level in zip(texts, levels, strict=True)]
        signs = (palette.glyph(level, self.steps) if first else " " for level in levels)
        both = zip(signs, texts, levels, strict=True)
        return [(f"{sign} {text} ", styles[level]) for sign, text, level in both]

    def cell(self, text: str, level: int, marks: Marks) -> Iterator[tuple[str, Style]]:
        """Yield the pieces of a line of a cell, each with its style.

        Without enough colours a glyph in front of the first line shows the level, and brackets are the edges
        of the cursor.

        Args:
            text: as wide as `text_width` returns.
            level: the step of the palette.
            marks: what else is to be seen.
        """
        style = self.levels[level]
        inner = style + self.settled if marks.settled and marks.last else style
        if self.mode is Mode.PLAIN:
            yield palette.glyph(level, self.steps) if marks.first else " ", style
            yield from self._plain(text, inner, marks)
            return
        if marks.chosen:
            inner += _BOLD
        if marks.settled:
            yield DIFFERENT if marks.differs else BAR, palette.bar(style, self.mode)
            yield text, inner
        else:
            yield f"{DIFFERENT if marks.differs else self._before(marks)}{text}", inner

    @staticmethod
    def _before(marks: Marks) -> str:
        """Return what stands in the place before a cell's text: an edge of the cursor, or a space.

        An edge has the colour of the text, which can be read on the colour of every cell.
        """
        return LEFT_EDGE if marks.chosen else RIGHT_EDGE if marks.beside else " "

    def _plain(self, text: str, style: Style, marks: Marks) -> Iterator[tuple[str, Style]]:
        """Yield what stands behind the glyph of a cell, where colours are too few."""
        sign = DIFFERENT if marks.differs else BAR if marks.settled else "[" if marks.chosen else " "
        if marks.settled:
            yield sign, palette.bar(style, self.mode)
            sign = ""
        end = "]" if marks.chosen else " "
        yield f"{sign}{text}{end}", style + REVERSED if marks.chosen else style

    def label(self, text: str, column_width: int) -> str:
        """Return the text above a column, aligned with the texts of its cells."""
        label = fit(text, self.text_width(column_width))
        return f"  {label} " if self.mode is Mode.PLAIN else f" {label}"

    def empty_cell(self, column_width: int, sign: str, marks: Marks) -> Iterator[tuple[str, Style]]:
        """Yield the pieces of a cell that is not read yet, or that has no number."""
        width = self.text_width(column_width)
        if self.mode is Mode.PLAIN:
            yield sign, self.pending
            yield from self._plain(" " * width, self.pending, marks)
        elif marks.chosen or marks.beside:
            yield self._before(marks), self.blank
            yield fit(sign, width), self.pending
        else:
            yield f" {fit(sign, width)}", self.pending
