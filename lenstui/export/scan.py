"""What a query finds among the records of a scan, as a table of text, Markdown, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.cells import cell_len

from lenstui.export.columns import column_lines
from lenstui.export.json_contract import without_nan
from lenstui.export.markdown import code_span, markdown_table, number_text
from lenstui.export.scan_columns import ShownColumn, columns_of_both, columns_of_one
from lenstui.export.scan_comparison import (
    Compared,
    comparison_facts,
    comparison_lines,
    markdown_lines,
)
from lenstui.export.text_width import clip, wrapped
from lenstui.lens.names import lens_title
from lenstui.scan.columns import compared_columns
from lenstui.support.fixed_text import fixed_text
from lenstui.support.printable import printable
from lenstui.support.version import __version__

if TYPE_CHECKING:
    from lenstui.scan.comparison import ScanComparison
    from lenstui.scan.matches import Matches, ScanRecords

VERSION = 1

_TEXT, _LEAST_TEXT = 40, 12  # characters of the text before a position, at most and where there is no room
_TOKENS = 10  # of the commonest tokens that a table names
_GAP = "  "  # between two columns
_BEFORE = 1  # of the columns: the text, whose end is beside the token that follows
# What is counted, and what means are taken of, by row: names in the records, with their heads.
_COUNTS = {"crystallization": "settles", "best_row": "best"}
_MEANS = {"next_logprob": "log-prob", "kl": "KL", "entropy": "entropy"}
_BY_ROW_OF_LENS = (
    "log-prob of the next token, KL, entropy: means by row of the matches, and of the rest · in nats"
)
_BY_ROW_OF_BOTH = (
    "log-prob of the next token, that of the second side, KL(first ‖ second): means by row of the matches, "
    "and of the rest · in nats"
)
_MEANS_OF_BOTH = {"next_logprob": "log-prob", "against_next_logprob": "second's", "against_kl": "KL"}


@dataclass(frozen=True, slots=True)
class Found:
    """What a query found, and what is needed to write it down.

    Attributes:
        matches: the matches.
        records: the records among which they were looked for.
        query: the name of the query; None for a condition alone.
        title: what was looked for, in words.
        comparison: how far the two sides of all records are apart; None where there is no second.
    """

    matches: Matches
    records: ScanRecords
    query: str | None
    title: str
    comparison: ScanComparison | None = None

    @property
    def heading(self) -> str:
        """How many matches there are, and of what, on one line."""
        count, of = self.matches.count, self.matches.of
        whole = "" if self.records.manifest.finished else ", the scan is not finished"
        return printable(f"{count} of {of} positions ({count / of:.2%}{whole}): {self.title}")

    @property
    def captions(self) -> list[str]:
        """The condition, what the columns are, and where the numbers come from, a line each."""
        source, lens = self.records.manifest.source, self.matches.lens
        condition = f"condition: {self.matches.condition}" if self.matches.condition else "no condition"
        order = self.matches.sort or "position"
        data = ", ".join(self.records.manifest.data)
        return [
            printable(f"{condition} · sorted by {order}"),
            " · ".join([f"by the {lens_title(lens)}", "at: block.column", *self._meanings]),
            _BY_ROW_OF_BOTH if self.is_of_pair else _BY_ROW_OF_LENS,
            printable(f"{source.get('model')} · {source.get('dtype')} · text {data}"),
        ]

    @property
    def is_about_both(self) -> bool:
        """Whether what was looked for names a column of the comparison."""
        words = re.findall(r"`[^`]*`|[^\W\d][\w:.]*", f"{self.matches.condition} {self.matches.sort}")
        return any(word.strip("`") in compared_columns(self.records.manifest.second) for word in words)

    @property
    def is_of_pair(self) -> bool:
        """Whether, besides, the lens is compared with one of the second side."""
        second = self.records.manifest.second
        return second is not None and self.matches.lens in second.lenses and self.is_about_both

    @property
    def shown(self) -> tuple[ShownColumn, ...]:
        """The columns of the table of matches, behind place and text."""
        lens, second = self.matches.lens, self.records.manifest.second
        if second is None or not self.is_about_both:
            return columns_of_one(lens)
        return columns_of_both(lens if self.is_of_pair else None, is_model=second.is_model)

    @property
    def _meanings(self) -> list[str]:
        return [f"{column.head}: {column.meaning}" for column in self.shown if column.meaning]

    @property
    def shows_comparison(self) -> bool:
        """Whether a table has the comparison below it: of what is about both sides, and of all positions."""
        return self.is_about_both or not self.matches.condition

    @property
    def compared(self) -> Compared | None:
        """How far the two sides are apart, as it is written down."""
        return None if self.comparison is None else Compared(self.comparison, self.records)


def scan_table(found: Found, width: int | None = None) -> str:
    """Return the matches, the commonest tokens and the means by row as tables of text.

    Args:
        found: what was found.
        width: the width of a line in terminal cells, at which lines of matches end in an ellipsis; None for
            no limit.
    """
    lines = [wrapped(found.heading, width), ""]
    if found.matches.top:
        lines += [*(clip(line, width) for line in _match_lines(found, width)), ""]
    for name, commonest in _commonest(found).items():
        texts = ", ".join(f"{token} {count}" for token, count in commonest)
        lines += [wrapped(f"by {name} token: {texts}", width), ""]
    labels, columns = _by_row(found)
    lines += [*column_lines(["row", *labels], columns, width)]
    lines += [wrapped(caption, width) for caption in found.captions]
    if found.shows_comparison and (compared := found.compared) is not None:
        lines += ["", *comparison_lines(compared, width)]
    return "".join(f"{line}\n" for line in lines)


def scan_markdown(found: Found, command: str) -> str:
    """Return the same tables as Markdown, with the command that repeats them."""
    lines = [f"**{number_text(found.heading)}**", ""]
    if found.matches.top:
        spans = {_BEFORE, *_token_places(found)}
        rows = [
            [code_span(text) if place in spans else number_text(text) for place, text in enumerate(row)]
            for row in _match_rows(found, _TEXT)
        ]
        heads = [number_text(head) for head in _heads(found)[1:]]
        lines += [*markdown_table(heads, [row[0] for row in rows], [row[1:] for row in rows]), ""]
    for name, commonest in _commonest(found).items():
        texts = ", ".join(f"{code_span(token)} {count}" for token, count in commonest)
        lines += [f"by {name} token: {texts}", ""]
    labels, columns = _by_row(found)
    of_rows, *by_row = zip(*columns, strict=True)
    lines += [*markdown_table(of_rows, labels, by_row), ""]
    condition, *meanings, source = found.captions
    lines += [code_span(condition), "", *(line for each in meanings for line in (each, ""))]
    lines += [code_span(source), ""]
    if found.shows_comparison and (compared := found.compared) is not None:
        lines += markdown_lines(compared)
    return "\n".join([*lines, "```sh", command, "```", ""])


def _match_rows(found: Found, room: int) -> list[list[str]]:
    """Return the texts of the matches that are shown, a list for each.

    Args:
        found: what was found.
        room: the characters that the text before a position may have.
    """
    return [
        [
            f"{record['block']}.{record['column']}",
            _end(record["before"], room),
            *(column.text(record) for column in found.shown),
        ]
        for record in found.matches.top
    ]


def _heads(found: Found) -> list[str]:
    """Return the heads of the matches' columns."""
    return ["at", "text", *(column.head for column in found.shown)]


