"""A scan: a text read block by block, its records written in parts, so that it can go on where it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from torch import Tensor

from lenstui.lens.lens import Lens, lenses_for
from lenstui.model.load import Model
from lenstui.model.tokens import Prompt
from lenstui.readout.against import Against
from lenstui.readout.cells import Cells, Tile
from lenstui.readout.tiles import read_tiles
from lenstui.scan.folder import parts_of, write_part
from lenstui.scan.records import ReadBlock, TextAround, records_of

_RECORDS = 1 << 14  # of a part, at most, but for a single block
PART_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Scanned:
    """What of a text is in the folder.

    Attributes:
        blocks: the number of blocks.
        records: the number of records.
        finished: whether these are all blocks of the text.
    """

    blocks: int
    records: int
    finished: bool


def scan(
    model: Model,
    blocks: Iterable[tuple[Tensor, Sequence[int]]],
    lenses: Sequence[Lens],
    folder: Path,
    *,
    against: Against | None = None,
    part_seconds: float = PART_SECONDS,
    go_on: Callable[[int], bool] = lambda columns: True,
) -> Scanned:
    """Read the blocks of a text that a folder does not hold yet, and write their records into it.

    A part is written after 16,384 records or some seconds, whichever comes first, and at the end, so that a
    scan that is killed loses no more than that. Memory does not grow with the text.

    Args:
        model: from `load`.
        blocks: all blocks of the text from its beginning, token ids `[cols]` with the numbers of their
            documents, all of one length. Those that the folder holds are passed over.
        lenses: the lenses to read through.
        folder: a folder that is there, with nothing else of the kind in it.
        against: a second side to compare with, which reads each block once, too.
        part_seconds: the seconds after which a part is written.
        go_on: is called with the number of columns that were read, or passed over, a few at a time. If it
            returns False the scan ends there; the blocks that are whole are written.

    Raises:
        LensError: if a part is damaged or cannot be written; the parts before it stay as they are.
    """
    parts = parts_of(folder)
    done = parts[-1].first + parts[-1].blocks if parts else 0
    records = sum(part.records for part in parts)
    lenses = lenses_for(model, lenses)  # once, not for each block
    around = TextAround(model.texts)
    pending: list[pa.Table] = []
    since, finished = time.monotonic(), True

    def write() -> None:
        nonlocal done, records, since
        if pending:
            part = write_part(folder, done, pending)
            done, records = done + part.blocks, records + part.records
            pending.clear()
        since = time.monotonic()

    passed_over = done
    for number, (ids, documents) in enumerate(blocks):
        if number < passed_over:
            finished = go_on(len(ids))
        else:
            cells = _read(model, ids.tolist(), lenses, against, go_on)
            finished = cells is not None
            if cells is not None:
                second = None if against is None else against.cells()
                block = ReadBlock(number, ids.tolist(), documents, cells, second)
                pending.append(records_of(block, model.texts, around))
        if not finished:
            break
        if sum(map(len, pending)) >= _RECORDS or time.monotonic() - since >= part_seconds:
            write()
    write()
    return Scanned(done, records, finished)


def _read(
    model: Model,
    ids: Sequence[int],
    lenses: Sequence[Lens],
    against: Against | None,
    go_on: Callable[[int], bool],
) -> Mapping[str, Cells] | None:
    """Return the cells of a block by lens; None if it was to end before the block was whole.

    Those of the second side are left in `against`.
    """
    if against is not None:
        against.begin(model, ids)
    tiles: list[Tile] = []
    for tile in read_tiles(model, Prompt("", tuple(ids)), lenses, top_k=1, watch=against):
        tiles.append(tile)
        if not go_on(tile.stop - tile.start):
            return None
    return {key: Cells.join(tile.lenses[key] for tile in tiles) for key in tiles[0].lenses}
