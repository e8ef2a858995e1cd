"""The log of failures that nobody expected: where in the code each happened, for whoever mends it.

What the user reads may be secret, and messages of exceptions quote it. So an entry has places in the code and
kinds of exceptions; messages only where the environment has `LENSTUI_DEBUG`; values of variables never.
"""

from __future__ import annotations

import os
import platform
import sys
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lenstui.support import paths
from lenstui.support.errors import is_debugging, is_out_of_memory, named_line
from lenstui.support.printable import printable
from lenstui.support.version import __version__

MOST_BYTES = 256 << 10  # of the log: a longer one becomes `lenstui.log.1`, in place of the one before it
_OUT_OF_MEMORY = "Memory ran out: free some, or take a smaller model."
_PACKAGES = ("torch", "transformers", "textual", "numpy")


def crash_line(error: BaseException) -> str:
    """Add an error to the log, and return one line for the user: what it is, where, and where the log is.

    That memory ran out is no defect: it is said alone, and not logged.
    """
    if is_out_of_memory(error):
        return _OUT_OF_MEMORY
    place = _place(error)
    what = f"This is a defect: {type(error).__name__}" + (f" in {place}" if place else "")
    if not note_crash(error):
        return f"{what}. The log {paths.log()} cannot be written."
    return f"{what}. The log {paths.log()} has more, and none of your texts: please report it."


def note_crash(error: BaseException) -> bool:
    """Add an error to the log.

    Returns:
        Whether it was written: it is about a failure, and must not make another.
    """
    log = paths.log()
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.is_file() and log.stat().st_size > MOST_BYTES:
            log.replace(log.with_name(f"{log.name}.1"))
        # One write, so that the entries of two programs do not mix.
        number = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)
        try:
            os.write(number, _entry(error).encode("utf-8", "backslashreplace"))
        finally:
            os.close(number)
    except OSError:
        return False
    return True


def _entry(error: BaseException) -> str:
    when = datetime.now(UTC).isoformat(timespec="seconds")
    made_with = [f"{name} {found}" for name in _PACKAGES if (found := _version(name))]
    about = f"lenstui {__version__}, Python {platform.python_version()}, {platform.system()}"
    lines = [f"== {when} · {', '.join([about, *made_with])}"]
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    for each in reversed(chain):
        lines += [
            f"  {_shown(frame.filename)}:{frame.lineno} {frame.name}: {frame.line}"
            for frame in traceback.extract_tb(each.__traceback__)
        ]
        lines.append(named_line(each) if is_debugging() else type(each).__name__)
    return "\n".join(map(printable, lines)) + "\n\n"


def _place(error: BaseException) -> str | None:
    """Return where in lenstui's code an error happened, as `lenstui/tui/app.py:12`; None if in none of it."""
    package = str(Path(__file__).parents[1]) + os.sep
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(package)]
    return f"{_shown(own[-1].filename)}:{own[-1].lineno}" if own else None


def _shown(file: str) -> str:
    """Return a path without the folders above its package, which may name the user."""
    for folder in sorted({str(Path(__file__).parents[2]), *filter(None, sys.path)}, key=len, reverse=True):
        with suppress(ValueError):
            return Path(file).relative_to(folder).as_posix()
    return Path(file).name


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
