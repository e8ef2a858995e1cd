"""The columns of the tables of error analysis, and their texts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from lenstui.model.tokens import visible
from lenstui.readout.number_texts import probability_text, rank_text
from lenstui.scan.columns import OF_LENS, OF_PAIR, Column, of_lens
from lenstui.support.fixed_text import NONE, fixed_text
from lenstui.support.printable import printable
from lenstui.tui.scan.table import Around, Cell, TableColumn

if TYPE_CHECKING:
    from lenstui.export.scan_comparison import Compared
    from lenstui.scan.matches import Matches

Record = Mapping[str, Any]
Lines = tuple[list[TableColumn], list[list[Cell]]]
"""The columns of a table, and the cells of its lines."""

FIXED = 2  # columns that stay where the others are scrolled
_TOKEN = 13  # cells
_MOST_TOKENS = 500  # of the commonest, in the counts
# What is in the place or the text of a position already.
_SAID = ("position", "document", "block", "column", "before", "after", "token")
_HEADS = {
    "next_prob": "prob", "next_rank": "rank", "final_prob": "prob", "final_entropy": "entropy",
    "crystallization": "settles", "best_row": "best", "best_rank": "rank", "best_prob": "prob",
    "swing_row": "at row",
}  # fmt: skip
MEASURES = {"next_logprob": "log-prob", "kl": "KL", "entropy": "entropy"}
"""The numbers by row that have means, by their columns, in a word."""
PAIR_MEASURES = {"kl": "KL(first ‖ second)", "same_top1": "same top-1"}
"""The means by row of a comparison of two sides that are plotted, in a few words."""


@dataclass(frozen=True, slots=True)
class ShownColumn:
    """A column of the table of matches.

    Attributes:
        name: the column of the records that it is sorted by.
        table: how it is laid out.
        cell: returns what it shows of a record.
    """

    name: str
    table: TableColumn
    cell: Callable[[Record], Cell]


def shown_columns(columns: Sequence[Column], lens: str, lenses: Sequence[str]) -> list[ShownColumn]:
    """Return the columns of the table of matches: every one of the records but ids and other lenses'.

    Args:
        columns: the columns of the records.
        lens: the key of the lens that is shown.
        lenses: the keys of all lenses.
    """
    found = [
        ShownColumn("position", TableColumn("at", 7), lambda record: f"{record['block']}.{record['column']}"),
        ShownColumn("before", TableColumn("text", 0, is_word=True), around_of),
    ]
    own = {of_lens(lens, each.name): each.name for each in (*OF_LENS, *OF_PAIR)}
    others = {of_lens(key, each.name) for key in lenses if key != lens for each in (*OF_LENS, *OF_PAIR)}
    for column in columns:
        if column.type == "rows" or column.name in {*_SAID, *others} or column.name.endswith("_id"):
            continue
        short = own.get(column.name, column.name)
        head = _HEADS.get(short, short.replace("_", " "))
        is_word = column.type in {"token", "text"}
        width = _TOKEN if is_word else max(len(head) + 1, 5)
        table = TableColumn(head, width, is_word=is_word)
        found.append(ShownColumn(column.name, table, _cell_of(column)))
    return found


def value_text(column: Column, value: Any) -> str:
    """Return a value of a record as text."""
    if value is None:
        return NONE
    match column.type:
        case "row":
            return "emb" if value < 0 else str(value)
        case "int":
            return rank_text(value) if column.name.endswith("rank") else str(value)
        case "float" if column.name.endswith("prob"):
            return probability_text(value)
        case "float":
            return fixed_text(value, 2)
    return printable(str(value))


def _cell_of(column: Column) -> Callable[[Record], Cell]:
    return lambda record: value_text(column, record[column.name])


def around_of(record: Record) -> Around:
    """Return the text around a position, on one line, the token apart from what is before it."""
    before, token = record["before"] or "", record["token"] or ""
    size = _size_of_token(before, token)
    place = len(before) - size
    texts = (before[:place], before[place:], record["after"] or "")
    return Around(*(printable(text.replace("\n", "⏎")) for text in texts))


def _size_of_token(before: str, token: str) -> int:
    """Return how many of the last characters are the token, whose display text is given; 0 if none are."""
    sizes = range(1, min(len(before), len(token)) + 1)
    return next((size for size in sizes if visible(before[len(before) - size :]) == token), 0)


# ── counts and means ─────────────────────────────────────────────────────────────────────────────────────


def token_counts(matches: Matches) -> Lines:
    """Return how often each token is the next and the final one of a match, side by side, commonest first."""
    names = {"next": "next token", "final": "final token"}
    columns = [TableColumn("", 4)]
    for head in names.values():
        columns += [TableColumn(head, 22, is_word=True), TableColumn("matches", 8), TableColumn("share", 6)]
    counts = [matches.tokens[name][:_MOST_TOKENS] for name in names]
    lines: list[list[Cell]] = []
    for place in range(max(map(len, counts))):
        line: list[Cell] = [str(place + 1)]
        for of_column in counts:
            if place < len(of_column):
                token, count = of_column[place]
                line += [printable(token), str(count), probability_text(count / matches.count)]
            else:
                line += ["", "", ""]
        lines.append(line)
    return columns, lines


def row_counts(matches: Matches, rows: Sequence[str], width: int) -> Lines:
    """Return in which rows matches settle, and have the next token's best rank, with bars, last row first.

    Args:
        matches: what was found.
        rows: the labels of the rows, `emb` first.
        width: the cells of a bar at most.
    """
    names = {"crystallization": "settles", "best_row": "best row of the next token"}
    columns = [TableColumn("row", 4)]
    for head in names.values():
        columns += [TableColumn("matches", 8), TableColumn(head, width, is_word=True)]
    lines: list[list[Cell]] = []
    for place in reversed(range(len(rows))):
        line: list[Cell] = [rows[place]]
        for name in names:
            counts = matches.rows[name]
            full = max([*counts, 1])
            line += [str(counts[place]), "█" * round(counts[place] / full * width)]
        lines.append(line)
    return columns, lines


def row_means(matches: Matches, rows: Sequence[str]) -> Lines:
    """Return the means by row of the matches and of the rest, last row first.

    Args:
        matches: what was found.
        rows: the labels of the rows, `emb` first.
    """
    means = matches.means[matches.lens]
    columns = [TableColumn("row", 4)]
    for word in MEASURES.values():
        columns += [TableColumn(word, 9), TableColumn("rest", 8)]
    lines = [
        [rows[place], *(fixed_text(float(mean[place]), 3) for name in MEASURES for mean in means[name])]
        for place in reversed(range(len(rows)))
    ]
    return columns, [list(line) for line in lines]


def pair_of(compared: Compared, lens: str) -> str | None:
    """Return the key of a lens if it is compared, else that of the first one that is; None for none."""
    pairs = compared.comparison.pairs
    return lens if lens in pairs else next(iter(pairs), None)


def comparison_by_row(compared: Compared, key: str) -> Lines:
    """Return how far the two sides are apart through a lens in each row, last row first."""
    by_column = compared.columns_of(key)
    columns = [TableColumn("row", 4)]
    columns += [TableColumn(texts[0], max(map(cell_len, texts)) + 1) for texts in by_column]
    by_row = zip(compared.records.manifest.rows[::-1], *(texts[1:] for texts in by_column), strict=True)
    return columns, [list(line) for line in by_row]


def detail_words(columns: Sequence[Column], record: Record) -> Iterator[str]:
    """Yield every number and token of a record in words, of all lenses."""
    for column in columns:
        if column.type == "rows" or column.name in _SAID or column.name.endswith("_id"):
            continue
        value = record[column.name]
        if value is not None and not (isinstance(value, float) and math.isnan(value)):
            yield f"{column.name.replace('_', ' ')} {value_text(column, value)}"
