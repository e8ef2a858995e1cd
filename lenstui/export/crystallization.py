"""Where the columns of a readout settle, as a line under its cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lenstui.lens.readout import Readout

SETTLES = "settles"  # label of that line


def settled_labels(readout: Readout, lens: str) -> list[str]:
    """The label of the crystallization row of each column."""
    return [readout.rows[row] for row in readout.crystallization(lens).tolist()]


def settled_by_lens(readout: Readout) -> list[list[str]]:
    """For each column, each lens with the label of its crystallization row: `logit 5`, `tuned 3`."""
    by_lens = [[f"{lens} {label}" for label in settled_labels(readout, lens)] for lens in readout.lenses]
    return [list(column) for column in zip(*by_lens, strict=True)]
