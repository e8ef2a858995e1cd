"""`lenstui eval`: evaluate lenses on a text, or on items with words to find."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from lenstui.cli.arguments import (
    Parser,
    add_lenses,
    add_model,
    add_text,
    check_lens_is_of_use,
    model_start,
    named_path,
    positive,
    text_documents,
)
from lenstui.cli.block_size import add_block_size, block_size
from lenstui.cli.output import add_output, figure_style, output_format
from lenstui.cli.text_eval import FORMATS, AskedText, show_text_evaluation
from lenstui.cli.word_eval import AskedWords, show_words
from lenstui.evaluation.measures import MEASURE_NAMES
from lenstui.lens.kinds import JACOBIAN
from lenstui.model.rows import RowChoice, parse_runs
from lenstui.support.errors import LensError

_OF_ITEMS = ("table", "json")  # the forms of pass@k

# Options, by their names in the code, that are for one of the two alone.
_OF_TEXT = (
    *("data", "text_column", "max_samples", "min_chars", "max_tokens", "seq_len"),
    *("lenses", "measures", "errors"),
)
_OF_WORDS = ("band", "correct_only", "words_only")


def run(words: Sequence[str]) -> int:
    """Parse the arguments of `lenstui eval` and run the command."""
    parser = _parser()
    given = parser.parse_args(words)
    _check_together(parser, given)
    form = output_format(parser, given, FORMATS if given.words is None else _OF_ITEMS)
    style = figure_style(parser, given, form)
    asked = model_start(parser, given)
    if given.words is not None:
        asked_words = AskedWords(given.words, given.band, given.correct_only, given.words_only)
        return show_words(asked, asked_words, form, given.output)
    size = block_size(parser, given)
    if form == "parquet" and given.output is None and sys.stdout.isatty():
        parser.error("parquet is nothing for a terminal: name a file with -o")
    check_lens_is_of_use(parser, given)
    text = AskedText(text_documents(given), size, given.measures, given.errors, given.lenses, style)
    asked = replace(asked, jacobian=JACOBIAN in (given.lenses or ()))
    return show_text_evaluation(asked, text, form, given.output)


def _parser() -> Parser:
    parser = Parser(
        "lenstui eval",
        "Judge the logit lens and others. On a text, row by row: KL to the final\n"
        "distribution, cross-entropy of the next token, agreement with the final top-1,\n"
        "calibration, marginal bias and more, with standard errors.\n"
        "On items with words that the model should think of: pass@k, how many of them\n"
        "are among a lens's k likeliest tokens.",
        usage="lenstui eval --data FILE… [options]\n       lenstui eval --words FILE [options]",
        epilog="Give a text that the lens was not fitted on. Ctrl+C stops with what was measured.",
    )
    text = add_text(parser)
    add_block_size(text, _at_least_2)
    words = parser.add_argument_group("words")
    words.add_argument(
        "--words", metavar="FILE", type=named_path, help="JSON items with a prompt and its intermediates"
    )
    words.add_argument(
        "--band",
        metavar="ROWS",
        type=_rows,
        help="rows whose best one counts, such as 3-6 (default: all that every lens has)",
    )
    words.add_argument(
        "--correct-only",
        action="store_true",
        help="leave out items whose target the model's likeliest next token does not begin",
    )
    words.add_argument(
        "--words-only",
        action="store_true",
        help="count no token without a letter or digit in a rank, but for forms of the intermediates",
    )
    add_model(parser)
    output = add_output(parser, FORMATS)
    add_lenses(output)
    output.add_argument(
        "--measures",
        metavar="NAMES",
        type=_measures,
        help="what a table, figure or Markdown shows of a text, such as kl,ece: "
        f"{', '.join(MEASURE_NAMES)}, or all",
    )
    output.add_argument(
        "--errors", action="store_true", help="show the standard errors of all measures in a table"
    )
    return parser


def _check_together(parser: Parser, given: argparse.Namespace) -> None:
    """Refuse a call with neither text nor words, and options that do not go with what was named."""
    if given.words is None and given.data is None:
        parser.error("name a text with --data FILE, or items with --words FILE")
    with_other, other = (_OF_TEXT, "--words") if given.words is not None else (_OF_WORDS, "--data")
    for name in with_other:
        if getattr(given, name):
            parser.error(f"--{name.replace('_', '-')} does not go with {other}")


def _rows(text: str) -> RowChoice:
    try:
        return RowChoice(parse_runs(text))
    except LensError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _measures(text: str) -> tuple[str, ...]:
    if text == "all":
        return MEASURE_NAMES
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in MEASURE_NAMES:
            raise argparse.ArgumentTypeError(f"there is no measure {name!r}: {', '.join(MEASURE_NAMES)}, all")
    return names


def _at_least_2(text: str) -> int:
    number = positive(text)
    if number < 2:
        raise argparse.ArgumentTypeError("must be at least 2: a token, and the one it predicts")
    return number
