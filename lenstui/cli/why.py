"""`lenstui why PROMPT`: what wrote a token's logit in one cell, by block, attention head and source."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from lenstui.cli.arguments import Parser, add_edits, add_prompt_and_model, parse, positive, start
from lenstui.cli.output import add_output, figure_style, output_format
from lenstui.cli.why_cell import LAST, TOP, AskedCell, show_cell
from lenstui.export.figures.style import FIGURE_FORMS
from lenstui.export.shape import Shape
from lenstui.lens.kinds import JACOBIAN, LOGIT, lens_kinds, made_lens
from lenstui.model.rows import parse_runs
from lenstui.readout.reading import Reading
from lenstui.support.errors import LensError
from lenstui.support.typed_number import whole_number

FORMATS = ("table", "json", "csv", "html", *FIGURE_FORMS, "md")


def run(words: Sequence[str]) -> int:
    """Parse the arguments of `lenstui why` and run the command."""
    parser = _parser()
    given = parse(parser, words)
    form = output_format(parser, given, FORMATS)
    if given.lens and given.lenses is not None and made_lens(given.lenses) is not None:
        parser.error(f"--lens is of no use with --lenses {given.lenses}: leave one out")
    if len(given.lens) > 1:
        parser.error("a cell is of one lens: give --lens once")
    if "" in (given.token, given.minus):
        parser.error("a word to --token or --minus is empty")
    if not given.sources and given.head is not None:
        parser.error("--head shows what an attention head read: leave --no-sources out")
    asked = start(parser, given, top_k=1)
    if asked.typed is None:
        parser.error("give a PROMPT, or --turns, or - to read a prompt from standard input")
    reading = Reading(bos=given.bos, chat=given.chat or given.turns is not None)
    lenses = None if given.lenses is None else (given.lenses,)
    shape = Shape(
        format=form,
        output=given.output,
        lenses=lenses,
        reading=reading,
        edits=tuple(given.edit),
        style=figure_style(parser, given, form),
    )
    cell = AskedCell(
        row=given.row,
        column=given.column,
        token=given.token,
        minus=given.minus,
        head=given.head,
        all_rows=given.all_rows,
        neurons=given.neurons,
        sources=given.sources,
        top=given.top,
    )
    return show_cell(replace(asked, jacobian=given.lenses == JACOBIAN), cell, shape)


def _parser() -> Parser:
    parser = Parser(
        "lenstui why",
        "Say what wrote a token's logit in one cell: what the embedding, attention and MLP of\n"
        "each block and each attention head contribute, and what the heads read.",
        usage="lenstui why PROMPT [options]\n       lenstui why --turns FILE [options]",
        epilog="Contributions are direct effects. They add up to the lens's logit, before any softcap, less\n"
        "that of --minus or the mean over the vocabulary.",
    )
    add_prompt_and_model(parser)
    cell = parser.add_argument_group("cell")
    cell.add_argument("--row", metavar="ROW", type=_row, default=LAST, help="emb, a number or last (default)")
    cell.add_argument("--column", metavar="COLUMN", type=_column, help="a column, from 0, or last (default)")
    cell.add_argument(
        "--token",
        metavar="WORD",
        help="the token to explain, with or without a space before it, whichever is likelier in the cell "
        "(default: the likeliest of all)",
    )
    cell.add_argument(
        "--minus",
        metavar="WORD",
        help="take off the logit of this token (default: the mean over the vocabulary)",
    )
    cell.add_argument(
        "--lenses",
        metavar="LENS",
        choices=[kind.key for kind in lens_kinds()],
        help=f"the kind of lens: {', '.join(kind.key for kind in lens_kinds())} (default: that of --lens, "
        f"else {LOGIT})",
    )
    add_edits(cell, "; the edited run is explained")
    output = add_output(parser, FORMATS)
    output.add_argument(
        "--head",
        metavar="BLOCK.HEAD",
        help="show the attention of this head over the prompt, and what it contributed by reading each "
        "column; SVG and PDF show that in place of the map",
    )
    output.add_argument(
        "--all-rows",
        action="store_true",
        help="show how the logit grew: by the lens in each row, and as the sum of contributions up to it",
    )
    output.add_argument(
        "--neurons", action="store_true", help="give the contributions of the MLPs' neurons, too"
    )
    output.add_argument(
        "--no-sources",
        dest="sources",
        action="store_false",
        help="leave out what attention heads read, which takes a further pass of the column, or for some "
        "models eager attention, whose memory grows with the square of the prompt",
    )
    output.add_argument(
        "--top",
        metavar="N",
        type=positive,
        default=TOP,
        help=f"how many of the strongest a table, Markdown or HTML lists (default: {TOP})",
    )
    return parser


def _row(text: str) -> str:
    """Return the label of a row as typed, for argparse."""
    try:
        ((first, last),) = parse_runs(text)
    except (LensError, ValueError):
        first, last = "", text
    if first != last:
        raise argparse.ArgumentTypeError(f"{text!r} is no row: emb, a number or last")
    return first if first in {"emb", LAST} else str(int(first))


def _column(text: str) -> int | None:
    if text == LAST:
        return None
    if (number := whole_number(text)) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no column: a number from 0 on, or last")
    return number
