"""One readout on the command line: read tile by tile, and written in the requested form."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from lenstui.cli.instant import open_with_lens
from lenstui.cli.output import STREAMED, deliver, deliver_figure, show_text, table_width
from lenstui.cli.stderr import aside, each_aside, progress, say
from lenstui.export.command import read_command
from lenstui.export.shape import Shape
from lenstui.model.not_finite import not_numbers_remark
from lenstui.model.turns import turns_named
from lenstui.support.atomic_file import check_place
from lenstui.support.errors import LensError
from lenstui.support.request import Start

if TYPE_CHECKING:
    from rich.text import Text

    from lenstui.export.first_row import Sought
    from lenstui.export.tidy import Heading
    from lenstui.lens.lens import Lens
    from lenstui.model.load import Model
    from lenstui.model.tokens import Prompt
    from lenstui.opening.opened import Opened
    from lenstui.readout.cells import Tile
    from lenstui.readout.values import Value
    from lenstui.readout.words import WordReading


def show(asked: Start, shape: Shape) -> int:
    """Read the prompt, write the readout, and return the exit status."""
    if shape.output is not None:
        check_place(shape.output, special=True)  # before the model, since loading takes long
    with progress() as on_stage, aside():
        from lenstui.export.reading import both_words, clean_and_edited, tiles_of, words_of

        opened = open_with_lens(asked, on_stage)
        clean = opened.model
        lenses = _lenses(opened, asked, shape)
        on_stage("reading the prompt")
        if shape.edits:
            opened = _edited(opened, lenses[0], asked, shape)
        heading = _heading(opened, lenses, asked, shape)
        pins = [pin.id for pin in heading.pins]
        prompt, reading = heading.prompt, shape.reading

        def tiles_by(model: Model) -> Iterator[Tile]:
            return tiles_of(model, lenses, prompt, reading, top_k=asked.top_k, pins=pins)

        tiles = tiles_by(opened.model)
        words = words_of(opened.model, lenses, prompt, reading, heading.pins)
        if shape.is_effect:
            tiles = map(clean_and_edited, tiles_by(clean), tiles)
            words = both_words(words_of(clean, lenses, prompt, reading, heading.pins), words)
        heading = replace(heading, words=words)
        # Streamed formats are written while the rest is read; the others need all tiles at once.
        not_numbers: list[int] = []
        tiles = _noting(tiles, not_numbers)
        tiles = chain([next(tiles)], each_aside(tiles)) if shape.format in STREAMED else iter(list(tiles))
    for remark in _remarks(opened, lenses, heading, shape):
        say(remark)
    _write(tiles, heading, opened, asked, shape)
    if not_numbers:  # complete only after all tiles are read
        say(not_numbers_remark(not_numbers, len(heading.prompt.ids), opened.model.dtype_name))
    return 0


def _noting(tiles: Iterator[Tile], not_numbers: list[int]) -> Iterator[Tile]:
    """Yield the tiles, and collect in `not_numbers` the columns with a cell that is not a number."""
    for tile in tiles:
        not_numbers += tile.not_numbers
        yield tile


def _lenses(opened: Opened, asked: Start, shape: Shape) -> Sequence[Lens]:
    """Return the lenses that are to be read; of a difference there are two, the second minus the first.

    Unless kinds are chosen these are the two lenses that are named, or the logit lens and the one that is
    named or in use. The effect of edits is shown by one lens: unless it is chosen, by the last one that is
    named, or the tuned lens, or the logit lens.

    Raises:
        LensError: if there is none of a kind, or a difference is of more or fewer than two.
    """
    from lenstui.lens.kinds import LOGIT, first_kinds
    from lenstui.opening.opened import lenses_to_read

    if not shape.diff:
        return lenses_to_read(opened, shape.lenses)
    named = opened.fitted[: len(asked.lenses)]
    if shape.is_effect:
        if shape.lenses is None:
            return (named or lenses_to_read(opened, first_kinds()))[-1:]
        lenses = lenses_to_read(opened, shape.lenses, all_of_them=True)
        if len(lenses) != 1:
            raise LensError(
                f"The effect of edits is shown by one lens, and these are {len(lenses)}: choose one."
            )
        return lenses
    if shape.lenses is not None:
        lenses = lenses_to_read(opened, shape.lenses, all_of_them=True)
    elif len(named) == 1:
        lenses = (*lenses_to_read(opened, [LOGIT]), *named)
    else:
        lenses = named or lenses_to_read(opened, first_kinds(), all_of_them=True)
    if len(lenses) != 2:
        raise LensError(f"--diff is of two lenses, and these are {len(lenses)}: choose two with --lenses.")
    return lenses


def _edited(opened: Opened, lens: Lens, asked: Start, shape: Shape) -> Opened:
    """Return the open model with edits in force, made for the typed prompt, with a lens for directions."""
    from lenstui.edits.edited import edited

    assert asked.typed is not None
    prompt = shape.reading.prompt(opened.model, asked.typed)
    return replace(opened, model=edited(opened.model, shape.edits, prompt, shape.reading, lens=lens))


def _heading(opened: Opened, lenses: Sequence[Lens], asked: Start, shape: Shape) -> Heading:
    from lenstui.export.reading import heading_of
    from lenstui.readout.continuation import text_behind
    from lenstui.readout.generation import generate
    from lenstui.readout.pins import find_pins, words_first
    from lenstui.readout.values import value_named

    model, reading = opened.model, shape.reading
    assert asked.typed is not None
    for reason in reading.refused(model.allowed, model.num_blocks).values():
        raise LensError(reason)
    prompt = typed = reading.prompt(model, asked.typed)
    if shape.append:
        said = tuple(generate(model, prompt.ids, count=shape.append))
        prompt = reading.prompt(model, asked.typed, tail=said).saying(model.texts.join(said))
    behind = text_behind(prompt, chat=reading.chat)
    pins = find_pins(model.tokenizer, model.texts, shape.pins, prompt=behind, vocabulary=model.vocabulary)
    if value_named(shape.value).pins > 1:
        pins = words_first(pins)
    first = _first(model, typed.text, shape.first)
    return heading_of(opened, lenses, prompt, reading, pins=pins, first=first)


def _first(model: Model, prompt: str, words: Sequence[str]) -> tuple[Sought, ...]:
    """Return the words whose first rows on top are looked for, with their tokens."""
    from lenstui.export.first_row import Sought
    from lenstui.readout.pins import find_pins

    sought = []
    for word in words:
        pins = find_pins(model.tokenizer, model.texts, [word], prompt=prompt, vocabulary=model.vocabulary)
        tokens = tuple((pin.id, model.texts[pin.id]) for pin in pins)
        sought.append(Sought(word, tokens, all(pin.whole for pin in pins)))
    return tuple(sought)


def _remarks(opened: Opened, lenses: Sequence[Lens], heading: Heading, shape: Shape) -> Iterator[str]:
    from lenstui.opening.opened import lacking_rows, missing_lenses

    yield from opened.remarks
    yield from prompt_remarks(heading.prompt)
    if heading.prompt.appended < shape.append:
        yield _fewer(opened.model, heading.prompt, shape.append)
    yield from missing_lenses(opened, shape.lenses)
    yield from lacking_rows(lenses, heading.rows)
    for place, pin in enumerate(heading.pins):
        if not pin.whole:
            text = opened.model.texts[pin.id]
            said = f"No token is the word {pin.word!r}: the first of those it is cut into, {text}, is pinned."
            yield f"{said} {_of_whole(heading.words[place], lenses)}" if place in heading.words else said
    for sought in heading.first:
        if not sought.whole and shape.format == "json":  # a table contains this remark
            (_, text), *_ = sought.tokens
            said = f"No token is the word {sought.word!r}: the first of those it is cut into"
            yield f"{said}, {text}, is looked for."


def prompt_remarks(prompt: Prompt) -> Iterator[str]:
    """Yield what is to be said of a prompt: what the context has no room for, and what is not known of it."""
    read, cut = len(prompt.ids), prompt.dropped
    if prompt.turns is None:
        if cut:
            yield f"The prompt has {read + cut} tokens and the model reads {read}: the first {cut} were cut."
        return
    if left_out := prompt.turns.left_out:
        which = turns_named(left_out)
        yield f"The turns have {read + cut} tokens, more than the model reads: {which} left out, the oldest."
    if prompt.turns.unknown:
        yield f"Which columns are of which turn is unknown: {prompt.turns.unknown}."


def _of_whole(word: WordReading, lenses: Sequence[Lens]) -> str:
    """Return what is read of a whole word of several tokens, as sentences."""
    from lenstui.lens.kinds import reads_next
    from lenstui.lens.names import no_sum

    said = f"In the last column its log p is summed along all {len(word.ids)}."
    reasons = dict.fromkeys(no_sum(lens.kind) for lens in lenses if not reads_next(lens.kind))
    if word.missing or all(not reads_next(lens.kind) for lens in lenses):
        said = f"The whole word is not read. {word.missing}".rstrip()
    return " ".join([said, *reasons])


def _fewer(model: Model, prompt: Prompt, wanted: int) -> str:
    """Return why fewer tokens were appended than `--append` asked for."""
    appended, last = prompt.appended, prompt.ids[-1]
    if appended and last == model.tokenizer.eos_token_id:
        reason = f"the text ends with {model.texts[last]}"
    else:
        reason = f"the context of {model.context} columns is full"
    return f"--append {wanted} appended {appended or 'no'} token{'s' * (appended != 1)}: {reason}."


def _write(tiles: Iterator[Tile], heading: Heading, opened: Opened, asked: Start, shape: Shape) -> None:
    if shape.format == "table":
        show_text(_table(tiles, heading, opened, asked, shape), shape.output)
        return
    from lenstui.export.forms import Manner, figure_of, text_of, write_bytes, write_form
    from lenstui.opening.opened import files_to_name

    model, files = opened.model, files_to_name(opened, _lenses(opened, asked, shape))
    command = read_command(heading, files, asked, shape)
    manner = Manner(
        model.texts,
        model.vocabulary,
        _value(shape, opened, heading),
        command,
        shape.diff,
        figure=shape.figure,
        column=shape.column,
        style=shape.style,
    )
    if shape.output is not None:
        write_form(shape.format, tiles, heading, manner, shape.output)
    elif shape.is_figure:
        deliver_figure(figure_of(shape.format, tiles, heading, manner), None)
    elif shape.format == "parquet":
        write_bytes(tiles, heading, manner, sys.stdout.buffer)
    else:
        deliver(text_of(shape.format, tiles, heading, manner), None)


def _table(tiles: Iterator[Tile], heading: Heading, opened: Opened, asked: Start, shape: Shape) -> Text:
    from lenstui.export.table import table
    from lenstui.readout.tiles import Readout

    readout = Readout.join(heading.prompt, heading.rows, tiles, tuple(pin.id for pin in heading.pins))
    return table(
        readout,
        opened.model.texts,
        heading.source,
        _value(shape, opened, heading),
        pins=heading.pins,
        words=heading.words,
        first=heading.first,
        diff=shape.diff,
        width=table_width(shape.output),
        lines=asked.top_k,
    )


def _value(shape: Shape, opened: Opened, heading: Heading) -> Value:
    from lenstui.export.reading import value_of
    from lenstui.export.tidy import pin_text

    return value_of(shape.value, [pin_text(opened.model.texts, pin) for pin in heading.pins])
