"""The options of prompt sets: of `lenstui read --prompts`, and of the outlier scores of their prompts."""

from __future__ import annotations

import argparse

from lenstui.cli.arguments import Parser
from lenstui.cli.asked_set import AskedOutliers, AskedSet
from lenstui.export.figures.style import FIGURE_FORMS
from lenstui.export.shape import ALL_VALUES, Shape
from lenstui.model.reasoning import PLACES
from lenstui.readout.sets.prompts import EXAMPLES
from lenstui.support.errors import LensError

# Options for prompt sets only, and the formats of prompt sets.
_OF_SETS = (
    *("prompt_column", "target_column", "foil_column", "group_column"),
    *("exact_targets", "above", "at", "outliers"),
)
_OF_OUTLIERS = ("trajectory", "outlier_methods", "normal")  # for outlier scores only
_SET_FORMATS = ("table", "json", "csv", "parquet", *FIGURE_FORMS, "md")


def add_prompts(parser: Parser) -> None:
    """Add the arguments for a prompt set."""
    prompts = parser.add_argument_group("many prompts, each read at its end")
    prompts.add_argument(
        "--prompts",
        metavar="FILE",
        help="plain text (one prompt a line, a target behind a tab), CSV, JSON lines or Parquet; "
        "- is standard input, examples are those that come with lenstui",
    )
    prompts.add_argument(
        "--prompt-column",
        metavar="NAME",
        help="column or field of the prompt (default: prompt, text or messages)",
    )
    prompts.add_argument(
        "--target-column",
        metavar="NAME",
        help="that of the word that should come next, which is followed through all rows (default: target)",
    )
    prompts.add_argument(
        "--foil-column",
        metavar="NAME",
        help="that of another word that could come next, whose logit is taken off that of the target "
        "(default: foil)",
    )
    prompts.add_argument(
        "--group-column",
        metavar="NAME",
        help="that of the group, over which means are taken (default: group)",
    )
    prompts.add_argument(
        "--at",
        choices=PLACES,
        help="read each prompt that names no column at its last one (the default), at the last one of its "
        "reasoning, or of its answer",
    )
    prompts.add_argument(
        "--above",
        metavar="P",
        type=_limit,
        help="say in which row the target's probability is first above P (default: 0.5)",
    )
    prompts.add_argument(
        "--exact-targets",
        action="store_true",
        help="take targets as they are written (default: with a space before, where one belongs)",
    )


def add_outliers(parser: Parser) -> None:
    """Add the arguments for outlier scores."""
    from lenstui.readout.sets.outlier_methods import outlier_methods

    outliers = parser.add_argument_group("outlier scores of many prompts")
    outliers.add_argument(
        "--outliers",
        metavar="FILE",
        help="score how unlike a reference set each prompt is, by its log-probabilities through the rows; "
        "FILE is that set, on which alone the scores are fitted",
    )
    outliers.add_argument(
        "--trajectory",
        choices=("next", "target"),
        help="the log-probabilities: the mean over the prompt's next tokens (next, the default), or that of "
        "the whole target behind the prompt (target)",
    )
    outliers.add_argument(
        "--outlier-methods",
        type=_methods,
        metavar="METHOD,…",
        help=f"one or several of {', '.join(method.key for method in outlier_methods())} (default: all; "
        "without scikit-learn, an extra, the first)",
    )
    outliers.add_argument(
        "--normal",
        metavar="GROUP",
        help="the group of normal prompts, from which AUROC tells the others (default: the first)",
    )


def set_asked_for(parser: Parser, given: argparse.Namespace, shape: Shape) -> AskedSet:
    """Return the requested prompt set, and refuse options that do not go with one."""
    from lenstui.readout.sets.mean_values import shown_means

    if given.word is not None or given.prompt is not None:
        parser.error("a PROMPT and --prompts are given: leave one out")
    if given.pin:
        parser.error("--pin is not for --prompts: each prompt's target is followed")
    if given.first:
        parser.error("--first is not for --prompts: it is of one prompt")
    if given.diff:
        parser.error("--diff is not for --prompts, which shows every lens")
    if given.sublayers:
        parser.error("--sublayers is not for --prompts: it is of one prompt")
    if given.append:
        parser.error("--append is not for --prompts: each is read at its own end")
    if given.top_k is not None:
        parser.error("--top-k is not for --prompts, which shows the likeliest token")
    if shape.format not in _SET_FORMATS:
        parser.error(f"{shape.format} is not for --prompts: add --format {' or '.join(_SET_FORMATS)}")
    means = [mean.key for mean in shown_means()]
    if shape.value not in means:
        parser.error(f"--value {shape.value} is not for --prompts: {', '.join(means)}")
    if not given.prompts:
        parser.error("--prompts names no file")
    columns = (given.prompt_column, given.target_column, given.group_column)
    if given.prompts == EXAMPLES and any((*columns, given.foil_column)):
        parser.error("the examples have their columns: leave the names out, or name a file ./examples")
    value = None if shape.format in ALL_VALUES else given.value
    outliers = None
    if given.outliers is not None:
        outliers = AskedOutliers(given.outliers, given.trajectory, given.outlier_methods, given.normal)
    return AskedSet(
        given.prompts,
        *columns,
        exact_targets=given.exact_targets,
        value=value,
        thinking=given.thinking,
        outliers=outliers,
        foil_column=given.foil_column,
        above=given.above,
        at=given.at,
    )


def check_outliers(parser: Parser, given: argparse.Namespace) -> None:
    """Refuse options of outlier scores without these, and what they do not go with."""
    if given.outliers is None:
        if option := next((name for name in _OF_OUTLIERS if getattr(given, name) is not None), None):
            parser.error(f"--{option.replace('_', '-')} needs --outliers")
        return
    if not given.outliers:
        parser.error("--outliers names no file")
    if given.outliers == "-":
        parser.error("--outliers is a file: standard input is for --prompts")
    if given.edit:
        parser.error("--edit is not for --outliers, whose scores are of clean runs")


def _methods(text: str) -> tuple[str, ...]:
    from lenstui.readout.sets.outlier_methods import outlier_methods

    names, known = text.split(","), [method.key for method in outlier_methods()]
    if unknown := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f"unknown method {unknown[0]!r}: {', '.join(known)}")
    return tuple(dict.fromkeys(names))


def _limit(text: str) -> float:
    from lenstui.readout.sets.first_rows import limit_of

    try:
        return limit_of(text)
    except LensError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from error


def refuse_of_sets(parser: Parser, given: argparse.Namespace) -> None:
    """Refuse options that are for prompt sets only."""
    if option := next((name for name in _OF_SETS if _is_given(getattr(given, name))), None):
        parser.error(f"--{option.replace('_', '-')} needs --prompts")
    check_outliers(parser, given)


def _is_given(value: object) -> bool:
    """Return whether an option was given, also where it is 0."""
    return bool(value) or (value == 0 and value is not False)
