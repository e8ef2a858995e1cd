"""`lenstui eval`: evaluate the logit lens and a tuned lens on a text."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from lenstui.cli.arguments import Parser, add_model, add_text, model_start, positive, text_documents
from lenstui.cli.output import add_output, deliver, output_format, table_width
from lenstui.cli.stderr import aside, progress, say
from lenstui.model.not_finite import tokens_left_out_remark
from lenstui.support.atomic_file import check_place
from lenstui.support.errors import LensError, first_line

if TYPE_CHECKING:
    from torch import Tensor

    from lenstui.evaluation.evaluate import Quality
    from lenstui.opening.opened import Opened
    from lenstui.texts.documents import Documents

_SEQ_LEN = 512
_MAX_TOKENS = 16384


@dataclass(frozen=True, slots=True)
class Text:
    """The text to evaluate on.

    Attributes:
        documents: the documents.
        max_tokens: the most tokens to read.
        seq_len: the number of columns of a block; None for one that suits the model.
    """

    documents: Documents
    max_tokens: int
    seq_len: int | None


def run(words: Sequence[str]) -> int:
    """Parse the arguments of `lenstui eval` and run the command."""
    parser = _parser()
    given = parser.parse_args(words)
    form = output_format(parser, given)
    asked = model_start(parser, given)
    if given.seq_len is not None and given.seq_len > given.max_tokens:
        parser.error(f"--seq-len {given.seq_len} is more than --max-tokens {given.max_tokens}")
    from lenstui.texts.documents import find_files

    documents = text_documents(given)
    files = find_files(documents)  # before the model, since loading takes long
    if given.output is not None:
        check_place(given.output, special=True)
        if given.output.exists() and any(given.output.samefile(file) for file in files):
            raise LensError(f"{given.output} is one of the texts: write to another file.")

    with progress() as on_stage, aside():
        from lenstui.opening.opened import open_model

        opened = open_model(asked, on_stage)
    for remark in opened.remarks:
        say(remark)
    with aside():
        qualities = _judge(opened, Text(documents, given.max_tokens, given.seq_len))

    from lenstui.export.evaluation import evaluation_json, evaluation_table
    from lenstui.opening.opened import source_of

    if left_out := [count for quality in qualities.values() for count in quality.left_out]:
        say(tokens_left_out_remark(left_out, next(iter(qualities.values())).tokens, opened.model.dtype_name))
    source = source_of(opened, opened.lenses)
    shown = (
        evaluation_json(qualities, source, documents.paths)
        if form == "json"
        else evaluation_table(qualities, source, table_width(given.output))
    )
    deliver(shown, given.output)
    return 0


def _parser() -> Parser:
    parser = Parser(
        "lenstui eval",
        "Judge the logit lens and a tuned lens, row by row: KL to the final\n"
        "distribution, cross-entropy of the next token, agreement with the final top-1.",
        usage="lenstui eval --data FILE… [options]",
        epilog="Give a text that the lens was not fitted on.",
    )
    text = add_text(parser, required=True)
    text.add_argument(
        "--max-tokens",
        metavar="N",
        type=_at_least_2,
        default=_MAX_TOKENS,
        help=f"read at most N tokens, in whole blocks (default: {_MAX_TOKENS})",
    )
    text.add_argument(
        "--seq-len",
        metavar="N",
        type=_at_least_2,
        help=f"tokens of a block (default: {_SEQ_LEN}, or the model's context if that is shorter)",
    )
    add_model(parser)
    add_output(parser)
    return parser


def _at_least_2(text: str) -> int:
    number = positive(text)
    if number < 2:
        raise argparse.ArgumentTypeError("must be at least 2: a token, and the one it predicts")
    return number


def _judge(opened: Opened, text: Text) -> Mapping[str, Quality]:
    """Cut the text into blocks and evaluate the lenses on them."""
    from lenstui.evaluation.evaluate import evaluate
    from lenstui.texts.blocks import token_blocks
    from lenstui.texts.documents import SkippedLines, read_documents

    model, skipped = opened.model, SkippedLines()
    length = _block_length(text, model.context)
    most = text.max_tokens // length
    blocks = token_blocks(model.tokenizer, read_documents(text.documents, skipped), length)
    try:
        with _bar(most * length) as on_tokens:
            qualities = evaluate(model, _watched(islice(blocks, most), on_tokens), opened.lenses)
    except (IndexError, MemoryError, RuntimeError) as error:  # torch's out-of-memory errors are RuntimeErrors
        raise LensError(f"Evaluating failed: {first_line(error)} Try a smaller --seq-len.") from error
    if skipped.count:
        say(str(skipped))
    return qualities


def _block_length(text: Text, context: int | None) -> int:
    if text.seq_len is None:
        return min(_SEQ_LEN, text.max_tokens, context or _SEQ_LEN)
    if context is not None and text.seq_len > context:
        raise LensError(f"The model reads at most {context} tokens: --seq-len {text.seq_len} is too long.")
    return text.seq_len


def _watched(blocks: Iterator[Tensor], on_tokens: Callable[[int], None]) -> Iterator[Tensor]:
    """Yield the blocks, and report each once the next one is asked for."""
    for block in blocks:
        yield block
        on_tokens(len(block))


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on stderr, where that is a terminal, and yield the function that advances it."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda tokens: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("evaluating"), BarColumn(), MofNCompleteColumn(), TextColumn("tokens"))
    console = Console(stderr=True)
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, refresh_per_second=10
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda tokens: bar.advance(task, tokens)
