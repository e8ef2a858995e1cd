"""From a request to the parts of a file: the heading of a readout, its tiles, the value that it shows.

The command line and the screen share these functions, which import torch only when they are called.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lenstui.support.errors import LensError, first_line

if TYPE_CHECKING:
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
    from lenstui.readout.values import Value


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
    from lenstui.readout.tiles import rows_to_read

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
        )
    except (MemoryError, RuntimeError) as error:  # torch's out-of-memory errors are RuntimeErrors
        raise LensError(f"Reading failed: {first_line(error)} Try a shorter prompt.") from error


def clean_and_edited(clean: Tile, edited: Tile) -> Tile:
    """Return one tile of a clean and an edited run through one lens, as of two lenses of its kind."""
    ((key, before),), ((_, after),) = clean.lenses.items(), edited.lenses.items()
    kind = key.partition(":")[0]
    return replace(edited, lenses={f"{kind}:clean": before, f"{kind}:edited": after})


def value_of(key: str, model: Model, pins: Sequence[int]) -> Value:
    """Return the value with a key, its label naming the pins.

    Raises:
        LensError: if there are too few pins for it, since two words may mean one token.
    """
    from lenstui.readout.values import values_for

    values = values_for([model.texts[token] for token in pins])
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
    exact_targets: bool = False,
) -> SetHeading:
    """Return the heading of a prompt set.

    Args:
        opened: the model.
        lenses: the lenses of the readout.
        prompts: the set.
        reading: the options for reading its prompts.
        exact_targets: whether targets are taken as written.

    Raises:
        LensError: if the model does not allow these options.
    """
    from lenstui.export.set_tidy import SetHeading
    from lenstui.opening.opened import source_of
    from lenstui.readout.cells import row_labels

    model = opened.model
    for reason in reading.refused(model.allowed, model.num_blocks).values():
        raise LensError(reason)
    labels = row_labels(model.num_blocks)
    return SetHeading(
        prompts=prompts.name,
        rows=tuple(labels[row] for row in reading.rows.of(model.num_blocks)),
        source=replace(source_of(opened, lenses, reading), sublayers=False),
        exact_targets=exact_targets,
        skipped=prompts.skipped.count,
    )
