"""A prompt set as text for a terminal or a pipe: one line for each prompt, and the means by row and group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, groupby

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from lenstui.export.set_outliers import auroc_texts, separation_head, separation_title
from lenstui.export.set_tidy import SetHeading
from lenstui.export.set_values import (
    ONE_PROMPT,
    MeanColumn,
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
    foil_text,
    lacks_errors,
    runs_of,
    settled,
    target_numbers,
    target_text,
    whole_text,
)
from lenstui.export.table import grid, summary
from lenstui.export.text_width import clip, column_groups, wrapped
from lenstui.model.rows import is_whole_stream
from lenstui.opening.source import Source, filter_text
from lenstui.readout.sets.cases import CaseReadout, FailedCase
from lenstui.readout.sets.first_rows import first_rows, limit_text
from lenstui.readout.sets.mean_values import MeanValue
from lenstui.support.fixed_text import NONE
from lenstui.support.printable import printable

_GAP = "  "
_WIDEST_TOKEN = 12  # terminal cells
_LEAST_TEXT = 16  # terminal cells of a prompt, and of a reason beside it

_CAPTION = "probability and rank are final · {}: the row where its top-1 settles"
_UNSETTLED = f"{_CAPTION}, {NONE}: known only with all rows read"

_WHOLE = (
    "of a target of several tokens (…) these are its first one's, and whole is log p of all of them (nats)"
)

_FOIL = (
    "logit diff: the final logit of the target minus that of the foil; of a word of several tokens (…) it is "
    "its first one's"
)

_FIRST = (
    "leads: the first row, of those read, where the target has rank 0 · p > {0}: where its probability is "
    f"above {{0}} · {NONE}: in no row"
)

_Line = list[str]  # of a case: its number, its prompt, and the rest


def set_table(
    readouts: Sequence[CaseReadout | FailedCase],
    heading: SetHeading,
    value: MeanValue,
    width: int | None = None,
) -> Text:
    """Return the cases group by group, then the means, the top of the network first, then the source.

    Columns beyond `width` go into further tables below, and of a long prompt there is only the end.

    Args:
        readouts: the readouts of all cases, in order.
        heading: the heading of the set.
        value: the means to show.
        width: the width of a line in terminal cells; None for as wide as it takes, with nothing cut.
    """
    lenses = next((tuple(each.lenses) for each in readouts if isinstance(each, CaseReadout)), ())
    about = _CAPTION if is_whole_stream(heading.rows) else _UNSETTLED
    runs = runs_of(readouts)
    about = about.format(", ".join(lenses)) + ("" if runs is None else f" · {changed_text(runs)}")
    said = Text(wrapped(about, width), "dim") if lenses else Text()
    parts = [*_cases(readouts, heading, lenses, width), said]
    if any(isinstance(each, CaseReadout) and each.has_long_target for each in readouts):
        parts.append(Text(wrapped(_WHOLE, width), "dim"))
    if any(isinstance(each, CaseReadout) and each.foil for each in readouts):
        parts.append(Text(wrapped(_FOIL, width), "dim"))
    if any(isinstance(each, CaseReadout) and each.target for each in readouts):
        first = _FIRST.format(limit_text(heading.above))
        by_lens = f" · by {', '.join(lenses)}" if len(lenses) > 1 else ""
        parts.append(Text(wrapped(f"{first}{by_lens}", width), "dim"))
    parts.append(Text())
    columns = columns_of(readouts, value, heading.above)
    for name in lenses:
        parts.append(Text(wrapped(caption(name, value, columns), width), style="bold"))
        parts += _means(columns, value, name, heading, width)
    parts += _first_means(columns, lenses, heading, width)
    parts += _outliers(readouts, heading, width)
    if lacks_errors(columns, value):
        parts.append(Text(wrapped(ONE_PROMPT, width), style="dim"))
    if runs is not None:
        parts.append(Text(wrapped(effect_text(runs), width), style="dim"))
    if heading.source.words_only:
        parts.append(Text(wrapped(filter_text(heading.source), width), style="dim"))
    for line in source_lines(heading):
        parts.append(Text(wrapped(line, width), style="dim"))
    return Text("\n").join(parts).append("\n")


def _means(
    columns: Sequence[MeanColumn], value: MeanValue, lens: str, heading: SetHeading, width: int | None
) -> Iterator[Text]:
    """Yield the means by a lens in one table; under edits one for each group, with its three runs."""
    by_group = [list(members) for _, members in groupby(columns, lambda column: column.group)]
    is_edited = any(column.run for column in columns)
    for some in by_group if is_edited else [columns]:
        if is_edited and len(by_group) > 1:
            yield Text(wrapped(printable(some[0].group), width), style="bold")
        heads = [(column.run if len(by_group) > 1 else column.head) or column.head for column in some]
        texts = [column.texts(value, lens) for column in some]
        entries = [[[column[row]] for column in texts] for row in reversed(range(len(heading.rows)))]
        yield from grid(heading.rows[::-1], list(map(printable, heads)), entries, width, words=False)


def _first_means(
    columns: Sequence[MeanColumn], lenses: Sequence[str], heading: SetHeading, width: int | None
) -> Iterator[Text]:
    """Yield the means of the target's first rows by lens; nothing without targets."""
    shown = [column for column in columns if column.means.n_target]
    if not shown:
        return
    yield Text(wrapped(first_caption(shown), width), style="bold")
    labels = first_row_heads(lenses, heading.above)
    entries = [
        [[column.first_texts(first.key, lens)] for column in shown]
        for first in first_rows()
        for lens in lenses
    ]
    heads = [printable(f"{column.name} {column.run}".rstrip()) for column in shown]
    yield from grid(labels, heads, entries, width, words=False)


