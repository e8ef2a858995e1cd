"""`lenstui read [PROMPT]`: one readout, no screen."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.cli.arguments import Parser, add_prompt_and_model, parse, positive, start
from lenstui.cli.output import add_output, check_place, deliver, output_format, source_of
from lenstui.cli.stderr import progress, say
from lenstui.lens.errors import LensError, first_line
from lenstui.start import Start

if TYPE_CHECKING:
    from lenstui.export.source import Source
    from lenstui.lens.readout import Readout
    from lenstui.opening import Opened

_LENSES = ("logit", "tuned")
_VALUES = ("prob", "entropy", "kl", "rank")
_ROW = re.compile(r"emb|last|[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class Shape:
    """Which part of a readout to write, how, and where to.

    Attributes:
        format: `table` or `json`.
        output: the file; None for stdout.
        lenses: names of the lenses to show; None for all there are.
        rows: labels of the rows, or `last`; None for all.
        stride: every so many rows, from `emb` on.
        value: what a table's cell shows behind its tokens.
        lines: how many tokens a table's cell shows.
    """

    format: str = "table"
    output: Path | None = None
    lenses: tuple[str, ...] | None = None
    rows: tuple[str, ...] | None = None
    stride: int = 1
    value: str = "prob"
    lines: int = 1


def run(words: Sequence[str]) -> int:
    """Parse the arguments of `lenstui read` and do it."""
    parser = _parser()
    given = parse(parser, words)
    shape = _shape(parser, given)
    asked = start(parser, given, given.top_k or (3 if shape.format == "json" else 1))
    if asked.prompt is None:
        parser.error("give a PROMPT, or - to read it from standard input")
    if shape.lenses == ("logit",) and asked.lens is not None:
        parser.error("--lens is of no use with --lenses logit: leave one out")
    return show(asked, shape)


def show(asked: Start, shape: Shape) -> int:
    """Read the prompt and write the readout."""
    assert asked.prompt is not None
    if shape.output is not None:
        check_place(shape.output)  # before a model is loaded in vain
    with progress() as on_stage:
        from lenstui.opening import open_model

        opened = open_model(asked, on_stage)
        on_stage("reading the prompt")
        readout = _read(opened, asked, shape)
    for remark in opened.remarks:
        say(remark)
    if readout.prompt.dropped:
        read, cut = len(readout.prompt.ids), readout.prompt.dropped
        say(f"The prompt has {read + cut} tokens and the model reads {read}: the first {cut} were cut.")
    if shape.lenses == _LENSES and "tuned" not in readout.lenses:
        say(f"There is no tuned lens for {opened.model.name}: only the logit lens is shown.")
    _write(readout, source_of(opened, tuned="tuned" in readout.lenses), opened, shape)
    return 0


def _parser() -> Parser:
    parser = Parser(
        "lenstui read",
        "Read a prompt layer by layer and print the readout.",
        usage="lenstui read PROMPT [options]",
        epilog="A table is as wide as the terminal, or as COLUMNS says; what is wider goes on below.",
    )
    add_prompt_and_model(parser)
    output = add_output(parser)
    output.add_argument(
        "--lenses", type=_lenses, metavar="LENS,…", help="logit, tuned or both (default: all there are)"
    )
    rows = output.add_mutually_exclusive_group()
    rows.add_argument(
        "--rows", type=_rows, metavar="ROW,…", help="emb, numbers, last; the last row is always among them"
    )
    rows.add_argument(
        "--stride", type=positive, metavar="N", default=1, help="every N-th row from emb on, and the last"
    )
    output.add_argument("--value", choices=_VALUES, help="what a table shows behind a token (default: prob)")
    output.add_argument(
        "--top-k", metavar="K", type=positive, help="tokens of a cell (default: 3 in JSON, 1 in a table)"
    )
    return parser


def _shape(parser: Parser, given: argparse.Namespace) -> Shape:
    form = output_format(parser, given)
    if given.value is not None and form != "table":
        parser.error(f"--value is for a table; {form} holds every value")
    return Shape(
        format=form,
        output=given.output,
        lenses=given.lenses,
        rows=given.rows,
        stride=given.stride,
        value=given.value or "prob",
        lines=given.top_k or 1,
    )


def _lenses(text: str) -> tuple[str, ...]:
    names = text.split(",")
    if unknown := [name for name in names if name not in _LENSES]:
        raise argparse.ArgumentTypeError(f"unknown lens {unknown[0]!r}: {', '.join(_LENSES)}")
    return tuple(name for name in _LENSES if name in names)


def _rows(text: str) -> tuple[str, ...]:
    labels = text.split(",")
    if wrong := [label for label in labels if not _ROW.fullmatch(label)]:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r} is no row: emb, a number, or last")
    return tuple(labels)


def _read(opened: Opened, asked: Start, shape: Shape) -> Readout:
    """Read the rows that are wanted, and keep the lenses that are."""
    from lenstui.lens import read

    lens = None if shape.lenses == ("logit",) else opened.lens
    if lens is None and shape.lenses == ("tuned",):
        raise LensError(f"There is no tuned lens for {opened.model.name}: name one with --lens FILE.")
    assert asked.prompt is not None
    try:
        readout = read(
            opened.model,
            asked.prompt,
            lens,
            top_k=asked.top_k,
            rows=_row_indices(shape, opened.model.num_blocks),
            bos=asked.bos,
        )
    except (MemoryError, RuntimeError) as error:  # torch's out-of-memory errors are RuntimeErrors
        raise LensError(f"Reading failed: {first_line(error)} Try a shorter prompt.") from error
    if shape.lenses == ("tuned",):
        return replace(readout, lenses={"tuned": readout.lenses["tuned"]})
    return readout


def _row_indices(shape: Shape, num_blocks: int) -> Sequence[int]:
    if shape.rows is None:
        return range(0, num_blocks + 1, shape.stride)
    named = {"emb": 0, "last": num_blocks}
    return [named[label] if label in named else int(label) + 1 for label in shape.rows]


def _write(readout: Readout, source: Source, opened: Opened, shape: Shape) -> None:
    shown_ids = (token for cells in readout.lenses.values() for token in cells.top_ids.ravel().tolist())
    texts = opened.model.texts.of({*readout.prompt.ids, *shown_ids})
    if shape.format == "json":
        from lenstui.export.json_contract import json_text

        deliver(json_text(readout, texts, source), shape.output)
        return
    from rich.console import Console

    from lenstui.export.table import table
    from lenstui.export.values import VALUES

    value = next(value for value in VALUES if value.key == shape.value)
    width = shutil.get_terminal_size().columns
    shown = table(readout, texts, source, value, width=width, lines=shape.lines)
    if shape.output is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        Console().print(shown, soft_wrap=True, end="")
    else:
        deliver(shown.plain, shape.output)
