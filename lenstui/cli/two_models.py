"""A prompt read by two models on the command line: the numbers of both, and how far their last rows part."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from lenstui.cli.instant import open_with_lens
from lenstui.cli.output import deliver, deliver_figure, show_text, table_width
from lenstui.cli.readout import prompt_remarks
from lenstui.cli.stderr import aside, progress, say
from lenstui.export.shape import Shape
from lenstui.model.not_finite import not_numbers_remark
from lenstui.opening.second_side import AskedAgainst, open_side
from lenstui.support.atomic_file import check_place, written
from lenstui.support.errors import LensError
from lenstui.support.request import Start

if TYPE_CHECKING:
    from rich.text import Text

    from lenstui.export.two_models import ModelReadout, TwoModels
    from lenstui.lens.lens import Lens
    from lenstui.opening.opened import Opened
    from lenstui.readout.values import Value

Lenses = tuple[Sequence["Lens"], Sequence["Lens"]]


def show_two_models(asked: Start, shape: Shape, against: AskedAgainst, kinds: Sequence[str] | None) -> int:
    """Read the prompt by both models, write the readouts, and return the exit status.

    Args:
        asked: the request for the first model and the prompt.
        shape: the part and form of the readouts to write.
        against: the request for the second model.
        kinds: the kinds of lens that this one is read through; None for those of the first.
    """
    if shape.output is not None:
        check_place(shape.output, special=True)  # before the models, since loading takes long
    with progress() as on_stage, aside():
        first = open_with_lens(asked, on_stage)
        second = open_side(first, against, on_stage).opened
        on_stage("reading the prompt")
        chosen = (shape.lenses, kinds or shape.lenses)
        lenses = _lenses(first, second, chosen, shape)
        reading = _reading(first, second, lenses, asked, shape)
        for _ in reading.read():
            pass
        both = reading.of_models()
    prompt = both[0].heading.prompt
    for remark in chain(_remarks(first, second, chosen, shape), prompt_remarks(prompt)):
        say(remark)
    _write(both, (first, second), lenses, asked, shape)
    for each in both:
        if not_numbers := [column for tile in each.tiles for column in tile.not_numbers]:
            say(not_numbers_remark(not_numbers, len(prompt.ids), each.model.dtype_name))
    return 0


def _lenses(first: Opened, second: Opened, chosen: tuple[Sequence[str] | None, ...], shape: Shape) -> Lenses:
    """Return the lenses that each model is read through; of a difference there is one for each.

    Unless kinds are chosen it is of the tuned lenses, or of the logit lens where a model has no tuned one.

    Raises:
        LensError: if a model has no lens of the chosen kinds, or a difference is of more.
    """
    from lenstui.lens.kinds import first_kinds
    from lenstui.opening.opened import lenses_to_read

    if shape.diff and chosen == (None, None):
        kind = [kind for kind in first_kinds() if all(opened.lens(kind) for opened in (first, second))][-1]
        chosen = ([kind], [kind])
    ours, theirs = (
        lenses_to_read(opened, kinds) for opened, kinds in zip((first, second), chosen, strict=True)
    )
    if shape.diff and (len(ours), len(theirs)) != (1, 1):
        raise LensError(
            f"--diff of two models is of one lens each, and these are {len(ours)} and {len(theirs)}: choose "
            "with --lenses and --against-lenses."
        )
    return ours, theirs


def _reading(first: Opened, second: Opened, lenses: Lenses, asked: Start, shape: Shape) -> TwoModels:
    """Return the prompt as both models are about to read it.

    Raises:
        LensError: if they do not read it in the same tokens, or do not allow the options.
    """
    from lenstui.export.two_models import TwoModels
    from lenstui.opening.agreement import shared_prompt
    from lenstui.readout.continuation import text_behind
    from lenstui.readout.pins import find_pins, words_first
    from lenstui.readout.values import value_named

    assert asked.typed is not None
    model, reading = first.model, shape.reading
    prompt = shared_prompt(model, second.model, asked.typed, reading)
    behind = text_behind(prompt, chat=reading.chat)
    pins = find_pins(model.tokenizer, model.texts, shape.pins, prompt=behind, vocabulary=model.vocabulary)
    if value_named(shape.value).pins > 1:
        pins = words_first(pins)
    sides = (first, lenses[0]), (second, lenses[1])
    return TwoModels(*sides, prompt, reading, top_k=asked.top_k, pins=pins)


def _remarks(
    first: Opened, second: Opened, chosen: tuple[Sequence[str] | None, ...], shape: Shape
) -> Iterator[str]:
    from lenstui.opening.opened import missing_lenses

    yield from first.remarks
    yield from second.remarks
    for opened, kinds in zip((first, second), chosen, strict=True):
        yield from missing_lenses(opened, kinds)
    ours, others = first.model.num_blocks + 1, second.model.num_blocks + 1
    if ours != others:
        chosen_rows = shape.reading.rows.text != "all" or not _has_own_rows(shape)
        rows = "those at the same relative depth are read" if chosen_rows else "each model has its own"
        yield f"The models have {ours} and {others} rows: {rows}."


def _has_own_rows(shape: Shape) -> bool:
    """Return whether a form has the rows of each model, and not those of the second beside the first's."""
    from lenstui.export.two_models import DATA_FORMS

    return shape.format in DATA_FORMS or (shape.format == "table" and not shape.diff)