def _outliers(
    readouts: Sequence[CaseReadout | FailedCase], heading: SetHeading, width: int | None
) -> Iterator[Text]:
    """Yield the areas under the ROC curve, and what the scores are; nothing where there are none."""
    if heading.outliers is None:
        return
    if found := heading.outliers.separations(readouts):
        yield Text(wrapped(printable(separation_title(found[0])), width), style="bold")
        heads = [printable(separation_head(each)) for each in found]
        methods = heading.outliers.methods
        entries = [[[auroc_texts(each.methods[method.key])] for each in found] for method in methods]
        yield from grid([method.label for method in methods], heads, entries, width, words=False)
    yield Text(wrapped(printable(heading.outliers.text), width), style="dim")


def source_lines(heading: SetHeading) -> list[str]:
    """Return the source of the numbers, a line for each side."""
    first = set_summary(heading.source, heading.prompts)
    if heading.second is None:
        return [first]
    second = summary(heading.second.source)
    named = zip(heading.second.names, ("first", "second"), (first, second), strict=True)
    return [
        f"{side}: {line if name in line else f'{printable(name)} · {line}'}" for name, side, line in named
    ]


def set_summary(source: Source, prompts: str) -> str:
    """Return the source of a prompt set's numbers, on one line."""
    return f"{summary(source)} · prompts {printable(prompts)}"


def _cases(
    readouts: Sequence[CaseReadout | FailedCase],
    heading: SetHeading,
    lenses: Sequence[str],
    width: int | None,
) -> Iterator[Text]:
    """Yield a line for each case, under a line for each group; tables one below the other where need be."""
    methods = () if heading.outliers is None else heading.outliers.methods
    heads = ["", "prompt", "final", "", "target", "", "rank", "whole", "foil", "logit diff", *lenses]
    has_target = any(each.target for each in readouts if isinstance(each, CaseReadout))
    firsts = [first.short.format(limit_text(heading.above)) for first in first_rows()]
    heads += firsts if has_target else [""] * len(firsts)
    heads += [method.short for method in methods]
    lines = {id(each): _line(each, heading, width) for each in readouts if isinstance(each, CaseReadout)}
    if not any(line[4] for line in lines.values()):
        heads[4] = heads[6] = ""
    if not any(line[7] for line in lines.values()):
        heads[7] = ""
    if not any(line[8] for line in lines.values()):
        heads[8] = heads[9] = ""
    sizes = [max(map(cell_len, column)) for column in zip(heads, *lines.values(), strict=True)]
    sizes[0] = max(len(str(each.case.number)) for each in readouts)
    prompt = max(sizes[1], *(cell_len(printable(each.case.text)) for each in readouts))
    room = None if width is None else width - sizes[0] - len(_GAP)
    sizes[1] = prompt if room is None else min(prompt, _LEAST_TEXT)
    tables = _tables(sizes, room)
    if room is not None and (left := room - _width(sizes, tables[0][1:])) > 0:
        sizes[1] = min(prompt, sizes[1] + left)
    for columns in tables:
        if columns is not tables[0]:
            yield Text()
        yield _joined(heads, columns, sizes, "bold")
        for group, members in by_group(readouts):
            if group is not None:
                yield Text(wrapped(printable(group), width), "bold")
            for each in members:
                if isinstance(each, CaseReadout):
                    yield _joined(lines[id(each)], columns, sizes)
                elif columns is tables[0]:
                    yield _failed(each, sizes, width)


