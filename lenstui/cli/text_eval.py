"""`lenstui eval --data`: lenses on a text, row by row."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from signal import SIGINT, Signals
from typing import TYPE_CHECKING

from lenstui.cli.ending import heard
from lenstui.cli.output import deliver, deliver_figure, table_width
from lenstui.cli.stderr import aside, bar, progress, say
from lenstui.export.figures.style import FIGURE_FORMS, FigureStyle
from lenstui.model.not_finite import tokens_left_out_remark
from lenstui.support.atomic_file import check_place, written
from lenstui.support.errors import LensError, failure
from lenstui.support.request import Start
from lenstui.texts.block_size import BlockSize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lenstui.evaluation.evaluate import Quality
    from lenstui.export.evaluation import Evaluated
    from lenstui.lens.lens import Lens
    from lenstui.opening.opened import Opened
    from lenstui.texts.documents import Documents

FORMATS = ("table", "json", "csv", "parquet", *FIGURE_FORMS, "md")


@dataclass(frozen=True, slots=True)
class AskedText:
    """The requested evaluation.

    Attributes:
        documents: the documents.
        size: the size of the blocks, and the most tokens to read.
        measures: the names of the measures to show; None for those that suit the form.
        errors: whether a table shows the standard errors of all measures.
        lenses: the kinds of lens to evaluate; None for all that there are.
        style: how a figure looks.
    """

    documents: Documents
    size: BlockSize
    measures: tuple[str, ...] | None = None
    errors: bool = False
    lenses: tuple[str, ...] | None = None
    style: FigureStyle = field(default=FigureStyle())


def show_text_evaluation(asked: Start, text: AskedText, form: str, output: Path | None) -> int:
    """Evaluate, write the result, and return the exit status."""
    from lenstui.export.evaluation_forms import ALL_MEASURES, shown_measures
    from lenstui.texts.documents import find_files

    files = find_files(text.documents)  # before the model, since loading takes long
    if output is not None:
        check_place(output, special=True)
        if output.exists() and any(output.samefile(file) for file in files):
            raise LensError(f"{output} is one of the texts: write to another file.")
    if form in ALL_MEASURES and text.measures is not None:
        say(f"{form} holds every measure: --measures changes nothing in it.")
    if form != "table" and text.errors:
        say(f"{form} holds every standard error: --errors changes nothing in it.")
    with progress() as on_stage, aside():
        from lenstui.opening.opened import lenses_to_read, missing_lenses, open_model

        opened = open_model(asked, on_stage)
    for remark in (*opened.remarks, *missing_lenses(opened, text.lenses)):
        say(remark)
    lenses = lenses_to_read(opened, text.lenses)
    marginal_bias = any(measure.name == "marginal_bias" for measure in shown_measures(form, text.measures))
    if marginal_bias:
        from lenstui.evaluation.marginal_bias import marginal_bias_refusal

        if refusal := marginal_bias_refusal(opened.model, lenses):
            say(refusal)
    with aside():
        qualities, ended = _judge(opened, lenses, text, marginal_bias=marginal_bias)
    if ended is not None and (ended is not SIGINT or not qualities):
        say("Stopped: nothing is kept.")
        return 128 + ended

    from lenstui.evaluation.keeping import keep_as_last
    from lenstui.export.evaluation import Evaluated
    from lenstui.opening.opened import source_of

    source = source_of(opened, lenses)
    of = Evaluated(qualities, source, text.documents.paths, stopped=ended is not None)
    if ended is not None:
        say(f"Stopped at {of.first.tokens} tokens, which are what was measured.")
    if left_out := [count for quality in qualities.values() for count in quality.left_out]:
        say(tokens_left_out_remark(left_out, of.first.tokens, opened.model.dtype_name))
    _write(of, opened, lenses, asked, text, form=form, output=output)
    if trouble := keep_as_last(opened.model, lenses, of.qualities, of.data):
        say(trouble)
    return 0


def _judge(
    opened: Opened, lenses: Sequence[Lens], text: AskedText, *, marginal_bias: bool
) -> tuple[Mapping[str, Quality], Signals | None]:
    """Cut the text into blocks and evaluate the lenses on them, until the end or a signal.

    Returns:
        The qualities by lens, of the blocks that were whole, and the signal.
    """
    from lenstui.evaluation.evaluate import evaluate
    from lenstui.texts.blocks import token_blocks
    from lenstui.texts.documents import SkippedLines, read_documents

    model, skipped = opened.model, SkippedLines()
    length = text.size.columns(model.context)
    most = text.size.max_tokens // length
    blocks = token_blocks(model.tokenizer, read_documents(text.documents, skipped), length)
    try:
        with heard() as ending, bar("evaluating", most * length, "tokens") as on_tokens:

            def go_on(columns: int) -> bool:
                on_tokens(columns)
                return ending() is None

            qualities = evaluate(
                model, islice(blocks, most), lenses, marginal_bias=marginal_bias, go_on=go_on
            )
            ended = ending()
    except (IndexError, MemoryError, RuntimeError) as error:  # torch's out-of-memory errors are RuntimeErrors
        raise LensError(failure("Evaluating failed", error, "Try a smaller --seq-len.")) from error
    if skipped.count:
        say(str(skipped))
    return qualities, ended


def _write(
    of: Evaluated,
    opened: Opened,
    lenses: Sequence[Lens],
    asked: Start,
    text: AskedText,
    *,
    form: str,
    output: Path | None,
) -> None:
    from lenstui.export.command import evaluation_command
    from lenstui.export.evaluation import write_evaluation_parquet
    from lenstui.export.evaluation_forms import evaluation_text, shown_measures, text_options
    from lenstui.export.shape import Shape
    from lenstui.opening.opened import files_to_name

    if form == "parquet":
        with nullcontext(sys.stdout.buffer) if output is None else written(output) as file:
            write_evaluation_parquet(of, file)
        return

    shape = Shape(format=form, output=output, style=text.style)

    def command() -> str:
        options = text_options(of, text.documents, text.size, opened.model.context)
        options += [] if text.measures is None else ["--measures", ",".join(text.measures)]
        files = files_to_name(opened, lenses)
        return evaluation_command(of.source, options, files, asked, shape)

    if form in FIGURE_FORMS:
        from lenstui.export.figures.evaluation import evaluation_figure

        shown = shown_measures(form, text.measures)
        deliver_figure(evaluation_figure(form, of, shown, text.style, command()), output)
        return
    width = table_width(output) if form == "table" else None
    result = evaluation_text(form, of, command, measures=text.measures, width=width, errors=text.errors)
    deliver(result, output)
