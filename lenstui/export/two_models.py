"""A prompt read by two models: the numbers of each with its own rows, and both beside each other.

Beside each other they are one readout: each lens stands under its key with the name of its model, and each
row of the first model beside the second's row at the same relative depth, as on screen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import IO, TYPE_CHECKING

import numpy as np

from lenstui.export.reading import heading_of, tiles_of, words_of
from lenstui.export.tidy import Heading, TokenText
from lenstui.lens.names import key_of_model
from lenstui.model.rows import Row, RowChoice
from lenstui.opening.depth import at_same_depth, rows_beside
from lenstui.opening.source import Beside, Source
from lenstui.readout.cells import Cells, FloatArray, Tile

if TYPE_CHECKING:
    from torch import Tensor

    from lenstui.lens.lens import Lens
    from lenstui.model.load import Model
    from lenstui.model.tokens import Prompt
    from lenstui.opening.opened import Opened
    from lenstui.readout.pins import Pin
    from lenstui.readout.reading import Reading
    from lenstui.readout.streams import Streams
    from lenstui.readout.tiles import Readout, Watch
    from lenstui.readout.words import WordReading

SIDES = ("first", "second")


@dataclass(frozen=True, slots=True, eq=False)
class ModelReadout:
    """What one of two models makes of a prompt.

    Attributes:
        model: the model.
        heading: the heading of the readout.
        tiles: all tiles, in column order.
        texts: display texts of all tokens in it.
    """

    model: Model
    heading: Heading
    tiles: Sequence[Tile]
    texts: TokenText

    @property
    def readout(self) -> Readout:
        """The tiles as one readout."""
        from lenstui.readout.tiles import Readout

        heading = self.heading
        pins = tuple(pin.id for pin in heading.pins)
        return Readout.join(heading.prompt, heading.rows, iter(self.tiles), pins)


class TwoModels:
    """A prompt that two models read, each of them run once."""

    def __init__(
        self,
        first: tuple[Opened, Sequence[Lens]],
        second: tuple[Opened, Sequence[Lens]],
        prompt: Prompt,
        reading: Reading,
        *,
        top_k: int,
        pins: tuple[Pin, ...] = (),
    ) -> None:
        """Prepare the reading; no model has run yet.

        Args:
            first: the first model, and the lenses that it is read through.
            second: the second.
            prompt: the prompt, from `shared_prompt`.
            reading: how the first model reads it; of chosen rows the second has those at the same depth.
            top_k: the number of likeliest tokens that each cell keeps.
            pins: the pinned tokens.

        Raises:
            LensError: if the models have other sublayers, and these are to be read.
        """
        self._sides = first, second
        self._prompt = prompt
        self._readings = _readings(reading, first[0].model, second[0].model)
        self._top_k = top_k
        self._pins = pins
        self._tiles: tuple[list[Tile], list[Tile]] = ([], [])
        self._final_kl: FloatArray | None = None

    @property
    def columns(self) -> int:
        """The number of columns that both models read, together."""
        return 2 * len(self._prompt.ids)

    def read(self) -> Iterator[int]:
        """Read the prompt, and yield with every tile how many of the `columns` were read.

        Raises:
            LensError: if the prompt cannot be read, or memory runs out.
        """
        from lenstui.readout.against import Against

        (first, _), (second, _) = self._sides
        caught: list[Streams] = []

        def catch(streams: Streams, key: str, row: Row, columns: slice, logits: Tensor) -> None:
            caught[:] = [streams]

        # The second first: its streams are then held against the first's last row, tile by tile.
        count = len(self._prompt.ids)
        for tile in self._read(1, catch):
            yield tile.stop
        against = Against(second.model, {})
        against.begin(first.model, self._prompt.ids, caught.pop())
        for tile in self._read(0, against):
            yield count + tile.stop
        final = against.cells().final
        assert final is not None  # since they are two models
        self._final_kl = final.kl[0]

    def _read(self, place: int, watch: Watch) -> Iterator[Tile]:
        opened, lenses = self._sides[place]
        tiles = tiles_of(
            opened.model,
            lenses,
            self._prompt,
            self._readings[place],
            top_k=self._top_k,
            pins=[pin.id for pin in self._pins],
            watch=watch,
        )
        for tile in tiles:
            self._tiles[place].append(tile)
            yield tile

    @property
    def final_kl(self) -> FloatArray:
        """KL(first ‖ second) of the final distributions, nats, `[cols]`, once all is read."""
        assert self._final_kl is not None
        return self._final_kl

    def of_models(self) -> tuple[ModelReadout, ModelReadout]:
        """Return what each model made of the prompt, once all is read.

        Raises:
            LensError: if pinned words of several tokens cannot be read.
        """
        first, second = map(self._of_model, range(2))
        return first, second

    def _of_model(self, place: int) -> ModelReadout:
        (opened, lenses), reading = self._sides[place], self._readings[place]
        heading = replace(
            heading_of(opened, lenses, self._prompt, reading, pins=self._pins),
            words=words_of(opened.model, lenses, self._prompt, reading, self._pins),
            side=SIDES[place],
            final_kl=self.final_kl,
        )
        return ModelReadout(opened.model, heading, self._tiles[place], opened.model.texts)


def _readings(reading: Reading, one: Model, other: Model) -> tuple[Reading, Reading]:
    """Return how each of two models reads the prompt."""
    from lenstui.opening.agreement import check_sublayers

    check_sublayers(one, other, reading)
    if one.num_blocks == other.num_blocks or reading.rows == RowChoice():
        return reading, reading
    rows = rows_beside([Row(h) for h in reading.rows.of(one.num_blocks)], one, other)
    labels = dict.fromkeys(row.label for row in rows)
    return reading, replace(reading, rows=RowChoice(tuple((label, label) for label in labels)))


# ── both beside each other ──────────────────────────────────────────────────────────────────────────────────


def beside(first: ModelReadout, second: ModelReadout) -> tuple[Tile, Heading]:
    """Return the readouts of two models as one tile, and its heading, whose source names both.

    Its rows are those of the first model. Where the second is not as deep, rows of it are left out, or come
    twice.
    """
    one, other = first.readout, second.readout
    names = names_apart(first.heading.source, second.heading.source)
    blocks, others = first.model.num_blocks, second.model.num_blocks
    labels = list(one.rows)
    if blocks != others:
        labels = [at_same_depth(Row.of(label), blocks, others).label for label in one.rows]
    places = [other.rows.index(label) for label in labels]
    lenses = _named(one.lenses, names[0]) | {
        key: cells.take(places) for key, cells in _named(other.lenses, names[1]).items()
    }
    left_over = None
    if one.left_over is not None and other.left_over is not None:
        left_over = np.fmax(one.left_over, other.left_over)
    of_second = Beside(
        second.heading.source,
        tuple(labels) if blocks != others else (),
        () if second.heading.final_kl is None else tuple(second.heading.final_kl.tolist()),
    )
    words = {
        place: _word(word, second.heading.words[place], names, places)
        for place, word in first.heading.words.items()
    }
    heading = replace(
        first.heading,
        source=replace(first.heading.source, beside=of_second),
        words=words,
        side="",
        final_kl=None,
    )
    return Tile(0, len(one.prompt.ids), lenses, left_over), heading


def _named(lenses: Mapping[str, Cells], name: str) -> dict[str, Cells]:
    return {key_of_model(key, name): cells for key, cells in lenses.items()}


def _word(one: WordReading, other: WordReading, names: tuple[str, str], places: Sequence[int]) -> WordReading:
    """Return a pinned word as read by both models."""
    ours = {key_of_model(key, names[0]): numbers for key, numbers in one.logprobs.items()}
    theirs = {key_of_model(key, names[1]): numbers[places] for key, numbers in other.logprobs.items()}
    return replace(one, logprobs=ours | theirs, missing=one.missing or other.missing)


def names_apart(first: Source, second: Source) -> tuple[str, str]:
    """Return short names of two models that differ: the last part of a folder or a hub id, else more."""
    for parts in (1, 2):
        one, other = (_short(source, parts) for source in (first, second))
        if one != other:
            return one, other
    return f"{one} (first)", f"{other} (second)"


def _short(source: Source, parts: int) -> str:
    def last(name: str) -> str:
        return "/".join(name.rstrip("/").split("/")[-parts:])

    named = last(source.model) + (f"@{source.revision}" if source.revision else "")
    return named if source.adapter is None else f"{named} + {last(source.adapter.name)}"


# ── each by itself ──────────────────────────────────────────────────────────────────────────────────────────

DATA_FORMS = ("json", "csv", "parquet")
"""The forms that have all numbers of each model, with its own rows."""


def data_text(form: str, both: Sequence[ModelReadout]) -> Iterator[str]:
    """Yield the readouts of two models as JSON or CSV, in pieces."""
    if form == "csv":
        from lenstui.export.csv_text import csv_text

        for place, each in enumerate(both):
            yield from csv_text(each.tiles, each.heading, each.texts, header=place == 0)
        return
    from lenstui.export.json_contract import content, two_models_text

    headings = [each.heading for each in both]
    sides = {
        heading.side: content(each.readout, each.texts, heading.source, heading.pins, words=heading.words)
        for each, heading in zip(both, headings, strict=True)
    }
    assert headings[0].final_kl is not None
    yield two_models_text(sides, headings[0].final_kl)


def write_data(form: str, both: Sequence[ModelReadout], out: IO[bytes]) -> None:
    """Write the readouts of two models in one of the `DATA_FORMS`."""
    if form == "parquet":
        from lenstui.export.parquet_file import write_two_models

        write_two_models([(each.tiles, each.heading, each.texts) for each in both], out)
        return
    for piece in data_text(form, both):
        out.write(piece.encode("utf-8"))


def tokens_of(readouts: Sequence[ModelReadout]) -> set[int]:
    """Return the ids of all tokens in some readouts: of the prompt, pins and cells."""
    heading = readouts[0].heading
    tiles = chain.from_iterable(each.tiles for each in readouts)
    cells = (cells for tile in tiles for cells in tile.lenses.values())
    found = {*heading.prompt.ids, *(pin.id for pin in heading.pins)}
    return found.union(*(np.unique(each.top_ids[each.top_ids >= 0]).tolist() for each in cells))
