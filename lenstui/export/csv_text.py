"""A readout as CSV, one line for each cell and lens.

There is no header but the names, no comment lines and nothing before them: `pandas.read_csv`, R's `read.csv`,
DuckDB and spreadsheets all take it as it is. The source of the numbers is in columns on every line, so that
the files of several models can be put together and told apart. Only the prompt is on the first line alone, as
the file would grow with its square; fill it down to have it on all lines.

Text that was typed or read from a file (the prompt, a target, a group, a pinned word) is exact, within quotes
where it has commas, quotes or line breaks (RFC 4180); tokens are display text. Control characters have to be
escaped before this text goes to a terminal.

A missing number is an empty field. Tokens such as `NA` and `null` are words here, so tell pandas:
`read_csv(file, keep_default_na=False, na_values=[""], low_memory=False)`, or use the ids.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, repeat

import numpy as np

from lenstui.export.tidy import Column, Heading, TokenText, missing, tidy
from lenstui.opening.source import Source, versions_text
from lenstui.readout.cells import Tile
from lenstui.support.printable import printable

_CRLF = "\r\n"


class _Lines(list[str]):
    """Lines of CSV, each with its newline. With CRLF as its line end, the writer quotes a lone CR too."""

    def write(self, line: str) -> None:
        """Take one line from the writer."""
        self.append(line.removesuffix(_CRLF) + "\n")


def csv_text(tiles: Iterable[Tile], heading: Heading, texts: TokenText) -> Iterator[str]:
    """Yield the file in pieces, one for each tile. Floats have the fewest digits that give them back.

    Args:
        tiles: the tiles, in column order.
        heading: the heading of the readout.
        texts: display texts of all tokens in the tiles.
    """
    prompt = chain([heading.prompt.text], repeat(""))
    groups = (tidy(tile, heading, texts) for tile in tiles)
    return csv_pieces(groups, heading.source, prompt)


def csv_pieces(
    groups: Iterable[Mapping[str, Column]], source: Source, prompt: Iterator[str] | None = None
) -> Iterator[str]:
    """Yield observations as CSV, a piece for each group of them.

    Args:
        groups: the variables of each group by name, the same names in all groups.
        source: the source of the numbers, written on every line.
        prompt: the contents of a last column, one item for each line; None for no such column.
    """
    facts = {
        "model": source.model,
        "revision": source.revision or "",
        "dtype": source.dtype,
        "device": source.device,
        "lens_file": ", ".join(each.file or each.name for each in source.lenses),
        "final_norm": str(source.final_norm).lower(),
        "chat": str(source.chat).lower(),
        "sublayers": str(source.sublayers).lower(),
        "versions": versions_text(source),
    }
    files = {each.key: each.file or each.name for each in source.lenses}
    names: list[str] = []
    for columns in groups:
        piece = _Lines()
        writer = csv.writer(piece, lineterminator=_CRLF)
        if not names:
            names = [*columns, *facts, *([] if prompt is None else ["prompt"])]
            writer.writerow(names)
        fields: list[Iterable[str]] = [_fields(column) for column in columns.values()]
        same: dict[str, Iterable[str]] = {name: repeat(printable(fact)) for name, fact in facts.items()}
        if len(source.lenses) > 1:  # then each line names its own
            same["lens_file"] = (printable(files.get(key, "")) for key in columns["lens"])
        fields += same.values()
        writer.writerows(zip(*fields, *([] if prompt is None else [prompt]), strict=False))
        yield "".join(piece)


def _fields(column: Column) -> list[str]:
    if column.dtype == object:
        return ["" if text is None else text for text in column]
    fields: list[str] = np.where(missing(column), "", column.astype(str)).tolist()
    return fields
