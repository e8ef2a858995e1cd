"""The forms of an evaluation on a text, by their names, and the options that read the text again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from lenstui.evaluation.measures import MEASURES, Measure, measure_named
from lenstui.export.evaluation import Evaluated, evaluation_csv, evaluation_json
from lenstui.export.evaluation_table import evaluation_markdown, evaluation_table
from lenstui.texts.block_size import BlockSize
from lenstui.texts.documents import Documents

ALL_MEASURES = ("json", "csv", "parquet")  # forms that hold every measure
_FIGURE = ("kl", "ce", "top1_agreement", "entropy", "ece", "marginal_bias")
# What a table and a figure show where nothing else is asked for.
_SHOWN = {
    "table": ("kl", "ce", "top1_agreement", "ece", "marginal_bias"),
    "svg": _FIGURE,
    "pdf": _FIGURE,
}


def shown_measures(form: str, names: Sequence[str] | None = None) -> Sequence[Measure]:
    """Return the measures that a form shows.

    Args:
        form: the name of the form.
        names: the names of the measures that were asked for; None for those that suit the form.
    """
    names = None if form in ALL_MEASURES else names or _SHOWN.get(form)
    return MEASURES if names is None else [measure_named(name) for name in names]


def evaluation_text(
    form: str,
    of: Evaluated,
    command: Callable[[], str],
    *,
    measures: Sequence[str] | None = None,
    width: int | None = None,
    errors: bool = False,
) -> str | Iterable[str]:
    """Return an evaluation in a form of text, whole or in pieces.

    Args:
        form: the name of the form, any of text.
        of: the evaluation.
        command: returns the command that writes this form again.
        measures: the names of the measures that were asked for; None for those that suit the form.
        width: the width of a table's line in terminal cells; None for as wide as it takes.
        errors: whether a table shows the standard errors of all measures.
    """
    shown = shown_measures(form, measures)
    match form:
        case "json":
            return evaluation_json(of)
        case "csv":
            return evaluation_csv(of)
        case "table":
            return evaluation_table(of, shown, width, errors=errors)
        case _:
            return evaluation_markdown(of, shown, command())


def text_options(of: Evaluated, documents: Documents, size: BlockSize, context: int | None) -> list[str]:
    """Return the options of `lenstui eval` that have as much of the text read as was read.

    Args:
        of: the evaluation.
        documents: the text.
        size: the size of the blocks, and the most tokens to read.
        context: the model's context.
    """
    options = ["--data", *documents.paths]
    options += [] if documents.column is None else ["--text-column", documents.column]
    options += [] if documents.max_samples is None else ["--max-samples", str(documents.max_samples)]
    options += ["--min-chars", str(documents.min_chars)] if documents.min_chars > 1 else []
    options += ["--max-tokens", str(of.first.tokens if of.stopped else size.max_tokens)]
    return [*options, "--seq-len", str(size.columns(context))]