def _token_places(found: Found) -> set[int]:
    """Return which of the matches' columns are tokens."""
    return {place for place, column in enumerate(found.shown, start=2) if column.form == "token"}


def _end(text: str, room: int) -> str:
    """Return the end of a text on one line, in `room` characters."""
    shown = printable(text.replace("\n", "⏎"))
    return shown if len(shown) <= room else f"…{shown[1 - room :]}"


def _match_lines(found: Found, width: int | None) -> Iterator[str]:
    """Yield the lines of the matches, their heads first; where there is little room the text is shorter."""
    rows = _match_rows(found, _TEXT)
    heads, tokens = _heads(found), _token_places(found)
    widths = _widths(heads, rows)
    if width is not None and (over := sum(widths) + len(_GAP) * (len(widths) - 1) - width) > 0:
        rows = _match_rows(found, max(_LEAST_TEXT, min(_TEXT, widths[_BEFORE]) - over))
        widths = _widths(heads, rows)
    for row in (heads, *rows):
        cells = []
        for place, (text, size) in enumerate(zip(row, widths, strict=True)):
            space = " " * (size - cell_len(text))
            cells.append(text + space if place in tokens else space + text)
        yield _GAP.join(cells).rstrip()


def _widths(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the widths of the columns of the matches in terminal cells."""
    return [max(map(cell_len, column)) for column in zip(heads, *rows, strict=True)]


def _commonest(found: Found) -> dict[str, Sequence[tuple[str, int]]]:
    """Return the commonest tokens of the matches, by the column that they are in."""
    return {name: counts[:_TOKENS] for name, counts in found.matches.tokens.items() if counts}


def _by_row(found: Found) -> tuple[list[str], list[list[str]]]:
    """Return the labels of the rows, the last first, and columns of counts and means, heads first."""
    matches, second = found.matches, found.records.manifest.second
    counts, measures = _COUNTS, _MEANS
    if second is not None and found.is_of_pair:
        measures = _MEANS_OF_BOTH
        counts = {name: name for name in ("parts", "joins") if second.is_model or name != "parts"}
    columns = [[head, *map(str, matches.rows[name][::-1])] for name, head in counts.items()]
    for name, word in measures.items():
        for head, means in zip((word, "rest"), matches.means[matches.lens][name], strict=True):
            columns.append([head, *(fixed_text(mean, 3) for mean in means[::-1].tolist())])
    return list(found.records.manifest.rows[::-1]), columns


def scan_json(found: Found) -> str:
    """Return what was found as one line of JSON, ASCII alone. Lists by row begin with `emb`."""
    matches, manifest = found.matches, found.records.manifest
    content = {
        "version": VERSION,
        "lenstui": __version__,
        "folder": str(found.records.folder),
        "source": dict(manifest.source),
        "data": list(manifest.data),
        "finished": manifest.finished,
        "rows": list(manifest.rows),
        "lenses": list(manifest.lenses),
        "query": found.query,
        "condition": matches.condition or None,
        "by": matches.lens,
        "sort": matches.sort or None,
        "records": matches.of,
        "matches": matches.count,
        "top": [{name: _plain(value) for name, value in record.items()} for record in matches.top],
        "tokens": {
            name: [{"token": token, "count": count} for token, count in counts]
            for name, counts in matches.tokens.items()
        },
        "by_row": {name: list(counts) for name, counts in matches.rows.items()},
        "means": {
            lens: {
                name: {"matches": without_nan(means.tolist()), "rest": without_nan(rest.tolist())}
                for name, (means, rest) in measures.items()
            }
            for lens, measures in matches.means.items()
        },
        "comparison": None if found.compared is None else comparison_facts(found.compared),
    }
    return json.dumps(content, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """Return a value of a record: of a number the fewest digits that give it back, None if not finite."""
    if not isinstance(value, float):
        return value
    return float(str(np.float32(value))) if math.isfinite(value) else None


def scan_csv(found: Found) -> str:
    """Return the matches that are kept as CSV, a line for each; what is missing is an empty field."""
    names = [column.name for column in found.records.columns if column.type != "rows"]
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\n")
    lines.writerow(names)
    for record in found.matches.top:
        values = (_plain(record[name]) for name in names)
        lines.writerow(["" if value is None else value for value in values])
    return written.getvalue()
