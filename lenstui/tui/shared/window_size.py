"""The size of the window: as it is said, within what a window can have."""

from __future__ import annotations

from textual.events import Resize
from textual.geometry import Size

LARGEST = Size(1000, 400)  # of more cells than any screen shows; what says more is mistaken, or hostile


def sensible(columns: int, lines: int) -> tuple[int, int]:
    """Return columns and lines of a window, no more of either than a window can have.

    A screen of each cell that a terminal may claim to have would take all memory.
    """
    return min(columns, LARGEST.width), min(lines, LARGEST.height)


def sensible_resize(event: Resize) -> Resize:
    """Return an event about the size of the window, with a size that it can have."""
    size = Size(*sensible(*event.size))
    return event if size == event.size else Resize(size, size, size, event.pixel_size)
