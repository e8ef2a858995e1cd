"""`lenstui trace CLEAN [CORRUPTED]`: a causal trace, without the screen."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lenstui.cli.arguments import Parser, add_model, model_start, parse, positive
from lenstui.cli.asked_set import AskedSet
from lenstui.cli.output import add_output, deliver, deliver_figure, figure_style, output_format, table_width
from lenstui.cli.readout import prompt_remarks
from lenstui.cli.set_trace import show_set_trace
from lenstui.cli.stderr import aside, progress, say
from lenstui.cli.turns import add_turns, check_alone, conversation
from lenstui.edits.edit import Columns
from lenstui.edits.language import parse_columns
from lenstui.edits.trace_options import DRAWS, METRICS, WHATS, TraceOptions
from lenstui.export.figures.style import FIGURE_FORMS
from lenstui.export.shape import Shape
from lenstui.readout.sets.prompts import EXAMPLES
from lenstui.support.atomic_file import check_place
from lenstui.support.duration import duration
from lenstui.support.errors import SHORTER_PROMPT, LensError, failure
from lenstui.support.request import Start
from lenstui.support.typed_number import whole_number

if TYPE_CHECKING:
    from lenstui.edits.trace import Trace
    from lenstui.export.trace import Traced
    from lenstui.model.load import Model
    from lenstui.model.tokens import Prompt
    from lenstui.opening.opened import Opened
    from lenstui.support.turns import Conversation

FORMATS = ("table", "json", "csv", *FIGURE_FORMS, "md")
_OF_SETS = ("prompt_column", "corrupted_column", "target_column", "minus_column", "group_column")


def run(words: Sequence[str]) -> int:
    """Parse the arguments of `lenstui trace` and run the command."""
    parser = _parser()
    given = parse(parser, words)
    form = output_format(parser, given, FORMATS)
    _check(parser, given)
    shape = Shape(format=form, output=given.output, style=figure_style(parser, given, form))
    asked = replace(model_start(parser, given), bos=given.bos)
    prompts = _prompts(parser, given)
    if given.prompts is not None:
        return show_set_trace(asked, _set(given), _options(given), shape)
    if given.output is not None:
        check_place(given.output, special=True)
    with progress() as on_stage, aside():
        from lenstui.opening.opened import open_model

        opened = open_model(asked, on_stage)
        on_stage("reading the prompts")
        traced = _traced(opened, prompts, given, on_stage)
    for remark in (*opened.remarks, *_remarks(traced)):
        say(remark)
    _write(traced, asked, shape)
    return 0


def _prompts(parser: Parser, given: argparse.Namespace) -> list[str | Conversation]:
    """Return the clean prompt, and the corrupted one if there is one."""
    if given.turns is None:
        return [prompt for prompt in (given.clean, given.corrupted) if prompt is not None]
    if given.turns.count("-") > 1:
        parser.error("both chats cannot be read from standard input: name a file of one")
    return [conversation(parser, given, turns) for turns in given.turns]


def _check(parser: Parser, given: argparse.Namespace) -> None:
    """Refuse arguments that do not go together."""
    check_alone(parser, given, prompt=given.clean)
    turns = given.turns or []
    if len(turns) > 2:
        parser.error(f"--turns are of a clean and a corrupted chat, and these are {len(turns)}")
    is_pair = given.corrupted is not None or len(turns) > 1
    if given.prompts is not None:
        _check_set(parser, given)
    elif option := next((name for name in _OF_SETS if getattr(given, name) is not None), None):
        parser.error(f"--{option.replace('_', '-')} needs --prompts")
    elif given.clean is None and not turns:
        parser.error("give a prompt, and a second one into which it is patched; or --prompts FILE")
    elif is_pair and given.noise is not None:
        parser.error("the corruption is a second prompt or --noise: leave one out")
    elif not is_pair and given.noise is None:
        parser.error("give a second prompt, into which the first is patched, or --noise COLUMNS")
    if given.noise is None and (given.samples is not None or given.seed is not None):
        parser.error("--samples and --seed are of --noise")
    if given.metric == "kl" and (given.pin is not None or given.minus is not None):
        parser.error("--pin and --minus are of no use with --metric kl, which is of all tokens")
    if given.metric == "logprob" and given.minus is not None:
        parser.error("--minus is of no use with --metric logprob: leave it out")
    if "" in (given.clean, given.corrupted, given.pin, given.minus):
        parser.error("a prompt or word is empty")


def _check_set(parser: Parser, given: argparse.Namespace) -> None:
    if given.clean is not None:
        parser.error("a prompt and --prompts are given: leave one out")
    if not given.prompts:
        parser.error("--prompts names no file")
    if given.pin is not None or given.minus is not None:
        parser.error("--pin and --minus are not for --prompts: each prompt has its own target and minus")
    if given.noise is not None and given.corrupted_column is not None:
        parser.error("the corruption is a second prompt or --noise: leave one out")
    if given.prompts == EXAMPLES and any(getattr(given, name) is not None for name in _OF_SETS):
        parser.error("the examples have their columns: leave the names out, or name a file ./examples")


def _set(given: argparse.Namespace) -> AskedSet:
    names = {name: getattr(given, name) for name in _OF_SETS}
    return AskedSet(given.prompts, **names, of_pairs=True, thinking=given.thinking)


def _parser() -> Parser:
    parser = Parser(
        "lenstui trace",
        "Patch parts of a clean run, one by one, into a corrupted one, and say how much each\n"
        "restores of what the corruption changed.",
        usage='lenstui trace "CLEAN PROMPT" "CORRUPTED PROMPT" [options]\n'
        '       lenstui trace "CLEAN PROMPT" --noise COLUMNS [options]\n'
        "       lenstui trace --turns CLEAN [CORRUPTED] [options]\n"
        "       lenstui trace --prompts FILE [options]",
        epilog="recovered = (patched − corrupted) / (clean − corrupted) of the metric: 1 is all of it,\n"
        "0 nothing.",
    )
    parser.add_argument("clean", metavar="CLEAN", nargs="?", help="the prompt whose parts are patched in")
    parser.add_argument(
        "corrupted", metavar="CORRUPTED", nargs="?", help="the prompt that they are patched into"
    )
    parser.add_argument(
        "--bos", action=argparse.BooleanOptionalAction,
        help="begin with the BOS token or not (default: as the tokenizer does it)",
    )  # fmt: skip
    trace = parser.add_argument_group("trace")
    trace.add_argument(
        "--what", choices=WHATS, default="resid",
        help="what is patched: the residual stream (default), what attention or MLP adds, attention heads",
    )  # fmt: skip
    trace.add_argument(
        "--metric", choices=METRICS, default="logit-diff",
        help="logit-diff: the logit of --pin minus that of --minus (default); logprob: the log-probability "
        "of --pin; kl: −KL from the clean run",
    )  # fmt: skip
    trace.add_argument("--pin", metavar="WORD", help="the token (default: the clean run's likeliest)")
    trace.add_argument(
        "--minus", metavar="WORD", help="the token that is taken off (default: the corrupted run's likeliest)"
    )
    trace.add_argument(
        "--window", metavar="N", type=positive, default=1,
        help="patch N neighbouring blocks together, of attention or MLPs (default: 1)",
    )  # fmt: skip
    trace.add_argument(
        "--column", metavar="COLUMN", type=_column, help="patch attention heads in this column alone"
    )
    trace.add_argument(
        "--noise", metavar="COLUMNS", type=_columns,
        help="corrupt these columns, such as 1-3, by Gaussian noise on their embeddings, of 3 times the "
        "standard deviation of the token embeddings",
    )  # fmt: skip
    trace.add_argument("--samples", metavar="N", type=positive, help="how many draws of noise (default: 10)")
    trace.add_argument("--seed", metavar="N", type=_column, help="the seed of the draws (default: 0)")
    trace.add_argument(
        "--approximate", action="store_true",
        help="estimate all patches to first order from one backward pass (attribution patching), which is "
        "fast and says where to look",
    )  # fmt: skip
    add_turns(parser, pairs=True)
    _add_prompts(parser)
    add_model(parser, lens=False)
    add_output(parser, FORMATS)
    return parser


def _add_prompts(parser: Parser) -> None:
    prompts = parser.add_argument_group("many prompts, and the mean over them")
    prompts.add_argument(
        "--prompts",
        metavar="FILE",
        help="JSON lines or Parquet, with a prompt and a corrupted one on each line; - is standard input",
    )
    columns = {
        "prompt": "column or field of the clean prompt (default: prompt, text or messages)",
        "corrupted": "that of the corrupted prompt (default: corrupted)",
        "target": "that of the token of the metric (default: target)",
        "minus": "that of the token that is taken off (default: minus)",
        "group": "that of the group, over which means are taken (default: group)",
    }
    for name, said in columns.items():
        prompts.add_argument(f"--{name}-column", metavar="NAME", help=said)


def _traced(
    opened: Opened,
    prompts: Sequence[str | Conversation],
    given: argparse.Namespace,
    on_stage: Callable[[str], None],
) -> Traced:
    """Trace, and report after each row how far it is and how long it takes."""
    from lenstui.export.trace import Traced
    from lenstui.lens.logit import LogitLens
    from lenstui.opening.opened import source_of
    from lenstui.readout.reading import Reading

    model, reading = opened.model, Reading(bos=given.bos, chat=given.turns is not None)
    for reason in reading.refused(model.allowed, model.num_blocks).values():
        raise LensError(reason)
    clean, corrupted, *_ = (*(reading.prompt(model, prompt) for prompt in prompts), None)
    assert clean is not None  # there is one at least
    options = _with_words(_options(given), model, clean, given)
    try:
        found = _all_rows(model, clean, corrupted, options, on_stage)
    except (MemoryError, RuntimeError) as error:  # torch's out-of-memory errors are RuntimeErrors
        raise LensError(failure("Tracing failed", error, SHORTER_PROMPT)) from error
    return Traced(found, clean, corrupted, source_of(opened, [LogitLens()], reading), model.texts)


def _remarks(traced: Traced) -> Iterator[str]:
    for prompt in (traced.clean, traced.corrupted):
        if prompt is not None and prompt.turns is not None:
            yield from prompt_remarks(prompt)


def _all_rows(
    model: Model,
    clean: Prompt,
    corrupted: Prompt | None,
    options: TraceOptions,
    on_stage: Callable[[str], None],
) -> Trace:
    from lenstui.edits.trace import trace_steps

    began, found = time.monotonic(), None
    for found in trace_steps(model, clean, corrupted, options):
        done, count = found.done, len(found.rows)
        left = (time.monotonic() - began) / done * (count - done)
        on_stage(f"row {done} of {count} · about {duration(left)} left")
    assert found is not None
    return found


def _options(given: argparse.Namespace) -> TraceOptions:
    """Return what is patched and how it is measured, but for the tokens."""
    return TraceOptions(
        what=given.what,
        metric=given.metric,
        window=given.window,
        column=given.column,
        noise=given.noise,
        samples=given.samples or DRAWS,
        seed=given.seed or 0,
        approximate=given.approximate,
    )


def _with_words(
    options: TraceOptions, model: Model, clean: Prompt, given: argparse.Namespace
) -> TraceOptions:
    """Return the options with the tokens that were named."""

    from lenstui.readout.continuation import text_behind
    from lenstui.readout.pins import find_pins

    behind = text_behind(clean, chat=clean.turns is not None)

    def token(word: str | None) -> int | None:
        if word is None:
            return None

        pin, *_ = find_pins(model.tokenizer, model.texts, [word], prompt=behind, vocabulary=model.vocabulary)
        if not pin.whole:
            first = model.texts[pin.id]
            say(f"No token is the word {word!r}: the first of those it is cut into, {first}, is meant.")
        return pin.id

    return replace(options, token=token(given.pin), minus=token(given.minus))


def _write(traced: Traced, asked: Start, shape: Shape) -> None:
    from lenstui.export.command import trace_command
    from lenstui.export.trace import trace_csv, trace_json, trace_markdown, trace_table

    form, output = shape.format, shape.output
    text: str | Iterable[str]
    if shape.is_figure:
        from lenstui.export.figures.trace import trace_figure

        command = trace_command(traced, asked, shape)
        deliver_figure(trace_figure(form, traced, shape.style, command), output)
        return
    if form == "json":
        text = trace_json(traced)
    elif form == "csv":
        text = trace_csv(traced)
    elif form == "table":
        text = trace_table(traced, table_width(output))
    else:
        text = trace_markdown(traced, trace_command(traced, asked, shape))
    deliver(text, output)


def _column(text: str) -> int:
    if (number := whole_number(text)) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return number


def _columns(text: str) -> Columns:
    try:
        return parse_columns(text)
    except LensError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from error
