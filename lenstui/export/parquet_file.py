"""A readout as Parquet, one row for each cell and lens, with its source in the file's metadata.

The prompt is a column too, so that files can be put together; each row group holds its text once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lenstui.export.tidy import Column, Heading, TokenText, missing, tidy
from lenstui.opening.source import facts
from lenstui.readout.cells import Tile

METADATA_KEY = "lenstui"


def write_parquet(tiles: Iterable[Tile], heading: Heading, texts: TokenText, file: IO[bytes]) -> None:
    """Write the tiles as they come, a row group each.

    The file's key-value metadata holds, under `lenstui`, model, revision, lens, versions and prompt as JSON.

    Args:
        tiles: the tiles, in column order.
        heading: the heading of the readout.
        texts: display texts of all tokens in the tiles.
        file: the file, open for writing.
    """
    groups = (tidy(tile, heading, texts) for tile in tiles)
    write_groups(groups, facts(heading.source, heading.prompt), file, heading.prompt.text)


def write_two_models(parts: Sequence[tuple[Iterable[Tile], Heading, TokenText]], file: IO[bytes]) -> None:
    """Write the readouts of one prompt by two models, the second behind the first.

    The metadata holds, under `lenstui`, what `write_parquet` says of each, by the name of its side.

    Args:
        parts: the tiles, the heading and the display texts of each.
        file: the file, open for writing.
    """
    groups = (tidy(tile, heading, texts) for tiles, heading, texts in parts for tile in tiles)
    source = {heading.side: facts(heading.source, heading.prompt) for _, heading, _ in parts}
    write_groups(groups, source, file, parts[0][1].prompt.text)


def write_groups(
    groups: Iterable[Mapping[str, Column]],
    source: Mapping[str, Any],
    file: IO[bytes],
    prompt: str | None = None,
) -> None:
    """Write observations as they come, a row group for each group of them.

    Args:
        groups: the variables of each group by name, the same names in all groups; at least one group.
        source: the source of the numbers, as plain values by name.
        file: the file, open for writing.
        prompt: the prompt of all observations, as the last column; None for no such column.
    """
    metadata = {METADATA_KEY: json.dumps(source)}
    tables = (_group(columns, prompt).replace_schema_metadata(metadata) for columns in groups)
    first = next(tables)
    with pq.ParquetWriter(file, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table)


def _group(columns: Mapping[str, Column], prompt: str | None) -> pa.Table:
    table = pa.table({name: _array(column) for name, column in columns.items()})
    if prompt is None:
        return table
    places = pa.array(np.zeros(len(table), np.int32))  # of a dictionary, since the prompt may be long
    return table.append_column("prompt", pa.DictionaryArray.from_arrays(places, [prompt]))


def _array(column: Column) -> pa.Array:
    if column.dtype == object:
        return pa.array(column, pa.string())
    return pa.array(column, mask=missing(column))
