"""Readouts of sides: their prompts, aligned column by column, and their cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

import numpy as np

from lenstui.lens.names import no_sum
from lenstui.opening.depth import at_same_depth, rows_beside
from lenstui.opening.sides import Side, Sides
from lenstui.readout.alignment import NO_GAP, gaps, in_prompt, on_screen
from lenstui.readout.cells import Cells, FloatArray, Ranking
from lenstui.readout.reading import Reading
from lenstui.support.turns import Conversation

if TYPE_CHECKING:
    from lenstui.lens.lens import Lens
    from lenstui.model.load import Model
    from lenstui.model.rows import Row
    from lenstui.model.tokens import Prompt

Lenses = Sequence["Lens | None"]
"""The lens of each side; None for a side that is not read."""


@dataclass(frozen=True, slots=True)
class SideTile:
    """All rows of the columns `start … stop - 1` on screen, of one or several sides.

    Attributes:
        start: the first column.
        stop: one past the last column.
        sides: cells by the place of the side.
        left_over: the `left_over` of the `Tile` that the cells are from.
    """

    start: int
    stop: int
    sides: Mapping[int, Cells]
    left_over: FloatArray | None = None

    @property
    def tokens(self) -> set[int]:
        """The ids of all tokens in the cells."""
        return {int(token) for cells in self.sides.values() for token in cells.top_ids.flat if token >= 0}


@dataclass(frozen=True, slots=True)
class SideReading:
    """The prompt and options with which all sides are read.

    Attributes:
        text: the typed prompt, which may be turns.
        reading: rows, final norm, BOS, chat, sublayers, readout filter.
        tail: token ids to append to those of the text.
        top_k: the number of likeliest tokens that each cell keeps.
        pins: token ids whose numbers each cell keeps.
        ids: the token ids of the text, where it is not to be cut into tokens; else empty.
    """

    text: str | Conversation
    reading: Reading
    tail: tuple[int, ...] = ()
    top_k: int = 3
    pins: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()


def side_prompts(sides: Sides, asked: SideReading) -> tuple[Prompt, ...]:
    """Return the prompt of each side.

    Raises:
        LensError: if a prompt cannot be read, the models do not read the typed one in the same tokens, or
            they have other sublayers, and these are to be read.
    """
    from lenstui.opening.agreement import check_sublayers, shared_prompt

    reading, model, context = asked.reading, sides.first.model, sides.context
    for other in sides.models[1:]:
        check_sublayers(model, other, reading)
    others = {id(side.model): side.model for side in sides.sides if side.text is None}
    others.pop(id(model))
    agreed = [
        shared_prompt(model, other, asked.text, reading, tail=asked.tail, context=context, ids=asked.ids)
        for other in others.values()
    ]
    typed = (
        agreed[0]
        if agreed
        else reading.prompt(model, asked.text, tail=asked.tail, context=context, ids=asked.ids)
    )
    return tuple(
        typed if side.text is None else reading.prompt(side.model, side.text) for side in sides.sides
    )


def rows_of_first(sides: Sides, reading: Reading) -> tuple[Row, ...]:
    """Return the rows on screen, in their order: those that are read of the first side."""
    from lenstui.readout.streams import rows_to_read

    model = sides.first.model
    return rows_to_read(model, reading.rows.of(model.num_blocks), sublayers=reading.sublayers)


def rows_of_sides(sides: Sides, reading: Reading) -> tuple[tuple[Row, ...], ...]:
    """Return for each side its rows on screen: those of the first, or the ones at the same relative depth."""
    of_first = rows_of_first(sides, reading)
    return tuple(rows_beside(of_first, sides.first.model, side.model) for side in sides.sides)


def side_gaps(sides: Sides, prompts: Sequence[Prompt]) -> tuple[range, ...]:
    """Return, for each side, the columns on screen in which it has no token."""
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
    """Read all sides, those of one model, prompt and list of edits in one pass of the model.

    Args:
        sides: the sides.
        asked: the prompt and options.
        prompts: from `side_prompts`.
        lenses: the lens of each side.
        first: the columns on screen, as in `read_tiles`.
        columns: a run of columns on screen, to read no others.
    """
    spaces, of_first = side_gaps(sides, prompts), rows_of_first(sides, asked.reading)

    def one_pass(shared: Mapping[int, Lens]) -> Iterator[SideTile]:
        place = next(iter(shared))
        prompt, gap = prompts[place], spaces[place]
        model = side_model(sides.sides[place], prompt, asked)
        rows = rows_beside(of_first, sides.first.model, model)
        return _tiles(model, asked, prompt, shared, rows=rows, gap=gap, first=first, columns=columns)

    # Tiles of several models may be of other widths, as the vocabularies are.
    turns = zip_longest(*map(one_pass, _passes(sides, lenses)))
    return (tile for tile in chain.from_iterable(turns) if tile is not None)


def _passes(sides: Sides, lenses: Lenses) -> list[dict[int, Lens]]:
    """The lenses by the place of their side, together where the sides share model, prompt and edits."""
    passes: dict[tuple[object, ...], dict[int, Lens]] = {}
    for place, (side, lens) in enumerate(zip(sides.sides, lenses, strict=True)):
        if lens is not None:
            passes.setdefault(side.run, {})[place] = lens
    return list(passes.values())


def check_edits(sides: Sides, asked: SideReading) -> None:
    """Refuse edits that cannot be done.

    Raises:
        LensError: if a model or prompt lacks what an edit names; the message names the edit.
    """
    for side, prompt in zip(sides.sides, side_prompts(sides, asked), strict=True):
        side_model(side, prompt, asked)


def side_model(side: Side, prompt: Prompt, asked: SideReading) -> Model:
    """Return the model of a side, under the edits of the side.

    Args:
        side: the side.
        prompt: the prompt that it reads.
        asked: the options of the reading.

    Raises:
        LensError: if an edit cannot be done; the message names it.
    """
    if not (edits := side.edits.in_force):
        return side.model
    from lenstui.edits.edited import edited

    return edited(side.model, edits, prompt, asked.reading, lens=side.lens)


def _tiles(
    model: Model,
    asked: SideReading,
    prompt: Prompt,
    lenses: Mapping[int, Lens],
    *,
    rows: Sequence[Row],
    gap: range,
    first: range | None,
    columns: range | None,
) -> Iterator[SideTile]:
    """Yield tiles in columns and rows on screen, of sides that share a model and a prompt."""
    from lenstui.readout.tiles import read_tiles

    reading = asked.reading
    read, places = _each_once(rows)
    for tile in read_tiles(
        model,
        prompt,
        tuple(lenses.values()),
        top_k=asked.top_k,
        pins=asked.pins,
        rows=read,
        final_norm=reading.final_norm,
        sublayers=reading.sublayers,
        words_only=reading.words_only,
        first=_of_prompt(first, gap),
        columns=_of_prompt(columns, gap),
    ):
        for part in on_screen(tile, gap):
            cells = (of_lens if places is None else of_lens.take(places) for of_lens in part.lenses.values())
            by_place = dict(zip(lenses, cells, strict=True))
            yield SideTile(part.start, part.stop, by_place, part.left_over)


def side_rankings(
    sides: Sides, asked: SideReading, row: Row, column: int, lenses: Lenses, *, count: int
) -> Mapping[int, Ranking]:
    """Return the likeliest tokens of one cell by the place of the side.

    Sides without a lens, a token in that column, or a number for that row are left out.

    Args:
        sides: the sides.
        asked: the prompt and options.
        row: the row of the cell, of the first side.
        column: the column on screen.
        lenses: the lens of each side.
        count: the number of tokens.
    """
    from lenstui.lens.lens import lens_keys
    from lenstui.readout.ranking import rank_cell

    prompts = side_prompts(sides, asked)
    spaces, found = side_gaps(sides, prompts), dict[int, Ranking]()
    for shared in _passes(sides, lenses):
        place, keys = next(iter(shared)), lens_keys(list(shared.values()))
        if column in spaces[place]:
            continue
        prompt, here = prompts[place], in_prompt(column, spaces[place])
        ranked = rank_cell(
            model := side_model(sides.sides[place], prompt, asked),
            prompt,
            at_same_depth(row, sides.first.model.num_blocks, model.num_blocks),
            here,
            tuple(shared.values()),
            count=count,
            final_norm=asked.reading.final_norm,
            words_only=asked.reading.words_only,
        )
        found |= {side: ranked[key] for side, key in zip(shared, keys, strict=True) if key in ranked}
    return found


@dataclass(frozen=True, slots=True, eq=False)
class SideWord:
    """A word of several tokens in one column of one side.

    Attributes:
        word: the word as typed.
        ids: its tokens where it follows that column.
        logprobs: the log-probability of each token, the ones before being given, nats, `[rows, tokens]`; None
            where there is none.
        missing: why there is none, a sentence; empty where there is.
    """

    word: str
    ids: tuple[int, ...]
    logprobs: FloatArray | None = None
    missing: str = ""

    @property
    def total(self) -> FloatArray | None:
        """The log-probability of the word, the sum along its tokens, nats, `[rows]`."""
        if self.logprobs is None:
            return None
        total: FloatArray = self.logprobs.astype(np.float64).sum(axis=1).astype(np.float32)
        return total


def side_words(
    sides: Sides, asked: SideReading, words: Sequence[str], column: int, lenses: Lenses
) -> Iterator[tuple[int, SideWord]]:
    """Yield words of several tokens as read in one column, with the place of the side, as they are read.

    Sides without a lens or a token in that column are left out. Closing the generator stops the work.

    Args:
        sides: the sides.
        asked: the prompt and options.
        words: the words.
        column: the column on screen.
        lenses: the lens of each side.
    """
    from lenstui.lens.lens import lens_keys
    from lenstui.readout.words import iter_words

    prompts, reading = side_prompts(sides, asked), asked.reading
    spaces, of_first = side_gaps(sides, prompts), rows_of_first(sides, reading)
    for shared in _passes(sides, lenses):
        place, keys = next(iter(shared)), lens_keys(list(shared.values()))
        if column in spaces[place]:
            continue
        prompt = prompts[place]
        model = side_model(sides.sides[place], prompt, asked)
        read, rows = _each_once(rows_beside(of_first, sides.first.model, model))
        for word in iter_words(
            model,
            prompt,
            words,
            tuple(shared.values()),
            column=in_prompt(column, spaces[place]),
            rows=read,
            final_norm=reading.final_norm,
            sublayers=reading.sublayers,
        ):
            for (side, lens), key in zip(shared.items(), keys, strict=True):
                missing = word.missing or ("" if key in word.logprobs else no_sum(lens.kind))
                logprobs = word.logprobs.get(key)
                if logprobs is not None and rows is not None:
                    logprobs = logprobs[rows]
                yield side, SideWord(word.word, word.ids, logprobs, missing)


def _each_once(rows: Sequence[Row]) -> tuple[tuple[int, ...], list[int] | None]:
    """Return the rows to read for the rows of a side, and the place among them of each of the side's.

    Where no row comes twice there are no places: the rows are all that is read, sublayers among them.
    """
    read = tuple(dict.fromkeys(row.h for row in rows))
    if len({*rows}) == len(rows):
        return read, None
    return read, [read.index(row.h) for row in rows]


def _of_prompt(columns: range | None, gap: range) -> range | None:
    """Return columns on screen as columns of a prompt with a gap."""
    return None if columns is None else range(in_prompt(columns.start, gap), in_prompt(columns.stop, gap))
