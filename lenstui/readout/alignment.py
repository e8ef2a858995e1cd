"""Alignment of prompts side by side: their common beginnings and ends stand in the same columns.

A shorter prompt has a gap, columns without a token, before the common end. That end counts as at least one
token, since the last column is where the model's continuation is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from lenstui.readout.cells import Tile

NO_GAP = range(0)
_Item = TypeVar("_Item")


def gaps(*prompts: Sequence[int]) -> tuple[range, ...]:
    """Return, for each prompt of token ids, the columns on screen in which it has no token.

    The longest prompt has no gap.
    """
    longest = max(prompts, key=len)
    return tuple(_gap(prompt, longest) for prompt in prompts)


def _gap(short: Sequence[int], long: Sequence[int]) -> range:
    missing = len(long) - len(short)
    if not missing:
        return NO_GAP
    begins = sum(1 for _ in takewhile(_same, zip(short, long, strict=False)))
    ends = sum(1 for _ in takewhile(_same, zip(reversed(short), reversed(long), strict=False)))
    start = len(short) - max(1, min(ends, len(short) - begins))
    return range(start, start + missing)


def _same(pair: tuple[int, int]) -> bool:
    return pair[0] == pair[1]


def spread(items: Sequence[_Item], gap: range, nothing: _Item) -> tuple[_Item, ...]:
    """Return a prompt's items by column on screen, with `nothing` in the columns of the gap."""
    return (*items[: gap.start], *(nothing for _ in gap), *items[gap.start :])


def aligned(prompt: Sequence[int], other: Sequence[int]) -> dict[int, int]:
    """Return the columns of a prompt that have a counterpart in another one, each with that column.

    Args:
        prompt: token ids.
        other: those of the other prompt.
    """
    prompts = prompt, other
    columns = (spread(range(len(ids)), gap, -1) for ids, gap in zip(prompts, gaps(*prompts), strict=True))
    return dict(pair for pair in zip(*columns, strict=True) if -1 not in pair)


def in_prompt(column: int, gap: range) -> int:
    """Return a prompt's column from one on screen; for a column in the gap, the first one behind it."""
    return column - len(range(gap.start, min(max(column, gap.start), gap.stop)))


def on_screen(tile: Tile, gap: range) -> Iterator[Tile]:
    """Yield a prompt's tile in columns on screen, in two parts where the gap is within it."""
    for start, stop in ((tile.start, min(tile.stop, gap.start)), (max(tile.start, gap.start), tile.stop)):
        if start < stop:
            columns = range(start - tile.start, stop - tile.start)
            cells = {lens: of_lens.columns_in(columns) for lens, of_lens in tile.lenses.items()}
            shift = len(gap) if start >= gap.start else 0
            yield replace(tile, start=start + shift, stop=stop + shift, lenses=cells)
