"""Crystallization in words: the row from which on a column's top-1 stays, and the median over columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lenstui.model.rows import is_whole_stream, stream_places
from lenstui.readout.alignment import NO_GAP
from lenstui.readout.cells import Cells, IntArray, crystallization_rows
from lenstui.support.late_numpy import np

_UNKNOWN = (
    "crystallization: known only with all rows read (b)",
    "settles: known only with all rows (b)",
    "settles: not all rows read",
)


def summary(
    settled: IntArray,
    rows: Sequence[str],
    width: int,
    *,
    gap: range = NO_GAP,
    words_only: bool = False,
) -> str:
    """Return a lens's median crystallization row, and how many columns settle before the last row, as text.

    Empty where no column is read. The first token's column, often an attention sink, is left out where others
    are read. Where some rows are not read, the text says that this is why there is no median.

    Args:
        settled: the crystallization row of each column, -1 where not yet read, `[columns]`.
        rows: labels of the rows; those of sublayers do not count.
        width: the room for the text, in terminal cells.
        gap: the columns that hold no token.
        words_only: whether the cells show words alone, so that the text says that all tokens count here.
    """
    if not is_whole_stream(rows):
        return _fitting(_UNKNOWN, width)
    settled = np.delete(settled, gap)
    settled = settled[1:] if (settled[1:] >= 0).any() else settled
    read = settled[settled >= 0]
    if not read.size:
        return ""
    places = stream_places(rows)
    median = _between([rows[place] for place in places], float(np.median(np.searchsorted(places, read))))
    early = f"{np.count_nonzero(read < len(rows) - 1)} of {read.size}"
    settles, of_all = ("all tokens settle", "all tokens: ") if words_only else ("settles", "")
    forms = (
        f"{settles}: median row {median} · {early} columns before the last row",
        f"{settles}: median row {median} · {early} before the last",
        f"{of_all}median row {median} · {early} early",
    )
    return _fitting(forms, width)


def of_column(
    lenses: Mapping[str, Cells | None], rows: Sequence[str], column: int, *, words_only: bool = False
) -> str:
    """Return the row where a column settles, by each lens that has read it, as text.

    Empty where some rows are not read.

    Args:
        lenses: all cells of each lens, None where nothing is read.
        rows: labels of the rows.
        column: the index of the column.
        words_only: whether the cells show words alone, so that the text says that all tokens count here.
    """
    parts = []
    for lens, cells in lenses.items() if is_whole_stream(rows) else ():
        if cells is not None and cells.top1[-1, column] >= 0:
            row = crystallization_rows(cells.top1[:, column : column + 1], rows)[0]
            there = f"row {rows[row]}" if row < len(rows) - 1 else "the last row"
            parts.append(f"{there} ({lens})")
    settles = "all tokens settle" if words_only else "settles"
    return f"{settles} at {' · '.join(parts)}" if parts else ""


def _fitting(forms: Sequence[str], width: int) -> str:
    """Return the longest form of a text that fits into a width, or else the last and shortest form."""
    return next((form for form in forms if len(form) <= width), forms[-1])


def _between(rows: Sequence[str], index: float) -> str:
    """Return the label of the row at an index; halfway between two rows `3.5`, or both labels: `emb–0`."""
    below, above = rows[int(index)], rows[int(np.ceil(index))]
    if below == above:
        return below
    return f"{below}.5" if below.isdigit() else f"{below}–{above}"
