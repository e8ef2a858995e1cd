"""Which part of a readout is written, in which form, and where to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lenstui.readout.reading import Reading

# How many tokens a cell has by default, in each form.
TOP_K = {"table": 1, "json": 3, "csv": 3, "parquet": 3, "html": 5, "svg": 1, "md": 1}
# Forms that hold every value, and those that show the likeliest token of a cell alone.
ALL_VALUES = ("json", "csv", "parquet")
ONE_TOKEN = ("svg", "md")
DEFAULT_VALUE = "prob"  # which a form shows that shows one
WITH_FIRST = ("table", "json")  # that say where a word first comes out on top


@dataclass(frozen=True, slots=True)
class Shape:
    """Which part of a readout to write, how, and where to.

    Attributes:
        format: by name.
        output: the file; None for stdout.
        lenses: names of the lenses to show; None for all there are.
        reading: how the prompt is read.
        value: the value that is shown by a form that shows one.
        pins: words to pin.
        first: words whose first row on top is looked for.
        diff: show the second lens minus the first.
        append: how many tokens the model says first, each its likeliest, which are then read as well.
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
