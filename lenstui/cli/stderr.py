"""What the command line says beside its results."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lenstui.export.printable import printable


def say(message: str) -> None:
    """One line on stderr, nothing in it that could move the cursor."""
    print(f"lenstui: {printable(message)}", file=sys.stderr)


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Give a function that shows what is being done, on one line that is gone afterwards.

    It shows nothing where stderr is no terminal.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda stage: None
        return
    try:
        yield lambda stage: print(f"\r\x1b[K{printable(stage)} …", end="", file=sys.stderr, flush=True)
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
