"""A prompt set as Markdown: a table of the cases, and one of the means for each lens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lenstui.export.markdown import code_span, markdown_table, number_text, said
from lenstui.export.set_outliers import auroc_texts, separation_head, separation_title
from lenstui.export.set_tidy import SetHeading
from lenstui.export.set_values import (
    ONE_PROMPT,
    by_group,
    caption,
    changed_text,
    columns_of,
    difference_text,
    effect_text,
    final_texts,
    first_caption,
    first_row_heads,
    first_row_texts,
    foil_sentence,
    foil_text,
    lacks_errors,
    runs_of,
    settled,
    target_numbers,
    target_text,
    whole_text,
)
from lenstui.lens.names import lens_title
from lenstui.opening.source import filter_text
from lenstui.readout.sets.cases import CaseReadout, FailedCase
from lenstui.readout.sets.first_rows import first_rows
from lenstui.readout.sets.mean_values import MeanValue


def set_markdown(
    readouts: Sequence[CaseReadout | FailedCase], heading: SetHeading, value: MeanValue, command: str
) -> str:
    """Return the cases group by group, the means, the top of the network first, and the source.

    Args:
        readouts: the readouts of all cases, in order.
        heading: the heading of the set.
        value: the means to show.
        command: the command that repeats the readout.
    """
    lenses = next((tuple(each.lenses) for each in readouts if isinstance(each, CaseReadout)), ())
    heads = ["prompt", "final top-1", "target, final", *(f"settles, {lens_title(name)}" for name in lenses)]
    has_target = any(isinstance(each, CaseReadout) and each.target for each in readouts)
    heads += first_row_heads(lenses, heading.above) if has_target else []
    heads += ["logit of target − foil"] if heading.has_foils else []
    heads += [] if heading.outliers is None else [method.label for method in heading.outliers.methods]
    lines: list[str] = []
    for group, members in by_group(readouts):
        rows = [_row(each, heading, has_target=has_target) for each in members]
        labels = [str(each.case.number) for each in members]
        title = [] if group is None else [f"**{code_span(group)}**", ""]
        rows = [[*row, *[""] * (len(heads) - len(row))] for row in rows]
        lines += [*title, *markdown_table(heads, labels, rows), ""]
    columns = columns_of(readouts, value, heading.above)
    for name in lenses:
        texts = [column.texts(value, name) for column in columns]
        rows = [
            [number_text(" ".join(filter(None, column[row]))) for column in texts]
            for row in reversed(range(len(heading.rows)))
        ]
        heading_text, _, about = caption(name, value, columns).partition(" · ")
        lines += [f"**{heading_text}** · {about}", ""]
        lines += [*markdown_table([code_span(each.head) for each in columns], heading.rows[::-1], rows), ""]
    if has_target:
        with_target = [column for column in columns if column.means.n_target]
        rows = [
            [" ".join(column.first_texts(first.key, lens)) for column in with_target]
            for first in first_rows()
            for lens in lenses
        ]
        heads = [code_span(f"{column.name} {column.run}".rstrip()) for column in with_target]
        labels = first_row_heads(lenses, heading.above)
        lines += [f"**{first_caption(with_target)}**", "", *markdown_table(heads, labels, rows), ""]
    lines += [ONE_PROMPT, ""] if lenses and lacks_errors(columns, value) else []
    lines += _outliers(readouts, heading)
    if (runs := runs_of(readouts)) is not None:
        lines += [f"{changed_text(runs)}; {effect_text(runs)}", ""]
    lines += [filter_text(heading.source), ""] if heading.source.words_only else []
    sides = [said(heading.source, f"prompts {code_span(heading.prompts)}")]
    if heading.second is not None:
        sides = [f"first: {sides[0]}", "", f"second: {said(heading.second.source, 'the same prompts')}"]
    lines += [*sides, "", "```sh", command, "```", ""]
    return "\n".join(lines)


def _row(readout: CaseReadout | FailedCase, heading: SetHeading, *, has_target: bool) -> list[str]:
    prompt = code_span(readout.case.text) if readout.case.text else ""
    if isinstance(readout, FailedCase):
        return [prompt, code_span(readout.reason)]
    token, probability = final_texts(readout, code_span)
    final = f"{token} {number_text(probability)}"
    target = ""
    if readout.target is not None:
        prob, rank = target_numbers(readout)
        target = f"{code_span(target_text(readout))} {number_text(prob)}, rank {rank}"
        if readout.has_long_target:
            target += f"; whole: log p {whole_text(readout)} nats"
    firsts = first_row_texts(readout, heading.rows, heading.above) if has_target else []
    scores = [] if heading.outliers is None else heading.outliers.scores(readout)
    return [
        prompt,
        final,
        target,
        *settled(readout, heading.rows),
        *firsts,
        *_against_foil(readout, heading),
        *scores,
    ]


def _against_foil(readout: CaseReadout, heading: SetHeading) -> list[str]:
    """Return the foil and the logit difference with it in one cell; no cell where no prompt has a foil."""
    if not heading.has_foils:
        return []
    if readout.foil is None:
        return [code_span(readout.no_difference) if readout.no_difference else ""]
    if readout.no_difference or readout.has_long_target or readout.has_long_foil:
        return [code_span(foil_sentence(readout))]
    return [f"{code_span(foil_text(readout))} {number_text(difference_text(readout))}"]


def _outliers(readouts: Sequence[CaseReadout | FailedCase], heading: SetHeading) -> Iterator[str]:
    """Yield the areas under the ROC curve, and what the scores are; nothing where there are none."""
    if heading.outliers is None:
        return
    if found := heading.outliers.separations(readouts):
        yield from (f"**{separation_title(found[0], code_span)}**", "")
        heads = [code_span(separation_head(each)) for each in found]
        methods = heading.outliers.methods
        areas = [[auroc_texts(each.methods[method.key]) for each in found] for method in methods]
        rows = [[f"{value} ({interval})" for value, interval in of_method] for of_method in areas]
        yield from markdown_table(heads, [method.label for method in methods], rows)
        yield ""
    yield from (code_span(heading.outliers.text), "")
