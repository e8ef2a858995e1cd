"""Text that fits a width in terminal cells. Where that is None, as in a pipe, nothing is cut or broken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size


def clip(text: str, width: int | None) -> str:
    """Return `text` in at most `width` terminal cells, with an ellipsis where it was cut."""
    return text if width is None or cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def wrapped(text: str, width: int | None) -> str:
    """Return `text` in lines of at most `width` terminal cells, broken at spaces; no word is ever broken."""
    if width is None:
        return text
    line, *words = text.split(" ")
    lines = []
    for word in words:
        if cell_len(line) + 1 + cell_len(word) <= width:
            line += f" {word}"
        else:
            lines.append(line)
            line = word
    return "\n".join([*lines, line])


def column_groups(widths: Sequence[int], room: int | None, gap: int) -> Iterator[tuple[int, int]]:
    """Yield runs of columns that fit beside each other, as start and stop, at least one column each.

    Args:
        widths: the widths of the columns in terminal cells.
        room: the width that they share; None for no limit.
        gap: the cells between two columns.
    """
    start, used = 0, 0
    for column, width in enumerate(widths):
        if room is not None and column > start and used + width > room:
            yield start, column
            start, used = column, 0
        used += width + gap
    yield start, len(widths)
