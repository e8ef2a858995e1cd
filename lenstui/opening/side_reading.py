"""The sides read: their prompts, column by column beside each other, and the cells of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from lenstui.opening.sides import Sides
from lenstui.readout.alignment import NO_GAP, gaps, in_prompt, on_screen
from lenstui.readout.cells import Cells, FloatArray, Ranking
from lenstui.readout.reading import Reading

if TYPE_CHECKING:
    from lenstui.lens.lens import Lens
    from lenstui.model.load import Model
    from lenstui.model.rows import Row
    from lenstui.model.tokens import Prompt

Lenses = Sequence["Lens | None"]
"""What each side is read through; None passes a side over."""


@dataclass(frozen=True, slots=True)
class SideTile:
    """All rows of the columns `start … stop - 1` on screen, of one or several sides.

    Attributes:
        start: first column.
        stop: one past the last column.
        sides: cells by the place of the side.
        left_over: as a `Tile`'s.
    """

    start: int
    stop: int
    sides: Mapping[int, Cells]
    left_over: FloatArray | None = None

    @property
    def tokens(self) -> set[int]:
        """Every token in it."""
        return {int(token) for cells in self.sides.values() for token in cells.top_ids.flat if token >= 0}


@dataclass(frozen=True, slots=True)
class SideReading:
    """How every side is read.

    Attributes:
        text: the prompt that is typed.
        reading: rows, final norm, BOS, chat, sublayers.
        tail: token ids behind those of the text.
        top_k: how many of the likeliest tokens each cell keeps.
        pins: token ids whose numbers each cell keeps.
    """

    text: str
    reading: Reading
    tail: tuple[int, ...] = ()
    top_k: int = 3
    pins: tuple[int, ...] = ()


def side_prompts(sides: Sides, asked: SideReading) -> tuple[Prompt, ...]:
    """Return what each side reads.

    Raises:
        LensError: if it cannot be read, or not by all models alike.
    """
    from lenstui.opening.agreement import shared_prompt

    reading, model, context = asked.reading, sides.first.model, sides.context
    others = {id(side.model): side.model for side in sides.sides if side.text is None}
    others.pop(id(model))
    agreed = [
        shared_prompt(model, other, asked.text, reading, tail=asked.tail, context=context)
        for other in others.values()
    ]
    typed = agreed[0] if agreed else reading.prompt(model, asked.text, tail=asked.tail, context=context)
    return tuple(
        typed if side.text is None else reading.prompt(side.model, side.text) for side in sides.sides
    )


def side_gaps(sides: Sides, prompts: Sequence[Prompt]) -> tuple[range, ...]:
    """Return the columns on screen in which each side has no token."""
    if all(side.text is None for side in sides.sides):
        return (NO_GAP,) * len(sides.sides)
    return gaps(*(prompt.ids for prompt in prompts))


def side_tiles(
    sides: Sides,
    asked: SideReading,
    prompts: Sequence[Prompt],
    lenses: Lenses,
    *,
    first: range | None = None,
    columns: range | None = None,
) -> Iterator[SideTile]:
    """Read what is on all sides. Those of one model and prompt are read in one pass of the model.

    Args:
        sides: what is on screen.
        asked: how they are read.
        prompts: from `side_prompts`.
        lenses: of each side.
        first: the columns on screen, as `read_tiles` takes them.
        columns: a run of them, to read no others.
    """
    spaces = side_gaps(sides, prompts)

    def one_pass(shared: Mapping[int, Lens]) -> Iterator[SideTile]:
        place = next(iter(shared))
        model, prompt, gap = sides.sides[place].model, prompts[place], spaces[place]
        return _tiles(model, asked, prompt, shared, gap, first=first, columns=columns)

    # Tiles of several models may be of other widths, as the vocabularies are.
    turns = zip_longest(*map(one_pass, _passes(sides, lenses)))
    return (tile for tile in chain.from_iterable(turns) if tile is not None)


def _passes(sides: Sides, lenses: Lenses) -> list[dict[int, Lens]]:
    """The lenses by the place of their side, together where the sides share a model and a prompt."""
    passes: dict[tuple[int, str | None], dict[int, Lens]] = {}
    for place, (side, lens) in enumerate(zip(sides.sides, lenses, strict=True)):
        if lens is not None:
            passes.setdefault((id(side.model), side.text), {})[place] = lens
    return list(passes.values())


def _tiles(
    model: Model,
    asked: SideReading,
    prompt: Prompt,
    lenses: Mapping[int, Lens],
    gap: range,
    *,
    first: range | None,
    columns: range | None,
) -> Iterator[SideTile]:
    """Tiles of sides that share a model and a prompt, by the lens of each, where they are on screen."""
    from lenstui.readout.tiles import read_tiles

    reading = asked.reading
    for tile in read_tiles(
        model,
        prompt,
        tuple(lenses.values()),
        top_k=asked.top_k,
        pins=asked.pins,
        rows=reading.rows.of(model.num_blocks),
        final_norm=reading.final_norm,
        sublayers=reading.sublayers,
        first=_of_prompt(first, gap),
        columns=_of_prompt(columns, gap),
    ):
        for part in on_screen(tile, gap):
            by_place = dict(zip(lenses, part.lenses.values(), strict=True))
            yield SideTile(part.start, part.stop, by_place, part.left_over)


def side_rankings(
    sides: Sides, asked: SideReading, row: Row, column: int, lenses: Lenses, *, count: int
) -> Mapping[int, Ranking]:
    """Return the likeliest tokens of one cell by side; none where its lens does not read that cell.

    Args:
        sides: what is on screen.
        asked: how they are read.
        row: which row.
        column: on screen.
        lenses: of each side.
        count: how many tokens.
    """
    from lenstui.lens.lens import lens_keys
    from lenstui.readout.ranking import rank_cell

    prompts = side_prompts(sides, asked)
    spaces, found = side_gaps(sides, prompts), dict[int, Ranking]()
    for shared in _passes(sides, lenses):
        place, keys = next(iter(shared)), lens_keys(list(shared.values()))
        if column in spaces[place]:
            continue
        model, prompt, here = sides.sides[place].model, prompts[place], in_prompt(column, spaces[place])
        read, final_norm = tuple(shared.values()), asked.reading.final_norm
        ranked = rank_cell(model, prompt, row, here, read, count=count, final_norm=final_norm)
        found |= {side: ranked[key] for side, key in zip(shared, keys, strict=True) if key in ranked}
    return found


def _of_prompt(columns: range | None, gap: range) -> range | None:
    """Columns on screen as those of a prompt with a gap."""
    return None if columns is None else range(in_prompt(columns.start, gap), in_prompt(columns.stop, gap))
