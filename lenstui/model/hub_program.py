"""What the programs have in common that ask the hub in a child process: progress, errors, their end.

Such a program prints JSON lines: `{"done", "total", "file"}` at most ten times a second, then `{"result"}` or
`{"error"}`. It ends as soon as its standard input is closed. `lenstui.model.hub_process` runs it; only
huggingface_hub is heavy in it, and is imported once it runs.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 10.0  # seconds for the list of files
CHUNK = 1 << 18  # bytes; huggingface_hub's 10 MB would show no progress for minutes on a slow line
_TICK = 0.1  # seconds between two lines of progress
# What huggingface_hub would add to its requests about this machine; it reads this when it is imported.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
_PAGES = {"model": "", "dataset": "datasets/", "space": "spaces/"}  # where the hub has its repositories


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository on the hub, with what messages need to say of it.

    Attributes:
        name: `OWNER/NAME`.
        revision: a branch, tag or commit.
        cache: the folder of the Hugging Face cache.
        type: `model`, `dataset` or `space`.
        kept: what of a download that failed is kept for the next try.
        wanted: what was asked for, as a noun: the `download` of the repository, or a `list` of its files.
    """

    name: str
    revision: str
    cache: Path
    type: str = "model"
    kept: str = "complete files are kept"
    wanted: str = "download"


class RefusedError(Exception):
    """A refusal, with one line for the user."""


class Progress:
    """Progress over all files: bytes on the disk, of all that are needed."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._done = 0  # of the files that are complete
        self._partial = 0
        self._said = 0.0

    def advance(self, file: str, count: int) -> None:
        """Count new bytes of a file (negative ones when the server starts over)."""
        self._partial += count
        if time.monotonic() - self._said >= _TICK:
            self._say(file)

    def finish(self, file: str, size: int) -> None:
        """Count a file as complete, whether it was downloaded or present before."""
        self._done += size
        self._partial = 0
        if self._done >= self.total or time.monotonic() - self._said >= _TICK:
            self._say(file)

    def _say(self, file: str) -> None:
        self._said = time.monotonic()
        say(done=self._done + self._partial, total=self.total, file=file)

    def bar(self, file: str) -> type:
        """Return a class for huggingface_hub to use as tqdm, with the methods of tqdm that it calls."""
        progress = self

        class Bar:
            def __init__(self, *_: Any, **__: Any) -> None: ...

            def __enter__(self) -> Bar:
                return self

            def __exit__(self, *_: object) -> None: ...

            def update(self, count: float | None = 1) -> None:
                progress.advance(file, int(count or 0))

            def update_transfer(self, count: float | None = 1) -> None:
                """Ignore bytes on the wire: `update` counts them when they are written."""

            def ignore(self, *_: Any, **__: Any) -> None: ...

            set_description = set_postfix_str = set_transfer_postfix_str = refresh = close = ignore

        return Bar


def say(**message: Any) -> None:
    """Print one JSON line for the parent process."""
    print(json.dumps(message), file=sys.__stdout__, flush=True)


def check_disk(name: str, cache: Path, needed: int) -> None:
    """Refuse a download that is larger than what the disk of the cache has free, in bytes.

    Raises:
        RefusedError: with one line for the user.
    """
    free = shutil.disk_usage(cache).free
    if needed > free:
        raise RefusedError(
            f"{name} needs {needed / 1e9:.1f} GB more and {cache} has {free / 1e9:.1f} GB free: "
            "make room, or set HF_HOME to a bigger disk."
        )


def explain(error: Exception, repository: Repository) -> str:
    """Return one line on an error: what went wrong, and what to do."""
    from huggingface_hub import constants, errors

    name, cache, what = repository.name, repository.cache, repository.type
    host, page = urlsplit(constants.ENDPOINT).netloc, f"{constants.ENDPOINT}/{_PAGES[what]}{name}"
    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # why the hub did not say where the file is
    match error:
        case RefusedError():
            return str(error)
        case errors.HFValidationError():
            return f"{name!r} is no name of a {what}: names on the hub are OWNER/NAME."
        case errors.GatedRepoError():
            return f"{name} is gated: accept its terms on {page}, then log in with `hf auth login`."
        case errors.RepositoryNotFoundError():
            return (
                f"{host} has no {what} {name}: check the spelling (names are OWNER/NAME); "
                "if it is private, log in with `hf auth login`."
            )
        case errors.RevisionNotFoundError():
            revision = repository.revision
            return f"{name} has no revision {revision}: give a branch, a tag or a commit from {page}."
        case errors.HfHubHTTPError(response=response):
            if (status := response.status_code) == 401:
                return f"{host} does not accept your token: log in again with `hf auth login`."
            return f"{host} answered {status} for {name}: try again later; {repository.kept}."
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return f"The disk of {cache} is full: make room, or set HF_HOME to a bigger one."
        case OSError(errno=errno.EACCES | errno.EPERM | errno.EROFS):
            return f"{cache} cannot be written: set HF_HOME to a folder of your own."
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"The {repository.wanted} of {name} from {host} failed ({reason}): try again; {repository.kept}."


def main(work: Callable[[], Any], explained: Callable[[Exception], str]) -> int:
    """Do the work of a program, print its result or its error, and return the exit status.

    Args:
        work: returns the result, plain values.
        explained: returns one line for the user on an exception of it.
    """
    _stop_with_the_parent()
    sys.stdout = sys.stderr  # only messages to the parent go to the real stdout
    try:
        say(result=work())
    except (KeyboardInterrupt, BrokenPipeError):  # the parent is gone
        return 1
    except Exception as error:  # every failure becomes a line for the user
        say(error=explained(error))
        return 1
    return 0


def _stop_with_the_parent() -> None:
    """Interrupt the main thread once standard input closes: the parent stopped the download, or has ended."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs inherit an ignored SIGINT
    main_thread = threading.get_ident()

    def wait() -> None:
        os.read(sys.stdin.fileno(), 1)
        signal.pthread_kill(main_thread, signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()
