"""From a request to the parts of a file: the heading of a readout, its tiles, the value that it shows.

The command line and the screen share these functions, which import torch only when they are called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lenstui.support.errors import SHORTER_PROMPT, LensError, failure

if TYPE_CHECKING:
    from lenstui.edits.edit import Edit
    from lenstui.export.first_row import Sought
    from lenstui.export.set_tidy import SetHeading
    from lenstui.export.tidy import Heading
    from lenstui.lens.lens import Lens
    from lenstui.model.load import Model
    from lenstui.model.tokens import Prompt
    from lenstui.opening.opened import Opened
    from lenstui.readout.cells import Tile
    from lenstui.readout.pins import Pin
    from lenstui.readout.reading import Reading
    from lenstui.readout.sets.prompts import PromptSet
    from lenstui.readout.tiles import Watch
    from lenstui.readout.values import Value
    from lenstui.readout.words import WordReading


def heading_of(
    opened: Opened,
    lenses: Sequence[Lens],
    prompt: Prompt,
    reading: Reading,
    *,
    pins: tuple[Pin, ...] = (),
    first: tuple[Sought, ...] = (),
) -> Heading:
    """Return the heading of a readout.

    Args:
        opened: the model.
        lenses: the lenses of the readout.
        prompt: from `encode`.
        reading: the options for reading the prompt.
        pins: the pinned tokens.
        first: words whose first rows on top are to be written.
    """
    from lenstui.export.tidy import Heading
    from lenstui.opening.opened import source_of
    from lenstui.readout.streams import rows_to_read

    model = opened.model
    rows = rows_to_read(model, reading.rows.of(model.num_blocks), sublayers=reading.sublayers)
    source = source_of(opened, lenses, reading)
    return Heading(prompt, tuple(row.label for row in rows), source, pins, first)


def tiles_of(
    model: Model,
    lenses: Sequence[Lens],
    prompt: Prompt,
    reading: Reading,
    *,
    top_k: int,
    pins: Sequence[int],
    watch: Watch | None = None,
) -> Iterator[Tile]:
    """Yield the tiles of a readout in column order, as from `read_tiles`.

    Raises:
        LensError: if the prompt cannot be read, or memory runs out.
    """
    from lenstui.readout.tiles import read_tiles

    try:
        yield from read_tiles(
            model,
            prompt,
            lenses,
            top_k=top_k,
            pins=pins,
            rows=reading.rows.of(model.num_blocks),
            final_norm=reading.final_norm,
            sublayers=reading.sublayers,
            words_only=reading.words_only,
            watch=watch,
        )
    except (MemoryError, RuntimeError) as error:  # torch's out-of-memory errors are RuntimeErrors
        raise LensError(failure("Reading failed", error, SHORTER_PROMPT)) from error


def words_of(
    model: Model, lenses: Sequence[Lens], prompt: Prompt, reading: Reading, pins: Sequence[Pin]
) -> Mapping[int, WordReading]:
    """Return the pinned words of several tokens as read in the last column, by their place among the pins.

    Raises:
        LensError: if they cannot be read, or memory runs out.
    """
    long = {place: pin for place, pin in enumerate(pins) if pin.rest}
    if not long:
        return {}
    from lenstui.readout.words import read_words

    try:
        read = read_words(
            model,
            prompt,
            list(long.values()),
            lenses,
            rows=reading.rows.of(model.num_blocks),
            final_norm=reading.final_norm,
            sublayers=reading.sublayers,
        )
    except (MemoryError, RuntimeError) as error:
        raise LensError(failure("Reading a word failed", error, "Try a shorter one.")) from error
    return dict(zip(long, read, strict=True))


def clean_and_edited(clean: Tile, edited: Tile) -> Tile:
    """Return one tile of a clean and an edited run through one lens, as of two lenses of its kind."""
    ((key, before),), ((_, after),) = clean.lenses.items(), edited.lenses.items()
    kind = key.partition(":")[0]
    return replace(edited, lenses={f"{kind}:clean": before, f"{kind}:edited": after})


def both_words(
    clean: Mapping[int, WordReading], edited: Mapping[int, WordReading]
) -> Mapping[int, WordReading]:
    """Return the words of a clean and an edited run through one lens, with the keys of `clean_and_edited`."""

    def both(before: WordReading, after: WordReading) -> WordReading:
        runs = {"clean": before.logprobs, "edited": after.logprobs}
        keyed = {
            f"{key.partition(':')[0]}:{run}": numbers
            for run, of_lenses in runs.items()
            for key, numbers in of_lenses.items()
        }
        return replace(after, logprobs=keyed)

    return {place: both(clean[place], after) for place, after in edited.items()}


def value_of(key: str, pins: Sequence[str]) -> Value:
    """Return the value with a key, its label naming the pins by these texts.

    Raises:
        LensError: if there are too few pins for it, since two words may mean one token.
    """
    from lenstui.readout.values import values_for

    values = values_for(pins)
    value = next((value for value in values if value.key == key), None)
    if value is None:
        raise LensError(f"--value {key} is of two tokens, and all words to --pin are the same one.")
    return value


def set_heading_of(
    opened: Opened,
    lenses: Sequence[Lens],
    prompts: PromptSet,
    reading: Reading,
    *,
    edits: Sequence[Edit] = (),
    exact_targets: bool = False,
) -> SetHeading:
    """Return the heading of a prompt set.

    Args:
        opened: the model.
        lenses: the lenses of the readout.
        prompts: the set.
        reading: the options for reading its prompts.
        edits: the edits that they are read under.
        exact_targets: whether targets are taken as written.

    Raises:
        LensError: if the model does not allow these options.
    """
    from lenstui.edits.edited import lens_of_directions
    from lenstui.export.set_tidy import SetHeading
    from lenstui.opening.opened import source_of
    from lenstui.readout.cells import row_labels

    model = opened.model
    for reason in reading.refused(model.allowed, model.num_blocks).values():
        raise LensError(reason)
    labels = row_labels(model.num_blocks)
    source = replace(
        source_of(opened, lenses, reading),
        sublayers=False,
        edits=tuple(edit.text for edit in edits),
        edit_lens=lens_of_directions(edits, lenses[0]),
    )
    return SetHeading(
        prompts=prompts.name,
        rows=tuple(labels[row] for row in reading.rows.of(model.num_blocks)),
        source=source,
        exact_targets=exact_targets,
        skipped=prompts.skipped.count,
        of_turns=any(case.turns is not None for case in prompts.cases),
        has_foils=prompts.has_foils,
    )
