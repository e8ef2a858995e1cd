"""Facts on a card: labels and values below each other."""

from __future__ import annotations

from rich.table import Table

from lenstui.tui.shared.shown import shown


def facts(*of_lens: tuple[str, str]) -> Table:
    """Return a table of labels and values, without the facts whose value is empty."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True, min_width=4)
    table.add_column(overflow="fold")
    for label, value in of_lens:
        if value:
            table.add_row(label, shown(value))
    return table


def joined(*parts: str) -> str:
    """Return the parts that are not empty, with a dot between them."""
    return " · ".join(part for part in parts if part)
