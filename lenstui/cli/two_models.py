"""A prompt read by two models on the command line: the numbers of both, and how far their last rows part."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from lenstui.cli.against import AskedAgainst, open_side
from lenstui.cli.instant import open_with_lens
from lenstui.cli.output import deliver, show_text, table_width
from lenstui.cli.readout import prompt_remarks
from lenstui.cli.stderr import aside, progress, say
from lenstui.export.shape import Shape
from lenstui.model.not_finite import not_numbers_remark
from lenstui.support.atomic_file import check_place, written
from lenstui.support.errors import LensError
from lenstui.support.request import Start

if TYPE_CHECKING:
    from rich.text import Text

    from lenstui.export.tidy import Heading
    from lenstui.lens.lens import Lens
    from lenstui.model.tokens import Prompt
    from lenstui.opening.opened import Opened
    from lenstui.readout.cells import FloatArray, Tile
    from lenstui.readout.reading import Reading
    from lenstui.readout.tiles import Readout

FORMS = ("table", "json", "csv", "parquet")
"""The forms in which two models stand side by side."""

_SIDES = ("first", "second")


@dataclass(frozen=True, eq=False)
class _Read:
    """What one of two models made of the prompt.

    Attributes:
        opened: the model.
        lenses: the lenses that it was read through.
        heading: the heading of the readout.
        tiles: all tiles, in column order.
    """

    opened: Opened
    lenses: Sequence[Lens]
    heading: Heading
    tiles: Sequence[Tile]


def show_two_models(asked: Start, shape: Shape, against: AskedAgainst) -> int:
    """Read the prompt by both models, write the readouts, and return the exit status."""
    if shape.output is not None:
        check_place(shape.output, special=True)  # before the models, since loading takes long
    with progress() as on_stage, aside():
        first = open_with_lens(asked, on_stage)
        side = open_side(first, against, on_stage)
        on_stage("reading the prompt")
        readings = _readings(shape.reading, first, side.opened)
        prompt = _prompt(asked, shape.reading, first, side.opened)
        final_kl = _final_kl(first, side.opened, prompt, shape.reading)
        read = [
            _read(opened, name, asked, replace(shape, reading=reading), prompt, final_kl=final_kl)
            for opened, name, reading in zip((first, side.opened), _SIDES, readings, strict=True)
        ]
    for remark in chain(first.remarks, _remarks(read, side.opened, shape), prompt_remarks(prompt)):
        say(remark)
    _write(read, final_kl, asked, shape)
    for each in read:
        if not_numbers := [column for tile in each.tiles for column in tile.not_numbers]:
            say(not_numbers_remark(not_numbers, len(prompt.ids), each.opened.model.dtype_name))
    return 0


def _readings(reading: Reading, first: Opened, second: Opened) -> tuple[Reading, Reading]:
    """Return how each model reads the prompt: of chosen rows the second has those at the same depth.

    Raises:
        LensError: if the first does not have the rows, or both come apart into other sublayers.
    """
    from lenstui.model.rows import Row, RowChoice
    from lenstui.opening.agreement import check_sublayers
    from lenstui.opening.depth import rows_beside

    one, other = first.model, second.model
    check_sublayers(one, other, reading)
    if one.num_blocks == other.num_blocks or reading.rows == RowChoice():
        return reading, reading
    rows = rows_beside([Row(h) for h in reading.rows.of(one.num_blocks)], one, other)
    labels = dict.fromkeys(row.label for row in rows)
    return reading, replace(reading, rows=RowChoice(tuple((label, label) for label in labels)))


def _prompt(asked: Start, reading: Reading, first: Opened, second: Opened) -> Prompt:
    """Return the prompt as both models read it.

    Raises:
        LensError: if they do not read it in the same tokens; the message names both.
    """
    from lenstui.opening.agreement import shared_prompt

    assert asked.typed is not None
    return shared_prompt(first.model, second.model, asked.typed, reading)


def _final_kl(first: Opened, second: Opened, prompt: Prompt, reading: Reading) -> FloatArray:
    """Return KL(first ‖ second) of the final distributions, nats, `[cols]`."""
    from lenstui.lens.kinds import LOGIT
    from lenstui.opening.finals import final_divergences
    from lenstui.opening.side_reading import SideReading
    from lenstui.opening.sides import Side, Sides

    sides = Sides((Side(first, LOGIT), Side(second, LOGIT)))
    ((_, kl),) = final_divergences(sides, SideReading(prompt.typed, reading), (prompt, prompt))
    return kl


def _read(
    opened: Opened, name: str, asked: Start, shape: Shape, prompt: Prompt, *, final_kl: FloatArray
) -> _Read:
    """Return what a model makes of the prompt, all of it."""
    from lenstui.export.reading import heading_of, tiles_of, words_of
    from lenstui.opening.opened import lenses_to_read
    from lenstui.readout.continuation import text_behind
    from lenstui.readout.pins import find_pins

    model, reading = opened.model, shape.reading
    for reason in reading.refused(model.allowed, model.num_blocks).values():
        raise LensError(reason)
    lenses = lenses_to_read(opened, shape.lenses)
    behind = text_behind(prompt, chat=reading.chat)
    pins = find_pins(model.tokenizer, model.texts, shape.pins, prompt=behind, vocabulary=model.vocabulary)
    heading = replace(
        heading_of(opened, lenses, prompt, reading, pins=pins),
        words=words_of(model, lenses, prompt, reading, pins),
        side=name,
        final_kl=final_kl,
    )
    tiles = tiles_of(model, lenses, prompt, reading, top_k=asked.top_k, pins=[pin.id for pin in pins])
    return _Read(opened, lenses, heading, list(tiles))


def _remarks(read: Sequence[_Read], second: Opened, shape: Shape) -> Iterator[str]:
    from lenstui.opening.opened import missing_lenses

    yield from second.remarks
    for each in read:
        yield from missing_lenses(each.opened, shape.lenses)
    first, other = (each.opened.model.num_blocks + 1 for each in read)
    if first != other:
        chosen = shape.reading.rows.text != "all"
        rows = "those at the same relative depth are read" if chosen else "each model has its own"
        yield f"The models have {first} and {other} rows: {rows}."


def _write(read: Sequence[_Read], final_kl: FloatArray, asked: Start, shape: Shape) -> None:
    parts = [(each.tiles, each.heading, each.opened.model.texts) for each in read]
    if shape.format == "table":
        show_text(_tables(read, final_kl, asked, shape), shape.output)
    elif shape.format == "json":
        from lenstui.export.json_contract import content, two_models_text

        sides = {
            heading.side: content(
                _joined(tiles, heading), texts, heading.source, heading.pins, words=heading.words
            )
            for tiles, heading, texts in parts
        }
        deliver(two_models_text(sides, final_kl), shape.output)
    elif shape.format == "csv":
        from lenstui.export.csv_text import csv_text

        deliver(
            (
                piece
                for place, (tiles, heading, texts) in enumerate(parts)
                for piece in csv_text(tiles, heading, texts, header=place == 0)
            ),
            shape.output,
        )
    else:
        from lenstui.export.parquet_file import write_two_models

        if shape.output is None:
            write_two_models(parts, sys.stdout.buffer)
        else:
            with written(shape.output) as out:
                write_two_models(parts, out)


def _joined(tiles: Sequence[Tile], heading: Heading) -> Readout:
    from lenstui.readout.tiles import Readout

    return Readout.join(heading.prompt, heading.rows, iter(tiles), tuple(pin.id for pin in heading.pins))


def _tables(read: Sequence[_Read], final_kl: FloatArray, asked: Start, shape: Shape) -> Text:
    """Return the tables of both models, and a line of how far their last rows part, column by column."""
    from rich.text import Text

    from lenstui.export.reading import value_of
    from lenstui.export.table import table
    from lenstui.export.text_width import wrapped
    from lenstui.export.tidy import pin_text
    from lenstui.readout.number_texts import nats_text

    width, parts = table_width(shape.output), []
    for each in read:
        heading, texts = each.heading, each.opened.model.texts
        value = value_of(shape.value, [pin_text(texts, pin) for pin in heading.pins])
        readout = _joined(each.tiles, heading)
        shown = table(
            readout,
            texts,
            heading.source,
            value,
            pins=heading.pins,
            words=heading.words,
            width=width,
            lines=asked.top_k,
        )
        parts.append(Text.assemble((heading.side.capitalize(), "bold"), "\n", shown))
    numbers = ", ".join(f"{column}: {nats_text(float(kl))}" for column, kl in enumerate(final_kl))
    parting = f"KL(first ‖ second) of the last rows by column, nats: {numbers}"
    return Text("\n").join([*parts, Text(wrapped(parting, width) + "\n")])
