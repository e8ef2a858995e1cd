"""The jobs that scan texts on screen, search the records, and find the tokens of a position.

The model thread scans, and gives way after every few columns, so that prompts are answered meanwhile. The
file thread searches and writes; it gives way, too. Torch and pyarrow are imported inside the jobs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenstui.jobs.export_messages import FileTaken, NotTaken, TextTaken
from lenstui.jobs.export_things import NOTEBOOK
from lenstui.jobs.failures import reporting
from lenstui.jobs.keeping import keep_view
from lenstui.jobs.messages import Post
from lenstui.jobs.model import ModelJobs
from lenstui.jobs.scan_messages import (
    ComparisonFound,
    ComparisonOrder,
    ComparisonRefused,
    Position,
    PositionFound,
    PositionRefused,
    QueryFound,
    QueryOrder,
    QueryRefused,
    ScanAsked,
    ScanEnd,
    ScanEnded,
    ScanGrown,
    ScansListed,
)
from lenstui.jobs.thread import POST_EVERY, JobThread, Stop
from lenstui.support.errors import SHORTER_BLOCKS, LensError, failure
from lenstui.support.paths import made

if TYPE_CHECKING:
    from lenstui.opening.opened import Opened
    from lenstui.scan.asked_query import AskedQuery
    from lenstui.scan.folder import Manifest
    from lenstui.scan.matches import ScanRecords

# Each job stops the former one of its kind.
_SCAN, _QUERY, _COMPARISON, _POSITION = "scan", "scan query", "scan comparison", "scan position"
_PRIORITY = 1  # behind prompts
_PART_SECONDS = 10.0  # so that the table of a scan under way grows
NO_MODEL = "No model is open: m opens one."


class ScanService:
    """A service that makes one scan at a time and searches records. Its methods return at once."""

    def __init__(self, thread: JobThread, file_thread: JobThread, model_jobs: ModelJobs) -> None:
        """Prepare the service.

        Args:
            thread: the thread that does model work.
            file_thread: the thread that reads and writes files.
            model_jobs: the jobs with the open model.
        """
        self._thread = thread
        self._file_thread = file_thread
        self._model_jobs = model_jobs
        # What was compared last, as a lens may have gigabytes: the records, the open model, the difference.
        self._compared: tuple[Manifest, Opened, str] | None = None

    def scan(self, number: int, asked: ScanAsked, post: Post) -> None:
        """Scan a text with the open model and its lenses, or go on with a scan.

        Args:
            number: a number for the messages.
            asked: what is scanned.
            post: takes `ScanGrown`, and `ScanEnded` at the end.
        """

        def steps(stop: Stop) -> Iterator[None]:
            began, kept = time.monotonic(), [0]  # the number of records in the folder, as a scan fails

            def fail(text: str) -> None:
                seconds = time.monotonic() - began
                post(ScanEnded(number, ScanEnd.FAILED, text, kept[0], seconds))

            with reporting(fail, "Scanning failed", SHORTER_BLOCKS):
                yield from self._scan(number, asked, post, stop, kept)

        self._thread.submit(_SCAN, steps, priority=_PRIORITY, answers=True)

    def stop(self) -> None:
        """End the scan under way; the blocks that are whole are kept."""
        self._thread.submit(_SCAN, lambda stop: None, priority=_PRIORITY)

    def query(self, number: int, folder: Path, asked: AskedQuery, post: Post) -> None:
        """Search the records in a folder; the search before ends.

        Args:
            number: a number for the messages.
            folder: the folder of the records.
            asked: the query.
            post: takes `QueryFound`, several times where there are many records, or `QueryRefused`.
        """

        def steps(stop: Stop) -> Iterator[None]:
            from lenstui.scan.condition import ConditionError

            def fail(text: str) -> None:
                post(QueryRefused(number, text))

            with reporting(fail, "Searching failed"):
                try:
                    yield from _search(number, folder, asked, post, stop)
                except ConditionError as error:
                    post(QueryRefused(number, str(error), error.place, error.why))

        self._file_thread.submit(_QUERY, steps)

    def compare(self, number: int, records: ScanRecords, post: Post) -> None:
        """Compare the two sides of records that have a second one.

        Args:
            number: a number for the messages.
            records: the records.
            post: takes `ComparisonFound` or `ComparisonRefused`.
        """

        def compare(stop: Stop) -> None:
            from lenstui.export.scan_comparison import Compared
            from lenstui.scan.comparison import compare_sides

            with reporting(lambda text: post(ComparisonRefused(number, text)), "Comparing failed"):
                comparison = compare_sides(records)
                assert comparison is not None
                post(ComparisonFound(number, Compared(comparison, records)))

        self._file_thread.submit(_COMPARISON, compare)

    def list_scans(self, place: Path, post: Post) -> None:
        """List the scans in a folder.

        Args:
            place: the folder.
            post: takes `ScansListed`.
        """

        def look(stop: Stop) -> None:
            from lenstui.scan.catalog import list_scans

            post(ScansListed(tuple(list_scans(place))))

        self._file_thread.submit("list scans", look)

    def find_position(
        self, number: int, records: ScanRecords, lens: str, record: Mapping[str, Any], post: Post
    ) -> None:
        """Find the tokens of a position, for Explore to read.

        Args:
            number: a number for the messages.
            records: the records.
            lens: the key of the lens that the best row is of.
            record: the record of the position.
            post: takes `PositionFound` or `PositionRefused`.
        """

        def find(stop: Stop) -> None:
            with reporting(
                lambda text: post(PositionRefused(number, text)), "It cannot be read", SHORTER_BLOCKS
            ):
                post(PositionFound(number, self._position(records, lens, record)))

        self._thread.submit(_POSITION, find)

    def write(self, order: QueryOrder | ComparisonOrder, post: Post) -> None:
        """Write what a query has found, or a comparison, in a form of `lenstui scan`, or its command."""
        self._file_thread.submit(f"write {order.file}", lambda stop: _write(order, post))

    # ── on the model thread ──────────────────────────────────────────────────────────────────────────────

    def _scan(self, number: int, asked: ScanAsked, post: Post, stop: Stop, kept: list[int]) -> Iterator[None]:
        from lenstui.scan.asked_text import AskedText
        from lenstui.scan.folder import MANIFEST, check_same, held, read_manifest, write_manifest
        from lenstui.scan.scan import ScanRun
        from lenstui.texts.documents import SkippedLines, find_files

        began = time.monotonic()
        if (opened := self._model_jobs.opened) is None:
            raise LensError(NO_MODEL)
        text = AskedText(asked.folder, asked.documents, asked.size)
        manifest, before = text.manifest(opened, find_files(asked.documents)), read_manifest(asked.folder)
        if before is not None:
            check_same(asked.folder, before, manifest)
        skipped = SkippedLines()
        blocks = text.blocks(opened, skipped)
        length = asked.size.columns(opened.model.context)
        most = asked.size.max_tokens // length

        with held(asked.folder):
            if not (asked.folder / MANIFEST).exists():
                write_manifest(asked.folder, manifest)
            run = ScanRun(opened.model, opened.lenses, asked.folder, part_seconds=_PART_SECONDS)
            kept[0] = run.records
            done = posted_records = run.records
            posted, first, at_first = 0.0, time.monotonic(), done
            post(ScanGrown(number, done, most * length, run.records, None))
            passed_over = run.records
            for columns in _told(run.steps(islice(blocks, most))):
                now, kept[0] = time.monotonic(), run.records
                passed_over -= columns
                done += columns if passed_over < 0 else 0
                if stop() or not self._has(opened):
                    run.write()
                    reason = "" if self._has(opened) else "Another model was opened."
                    post(ScanEnded(number, ScanEnd.STOPPED, reason, run.records, now - began))
                    return
                if run.records > posted_records or now - posted > POST_EVERY:
                    posted, posted_records = now, run.records
                    rate = (now - first) / (done - at_first) if done > at_first else None
                    left = None if rate is None else rate * (most * length - done)
                    post(ScanGrown(number, done, most * length, run.records, left))
                yield
            write_manifest(asked.folder, replace(manifest, finished=True))
            said = [str(skipped)] * bool(skipped.count)
            if next(blocks, None) is not None:
                said.append("The text goes on: more tokens are read into a new folder.")
            seconds = time.monotonic() - began
            post(ScanEnded(number, ScanEnd.DONE, " ".join(said), run.records, seconds))

    def _has(self, opened: Opened) -> bool:
        """Return whether a model is open still."""
        now = self._model_jobs.opened
        return now is not None and now.model is opened.model

    def _position(self, records: ScanRecords, lens: str, record: Mapping[str, Any]) -> Position:
        from lenstui.scan.columns import of_lens
        from lenstui.scan.positions import ids_up_to

        if (opened := self._model_jobs.opened) is None:
            raise LensError(NO_MODEL)
        remark = self._compare(records.manifest, opened)
        ids, texts = ids_up_to(records, record["block"], record["column"]), opened.model.texts
        best, following = record[of_lens(lens, "best_row")], record["next_id"]
        return Position(
            ids=ids,
            text=texts.join(ids),
            row=None if best is None else records.manifest.rows[best + 1],  # `emb` is -1
            next_id=following,
            next_text="" if following is None else texts[following],
            remark=remark,
            missing=self._missing(records.manifest),
        )

    def _missing(self, manifest: Manifest) -> str:
        """Return the name of the second model of records, unless a side reads the typed prompt with it."""
        from lenstui.export.scan_comparison import sides_of
        from lenstui.lens.fingerprint import fingerprint_digest

        if manifest.second is None or not manifest.second.is_model:
            return ""
        wanted, sides = manifest.settings.get("against_model"), self._model_jobs.sides
        shown = [] if sides is None else [side.model for side in sides.sides if side.text is None]
        return "" if any(fingerprint_digest(model) == wanted for model in shown) else sides_of(manifest)[1]

    def _compare(self, manifest: Manifest, opened: Opened) -> str:
        """Return what makes numbers of the open model differ from those of records; see `_difference`."""
        if self._compared is None or self._compared[:2] != (manifest, opened):
            self._compared = manifest, opened, _difference(manifest, opened)
        return self._compared[2]


def _told(steps: Iterator[int]) -> Iterator[int]:
    """Yield the steps of a scan; torch's errors become sentences.

    Raises:
        LensError: if the model cannot read a block.
    """
    try:
        yield from steps
    except (IndexError, MemoryError, RuntimeError) as error:  # torch's out-of-memory errors are RuntimeErrors
        raise LensError(failure("Scanning failed", error, SHORTER_BLOCKS)) from error


def _difference(manifest: Manifest, opened: Opened) -> str:
    """Return what makes the numbers of the open model differ from those of records, a sentence or nothing.

    Raises:
        LensError: if the records are of another model.
    """
    from lenstui.lens.lens import lens_keys
    from lenstui.scan.settings import lens_digest, model_settings

    now, was = model_settings(opened.model), manifest.settings
    if any(was.get(name) != now[name] for name in ("model", "tokenizer")):
        source = manifest.source
        name = f"{source.get('model')}{'@' + source['revision'] if source.get('revision') else ''}"
        raise LensError(f"The records are of {name}, which is not the open model: m opens another.")
    parts = [
        f"{name} {was.get(name)}" for name in ("dtype", "device") if was.get(name) not in {None, now[name]}
    ]
    scanned = was.get("lenses") or {}
    keys = lens_keys(opened.lenses)
    other = [
        key
        for key, lens in zip(keys, opened.lenses, strict=True)
        if key in scanned and scanned[key] != lens_digest(lens)
    ]
    missing = [key for key in scanned if key not in keys]
    said = [f"They were scanned with {' and '.join(parts)}."] * bool(parts)
    said += [f"The open {key} lens is another than the one that was scanned." for key in other]
    said += [f"The {key} lens that was scanned is not open: o lists lenses." for key in missing]
    return " ".join(said)


# ── on the file thread ───────────────────────────────────────────────────────────────────────────────────


def _search(number: int, folder: Path, asked: AskedQuery, post: Post, stop: Stop) -> Iterator[None]:
    from lenstui.export.scan import Found
    from lenstui.scan.matches import open_records, search

    began = time.monotonic()
    records = open_records(folder)
    lens = asked.lens(records.manifest)
    condition, sort = asked.condition(records.manifest)
    for matches in search(records, condition, lens=lens, sort=sort, top=asked.top):
        if stop():
            return
        found = Found(matches, records, asked.query, asked.title)
        is_whole = matches.of == records.count
        post(QueryFound(number, asked, found, is_whole, time.monotonic() - began))
        yield


def _write(order: QueryOrder | ComparisonOrder, post: Post) -> None:
    from lenstui.support.atomic_file import written

    with reporting(lambda text: post(NotTaken(order.number, text)), "It was not written"):
        if order.thing is NOTEBOOK:
            records = order.found.records if isinstance(order, QueryOrder) else order.compared.records
            post(keep_view("error analysis", records.folder.name, _text(order, "md")))
            return
        text = _text(order, order.thing.key)
        if order.file is None:
            post(TextTaken(order.number, order.thing, text))
            return
        made(order.file.parent)
        with written(order.file) as out:
            out.write(text.encode("utf-8"))
        post(FileTaken(order.number, order.file))


def _text(order: QueryOrder | ComparisonOrder, form: str) -> str:
    return _query_text(order, form) if isinstance(order, QueryOrder) else _comparison_text(order, form)


def _query_text(order: QueryOrder, form: str) -> str:
    from lenstui.export.command import scan_command
    from lenstui.export.scan import scan_csv, scan_json, scan_markdown, scan_table
    from lenstui.scan.comparison import compare_sides

    found = replace(order.found, comparison=compare_sides(order.found.records))
    match form:
        case "json":
            return scan_json(found)
        case "csv":
            return scan_csv(found)
        case "md":
            return scan_markdown(found, scan_command(found, order.asked, "md", order.file))
        case "table":
            return scan_table(found)
    command = scan_command(found, order.asked)
    return command if order.file is None else f"{command}\n"


def _comparison_text(order: ComparisonOrder, form: str) -> str:
    from lenstui.export.command import comparison_command
    from lenstui.export.scan_comparison import (
        comparison_csv,
        comparison_json,
        comparison_markdown,
        comparison_table,
    )

    compared, folder = order.compared, order.compared.records.folder
    match form:
        case "json":
            return comparison_json(compared)
        case "csv":
            return comparison_csv(compared)
        case "md":
            return comparison_markdown(compared, comparison_command(folder, "md", order.file))
        case "table":
            return comparison_table(compared)
    command = comparison_command(folder)
    return command if order.file is None else f"{command}\n"
