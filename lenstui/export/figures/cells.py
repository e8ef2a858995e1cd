"""What a figure of coloured cells shows: grids of tokens and maps of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lenstui.readout.scales import Scale


@dataclass(frozen=True, slots=True)
class Panel:
    """One of the grids of a figure.

    Attributes:
        title: what it is of.
        texts: the texts of its cells, `[rows][columns]`, the top of the network first.
        levels: their steps of the palette, likewise.
        settled: by column the line that gets a bar, or -1; None for no bars.
    """

    title: str
    texts: Sequence[Sequence[str]]
    levels: Sequence[Sequence[int]]
    settled: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class CellFigure:
    """A figure of coloured cells.

    Attributes:
        panels: its grids, which have the same rows and columns.
        heads: the heads of the columns.
        labels: the labels of the rows, the top of the network first.
        across: what the columns are.
        down: what the rows are.
        scale: the scale of the colours.
        legend: what the colours show, with its unit.
        marks: the texts below the first, the middle and the last colour.
        wraps: whether columns without room go on below; else they get narrower, and lose their texts.
    """

    panels: Sequence[Panel]
    heads: Sequence[str]
    labels: Sequence[str]
    across: str
    down: str
    scale: Scale
    legend: str
    marks: tuple[str, str, str]
    wraps: bool = True
