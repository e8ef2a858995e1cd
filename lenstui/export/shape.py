"""The part of a readout to write, its form, and its file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lenstui.edits.edit import Edit
from lenstui.export.figures.style import FIGURE_FORMS, FigureStyle
from lenstui.readout.reading import Reading

# The default number of tokens of a cell, in each form.
TOP_K = {"table": 1, "json": 3, "csv": 3, "parquet": 3, "html": 5, "svg": 1, "pdf": 1, "md": 1}
# Forms that hold every value, and forms that show only the likeliest token of a cell.
ALL_VALUES = ("json", "csv", "parquet")
ONE_TOKEN = (*FIGURE_FORMS, "md")
DEFAULT_VALUE = "prob"  # of forms that show only one value
GRID, PINS = FIGURES = ("grid", "pins")  # what a figure of one prompt shows
WITH_FIRST = ("table", "json")  # forms with the first rows of words


@dataclass(frozen=True, slots=True)
class Shape:
    """The part of a readout to write, its form, and its file.

    Attributes:
        format: the name of the form.
        output: the file; None for stdout.
        lenses: the kinds of lens to show; None for all that there are.
        reading: the options for reading the prompt.
        value: the value of a form that shows only one.
        pins: words to pin.
        first: words whose first rows on top are to be written.
        diff: whether to show the second lens minus the first.
        append: the number of tokens that the model appends first, each its likeliest, and which are read as
            well.
        edits: the edits of the forward pass; with `diff` their effect is shown.
        figure: what a figure shows, one of `FIGURES`.
        column: the column of a figure of pins; None for the last.
        style: how a figure looks.
    """

    format: str = "table"
    output: Path | None = None
    lenses: tuple[str, ...] | None = None
    reading: Reading = field(default=Reading())
    value: str = DEFAULT_VALUE
    pins: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    diff: bool = False
    append: int = 0
    edits: tuple[Edit, ...] = ()
    figure: str = GRID
    column: int | None = None
    style: FigureStyle = field(default=FigureStyle())

    @property
    def is_figure(self) -> bool:
        """Whether it is drawn."""
        return self.format in FIGURE_FORMS

    @property
    def is_of_pins(self) -> bool:
        """Whether it is a figure of pins, which shows all of their numbers."""
        return self.is_figure and self.figure == PINS

    @property
    def is_effect(self) -> bool:
        """Whether to show the edited run minus the clean one."""
        return self.diff and bool(self.edits)
