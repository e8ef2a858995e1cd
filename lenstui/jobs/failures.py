"""Errors in jobs: each becomes a message for the user, and none ends the program.

The log has those that nobody expected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lenstui.support.crash_log import note_crash
from lenstui.support.errors import LensError, failure, is_out_of_memory, named_line


@contextmanager
def reporting(report: Callable[[str], object], what: str, out_of_memory: str = "") -> Iterator[None]:
    """Report an exception raised in the block: a `LensError` by its own text, any other after `what`.

    Args:
        report: takes the text of the error.
        what: the beginning of the text for an error that is no `LensError`, such as `Reading failed`.
        out_of_memory: its end where memory ran out: what to do, a sentence.
    """
    try:
        yield
    except LensError as error:
        report(str(error))
    except Exception as error:  # whatever torch and transformers raise must not end the program
        if is_out_of_memory(error):
            report(failure(what, error, out_of_memory))
        else:
            note_crash(error)
            report(f"{what}: {named_line(error)}")
