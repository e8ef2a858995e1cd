"""`lenstui scan FOLDER --data`: the records of a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING

from lenstui.cli.against import OpenSecond, open_against
from lenstui.cli.ending import heard
from lenstui.cli.stderr import aside, bar, progress, say
from lenstui.opening.second_side import AskedAgainst
from lenstui.support.errors import LensError, failure
from lenstui.support.request import Start
from lenstui.texts.block_size import BlockSize

if TYPE_CHECKING:
    from torch import Tensor

    from lenstui.opening.opened import Opened
    from lenstui.readout.against import Against
    from lenstui.scan.asked_text import AskedText
    from lenstui.scan.folder import Manifest
    from lenstui.scan.scan import Scanned
    from lenstui.texts.documents import Documents


@dataclass(frozen=True, slots=True)
class AskedScan:
    """The requested scan.

    Attributes:
        folder: the folder of the records.
        documents: the documents.
        size: the size of the blocks, and the most tokens to read.
        resume: whether to go on with what is in the folder.
        part_seconds: the seconds after which a part is written.
        against: a second side to compare with; None for none.
    """

    folder: Path
    documents: Documents
    size: BlockSize
    resume: bool
    part_seconds: float
    against: AskedAgainst | None = None

    @property
    def of_model(self) -> AskedText:
        """The text to scan, for an open model."""
        from lenstui.scan.asked_text import AskedText

        return AskedText(self.folder, self.documents, self.size)


def scan_text(asked: Start, text: AskedScan, check: Callable[[Manifest], None]) -> int:
    """Scan a text, say what is in the folder, and return the exit status.

    Args:
        asked: the request for a model.
        text: the request for a scan.
        check: refuses what is to be done with the records, given their manifest.
    """
    from lenstui.scan.folder import MANIFEST, check_same, held, read_manifest, write_manifest
    from lenstui.texts.documents import SkippedLines, find_files

    files = find_files(text.documents)  # before the model, since loading takes long
    before = read_manifest(text.folder)
    if before is not None and not text.resume:
        raise LensError(f"{text.folder} holds a scan already: add --resume, or name another folder.")
    opened, second = _open(asked, text)
    against, side = (None, None) if second is None else (second.against, second.side)
    manifest = text.of_model.manifest(opened, files, against, side)
    check(manifest)
    if before is not None:
        check_same(text.folder, before, manifest)
        if before.finished:
            say(f"{text.folder} holds the whole scan already.")
            return 0
    skipped = SkippedLines()
    blocks = text.of_model.blocks(opened, skipped, against)
    with held(text.folder):
        if not (text.folder / MANIFEST).exists():
            write_manifest(text.folder, manifest)
        with aside():
            scanned, more, ended = _scan(opened, text, blocks, against)
        if scanned.finished:
            write_manifest(text.folder, replace(manifest, finished=True))
    if skipped.count:
        say(str(skipped))
    if ended is not None and not scanned.finished:
        say(f"Stopped: {text.folder} has {scanned.records} records; --resume goes on.")
        return 128 + ended
    say(f"{text.folder} has {scanned.records} records, of {scanned.blocks} blocks.")
    if more:
        most = text.size.max_tokens
        say(f"The text goes on: a greater --max-tokens than {most} reads more, into a new folder.")
    return 0


def _open(asked: Start, text: AskedScan) -> tuple[Opened, OpenSecond | None]:
    """Open the model, its lenses and the second side, and say what is to be said of them."""
    with progress() as on_stage, aside():
        from lenstui.opening.opened import open_model

        opened = open_model(asked, on_stage)
        second = None if text.against is None else open_against(opened, text.against, on_stage)
    for remark in (*opened.remarks, *(second.remarks if second else ())):
        say(remark)
    return opened, second


def _scan(
    opened: Opened,
    text: AskedScan,
    blocks: Iterator[tuple[Tensor, list[int]]],
    against: Against | None,
) -> tuple[Scanned, bool, Signals | None]:
    """Scan until the end or a signal.

    Returns:
        What is in the folder, whether there is more text than was to be read, and the signal.
    """
    from lenstui.scan.scan import scan

    length = text.of_model.length(opened, against)
    most = text.size.max_tokens // length
    try:
        with heard() as ending, bar("scanning", most * length, "tokens") as on_tokens:

            def go_on(columns: int) -> bool:
                on_tokens(columns)
                return ending() is None

            scanned = scan(
                opened.model,
                islice(blocks, most),
                opened.lenses,
                text.folder,
                against=against,
                part_seconds=text.part_seconds,
                go_on=go_on,
            )
            ended = ending()
    except (IndexError, MemoryError, RuntimeError) as error:  # torch's out-of-memory errors are RuntimeErrors
        raise LensError(failure("Scanning failed", error, "Try a smaller --seq-len.")) from error
    return scanned, scanned.finished and next(blocks, None) is not None, ended
