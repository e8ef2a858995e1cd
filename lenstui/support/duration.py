"""Durations as text."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return a duration as minutes and seconds, with hours where it has any: `0:07`, `12:30`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
