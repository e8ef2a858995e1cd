"""A readout as CSV, one line for each cell and lens.

There is no header but the names, no comment lines and nothing before them: `pandas.read_csv`, R's `read.csv`,
DuckDB and spreadsheets all take it as it is. The source of the numbers and the prompt are in columns on every
line, so that the files of several models and prompts can be put together and told apart. The file of a long
prompt is large, as it grows with the prompt's square; compressed, or as Parquet, it is not.

Text that was typed or read from a file (the prompt, a target, a group, a pinned word) is exact, within quotes
where it has commas, quotes or line breaks (RFC 4180); tokens are display text. Control characters have to be
escaped before this text goes to a terminal.

A missing number is an empty field. Tokens such as `NA` and `null` are words here, so tell pandas:
`read_csv(file, keep_default_na=False, na_values=[""], low_memory=False)`, or use the ids.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice, repeat

import numpy as np

from lenstui.export.tidy import Column, Heading, TokenText, missing, tidy
from lenstui.opening.source import Source, versions_text
from lenstui.readout.cells import Tile
from lenstui.support.printable import printable

_CRLF = "\r\n"
_LINES = 1024  # in a piece; each of them may hold a long prompt


class _Lines(list[str]):
    """Lines of CSV, each with its newline. With CRLF as its line end, the writer quotes a lone CR too."""

    @classmethod
    def of(cls, lines: Iterable[Iterable[str]]) -> _Lines:
        """Return lines of fields as lines of CSV."""
        written = cls()
        csv.writer(written, lineterminator=_CRLF).writerows(lines)
        return written

    def write(self, line: str) -> None:
        """Take one line from the writer."""
        self.append(line.removesuffix(_CRLF) + "\n")


def csv_lines(lines: Iterable[Iterable[str]]) -> list[str]:
    """Return lines of fields as lines of CSV, each with its newline."""
    return _Lines.of(lines)


def csv_text(
    tiles: Iterable[Tile], heading: Heading, texts: TokenText, *, header: bool = True
) -> Iterator[str]:
    """Yield the file in pieces, as the tiles come. Floats have the fewest digits that give them back.

    Args:
        tiles: the tiles, in column order.
        heading: the heading of the readout.
        texts: display texts of all tokens in the tiles.
        header: whether the names stand before the first line.
    """
    groups = (tidy(tile, heading, texts) for tile in tiles)
    return csv_pieces(groups, heading.source, heading.prompt.text, header=header)


def csv_pieces(
    groups: Iterable[Mapping[str, Column]],
    source: Source,
    prompt: str | None = None,
    *,
    header: bool = True,
) -> Iterator[str]:
    """Yield observations as CSV, in pieces as the groups of them come.

    Args:
        groups: the variables of each group by name, the same names in all groups.
        source: the source of the numbers, written on every line.
        prompt: the prompt of all observations, written on every line as the last column; None for no such
            column.
        header: whether the names stand before the first line.
    """
    facts = {
        "model": source.model,
        "revision": source.revision or "",
        "adapter": "" if source.adapter is None else source.adapter.name,
        "dtype": source.dtype,
        "device": source.device,
        "lens_file": ", ".join(each.file or each.name for each in source.lenses),
        "final_norm": str(source.final_norm).lower(),
        "chat": str(source.chat).lower(),
        "edits": "; ".join(source.edits),
        "sublayers": str(source.sublayers).lower(),
        "words_only": str(source.words_only).lower(),
        "versions": versions_text(source),
    }
    files = {each.key: each.file or each.name for each in source.lenses}
    for columns in groups:
        fields: dict[str, Iterable[str]] = {name: _fields(column) for name, column in columns.items()}
        fields |= {name: repeat(printable(fact)) for name, fact in facts.items()}
        if len(source.lenses) > 1:  # then each line names its own
            fields["lens_file"] = (printable(files.get(key, "")) for key in columns["lens"])
        if prompt is not None:
            fields["prompt"] = repeat(prompt)
        lines: Iterator[Iterable[str]] = zip(*fields.values(), strict=False)
        if header:
            lines, header = chain([list(fields)], lines), False
        while piece := _Lines.of(islice(lines, _LINES)):
            yield "".join(piece)


def _fields(column: Column) -> list[str]:
    if column.dtype == object:
        return ["" if text is None else text for text in column]
    fields: list[str] = np.where(missing(column), "", column.astype(str)).tolist()
    return fields
