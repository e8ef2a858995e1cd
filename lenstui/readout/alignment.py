"""Prompts side by side, column by column: what they begin and end with alike stands in the same columns.

A shorter one has a gap, columns without a token, before what both end with; and that is one token at the
least, for there the model speaks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import TypeVar

from lenstui.readout.cells import Tile

NO_GAP = range(0)
_Item = TypeVar("_Item")


def gaps(*prompts: Sequence[int]) -> tuple[range, ...]:
    """Return the columns on screen in which each prompt, of token ids, has none; the longest has them all."""
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
    """What a prompt has by column, as it is on screen: with nothing in the gap."""
    return (*items[: gap.start], *(nothing for _ in gap), *items[gap.start :])


def in_prompt(column: int, gap: range) -> int:
    """A column on screen as one of the prompt; one in the gap as the first behind it."""
    return column - len(range(gap.start, min(max(column, gap.start), gap.stop)))


def on_screen(tile: Tile, gap: range) -> Iterator[Tile]:
    """A tile of the prompt where it is on screen: in two parts where the gap is within it."""
    for start, stop in ((tile.start, min(tile.stop, gap.start)), (max(tile.start, gap.start), tile.stop)):
        if start < stop:
            columns = range(start - tile.start, stop - tile.start)
            cells = {lens: of_lens.columns_in(columns) for lens, of_lens in tile.lenses.items()}
            shift = len(gap) if start >= gap.start else 0
            yield replace(tile, start=start + shift, stop=stop + shift, lenses=cells)
