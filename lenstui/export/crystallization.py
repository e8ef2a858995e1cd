"""Crystallization rows of a readout's columns, as a line under its cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lenstui.lens.names import lens_brief
from lenstui.support.fixed_text import NONE

if TYPE_CHECKING:
    from lenstui.readout.tiles import Readout

SETTLES = "settles"  # the label of the line


def settled_rows(readout: Readout, lens: str) -> list[int | None] | None:
    """Return the index of each column's crystallization row, if any; None unless all rows were read."""
    settled = readout.crystallization(lens)
    return None if settled is None else [row if row >= 0 else None for row in settled.tolist()]


def settled_labels(readout: Readout, lens: str) -> list[str | None] | None:
    """Return the label of each column's crystallization row, if any; None unless all rows were read."""
    settled = settled_rows(readout, lens)
    return None if settled is None else [None if row is None else readout.rows[row] for row in settled]


def settled_texts(readout: Readout, lens: str) -> list[str] | None:
    """Return the label of each column's crystallization row as text; None unless all rows were read."""
    settled = settled_rows(readout, lens)
    return None if settled is None else [settled_text(readout.rows, row) for row in settled]


def settled_by_lens(readout: Readout) -> list[list[str]] | None:
    """Return, for each column, each lens with the label of its crystallization row: `logit 5`, `tuned 3`.

    None unless all rows were read.
    """
    by_lens = []
    for lens in readout.lenses:
        if (labels := settled_texts(readout, lens)) is None:
            return None
        by_lens.append([f"{lens_brief(lens)} {label}" for label in labels])
    return [list(column) for column in zip(*by_lens, strict=True)]


def settled_text(rows: Sequence[str], row: int | None) -> str:
    """Return the label of one crystallization row, or a dash where there is none or it is unknown."""
    return NONE if row is None else rows[row]
