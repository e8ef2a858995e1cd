"""A prompt set as text for a terminal or a pipe: one line for each prompt, and the means by row and group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from lenstui.export.crystallization import settled_text
from lenstui.export.set_tidy import SetHeading
from lenstui.export.set_values import by_group, columns_of, mean_texts, target_numbers, target_text
from lenstui.export.table import clip, grid, summary
from lenstui.lens.names import lens_title
from lenstui.model.rows import is_whole_stream
from lenstui.opening.source import Source
from lenstui.readout.number_texts import probability_text
from lenstui.readout.sets.cases import CaseReadout, FailedCase
from lenstui.readout.sets.mean_values import MeanValue
from lenstui.support.fixed_text import NONE
from lenstui.support.printable import printable

_GAP = "  "
_WIDEST_TOKEN = 12  # terminal cells
_LEAST_PROMPT = 16

_CAPTION = "probability and rank are final · {}: the row where its top-1 settles"
_UNSETTLED = f"{_CAPTION}, {NONE}: known only with all rows read"

_Line = list[str]  # of a case: its number, its prompt, and the rest


def set_table(
    readouts: Sequence[CaseReadout | FailedCase], heading: SetHeading, value: MeanValue, width: int = 80
) -> Text:
    """Return the cases group by group, then the means, the top of the network first, then the source.

    Args:
        readouts: the readouts of all cases, in order.
        heading: the heading of the set.
        value: the means to show.
        width: the width of a line in terminal cells.
    """
    lenses = next((tuple(each.lenses) for each in readouts if isinstance(each, CaseReadout)), ())
    caption = _CAPTION if is_whole_stream(heading.rows) else _UNSETTLED
    said = Text(caption.format(", ".join(lenses)), "dim") if lenses else Text()
    parts = [*_cases(readouts, heading, lenses, width), said, Text()]
    columns = columns_of(readouts, value)
    for name in lenses:
        parts.append(Text(f"{lens_title(name)} · {value.label}", style="bold"))
        texts = [mean_texts(value, means.lenses[name]) for means in columns.values()]
        entries = [[[column[row]] for column in texts] for row in reversed(range(len(heading.rows)))]
        parts += grid(heading.rows[::-1], list(map(printable, columns)), entries, width)
    parts.append(Text(set_summary(heading.source, heading.prompts), style="dim"))
    return Text("\n").join(parts).append("\n")


def set_summary(source: Source, prompts: str) -> str:
    """Return the source of a prompt set's numbers, on one line."""
    return f"{summary(source)} · prompts {printable(prompts)}"


def _cases(
    readouts: Sequence[CaseReadout | FailedCase], heading: SetHeading, lenses: Sequence[str], width: int
) -> Iterator[Text]:
    """Yield a line for each case, under a line for each group."""
    heads = ["", "prompt", "final", "", "target", "", "rank", *lenses]
    lines = {id(each): _line(each, heading) for each in readouts if isinstance(each, CaseReadout)}
    if not any(line[4] for line in lines.values()):
        heads[4] = heads[6] = ""
    widths = [max(map(cell_len, column)) for column in zip(heads, *lines.values(), strict=True)]
    widths[0] = max(len(str(each.case.number)) for each in readouts)
    rest = sum(size + len(_GAP) for size in widths[2:] if size) + widths[0] + len(_GAP)
    widths[1] = max(_LEAST_PROMPT, min(widths[1], width - rest))
    yield _joined(heads, widths, "bold")
    for group, members in by_group(readouts):
        if group is not None:
            yield Text(printable(group), "bold")
        for each in members:
            if isinstance(each, CaseReadout):
                yield _joined(lines[id(each)], widths)
            else:
                prompt = _end(printable(each.case.text), widths[1])
                line = [str(each.case.number).rjust(widths[0]), set_cell_size(prompt, widths[1])]
                yield Text(_GAP.join(line) + _GAP).append(printable(each.reason), "dim")


def _line(readout: CaseReadout, heading: SetHeading) -> _Line:
    prob, rank = target_numbers(readout)
    return [
        str(readout.case.number),
        printable(readout.case.text),
        clip(readout.final_text or NONE, _WIDEST_TOKEN),
        probability_text(readout.final_prob),
        clip(target_text(readout), _WIDEST_TOKEN),
        prob,
        rank,
        *(settled_text(heading.rows, column.crystallization) for column in readout.lenses.values()),
    ]


def _joined(line: _Line, widths: Sequence[int], style: str = "") -> Text:
    """Return a line with numbers to the right and words to the left; a long prompt shows only its end."""
    cells: list[Text] = []
    for index, (text, size) in enumerate(zip(line, widths, strict=True)):
        if size:
            is_word = index in {1, 2, 4}
            shown = set_cell_size(_end(text, size), size) if is_word else text.rjust(size)
            cells.append(Text(shown, style or ("" if is_word else "dim")))
    joined = Text(_GAP).join(cells)
    joined.rstrip()
    return joined


def _end(text: str, width: int) -> str:
    """Return the end of `text` in at most `width` terminal cells, behind an ellipsis where it was cut."""
    if cell_len(text) <= width:
        return text
    kept = text
    while cell_len(kept) >= width:
        kept = kept[1:]
    return f"…{kept}"
