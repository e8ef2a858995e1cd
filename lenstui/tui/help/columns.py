"""Lines of several columns, each wrapped within its width."""

from __future__ import annotations

from itertools import zip_longest
from textwrap import wrap

from rich.cells import set_cell_size
from rich.text import Text


def in_columns(*columns: tuple[str, int, str]) -> Text:
    """Return texts beside each other, on as many lines as show all of them in full.

    Args:
        columns: for each column its text, its width in terminal cells, and its style.
    """
    wrapped = [wrap(text, width) for text, width, _ in columns]
    return Text("\n").join(
        Text(" ").join(
            Text(set_cell_size(part, width), style)
            for part, (_, width, style) in zip(parts, columns, strict=True)
        )
        for parts in zip_longest(*wrapped, fillvalue="")
    )
