"""One readout as it was asked for: read tile by tile, and written in its form."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.cli.output import check_place, deliver, deliver_bytes, source_of
from lenstui.cli.stderr import progress, say
from lenstui.lens.errors import LensError, first_line
from lenstui.paths import bundled_model
from lenstui.start import Start

if TYPE_CHECKING:
    from rich.text import Text

    from lenstui.export.tidy import Heading
    from lenstui.export.values import Value
    from lenstui.lens.cells import Tile
    from lenstui.lens.readout import Readout
    from lenstui.lens.tuned_lens import TunedLens
    from lenstui.opening import Opened

LENSES = ("logit", "tuned")
_BY_TILES = ("csv", "parquet")


@dataclass(frozen=True, slots=True)
class Shape:
    """Which part of a readout to write, how, and where to.

    Attributes:
        format: by name.
        output: the file; None for stdout.
        lenses: names of the lenses to show; None for all there are.
        rows: runs of rows, each by the labels of its ends (or `last`); None for all.
        stride: every so many rows, from `emb` on.
        value: the value that is shown by a form that shows one.
        pins: words to pin.
        diff: show the tuned lens minus the logit lens.
        final_norm: whether the logit lens applies the model's final norm.
    """

    format: str = "table"
    output: Path | None = None
    lenses: tuple[str, ...] | None = None
    rows: tuple[tuple[str, str], ...] | None = None
    stride: int = 1
    value: str = "prob"
    pins: tuple[str, ...] = ()
    diff: bool = False
    final_norm: bool = True


def show(asked: Start, shape: Shape) -> int:
    """Read the prompt and write the readout."""
    if shape.output is not None:
        check_place(shape.output)  # before a model is loaded in vain
    with progress() as on_stage:
        from lenstui.opening import open_model

        opened = open_model(asked, on_stage)
        lens = _lens(opened, shape)
        on_stage("reading the prompt")
        heading = _heading(opened, asked, shape, tuned=lens is not None)
        tiles = _tiles(opened, lens, heading, asked, shape)
        # What does not need all of it at once is read on while it is written.
        tiles = chain([next(tiles)], tiles) if shape.format in _BY_TILES else iter(list(tiles))
    for remark in _remarks(opened, heading, shape):
        say(remark)
    _write(tiles, heading, opened, asked, shape)
    return 0


def _lens(opened: Opened, shape: Shape) -> TunedLens | None:
    """The tuned lens, if it is to be read and there is one."""
    if shape.lenses == ("logit",):
        return None
    if opened.lens is None and (shape.lenses == ("tuned",) or shape.diff):
        raise LensError(f"There is no tuned lens for {opened.model.name}: name one with --lens FILE.")
    return opened.lens


def _heading(opened: Opened, asked: Start, shape: Shape, *, tuned: bool) -> Heading:
    from lenstui.export.tidy import Heading
    from lenstui.lens import encode, find_pins
    from lenstui.lens.cells import row_labels

    model = opened.model
    assert asked.prompt is not None
    if not shape.final_norm and model.anatomy.final_norm is None:
        raise LensError(f"{model.name} has no final norm: leave --no-final-norm out.")
    prompt = encode(model.tokenizer, asked.prompt, bos=asked.bos, context=model.context)
    labels = row_labels(model.num_blocks)
    source = source_of(opened, tuned=tuned)
    return Heading(
        prompt,
        tuple(labels[row] for row in _rows(shape, model.num_blocks)),
        replace(source, final_norm=shape.final_norm),
        find_pins(model.tokenizer, model.texts, shape.pins, prompt=asked.prompt, vocabulary=model.vocabulary),
    )


def _rows(shape: Shape, num_blocks: int) -> Sequence[int]:
    """Indices of the rows to read."""
    from lenstui.lens.readout import choose_rows

    if shape.rows is None:
        return choose_rows(num_blocks, range(0, num_blocks + 1, shape.stride))
    named = {"emb": 0, "last": num_blocks}
    ends = [[named[label] if label in named else int(label) + 1 for label in run] for run in shape.rows]
    return choose_rows(num_blocks, [row for first, last in ends for row in range(first, last + 1)])


def _tiles(
    opened: Opened, lens: TunedLens | None, heading: Heading, asked: Start, shape: Shape
) -> Iterator[Tile]:
    from lenstui.lens import read_tiles

    try:
        yield from read_tiles(
            opened.model,
            heading.prompt,
            lens,
            top_k=asked.top_k,
            pins=[pin.id for pin in heading.pins],
            rows=_rows(shape, opened.model.num_blocks),
            lenses=shape.lenses or LENSES,
            final_norm=shape.final_norm,
        )
    except (MemoryError, RuntimeError) as error:  # torch's out-of-memory errors are RuntimeErrors
        raise LensError(f"Reading failed: {first_line(error)} Try a shorter prompt.") from error


def _remarks(opened: Opened, heading: Heading, shape: Shape) -> Iterator[str]:
    yield from opened.remarks
    if heading.prompt.dropped:
        read, cut = len(heading.prompt.ids), heading.prompt.dropped
        yield f"The prompt has {read + cut} tokens and the model reads {read}: the first {cut} were cut."
    if shape.lenses == LENSES and opened.lens is None:
        yield f"There is no tuned lens for {opened.model.name}: only the logit lens is shown."
    for pin in heading.pins:
        if not pin.whole:
            text = opened.model.texts[pin.id]
            yield f"No token is the word {pin.word!r}: the first of those it is cut into, {text}, is pinned."


def _write(tiles: Iterator[Tile], heading: Heading, opened: Opened, asked: Start, shape: Shape) -> None:
    texts = opened.model.texts
    if shape.format == "csv":
        from lenstui.export.csv_text import csv_text

        deliver(csv_text(tiles, heading, texts), shape.output)
        return
    if shape.format == "parquet":
        from lenstui.export.parquet_file import write_parquet

        deliver_bytes(lambda file: write_parquet(tiles, heading, texts, file), shape.output)
        return
    from lenstui.lens.readout import Readout

    readout = Readout.join(heading.prompt, heading.rows, tiles, tuple(pin.id for pin in heading.pins))
    if shape.format == "json":
        from lenstui.export.json_contract import json_text

        deliver(json_text(readout, texts, heading.source, heading.pins), shape.output)
        return
    if shape.format == "table":
        _print(_table(readout, heading, opened, asked, shape), shape)
        return
    deliver(_page(readout, heading, opened, _command(heading, opened, asked, shape), shape), shape.output)


def _table(readout: Readout, heading: Heading, opened: Opened, asked: Start, shape: Shape) -> Text:
    from lenstui.export.table import table

    return table(
        readout,
        opened.model.texts,
        heading.source,
        _value(shape),
        pins=heading.pins,
        diff=shape.diff,
        width=shutil.get_terminal_size().columns,
        lines=asked.top_k,
    )


def _page(readout: Readout, heading: Heading, opened: Opened, command: str, shape: Shape) -> str:
    """The readout as HTML, SVG or Markdown."""
    texts, vocabulary = opened.model.texts, opened.model.vocabulary
    source, pins, value = heading.source, heading.pins, _value(shape)
    if shape.format == "html":
        from lenstui.export.html_page import html_page

        return html_page(readout, texts, source, value, pins=pins, vocabulary=vocabulary, command=command)
    if shape.format == "svg":
        from lenstui.export.svg_figure import svg_figure

        return svg_figure(readout, texts, source, value, vocabulary=vocabulary, command=command)
    from lenstui.export.markdown import markdown

    return markdown(readout, texts, source, value, pins=pins, command=command)


def _command(heading: Heading, opened: Opened, asked: Start, shape: Shape) -> str:
    """The command that makes the same readout again, whatever the defaults are by then."""
    from lenstui.export.command import command_text
    from lenstui.lens.hub import BUNDLED_MODEL

    source, prompt = heading.source, heading.prompt.text
    model = ["--demo"] if source.model == BUNDLED_MODEL else ["--model", source.model]
    words = ["lenstui", "read", "-p", prompt, *model]
    if source.revision is not None:
        words += ["--revision", source.revision]
    if source.lens is None:
        words += ["--lenses", "logit"]
    elif opened.lens_file is not None and opened.lens_file.parent != bundled_model():
        words += ["--lens", str(opened.lens_file)]
    if shape.lenses == ("tuned",):
        words += ["--lenses", "tuned"]
    if asked.bos is not None:
        words.append("--bos" if asked.bos else "--no-bos")
    words += ["--dtype", source.dtype, *(["--device", asked.device] if asked.device != "auto" else [])]
    if shape.rows is not None:
        words.append("--rows=" + ",".join("-".join(dict.fromkeys(run)) for run in shape.rows))
    if shape.stride > 1:
        words += ["--stride", str(shape.stride)]
    words += [f"--pin={word}" for word in shape.pins]
    words += [] if shape.final_norm else ["--no-final-norm"]
    words += ["--value", shape.value, "--format", shape.format]
    words += ["--top-k", str(asked.top_k)] if shape.format == "html" else []
    return command_text([*words, *(["-o", shape.output.name] if shape.output is not None else [])])


def _print(text: Text, shape: Shape) -> None:
    """With styles where a terminal shows them."""
    if shape.output is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        from rich.console import Console

        Console().print(text, soft_wrap=True, end="")
    else:
        deliver(text.plain, shape.output)


def _value(shape: Shape) -> Value:
    from lenstui.export.values import VALUES

    return next(value for value in VALUES if value.key == shape.value)
