"""`lenstui eval`: evaluate lenses on a text, or on items with words to find."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.cli.arguments import Parser, add_model, add_text, model_start, positive, text_documents
from lenstui.cli.output import add_output, deliver, output_format, table_width
from lenstui.cli.stderr import aside, bar, progress, say
from lenstui.cli.word_eval import AskedWords, show_words
from lenstui.model.not_finite import tokens_left_out_remark
from lenstui.model.rows import RowChoice, parse_runs
from lenstui.support.atomic_file import check_place
from lenstui.support.errors import LensError, first_line

if TYPE_CHECKING:
    from torch import Tensor

    from lenstui.evaluation.evaluate import Quality
    from lenstui.opening.opened import Opened
    from lenstui.texts.documents import Documents

_SEQ_LEN = 512
_MAX_TOKENS = 16384

# Options, by their names in the code, that are for one of the two alone.
_OF_TEXT = ("data", "text_column", "max_samples", "min_chars", "max_tokens", "seq_len")
_OF_WORDS = ("band", "correct_only", "words_only")


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
    _check_together(parser, given)
    form = output_format(parser, given)
    asked = model_start(parser, given)
    if given.words is not None:
        asked_words = AskedWords(given.words, given.band, given.correct_only, given.words_only)
        return show_words(asked, asked_words, form, given.output)
    most = given.max_tokens or _MAX_TOKENS
    if given.seq_len is not None and given.seq_len > most:
        parser.error(f"--seq-len {given.seq_len} is more than --max-tokens {most}")
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
        qualities = _judge(opened, Text(documents, most, given.seq_len))

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
        "Judge the logit lens and others. On a text, row by row: KL to the final\n"
        "distribution, cross-entropy of the next token, agreement with the final top-1.\n"
        "On items with words that the model should think of: pass@k, how many of them\n"
        "are among a lens's k likeliest tokens.",
        usage="lenstui eval --data FILE… [options]\n       lenstui eval --words FILE [options]",
        epilog="Give a text that the lens was not fitted on.",
    )
    text = add_text(parser)
    text.add_argument(
        "--max-tokens",
        metavar="N",
        type=_at_least_2,
        help=f"read at most N tokens, in whole blocks (default: {_MAX_TOKENS})",
    )
    text.add_argument(
        "--seq-len",
        metavar="N",
        type=_at_least_2,
        help=f"tokens of a block (default: {_SEQ_LEN}, or the model's context if that is shorter)",
    )
    words = parser.add_argument_group("words")
    words.add_argument(
        "--words", metavar="FILE", type=Path, help="JSON items with a prompt and its intermediates"
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
    add_output(parser)
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
        with bar("evaluating", most * length, "tokens") as on_tokens:
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
