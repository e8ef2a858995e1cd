"""`lenstui eval --data`: lenses on a text, row by row."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from math import isfinite
from pathlib import Path
from signal import SIGINT, Signals
from typing import TYPE_CHECKING

from lenstui.cli.block_size import BlockSize
from lenstui.cli.ending import heard
from lenstui.cli.output import deliver, table_width
from lenstui.cli.stderr import aside, bar, progress, say
from lenstui.model.not_finite import tokens_left_out_remark
from lenstui.support.atomic_file import check_place, written
from lenstui.support.errors import LensError, first_line
from lenstui.support.request import Start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lenstui.evaluation.evaluate import Quality
    from lenstui.evaluation.measures import Measure
    from lenstui.export.evaluation import Evaluated
    from lenstui.opening.opened import Opened
    from lenstui.texts.documents import Documents

FORMATS = ("table", "json", "csv", "parquet", "svg", "md")
ALL_MEASURES = ("json", "csv", "parquet")  # formats that hold every measure
# What a table and a figure show where nothing else is asked for.
_SHOWN = {
    "table": ("kl", "ce", "top1_agreement", "ece", "marginal_bias"),
    "svg": ("kl", "ce", "top1_agreement", "entropy", "ece", "marginal_bias"),
}


@dataclass(frozen=True, slots=True)
class AskedText:
    """The requested evaluation.

    Attributes:
        documents: the documents.
        size: the size of the blocks, and the most tokens to read.
        measures: the names of the measures to show; None for those that suit the form.
        errors: whether a table shows the standard errors of all measures.
    """

    documents: Documents
    size: BlockSize
    measures: tuple[str, ...] | None = None
    errors: bool = False

    def shown(self, form: str) -> Sequence[Measure]:
        """Return the measures to show in a form."""
        from lenstui.evaluation.measures import MEASURES, measure_named

        names = None if form in ALL_MEASURES else self.measures or _SHOWN.get(form)
        return MEASURES if names is None else [measure_named(name) for name in names]


def show_text_evaluation(asked: Start, text: AskedText, form: str, output: Path | None) -> int:
    """Evaluate, write the result, and return the exit status."""
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
        from lenstui.opening.opened import open_model

        opened = open_model(asked, on_stage)
    for remark in opened.remarks:
        say(remark)
    marginal_bias = any(measure.name == "marginal_bias" for measure in text.shown(form))
    if marginal_bias:
        from lenstui.evaluation.marginal_bias import marginal_bias_refusal

        if refusal := marginal_bias_refusal(opened.model, opened.lenses):
            say(refusal)
    with aside():
        qualities, ended = _judge(opened, text, marginal_bias=marginal_bias)
    if ended is not None and (ended is not SIGINT or not qualities):
        say("Stopped: nothing is kept.")
        return 128 + ended

    from lenstui.export.evaluation import Evaluated
    from lenstui.opening.opened import source_of

    source = source_of(opened, opened.lenses)
    of = Evaluated(qualities, source, text.documents.paths, stopped=ended is not None)
    if ended is not None:
        say(f"Stopped at {of.first.tokens} tokens, which are what was measured.")
    if left_out := [count for quality in qualities.values() for count in quality.left_out]:
        say(tokens_left_out_remark(left_out, of.first.tokens, opened.model.dtype_name))
    _write(of, opened, asked, text, form=form, output=output)
    _keep(of, opened)
    return 0


def _judge(
    opened: Opened, text: AskedText, *, marginal_bias: bool
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
                model, islice(blocks, most), opened.lenses, marginal_bias=marginal_bias, go_on=go_on
            )
            ended = ending()
    except (IndexError, MemoryError, RuntimeError) as error:  # torch's out-of-memory errors are RuntimeErrors
        raise LensError(f"Evaluating failed: {first_line(error)} Try a smaller --seq-len.") from error
    if skipped.count:
        say(str(skipped))
    return qualities, ended


def _write(
    of: Evaluated, opened: Opened, asked: Start, text: AskedText, *, form: str, output: Path | None
) -> None:
    from lenstui.export.evaluation import evaluation_csv, evaluation_json, write_evaluation_parquet
    from lenstui.export.evaluation_svg import evaluation_svg
    from lenstui.export.evaluation_table import evaluation_markdown, evaluation_table

    if form == "parquet":
        with nullcontext(sys.stdout.buffer) if output is None else written(output) as file:
            write_evaluation_parquet(of, file)
    elif form == "json":
        deliver(evaluation_json(of), output)
    elif form == "csv":
        deliver(evaluation_csv(of), output)
    elif form == "table":
        deliver(evaluation_table(of, text.shown(form), table_width(output), errors=text.errors), output)
    else:
        figure = evaluation_svg if form == "svg" else evaluation_markdown
        command = _command(of, opened, asked, text, form=form, output=output)
        deliver(figure(of, text.shown(form), command), output)


def _keep(of: Evaluated, opened: Opened) -> None:
    """Keep the evaluation of each lens that has a file for its card, and that of the logit lens."""
    from lenstui.lens.fingerprint import fingerprint_digest
    from lenstui.lens.kinds import JACOBIAN, LOGIT
    from lenstui.lens.last_evaluation import LastEvaluation, keep_evaluations

    now = datetime.now(UTC).isoformat(timespec="seconds")
    found, logit = {}, {}
    for lens, quality in zip(opened.lenses, of.qualities.values(), strict=True):
        by_row = quality.kl[:-1]
        kl = quality.mean_kl if lens.kind != JACOBIAN and isfinite(quality.mean_kl) else None
        evaluation = LastEvaluation(
            model=of.source.title,
            data=of.data,
            tokens=quality.tokens,
            time=now,
            kl=kl,
            kl_by_row=by_row if kl is not None and all(map(isfinite, by_row)) else (),
        )
        if lens.file is not None:
            found[lens.file.absolute()] = evaluation
        elif lens.kind == LOGIT:
            logit[fingerprint_digest(opened.model)] = evaluation
    if (found or logit) and (trouble := keep_evaluations(found, logit)):
        say(trouble)


def _command(
    of: Evaluated, opened: Opened, asked: Start, text: AskedText, *, form: str, output: Path | None
) -> str:
    from lenstui.export.command import evaluation_command
    from lenstui.export.shape import Shape
    from lenstui.opening.opened import files_to_name

    documents = text.documents
    options = ["--data", *documents.paths]
    options += [] if documents.column is None else ["--text-column", documents.column]
    options += [] if documents.max_samples is None else ["--max-samples", str(documents.max_samples)]
    options += ["--min-chars", str(documents.min_chars)] if documents.min_chars > 1 else []
    options += ["--max-tokens", str(of.first.tokens if of.stopped else text.size.max_tokens)]
    options += ["--seq-len", str(text.size.columns(opened.model.context))]
    options += [] if text.measures is None else ["--measures", ",".join(text.measures)]
    files = files_to_name(opened, opened.lenses)
    return evaluation_command(of.source, options, files, asked, Shape(format=form, output=output))
