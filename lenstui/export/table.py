"""A readout as a table of text, one per lens, for a terminal or a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from lenstui.export.crystallization import SETTLES, settled_by_lens, settled_texts
from lenstui.export.difference import DIFFERENT, Difference, differing
from lenstui.export.first_row import Sought, first_labels, first_row_text, stream_of
from lenstui.export.pinned import Words, pinned_heads, pinned_texts, pinned_title
from lenstui.export.text_width import clip, column_groups, wrapped
from lenstui.export.tidy import TokenText, top_text
from lenstui.lens.names import lens_title
from lenstui.opening.source import (
    Source,
    depth_text,
    edits_text,
    filter_text,
    parting_text,
    sublayers_text,
    turns_text,
)
from lenstui.readout.cells import Cells
from lenstui.readout.pins import Pin
from lenstui.readout.reading import WORDS_ONLY
from lenstui.readout.values import Value
from lenstui.support.printable import printable

if TYPE_CHECKING:
    from lenstui.readout.tiles import Readout

_GAP = "  "  # between columns
_WIDEST_TOKEN = 24  # terminal cells; some vocabularies hold tokens of a hundred spaces

_Entry = list[tuple[str, str]]  # lines of one cell: a token, and a number or nothing


@dataclass(frozen=True, slots=True)
class _Column:
    """One column of a table as text.

    Attributes:
        head: the input token.
        cells: the column's entries, the top of the network first.
        token_width: the width of the widest token in the cells.
        number_width: the width of the widest number.
    """

    head: str
    cells: Sequence[_Entry]
    token_width: int
    number_width: int

    @property
    def width(self) -> int:
        return max(cell_len(self.head), self.token_width + 1 + self.number_width)


def table(
    readout: Readout,
    texts: TokenText,
    source: Source,
    value: Value,
    *,
    pins: Sequence[Pin] = (),
    words: Words | None = None,
    first: Sequence[Sought] = (),
    diff: bool = False,
    width: int | None = None,
    lines: int = 1,
) -> Text:
    """Return a readout as tables, the top of the network first, and below them the source.

    Columns beyond `width` go into further groups of columns below; longer sentences are broken at spaces.

    Args:
        readout: the readout.
        texts: display texts of all tokens in it.
        source: the source of its numbers.
        value: the value to show behind the tokens.
        pins: the words of its pinned tokens, whose numbers in the last column get a separate table.
        words: those of several tokens, by their place among the pins.
        first: words whose first rows on top get a table, by lens and column.
        diff: whether to show the second lens's tokens, and its value minus that of the first.
        width: the width of a line in terminal cells; None for as wide as it takes, with nothing cut.
        lines: the number of likeliest tokens that a cell shows.
    """
    heads = [texts[token] for token in readout.prompt.ids]
    parts: list[Text] = []
    filtered = f" · {WORDS_ONLY}" * source.words_only
    if diff:
        shown = Difference.of_two(value, readout.lenses)
        title = f"{shown.title} · {value.label}{filtered} · {DIFFERENT} another token leads"
        parts.append(Text(wrapped(title, width), style="bold"))
        labels, entries = list(readout.rows[::-1]), _differences(readout.lenses, texts, shown)
        if (settled := settled_by_lens(readout)) is not None:
            labels.append(SETTLES)
            entries.append([[(text, "") for text in column] for column in settled])
        parts += grid(labels, heads, entries, width)
    else:
        for name in readout.lenses:
            of_lens, cells = readout.rows_of(name)
            parts.append(Text(wrapped(f"{lens_title(name)} · {value.label}{filtered}", width), style="bold"))
            labels, entries = list(of_lens[::-1]), _entries(cells, texts, value, lines)
            if (where := settled_texts(readout, name)) is not None:
                labels.append(SETTLES)
                entries.append([[(label, "")] for label in where])
            parts += grid(labels, heads, entries, width)
    if pins:
        for name in readout.lenses:
            of_lens, _ = readout.rows_of(name)
            title = f"{lens_title(name)} · {pinned_title(name, words or {})}"
            parts.append(Text(wrapped(title, width), style="bold"))
            heads_of_pins = list(pinned_heads(name, pins, words or {}, texts))
            entries = [[[text] for text in line] for line in pinned_texts(readout, name, words or {})]
            parts += grid(of_lens[::-1], heads_of_pins, entries, width, words=False)
    for sought in first:
        parts += _first(readout, heads, sought, width)
    if turns := turns_text(readout.prompt):
        parts.append(Text(wrapped(turns, width), style="dim"))
    if source.sublayers:
        parts.append(Text(wrapped(sublayers_text(source, readout.left_over), width), style="dim"))
    if source.words_only:
        parts.append(Text(wrapped(filter_text(source), width), style="dim"))
    for sentence in filter(None, (depth_text(source), parting_text(source))):
        parts.append(Text(wrapped(sentence, width), style="dim"))
    parts.append(Text(wrapped(summary(source), width), style="dim"))
    return Text("\n").join(parts).append("\n")


def summary(source: Source) -> str:
    """Return the source of a readout, on one line; of two models, with `beside` between them."""
    if source.beside is not None:
        return " · beside ".join(map(summary, source.models))
    at = f" at {source.revision}" if source.revision else ""
    count = f"{len(source.wiring)} check{'s' * (len(source.wiring) != 1)}"
    checks = f"wiring ok ({count}, off by at most {max(source.wiring, default=0.0):.2g})"
    norm = "" if source.final_norm else " · logit lens without the final norm"
    chat = " · prompt in the chat template" if source.chat else ""
    edits = f" · {edits_text(source)}" if source.edits else ""
    read = f"{source.read_through}{norm}{chat}{edits}"
    return printable(f"{source.title}{at} · {source.ran} · {checks} · {read}")


def _entries(cells: Cells, texts: TokenText, value: Value, lines: int) -> list[list[_Entry]]:
    """Return the entries of a lens's table, `[rows][cols]`, the top of the network first."""
    of_cells = value.of(cells)
    of_tokens = value.of_tokens(cells) if value.of_tokens else of_cells[..., None]

    def entry(row: int, column: int) -> _Entry:
        tokens = [top_text(texts, int(token)) for token in cells.top_ids[row, column, :lines]]
        numbers = of_tokens[row, column, :lines]
        return list(zip_longest(tokens, (value.format(float(number)) for number in numbers), fillvalue=""))

    rows, columns = of_cells.shape
    return [[entry(row, column) for column in range(columns)] for row in reversed(range(rows))]


