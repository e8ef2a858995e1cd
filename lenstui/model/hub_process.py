"""The child process that asks the hub and downloads from it, as its parent sees it.

Only that child imports huggingface_hub, and it can be killed at any moment. `lenstui.model.hub_program` is
its side.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from lenstui.model.child_process import child
from lenstui.support.errors import LensError

_POLL = 0.05  # seconds between two calls of `should_stop`
_GRACE = 1.0  # seconds in which a stopped child may tidy up before it is killed
_BAR = 12  # cells of the progress bar
_SMALL = 1e7  # bytes; of a smaller download tenths of a megabyte are shown

Message = dict[str, Any]
ShouldStop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """The progress of a download.

    Attributes:
        done: bytes on the disk.
        total: bytes of all files that are needed.
        file: the name of the file that is being downloaded.
    """

    done: int
    total: int
    file: str

    @property
    def text(self) -> str:
        """A bar and the numbers: `━━━━━━────── 12 of 24 MB`."""
        full = round(_BAR * self.done / max(self.total, 1))
        bar = "━" * full + "─" * (_BAR - full)
        digits = 1 if self.total < _SMALL else 0
        return f"{bar} {self.done / 1e6:.{digits}f} of {self.total / 1e6:.{digits}f} MB"


OnProgress = Callable[[DownloadProgress], None]


class DownloadStopped(LensError):  # noqa: N818, an outcome that was asked for
    """The outcome of a download, or of a search on the hub, that the caller's `should_stop` ended."""


def run(
    program: str,
    words: Sequence[str],
    what: str,
    on_message: Callable[[Message], None],
    should_stop: ShouldStop | None = None,
) -> Any:
    """Run a program that asks the hub, in a child process, and return its result.

    Args:
        program: the name of the module.
        words: its arguments.
        what: what it does, as the beginning of a sentence: `The download of gpt2`.
        on_message: called with every message before the result, in the caller's thread.
        should_stop: called at least ten times a second; True ends the child.

    Raises:
        DownloadStopped: if `should_stop` returned True; the child has ended by then.
        LensError: if the child reports an error, or ends without a result.
    """
    with tempfile.TemporaryFile() as complaints, _running(program, words, complaints) as messages:
        for message in messages:
            if should_stop is not None and should_stop():
                raise DownloadStopped(f"{what} was stopped.")
            if message is None:
                continue
            if "error" in message:
                raise LensError(message["error"])
            if "result" in message:
                return message["result"]
            on_message(message)
        complaints.seek(0)
        last = (complaints.read().decode(errors="replace").strip() or "killed").splitlines()[-1]
    raise LensError(f"{what} ended without a result ({last}): try again; complete files are kept.")


@contextlib.contextmanager
def _running(program: str, words: Sequence[str], complaints: Any) -> Iterator[Iterator[Message | None]]:
    """Run the child; yield its messages, with None while it is silent; end the child afterwards."""
    process = child(program, words, complaints=complaints)
    assert process.stdin is not None
    assert process.stdout is not None
    lines: SimpleQueue[bytes | None] = SimpleQueue()
    threading.Thread(target=_pump, args=(process.stdout, lines), daemon=True).start()
    try:
        yield _messages(lines)
    finally:
        process.stdin.close()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _pump(stdout: Iterable[bytes], lines: SimpleQueue[bytes | None]) -> None:
    for line in stdout:
        lines.put(line)
    lines.put(None)


def _messages(lines: SimpleQueue[bytes | None]) -> Iterator[Message | None]:
    while True:
        try:
            line = lines.get(timeout=_POLL)
        except Empty:
            yield None
            continue
        if line is None:
            return
        yield json.loads(line)
