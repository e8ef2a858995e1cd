"""`lenstui scan FOLDER --data`: the records of a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING

from lenstui.cli.block_size import BlockSize
from lenstui.cli.ending import heard
from lenstui.cli.scan_against import AskedAgainst, OpenSecond, open_against
from lenstui.cli.stderr import aside, bar, progress, say
from lenstui.support.errors import LensError, first_line
from lenstui.support.request import Start

if TYPE_CHECKING:
    from torch import Tensor

    from lenstui.opening.opened import Opened
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


@dataclass(frozen=True, eq=False)
class _OpenScan:
    """What is open for a scan.

    Attributes:
        first: the model and its lenses.
        length: the number of columns of a block.
        second: the second side; None for none.
    """

    first: Opened
    length: int
    second: OpenSecond | None


def scan_text(asked: Start, text: AskedScan, check: Callable[[Manifest], None]) -> int:
    """Scan a text, say what is in the folder, and return the exit status.

    Args:
        asked: the request for a model.
        text: the request for a scan.
        check: refuses what is to be done with the records, given their manifest.
    """
    from lenstui.scan.folder import MANIFEST, check_same, held, read_manifest, write_manifest
    from lenstui.texts.documents import find_files

    files = find_files(text.documents)  # before the model, since loading takes long
    before = read_manifest(text.folder)
    if before is not None and not text.resume:
        raise LensError(f"{text.folder} holds a scan already: add --resume, or name another folder.")
    opened = _open(asked, text)
    manifest = _manifest(opened, text, files)
    check(manifest)
    if before is not None:
        check_same(text.folder, before, manifest)
        if before.finished:
            say(f"{text.folder} holds the whole scan already.")
            return 0
    blocks = _blocks(opened, text)
    with held(text.folder):
        if not (text.folder / MANIFEST).exists():
            write_manifest(text.folder, manifest)
        with aside():
            scanned, more, ended = _scan(opened, text, blocks)
        if scanned.finished:
            write_manifest(text.folder, replace(manifest, finished=True))
    if ended is not None and not scanned.finished:
        say(f"Stopped: {text.folder} has {scanned.records} records; --resume goes on.")
        return 128 + ended
    say(f"{text.folder} has {scanned.records} records, of {scanned.blocks} blocks.")
    if more:
        most = text.size.max_tokens
        say(f"The text goes on: a greater --max-tokens than {most} reads more, into a new folder.")
    return 0


def _open(asked: Start, text: AskedScan) -> _OpenScan:
    """Open the model, its lenses and the second side, and say what is to be said of them."""
    with progress() as on_stage, aside():
        from lenstui.opening.agreement import shared_context
        from lenstui.opening.opened import open_model

        opened = open_model(asked, on_stage)
        second = None if text.against is None else open_against(opened, text.against, on_stage)
    for remark in (*opened.remarks, *(second.remarks if second else ())):
        say(remark)
    other = second.against.model if second else opened.model
    return _OpenScan(opened, text.size.columns(shared_context(opened.model, other)), second)


def _manifest(opened: _OpenScan, text: AskedScan, files: Sequence[Path]) -> Manifest:
    from lenstui.lens.lens import lens_keys
    from lenstui.opening.opened import source_of
    from lenstui.opening.source import source_facts
    from lenstui.readout.cells import row_labels
    from lenstui.scan.folder import Manifest
    from lenstui.scan.settings import scan_settings

    model, lenses, second = opened.first.model, opened.first.lenses, opened.second
    return Manifest(
        settings=scan_settings(
            model,
            lenses,
            text.documents,
            files,
            max_tokens=text.size.max_tokens,
            seq_len=opened.length,
            against=None if second is None else second.against,
        ),
        source=source_facts(source_of(opened.first, lenses)),
        data=text.documents.paths,
        rows=row_labels(model.num_blocks),
        lenses=tuple(lens_keys(lenses)),
        second=None if second is None else second.side,
    )


def _blocks(opened: _OpenScan, text: AskedScan) -> Iterator[tuple[Tensor, list[int]]]:
    """Return the blocks of the text, of which there is one at least."""
    from lenstui.texts.blocks import TOO_LITTLE, numbered_blocks
    from lenstui.texts.documents import SkippedLines, read_documents

    skipped = SkippedLines()
    documents = read_documents(text.documents, skipped)
    blocks = numbered_blocks(opened.first.model.tokenizer, documents, opened.length)
    if (first := next(blocks, None)) is None:
        raise LensError(TOO_LITTLE)

    def all_blocks() -> Iterator[tuple[Tensor, list[int]]]:
        yield from chain([first], blocks)
        if skipped.count:
            say(str(skipped))

    return all_blocks()


def _scan(
    opened: _OpenScan, text: AskedScan, blocks: Iterator[tuple[Tensor, list[int]]]
) -> tuple[Scanned, bool, Signals | None]:
    """Scan until the end or a signal.

    Returns:
        What is in the folder, whether there is more text than was to be read, and the signal.
    """
    from lenstui.scan.scan import scan

    length, most = opened.length, text.size.max_tokens // opened.length
    try:
        with heard() as ending, bar("scanning", most * length, "tokens") as on_tokens:

            def go_on(columns: int) -> bool:
                on_tokens(columns)
                return ending() is None

            scanned = scan(
                opened.first.model,
                islice(blocks, most),
                opened.first.lenses,
                text.folder,
                against=None if opened.second is None else opened.second.against,
                part_seconds=text.part_seconds,
                go_on=go_on,
            )
            ended = ending()
    except (IndexError, MemoryError, RuntimeError) as error:  # torch's out-of-memory errors are RuntimeErrors
        raise LensError(f"Scanning failed: {first_line(error)} Try a smaller --seq-len.") from error
    return scanned, scanned.finished and next(blocks, None) is not None, ended
