"""The messages of the jobs that scan texts, and search the records of scans."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from lenstui.jobs.export_things import Thing
from lenstui.scan.asked_query import AskedQuery
from lenstui.texts.block_size import BlockSize
from lenstui.texts.documents import Documents

if TYPE_CHECKING:
    from lenstui.export.scan import Found
    from lenstui.export.scan_comparison import Compared
    from lenstui.scan.catalog import ListedScan


@dataclass(frozen=True, slots=True)
class ScanAsked:
    """A scan as it is asked for on screen.

    Attributes:
        folder: the folder of the records; a scan that was begun there goes on.
        documents: the documents.
        size: the size of the blocks, and the most tokens to read.
    """

    folder: Path
    documents: Documents
    size: BlockSize


@dataclass
class ScanGrown(Message):
    """How far a scan is.

    Attributes:
        number: the number of the request.
        done: the number of tokens that were read, or that the folder held.
        most: the most tokens that are read; the text may end before.
        records: the number of records in the folder.
        left: the seconds that it still takes at most, about; None where nothing says so yet.
    """

    number: int
    done: int
    most: int
    records: int
    left: float | None


class ScanEnd(Enum):
    """How a scan ended."""

    DONE = auto()
    STOPPED = auto()
    FAILED = auto()


@dataclass
class ScanEnded(Message):
    """The message that nothing more comes of a scan.

    Attributes:
        number: the number of the request.
        end: how it ended.
        text: what there is to say of it, a sentence; empty for nothing.
        records: the number of records in the folder.
        seconds: how long it took.
    """

    number: int
    end: ScanEnd
    text: str
    records: int
    seconds: float


@dataclass
class ScansListed(Message):
    """The scans in the folder where they are by default, the last one first."""

    scans: tuple[ListedScan, ...]


@dataclass
class QueryFound(Message):
    """What a query has found.

    Attributes:
        number: the number of the query.
        asked: the query.
        found: what was found, in as many records as were searched.
        is_whole: whether all records were searched.
        seconds: how long it took.
    """

    number: int
    asked: AskedQuery
    found: Found
    is_whole: bool
    seconds: float


@dataclass
class QueryRefused(Message):
    """The message that a query finds nothing, and why.

    Attributes:
        number: the number of the query.
        text: why, a sentence.
        place: where a condition is wrong, in characters from 0; None where it is something else.
        why: what is wrong at that place.
    """

    number: int
    text: str
    place: int | None = None
    why: str = ""


@dataclass
class ComparisonFound(Message):
    """How far the two sides of a scan are apart.

    Attributes:
        number: the number of the request.
        compared: the comparison, and the records that it is of.
    """

    number: int
    compared: Compared


@dataclass
class ComparisonRefused(Message):
    """The message that the two sides of a scan cannot be compared, and why."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Position:
    """A position of a scanned text, to be read in Explore as the scan read it.

    Attributes:
        ids: the token ids of its block up to it and with it.
        text: the text that they stand for.
        row: the label of the row where the next token's rank is lowest; None where there is none.
        next_id: the id of the token that really follows; None in a block's last column.
        next_text: the display text of that token.
        remark: what makes numbers in Explore differ from those of the records, a sentence; empty for nothing.
        missing: the name of the model that the records compare with, where no side reads it; else empty.
    """

    ids: tuple[int, ...]
    text: str
    row: str | None
    next_id: int | None
    next_text: str
    remark: str
    missing: str = ""


@dataclass
class PositionFound(Message):
    """A position that was asked for, with the number of the request."""

    number: int
    position: Position


@dataclass
class PositionRefused(Message):
    """The message that a position cannot be read in Explore, and why."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class QueryOrder:
    """An order to write what a query has found.

    Attributes:
        number: the number of the order.
        asked: the query.
        found: what it has found.
        thing: the form, or `command`.
        file: the file; None for the clipboard.
    """

    number: int
    asked: AskedQuery
    found: Found
    thing: Thing
    file: Path | None


@dataclass(frozen=True, slots=True)
class ComparisonOrder:
    """An order to write how far the two sides of a scan are apart.

    Attributes:
        number: the number of the order.
        compared: the comparison.
        thing: the form, or `command`.
        file: the file; None for the clipboard.
    """

    number: int
    compared: Compared
    thing: Thing
    file: Path | None
