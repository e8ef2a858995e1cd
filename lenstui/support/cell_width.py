"""Text cut or padded to a width in terminal cells."""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len, set_cell_size


@lru_cache(maxsize=1 << 12)  # two screens full of cells
def fit(text: str, width: int) -> str:
    """Return the text cut or padded to a width in cells, with an ellipsis where it was cut."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    # In three cells or fewer an ellipsis says less than the letter that it replaces.
    return set_cell_size(text, width - 1) + "…" if width > 3 else set_cell_size(text, width)


def clip(text: str, width: int) -> str:
    """Return the text cut to at most a width in cells."""
    return fit(text, width) if cell_len(text) > width else text