def _write(
    both: tuple[ModelReadout, ModelReadout],
    opened: tuple[Opened, Opened],
    lenses: Lenses,
    asked: Start,
    shape: Shape,
) -> None:
    from lenstui.export.two_models import DATA_FORMS, data_text, write_data

    if shape.format in DATA_FORMS and shape.output is not None:
        with written(shape.output) as out:
            write_data(shape.format, both, out)
    elif shape.format == "parquet":
        write_data("parquet", both, sys.stdout.buffer)
    elif shape.format in DATA_FORMS:
        deliver(data_text(shape.format, both), None)
    elif shape.format == "table":
        show_text(_tables(both, asked, shape), shape.output)
    else:
        _write_beside(both, opened, lenses, asked, shape)


def _write_beside(
    both: tuple[ModelReadout, ModelReadout],
    opened: tuple[Opened, Opened],
    lenses: Lenses,
    asked: Start,
    shape: Shape,
) -> None:
    """Write both models beside each other, in a form that shows them as one readout."""
    from lenstui.export.command import against_words, read_command
    from lenstui.export.forms import Manner, figure_of, text_of, write_form
    from lenstui.export.two_models import beside
    from lenstui.opening.opened import files_to_name

    tile, heading = beside(*both)
    kinds = [[lens.kind for lens in of_model] for of_model in lenses]
    files = [files_to_name(*each) for each in zip(opened, lenses, strict=True)]
    named = replace(shape, lenses=tuple(dict.fromkeys(kinds[0])))
    against = against_words(both[1].heading.source, files[1], kinds[1])
    command = read_command(heading, files[0], asked, named, against)
    manner = Manner(
        both[0].texts,
        min(each.model.vocabulary for each in both),
        _value(shape, both[0]),
        command,
        shape.diff,
        figure=shape.figure,
        column=shape.column,
        style=shape.style,
    )
    if shape.output is not None:
        write_form(shape.format, [tile], heading, manner, shape.output)
    elif shape.is_figure:
        deliver_figure(figure_of(shape.format, [tile], heading, manner), None)
    else:
        deliver(text_of(shape.format, [tile], heading, manner), None)


def _value(shape: Shape, of: ModelReadout) -> Value:
    from lenstui.export.reading import value_of
    from lenstui.export.tidy import pin_text

    return value_of(shape.value, [pin_text(of.texts, pin) for pin in of.heading.pins])


def _tables(both: tuple[ModelReadout, ModelReadout], asked: Start, shape: Shape) -> Text:
    """Return the tables of both models, or of their difference, and how far their last rows part."""
    from rich.text import Text

    from lenstui.export.table import table
    from lenstui.export.text_width import wrapped
    from lenstui.export.two_models import beside
    from lenstui.opening.source import parting_text
    from lenstui.readout.tiles import Readout

    width, (tile, joined) = table_width(shape.output), beside(*both)
    if shape.diff:
        return table(
            Readout.join(joined.prompt, joined.rows, [tile], tuple(pin.id for pin in joined.pins)),
            both[0].texts,
            joined.source,
            _value(shape, both[0]),
            pins=joined.pins,
            words=joined.words,
            diff=True,
            width=width,
        )
    parts = []
    for each in both:
        heading = each.heading
        shown = table(
            each.readout,
            each.texts,
            heading.source,
            _value(shape, each),
            pins=heading.pins,
            words=heading.words,
            width=width,
            lines=asked.top_k,
        )
        parts.append(Text.assemble((heading.side.capitalize(), "bold"), "\n", shown))
    return Text("\n").join([*parts, Text(wrapped(parting_text(joined.source), width) + "\n")])
