"""Why a cell says what it says, as tables of text and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len

from lenstui.export.markdown import code_span, number_text, prompt_said, said
from lenstui.export.table import summary
from lenstui.export.text_width import clip, wrapped
from lenstui.export.why import DIRECT, Table, Why, reasons_of, tables_of
from lenstui.opening.source import turns_text

_GAP = "   "  # between two columns


def why_table(why: Why, width: int | None = None) -> str:
    """Return tables of text: components, attention heads with what they read, and what else was asked for.

    Args:
        why: the contributions.
        width: the width of a line in terminal cells, at which lines end in an ellipsis; None for no limit.
    """
    lines = [wrapped(why.cell, width), wrapped(why.sum, width), ""]
    for table in tables_of(why):
        lines += [wrapped(table.title, width), *(clip(line, width) for line in _lines(table)), ""]
    captions = (*reasons_of(why), DIRECT, *filter(None, [turns_text(why.prompt)]), summary(why.source))
    lines += [wrapped(caption, width) for caption in captions]
    return "".join(f"{line}\n" for line in lines)


def _lines(table: Table) -> Iterator[str]:
    shown = [table.heads, *table.rows]
    widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = []
        for place, (text, size) in enumerate(zip(row, widths, strict=True)):
            space = " " * (size - cell_len(text))
            cells.append(text + space if place in table.words else space + text)
        yield _GAP.join(cells).rstrip()


def why_markdown(why: Why, command: str) -> str:
    """Return the same tables as Markdown, the source, and the command that repeats them.

    Args:
        why: the contributions.
        command: the command.
    """
    of, texts = why.contributions, why.texts
    token = code_span(texts[of.token]) + (
        f" minus {code_span(texts[of.minus])}" if of.minus is not None else ""
    )
    lines = [f"**{token}** in row {of.row}, column {of.column} ({code_span(texts[of.ids[of.column]])})", ""]
    lines += [number_text(why.sum), ""]
    for table in tables_of(why):
        aligned = ":--" if 0 in table.words else "--:"
        rule = [":--" if place in table.words else "--:" for place in range(len(table.heads))]
        lines += [f"**{table.title}**", "", _row(table.heads), _row([aligned, *rule[1:]])]
        lines += [
            _row(
                code_span(text) if place in table.words and text else number_text(text)
                for place, text in enumerate(row)
            )
            for row in table.rows
        ]
        lines.append("")
    for reason in reasons_of(why):
        lines += [f"{number_text(reason)}", ""]
    lines += [f"{DIRECT}.", "", said(why.source, prompt_said(why.prompt))]
    return "\n".join([*lines, "", "```sh", command, "```", ""])


def _row(cells: Iterator[str] | tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"