def _tables(sizes: Sequence[int], room: int | None) -> list[list[int]]:
    """Return the columns of each table. The number is in all of them, and does not take of the room."""
    together = [[1], [2, 3], [4, 5, 6, 7], [8, 9], *([lens] for lens in range(10, len(sizes)))]
    parts = [shown for part in together if (shown := [column for column in part if sizes[column]])]
    groups = column_groups([_width(sizes, part) for part in parts], room, len(_GAP))
    return [[0, *chain.from_iterable(parts[start:stop])] for start, stop in groups]


def _width(sizes: Sequence[int], columns: Sequence[int]) -> int:
    """Return the width of some columns beside each other."""
    return sum(sizes[column] + len(_GAP) for column in columns) - len(_GAP)


def _line(readout: CaseReadout, heading: SetHeading, width: int | None) -> _Line:
    prob, rank = target_numbers(readout)
    widest = None if width is None else _WIDEST_TOKEN
    final, final_prob = final_texts(readout, lambda token: clip(token, widest))
    return [
        str(readout.case.number),
        printable(readout.case.text),
        final,
        final_prob,
        clip(target_text(readout), widest),
        prob,
        rank,
        whole_text(readout),
        clip(foil_text(readout), widest),
        difference_text(readout),
        *settled(readout, heading.rows),
        *_first_rows(readout, heading),
        *([] if heading.outliers is None else heading.outliers.scores(readout)),
    ]


def _first_rows(readout: CaseReadout, heading: SetHeading) -> list[str]:
    """Return each first row of the target as one text for all lenses, in their order."""
    texts, count = first_row_texts(readout, heading.rows, heading.above), len(readout.lenses)
    return [", ".join(filter(None, texts[at : at + count])) for at in range(0, len(texts), count)]


def _failed(failed: FailedCase, sizes: Sequence[int], width: int | None) -> Text:
    """Return the line of a case that could not be read: its number, its prompt, and why."""
    prompt = set_cell_size(_end(printable(failed.case.text), sizes[1]), sizes[1])
    begin = _GAP.join([str(failed.case.number).rjust(sizes[0]), prompt, ""])
    indent = cell_len(begin)
    if width is not None and width - indent < _LEAST_TEXT:  # no room beside the prompt, so below it
        indent = sizes[0] + len(_GAP)
        begin = f"{begin.rstrip()}\n{' ' * indent}"
    reason = wrapped(printable(failed.reason), None if width is None else width - indent)
    return Text(begin).append(reason.replace("\n", f"\n{' ' * indent}"), "dim")


def _joined(line: _Line, columns: Sequence[int], sizes: Sequence[int], style: str = "") -> Text:
    """Return a line with numbers to the right and words to the left; a long prompt shows only its end."""
    cells: list[Text] = []
    for column in columns:
        text, size, is_word = line[column], sizes[column], column in {1, 2, 4, 8}
        shown = set_cell_size(_end(text, size), size) if is_word else text.rjust(size)
        cells.append(Text(shown, style or ("" if is_word else "dim")))
    joined = Text(_GAP).join(cells)
    joined.rstrip()
    return joined


def _end(text: str, width: int) -> str:
    """Return the end of `text` in at most `width` terminal cells, behind an ellipsis where it was cut."""
    if cell_len(text) <= width:
        return text
    kept = text[-width:]
    while cell_len(kept) >= width:
        kept = kept[1:]
    return f"…{kept}"
