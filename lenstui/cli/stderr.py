"""Messages of the command line on stderr, beside its results."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from typing import TypeVar, cast

from lenstui.support.printable import printable

T = TypeVar("T")


def say(message: str) -> None:
    """Print one line on stderr, with all control characters escaped."""
    print(f"lenstui: {printable(message)}", file=sys.stderr)


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
