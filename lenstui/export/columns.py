"""Tables of columns of plain text, aligned to the right, in as many tables as the width of a line takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lenstui.export.text_width import column_groups

_GAP = "   "  # between two columns


def column_runs(
    labels: Sequence[str], columns: Sequence[Sequence[str]], width: int | None
) -> list[tuple[int, int]]:
    """Return the runs of columns that fit beside the labels, as start and stop, at least one column each.

    Args:
        labels: the column of labels, which stands in front of each run, its head first.
        columns: the columns, each a head and a text for each label.
        width: the width of a line in terminal cells; None for no limit.
    """
    room = None if width is None else width - max(map(len, labels)) - len(_GAP)
    return list(column_groups([max(map(len, column)) for column in columns], room, len(_GAP)))


def side_by_side(columns: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of columns beside each other, the heads first."""
    widths = [max(map(len, column)) for column in columns]
    return [
        _GAP.join(cell.rjust(size) for cell, size in zip(cells, widths, strict=True))
        for cells in zip(*columns, strict=True)
    ]


def column_lines(labels: Sequence[str], columns: Sequence[Sequence[str]], width: int | None) -> Iterator[str]:
    """Yield the lines of one table for each of the `column_runs`, an empty one behind each."""
    for start, stop in column_runs(labels, columns, width):
        yield from side_by_side([labels, *columns[start:stop]])
        yield ""
