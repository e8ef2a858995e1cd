"""Messages of the command line on stderr, beside its results."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from lenstui.support.errors import PREFIX, is_debugging, message_line
from lenstui.support.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")


def say(message: str) -> None:
    """Print one line on stderr, of bounded length, with all control characters escaped."""
    print(f"{PREFIX}{message_line(message)}", file=sys.stderr)


@contextmanager
def silence(wanted: bool) -> Iterator[None]:
    """Leave out what the block prints, if wanted: of several processes one speaks."""
    if not wanted:
        yield
        return
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


@contextmanager
def only_ours() -> Iterator[None]:
    """Leave out the warnings of libraries within the block, which are for programmers, unless debugging."""
    if is_debugging():
        yield
        return
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # torch writes past Python, over the screen too
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def aside() -> AbstractContextManager[object]:
    """Send what the block prints to stderr: a model's own code may print, and stdout is for results."""
    return redirect_stdout(sys.stderr)


def each_aside(items: Iterator[T]) -> Iterator[T]:
    """Yield the items, and send what is printed while one is made to stderr."""
    end = object()
    while True:
        with aside():
            item = next(items, end)
        if item is end:
            return
        yield cast(T, item)


def bar_console() -> Console:
    """Return the console of a progress bar, which leaves the cursor on: nobody else would show it again.

    A program that is killed, as by SIGKILL, cannot.
    """
    from rich.console import Console

    class CursorStays(Console):
        def show_cursor(self, show: bool = True) -> bool:
            return False

    return CursorStays(stderr=True)


@contextmanager
def bar(doing: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Yield the function that advances a progress bar by some units, which only a terminal shows.

    Args:
        doing: what is done, for a label.
        total: the number of units.
        unit: their name, in the plural.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda done: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
    with Progress(*columns, console=bar_console(), transient=True, refresh_per_second=10) as shown:
        task = shown.add_task("", total=total)
        yield lambda done: shown.advance(task, done)


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows the current stage, on one line that is erased afterwards.

    It shows nothing where stderr is no terminal.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda stage: None
        return
    try:
        yield lambda stage: print(f"\r\x1b[K{printable(stage)} …", end="", file=sys.stderr, flush=True)
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
