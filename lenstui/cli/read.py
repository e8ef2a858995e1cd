"""`lenstui read [PROMPT]`: one readout, or a prompt set with `--prompts FILE`, without the screen."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from lenstui.cli.against import OPTIONS as AGAINST
from lenstui.cli.against import add_against, asked_against
from lenstui.cli.arguments import (
    Parser,
    add_edits,
    add_lenses,
    add_prompt_and_model,
    add_remote,
    check_lens_is_of_use,
    check_remote,
    model_start,
    parse,
    positive,
    start,
)
from lenstui.cli.output import FORMATS, add_output, figure_style, output_format
from lenstui.cli.readout import show
from lenstui.cli.set_options import add_outliers, add_prompts, check_outliers, refuse_of_sets, set_asked_for
from lenstui.cli.set_readout import show_set
from lenstui.cli.stderr import say
from lenstui.cli.turns import check_alone
from lenstui.cli.two_models import show_two_models
from lenstui.export.figures.style import FIGURE_FORMS
from lenstui.export.shape import (
    ALL_VALUES,
    DEFAULT_VALUE,
    FIGURES,
    GRID,
    ONE_TOKEN,
    PINS,
    TOP_K,
    WITH_FIRST,
    Shape,
)
from lenstui.lens.kinds import JACOBIAN, TUNED, made_lens
from lenstui.model.rows import RowChoice, Runs, parse_runs
from lenstui.opening.second_side import AskedAgainst
from lenstui.readout.pins import MOST_PINS
from lenstui.readout.reading import Reading
from lenstui.support.errors import LensError
from lenstui.support.request import Start
from lenstui.support.typed_number import whole_number

if TYPE_CHECKING:
    from lenstui.readout.sets.mean_values import MeanValue


# What needs the weights here, or more passes than one.
_NOT_REMOTE = ("instant", "edit", "append", "sublayers", "prompts", *AGAINST, "against_lenses")


def run(words: Sequence[str]) -> int:
    """Parse the arguments of `lenstui read` and run the command."""
    parser = _parser()
    given = parse(parser, words)
    check_remote(parser, given, *_NOT_REMOTE)
    shape = _shape(parser, given)
    if given.prompts is not None:
        check_outliers(parser, given)
        check_alone(parser, given, prompt=None)
        asked_set = set_asked_for(parser, given, shape)
        _check_lenses_are_of_use(parser, given, shape)
        _note_value(given, shape)
        asked = _with_lenses(model_start(parser, given), given)
        against = asked_against(parser, given, asked)
        if given.against_lenses is not None:
            parser.error("--against-lenses is of one prompt: over a set both models have the same lenses")
        option = next((name for name in ("edit", "outliers") if getattr(given, name)), None)
        if against is not None and option is not None:
            parser.error(f"--{option} is not for two sides: leave it out, or --against-…")
        return show_set(asked, shape, replace(asked_set, against=against))
    refuse_of_sets(parser, given)
    asked = start(parser, given, given.top_k or TOP_K[shape.format])
    if asked.typed is None:
        behind = ", before --pin, which takes all words behind it" if given.pin else ""
        parser.error(f"give a PROMPT{behind}, or --turns, or - to read a prompt from standard input")
    _check_lenses_are_of_use(parser, given, shape)
    _note_value(given, shape)
    asked = _with_lenses(asked, given)
    if any(getattr(given, name) for name in AGAINST):
        against = _other_model(parser, given, asked)
        return show_two_models(asked, shape, against, given.against_lenses)
    if given.against_lenses is not None:
        parser.error("--against-lenses is of a second model: name it with --against-model")
    return show(asked, shape)


def _other_model(parser: Parser, given: argparse.Namespace, asked: Start) -> AskedAgainst:
    """Return the model that reads the prompt, too. What makes no sense ends the program."""
    if option := next((name for name in ("edit", "append", "first") if getattr(given, name)), None):
        parser.error(f"--{option} is of one model: leave it out, or --against-…")
    against = asked_against(parser, given, asked)
    if against is None or against.model is None:
        parser.error("--against-lens without another model needs --prompts: of one prompt name two --lens")
    return against


def _means_alone() -> list[MeanValue]:
    """Return the values that only prompt sets have, as means."""
    from lenstui.readout.sets.mean_values import shown_means
    from lenstui.readout.values import all_values

    return [mean for mean in shown_means() if mean.key not in {value.key for value in all_values()}]


def _with_lenses(asked: Start, given: argparse.Namespace) -> Start:
    """Return the request with the lenses that are opened only where they are asked for."""
    return replace(asked, instant=given.instant, jacobian=JACOBIAN in (given.lenses or ()))


def _check_lenses_are_of_use(parser: Parser, given: argparse.Namespace, shape: Shape) -> None:
    """Refuse a lens file, or an instant lens, where all chosen lenses are others."""
    check_lens_is_of_use(parser, given)
    if given.instant and shape.lenses and TUNED not in shape.lenses:
        parser.error(f"--instant is of no use with --lenses {','.join(shape.lenses)}: leave one out")


def _note_value(given: argparse.Namespace, shape: Shape) -> None:
    """Report that `--value` has no effect on a form that holds every value."""
    if given.value is not None and shape.format in ALL_VALUES:
        say(f"{shape.format} holds every value: --value {given.value} changes nothing in it.")


def _parser() -> Parser:
    from lenstui.readout.values import all_values  # late, since it imports NumPy

    parser = Parser(
        "lenstui read",
        "Read a prompt layer by layer and write the readout.",
        usage="lenstui read PROMPT [options]\n       lenstui read --turns FILE [options]\n"
        "       lenstui read --prompts FILE [options]",
        epilog="A table is as wide as the terminal, or as COLUMNS says, and what is wider goes on below;\n"
        "in a pipe or a file it is as wide as it takes.",
    )
    add_prompt_and_model(parser)
    add_remote(parser)
    parser.add_argument(
        "--instant",
        action="store_true",
        help="where the model has no fitted lens, make an instant one: the closed form on the text of many "
        "kinds that comes with lenstui",
    )
    add_prompts(parser)
    add_outliers(parser)
    add_lenses(
        add_against(parser),
        "--against-lenses",
        "of one prompt, the lenses of --against-model that are read (default: those of --lenses)",
    )
    output = add_output(parser, FORMATS)
    add_lenses(output)
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
        choices=[value.key for value in all_values()] + [mean.key for mean in _means_alone()],
        metavar="VALUE",
        help="what a table or Markdown shows behind a token, and what colours HTML, SVG and PDF: "
        + _values_text(),
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
    output.add_argument(
        "--figure",
        choices=FIGURES,
        help="what SVG or PDF shows: the grids (grid, the default), or the numbers of --pin by row (pins)",
    )
    output.add_argument(
        "--column",
        metavar="COLUMN",
        type=_column,
        help="the column of --figure pins, from 0 (default: the last)",
    )
    output.add_argument(
        "--first",
        metavar="WORD",
        action="append",
        default=[],
        help="say for each lens and column the first row where WORD is the likeliest token, in a table or "
        "JSON; may be given several times",
    )
    output.add_argument(
        "--append",
        metavar="N",
        type=positive,
        default=0,
        help="let the model say up to N tokens more first, each its likeliest, and read them too",
    )
    add_edits(
        output,
        "; with --diff the effect is shown, edited minus clean, by one lens; with --prompts the mean effect",
    )
    output.add_argument(
        "--diff",
        action="store_true",
        help="show the second lens minus the first, in a table, Markdown, HTML, SVG or PDF",
    )
    output.add_argument(
        "--no-final-norm",
        dest="final_norm",
        action="store_false",
        help="have the logit lens pass over the model's final norm",
    )
    output.add_argument(
        "--sublayers",
        action="store_true",
        help="before each row k also k.attn and k.mlp, the logits that attention and MLP of block k add, at "
        "the scale that the final norm has in the last row, so that they add up; and k.mid, the stream "
        "between the two, where there is one. By the logit lens alone: no other lens is fitted for them",
    )
    output.add_argument(
        "--words-only",
        action="store_true",
        help="leave tokens without a letter or digit, in any script, out of the tokens of a cell; every "
        "number stays that of the whole vocabulary",
    )
    return parser


def _values_text() -> str:
    """Return the keys of all values with their remarks for `--help`, one for neighbours that share it."""
    from lenstui.readout.values import all_values

    texts = []
    for option, alike in groupby(all_values(), lambda value: value.option):
        keys = ", ".join(value.key for value in alike)
        texts.append(f"{keys} ({option})" if option else keys)
    texts += [f"{mean.key} ({mean.option}, with --prompts)" for mean in _means_alone()]
    return ", ".join(texts).replace("%", "%%")


def _shape(parser: Parser, given: argparse.Namespace) -> Shape:
    from lenstui.readout.values import value_named

    form = output_format(parser, given, FORMATS)
    if given.top_k is not None and form in ONE_TOKEN:
        parser.error(f"--top-k is of no use with {form}, which shows the likeliest token")
    if given.prompts is None and given.value in {mean.key for mean in _means_alone()}:
        parser.error(f"--value {given.value} is for --prompts alone")
    needed = 0 if given.prompts is not None else value_named(given.value or DEFAULT_VALUE).pins
    if len(given.pin) < needed:
        words = "a word: name it" if needed == 1 else "two words: name both"
        parser.error(f"--value {given.value} is of {words} with --pin")
    figure = _figure(parser, given, form)
    if given.pin and form in FIGURE_FORMS and figure == GRID and not needed:
        parser.error(
            f"--pin is of no use with {form}, which shows the likeliest token, but for --value pin-… and "
            "--figure pins"
        )
    if len(given.pin) > MOST_PINS:
        parser.error(f"{len(given.pin)} words are pinned: at most {MOST_PINS}")
    if "" in given.pin:
        parser.error("a word to --pin is empty")
    if given.first and form not in WITH_FIRST:
        parser.error(f"--first is not for {form}: add --format {' or '.join(WITH_FIRST)}")
    if "" in given.first:
        parser.error("a word to --first is empty")
    if given.diff and form in ALL_VALUES:
        parser.error(f"--diff is of no use with {form}, which holds the numbers of every lens")
    is_of_two = given.diff and not given.edit and given.against_model is None
    if is_of_two and given.lenses is not None and len(given.lenses) + len(given.lens) < 2:
        parser.error("--diff is of two lenses: name two with --lenses, or leave it out")
    only_fitted = given.lenses is not None and all(made_lens(kind) is None for kind in given.lenses)
    if given.sublayers and (given.diff or only_fitted):
        parser.error("--sublayers is of the logit lens, as no other lens is fitted for them: leave one out")
    if not given.final_norm and only_fitted:
        parser.error("--no-final-norm is of the logit lens: leave one out")
    if form == "parquet" and given.output is None and sys.stdout.isatty():
        parser.error("parquet is nothing for a terminal: name a file with -o")
    return Shape(
        format=form,
        output=given.output,
        lenses=given.lenses,
        reading=Reading(
            RowChoice(given.rows, given.stride),
            final_norm=given.final_norm,
            bos=given.bos,
            chat=given.chat or given.turns is not None,
            sublayers=given.sublayers,
            words_only=given.words_only,
        ),
        value=DEFAULT_VALUE if given.value is None or form in ALL_VALUES else given.value,
        pins=tuple(given.pin),
        first=tuple(given.first),
        diff=given.diff,
        append=given.append,
        edits=tuple(given.edit),
        figure=figure,
        column=given.column,
        style=figure_style(parser, given, form),
    )


def _figure(parser: Parser, given: argparse.Namespace, form: str) -> str:
    """Return what a figure shows, and refuse options that do not go with it."""
    figure: str = given.figure or GRID
    if given.figure is not None and (form not in FIGURE_FORMS or given.prompts is not None):
        parser.error(f"--figure is of one prompt, with --format {' or '.join(FIGURE_FORMS)}")
    if given.column is not None and figure != PINS:
        parser.error("--column is of --figure pins")
    if figure == PINS:
        if not given.pin:
            parser.error("--figure pins is of words: name them with --pin")
        if given.diff or given.sublayers:
            parser.error(f"--{'diff' if given.diff else 'sublayers'} is of no use with --figure pins")
        if given.value is not None:
            parser.error("--value is of no use with --figure pins, which shows probability and rank")
    return figure


def _column(text: str) -> int:
    if (number := whole_number(text)) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no column: a number from 0 on")
    return number


def _rows(text: str) -> Runs:
    try:
        return parse_runs(text)
    except LensError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
