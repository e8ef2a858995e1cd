"""`lenstui read [PROMPT]`: one readout, no screen."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lenstui.cli.arguments import Parser, add_prompt_and_model, parse, positive, start
from lenstui.cli.output import FORMATS, add_output, output_format
from lenstui.cli.readout import show
from lenstui.export.shape import ALL_VALUES, LENSES, ONE_TOKEN, TOP_K, Shape
from lenstui.lens.errors import LensError
from lenstui.lens.reading import Reading
from lenstui.lens.rows import RowChoice, Runs, parse_runs

_VALUES = ("prob", "entropy", "kl", "rank")
_MOST_PINS = 8


def run(words: Sequence[str]) -> int:
    """Parse the arguments of `lenstui read` and do it."""
    parser = _parser()
    given = parse(parser, words)
    shape = _shape(parser, given)
    asked = start(parser, given, given.top_k or TOP_K[shape.format])
    if asked.prompt is None:
        behind = ", before --pin, which takes all words behind it" if given.pin else ""
        parser.error(f"give a PROMPT{behind}, or - to read it from standard input")
    if shape.lenses == ("logit",) and asked.lens is not None:
        parser.error("--lens is of no use with --lenses logit: leave one out")
    return show(asked, shape)


def _parser() -> Parser:
    parser = Parser(
        "lenstui read",
        "Read a prompt layer by layer and write the readout.",
        usage="lenstui read PROMPT [options]",
        epilog="A table is as wide as the terminal, or as COLUMNS says; what is wider goes on below.",
    )
    add_prompt_and_model(parser)
    output = add_output(parser, FORMATS)
    output.add_argument(
        "--lenses", type=_lenses, metavar="LENS,…", help="logit, tuned or both (default: all there are)"
    )
    rows = output.add_mutually_exclusive_group()
    rows.add_argument(
        "--rows",
        type=_rows,
        metavar="ROW,…",
        help="emb, numbers, last, or runs such as 0-3; the last row is always among them",
    )
    rows.add_argument(
        "--stride", type=positive, metavar="N", default=1, help="every N-th row from emb on, and the last"
    )
    output.add_argument(
        "--value",
        choices=_VALUES,
        help="what a table or Markdown shows behind a token, and what colours HTML and SVG (default: prob)",
    )
    output.add_argument(
        "--top-k",
        metavar="K",
        type=positive,
        help="tokens of a cell (default: 1 in a table, 5 in HTML, else 3)",
    )
    output.add_argument(
        "--pin",
        metavar="WORD",
        nargs="+",
        action="extend",
        default=[],
        help="follow these words, with and without a space before them, through all rows",
    )
    output.add_argument("--diff", action="store_true", help="a table of the tuned lens minus the logit lens")
    output.add_argument(
        "--no-final-norm",
        dest="final_norm",
        action="store_false",
        help="have the logit lens pass over the model's final norm",
    )
    return parser


def _shape(parser: Parser, given: argparse.Namespace) -> Shape:
    form = output_format(parser, given, FORMATS)
    if given.value is not None and form in ALL_VALUES:
        parser.error(f"--value is of no use with {form}, which holds every value")
    if given.top_k is not None and form in ONE_TOKEN:
        parser.error(f"--top-k is of no use with {form}, which shows the likeliest token")
    if given.pin and form == "svg":
        parser.error("--pin is of no use with svg, which shows the likeliest token")
    if len(given.pin) > _MOST_PINS:
        parser.error(f"{len(given.pin)} words are pinned: at most {_MOST_PINS}")
    if "" in given.pin:
        parser.error("a word to --pin is empty")
    if given.diff and form != "table":
        parser.error(f"--diff is for a table, not for {form}")
    if given.diff and given.lenses is not None:
        parser.error("--diff is of both lenses: leave --lenses out")
    if not given.final_norm and given.lenses == ("tuned",):
        parser.error("--no-final-norm is of the logit lens: leave one out")
    if form == "parquet" and given.output is None and sys.stdout.isatty():
        parser.error("parquet is nothing for a terminal: name a file with -o")
    return Shape(
        format=form,
        output=given.output,
        lenses=given.lenses,
        reading=Reading(RowChoice(given.rows, given.stride), given.final_norm, given.bos, given.chat),
        value=given.value or "prob",
        pins=tuple(given.pin),
        diff=given.diff,
    )


def _lenses(text: str) -> tuple[str, ...]:
    names = text.split(",")
    if unknown := [name for name in names if name not in LENSES]:
        raise argparse.ArgumentTypeError(f"unknown lens {unknown[0]!r}: {', '.join(LENSES)}")
    return tuple(name for name in LENSES if name in names)


def _rows(text: str) -> Runs:
    try:
        return parse_runs(text)
    except LensError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
