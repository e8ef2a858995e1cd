"""An evaluation of lenses as a table of text, and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lenstui.evaluation.measures import Measure
from lenstui.export.columns import column_lines, column_runs, side_by_side
from lenstui.export.evaluation import Evaluated
from lenstui.export.markdown import code_span, markdown_table, number_text, said
from lenstui.export.table import summary
from lenstui.export.text_width import wrapped
from lenstui.lens.kinds import JACOBIAN
from lenstui.lens.names import lens_title
from lenstui.model.not_finite import LEFT_OUT
from lenstui.support.fixed_text import NONE, fixed_text

if TYPE_CHECKING:
    from lenstui.evaluation.evaluate import Quality

_NOT_JUDGED = "a Jacobian lens reads what may be said later: its KL does not say how good it is"
_WITH_ERROR = ("kl",)  # in a table, unless errors are asked for


def evaluation_table(
    of: Evaluated, measures: Sequence[Measure], width: int | None = None, *, errors: bool = False
) -> str:
    """Return an evaluation as a table of text: the last row first, standard errors behind KL.

    What is wider than `width` becomes several tables, one below the other, one for each lens if that fits.

    Args:
        of: the evaluation.
        measures: the measures to show.
        width: the width of a line in terminal cells; None for as wide as it takes.
        errors: whether to show the standard errors of all measures.
    """
    shown = [measure for measure in measures if of.first.of(measure.name)]
    with_error = [each.name for each in shown] if errors else _WITH_ERROR
    below = captions(of, shown)
    lines = [*_lines(of, shown, with_error, width), *(wrapped(caption, width) for caption in below)]
    return "".join(f"{line}\n" for line in lines)


def evaluation_markdown(of: Evaluated, measures: Sequence[Measure], command: str) -> str:
    """Return an evaluation as Markdown tables, one for each lens, with the source and the command.

    Args:
        of: the evaluation.
        measures: the measures to show.
        command: the command that repeats it.
    """
    shown = [measure for measure in measures if of.first.of(measure.name)]
    lines: list[str] = []
    for name, quality in of.qualities.items():
        columns = [measure_column(quality, measure, with_error=True)[::-1] for measure in shown]
        heads = [measure.head for measure in shown]
        if quality.left_out:
            heads.append("left out")
            columns.append(list(map(str, quality.left_out))[::-1])
        table = markdown_table(heads, of.rows[::-1], zip(*columns, strict=True))
        lines += [f"**{lens_title(name)}**", "", *table, ""]
    for caption in captions(of, shown)[:-1]:  # the last one is the source, which `said` has
        lines += [number_text(caption), ""]
    texts = ", ".join(map(code_span, of.data))
    return "\n".join([*lines, said(of.source, f"text {texts}"), "", "```sh", command, "```", ""])


def captions(of: Evaluated, shown: Sequence[Measure] = ()) -> list[str]:
    """Return the sentences below a table or figure, the source of the numbers last.

    Args:
        of: the evaluation.
        shown: the measures that need to be explained.
    """
    judged = {name: quality for name, quality in of.qualities.items() if not _is_jacobian(name)}
    means = ", ".join(f"{name} {fixed_text(quality.mean_kl, 3)}" for name, quality in judged.items())
    own = ", ".join(
        f"{measure.head} {_with_error(measure, value, error)}" for measure, value, error in of.of_model
    )
    blocks = "1 block" if of.first.blocks == 1 else f"{of.first.blocks} blocks"
    error = " · ± standard error" if of.first.sem else ""
    return [
        f"mean KL, the last row left out: {means}",
        *([_NOT_JUDGED] if len(judged) < len(of.qualities) else []),
        f"the model itself: {own}",
        f"{of.first.tokens} tokens in {blocks}{', stopped' * of.stopped} · in nats{error}",
        *([" · ".join(f"{measure.head}: {measure.label}" for measure in shown)] if shown else []),
        *([LEFT_OUT] if any(quality.left_out for quality in of.qualities.values()) else []),
        summary(of.source),
    ]


def _is_jacobian(key: str) -> bool:
    return key.partition(":")[0] == JACOBIAN


def _lines(
    of: Evaluated, shown: Sequence[Measure], with_error: Sequence[str], width: int | None
) -> Iterator[str]:
    """Yield the lines of the tables, an empty one behind each."""
    labels = ["row", *of.rows[::-1]]
    lenses = [list(_columns(name, quality, shown, with_error)) for name, quality in of.qualities.items()]
    if all(len(column_runs(labels, columns, width)) == 1 for columns in lenses):
        yield from column_lines(labels, [side_by_side(columns) for columns in lenses], width)
        return
    for name, quality in of.qualities.items():  # then a lens is not always beside its name
        yield from column_lines(labels, list(_columns(name, quality, shown, with_error, named=True)), width)


def _columns(
    name: str,
    quality: Quality,
    shown: Sequence[Measure],
    with_error: Sequence[str],
    *,
    named: bool = False,
) -> Iterator[list[str]]:
    """Yield the columns of a lens, each a head and a text for each row, the last row first.

    Args:
        name: the lens.
        quality: its quality.
        shown: the measures to show.
        with_error: the names of those with their standard errors behind them.
        named: whether all heads name the lens, not the first alone.
    """
    columns = [
        (measure.head, measure_column(quality, measure, with_error=measure.name in with_error))
        for measure in shown
    ]
    if quality.left_out:
        columns.append(("left out", list(map(str, quality.left_out))))
    for place, (head, texts) in enumerate(columns):
        yield [f"{name} {head}" if named or place == 0 else head, *texts[::-1]]


def measure_column(quality: Quality, measure: Measure, *, with_error: bool) -> list[str]:
    """Return the texts of a measure by row, `emb` first."""
    values = quality.of(measure.name)
    errors: Sequence[float | None] = quality.sem.get(measure.name, ()) if with_error else ()
    return [
        _with_error(measure, value, error)
        for value, error in zip(values, errors or [None] * len(values), strict=True)
    ]


def _with_error(measure: Measure, value: float, error: float | None) -> str:
    """Return a value with its standard error, if there is one; – where there is no value."""
    if math.isnan(value):
        return NONE
    return measure_text(measure, value) + ("" if error is None else f" ± {measure_text(measure, error)}")


def measure_text(measure: Measure, value: float) -> str:
    """Return a value of a measure as text."""
    if measure.is_share and not math.isnan(value):
        return f"{value:.{measure.decimals}%}"
    return fixed_text(value, measure.decimals)
