"""A scan: a text read block by block, its records written in parts, so that it can go on where it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
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


class ScanRun:
    """A scan under way: blocks that a folder does not hold yet are read, and their records written in parts.

    A part is written after 16,384 records or some seconds, whichever comes first, so that a scan that is
    killed loses no more than that. Memory does not grow with the text.
    """

    def __init__(
        self,
        model: Model,
        lenses: Sequence[Lens],
        folder: Path,
        *,
        against: Against | None = None,
        part_seconds: float = PART_SECONDS,
    ) -> None:
        """Look at what the folder holds.

        Args:
            model: from `load`.
            lenses: the lenses to read through.
            folder: a folder that is there, with nothing else of the kind in it.
            against: a second side to compare with, which reads each block once, too.
            part_seconds: the seconds after which a part is written.

        Raises:
            LensError: if a part is damaged.
        """
        parts = parts_of(folder)
        self.blocks = parts[-1].first + parts[-1].blocks if parts else 0  # in the folder
        self.records = sum(part.records for part in parts)
        self._model, self._folder, self._part_seconds = model, folder, part_seconds
        self._against = against
        self._lenses = lenses_for(model, lenses)  # once, not for each block
        self._around = TextAround(model.texts)
        self._pending: list[pa.Table] = []
        self._since = time.monotonic()

    def steps(self, blocks: Iterable[tuple[Tensor, Sequence[int]]]) -> Iterator[int]:
        """Read blocks, and yield the number of columns that were read, or passed over, a few at a time.

        Whoever stops asking has what the parts hold, and by `write` also the blocks that are whole.

        Args:
            blocks: all blocks of the text from its beginning, token ids `[cols]` with the numbers of their
                documents, all of one length. Those that the folder holds are passed over.

        Raises:
            LensError: if a part cannot be written; the parts before it stay as they are.
        """
        passed_over = self.blocks
        for number, (ids, documents) in enumerate(blocks):
            if number < passed_over:
                yield len(ids)
                continue
            tiles: list[Tile] = []
            prompt, against = Prompt("", tuple(ids.tolist())), self._against
            if against is not None:
                against.begin(self._model, prompt.ids)
            for tile in read_tiles(self._model, prompt, self._lenses, top_k=1, watch=against):
                tiles.append(tile)
                yield tile.stop - tile.start
            cells = {key: Cells.join(tile.lenses[key] for tile in tiles) for key in tiles[0].lenses}
            second = None if against is None else against.cells()
            block = ReadBlock(number, prompt.ids, documents, cells, second)
            self._pending.append(records_of(block, self._model.texts, self._around))
            waited = time.monotonic() - self._since
            if sum(map(len, self._pending)) >= _RECORDS or waited >= self._part_seconds:
                self.write()
        self.write()

    def write(self) -> None:
        """Write the records of the blocks that are whole as a part, if there are any.

        Raises:
            LensError: if it cannot be written; the parts before it stay as they are.
        """
        if self._pending:
            part = write_part(self._folder, self.blocks, self._pending)
            self.blocks, self.records = self.blocks + part.blocks, self.records + part.records
            self._pending.clear()
        self._since = time.monotonic()


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

    Args:
        model: as `ScanRun` has it.
        blocks: as `ScanRun.steps` has it.
        lenses: as `ScanRun` has it.
        folder: likewise.
        against: likewise.
        part_seconds: likewise.
        go_on: is called with the number of columns that were read, or passed over, a few at a time. If it
            returns False the scan ends there; the blocks that are whole are written.

    Raises:
        LensError: if a part is damaged or cannot be written; the parts before it stay as they are.
    """
    run = ScanRun(model, lenses, folder, against=against, part_seconds=part_seconds)
    finished = all(go_on(columns) for columns in run.steps(blocks))
    run.write()
    return Scanned(run.blocks, run.records, finished)