def _differences(lenses: Mapping[str, Cells], texts: TokenText, difference: Difference) -> list[list[_Entry]]:
    """Return the entries of a difference, `[rows][cols]`: the second lens's tokens with the differences."""
    left, right = difference.pair(lenses)
    numbers = difference.of(left, right)[::-1].tolist()
    tokens = right.top_ids[::-1, :, 0].tolist()
    marks = differing(left, right)[::-1].tolist()
    return [
        [
            [(top_text(texts, token), f"{difference.format(number)} {DIFFERENT if mark else ' '}")]
            for token, mark, number in zip(*row, strict=True)
        ]
        for row in zip(tokens, marks, numbers, strict=True)
    ]


def _first(readout: Readout, heads: Sequence[str], sought: Sought, width: int | None) -> Iterator[Text]:
    """Yield the lines on a word: a sentence on the last column, and each column's first row by lens."""
    labels, _ = stream_of(readout, next(iter(readout.lenses)))
    read = {lens_title(name): stream_of(readout, name)[1] for name in readout.lenses}
    said = first_row_text(sought, read, labels, len(heads) - 1)
    yield Text(wrapped(f"first row, in the last column · {said}", width), style="bold")
    by_lens = [
        [[(label or "–", "")] for label in first_labels(readout, name, sought)] for name in readout.lenses
    ]
    yield from grid(list(readout.lenses), heads, by_lens, width, words=False)


def grid(
    labels: Sequence[str],
    heads: Sequence[str],
    entries: Sequence[Sequence[_Entry]],
    width: int | None,
    *,
    words: bool = True,
) -> Iterator[Text]:
    """Yield the lines of one table.

    Args:
        labels: the labels of its rows.
        heads: the heads of its columns.
        entries: `[rows][columns]`, each in lines of a token and a number.
        width: the width of a line in terminal cells; None for as wide as it takes, with nothing cut.
        words: whether a token may be cut where it is too wide; False where numbers stand in its place.
    """
    label_width = max(map(len, labels))
    room = None if width is None else width - label_width - len(_GAP)
    by_column = zip(*entries, strict=True)
    columns = [_column(head, cells, room, words=words) for head, cells in zip(heads, by_column, strict=True)]
    for start, stop in column_groups([column.width for column in columns], room, len(_GAP)):
        group = columns[start:stop]
        if len(group) < len(columns):
            yield Text(f"columns {start}–{stop - 1} of {len(columns)}", style="dim")
        inputs = (Text(set_cell_size(column.head, column.width), "bold") for column in group)
        yield _line(" " * label_width, inputs)
        for row, label in enumerate(labels):
            for line in range(len(group[0].cells[row])):
                shown = label if line == 0 else ""
                yield _line(shown.rjust(label_width), (_cell(column, row, line) for column in group))
        yield Text()


def _column(head: str, cells: Sequence[_Entry], room: int | None, *, words: bool) -> _Column:
    number_width = max(len(number) for entry in cells for _, number in entry)
    widest = None if room is None else max(1, min(_WIDEST_TOKEN, room - number_width - 1))
    if words:
        cells = [[(clip(token, widest), number) for token, number in entry] for entry in cells]
    token_width = max(cell_len(token) for entry in cells for token, _ in entry)
    return _Column(clip(head, widest), cells, token_width, number_width)


def _line(label: str, cells: Iterable[Text]) -> Text:
    line = Text(_GAP).join([Text(label, "dim"), *cells])
    line.rstrip()
    return line


def _cell(column: _Column, row: int, line: int) -> Text:
    token, number = column.cells[row][line]
    text = Text(set_cell_size(token, column.token_width) + " ").append(
        number.rjust(column.number_width), "dim"
    )
    text.pad_right(column.width - text.cell_len)
    return text
