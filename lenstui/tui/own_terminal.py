"""The terminal while the screen is on it: what libraries print there themselves is for nobody."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def own_terminal() -> Iterator[None]:
    """Have the terminal to what writes to `sys.__stderr__`, as Textual does, within the block.

    Libraries in C and Rust write to descriptor 2 past Python, among the cells of the screen: a tokenizer that
    gives up on a text, a driver that complains. What they mean comes as an exception, too. Where that goes to
    a file they may write there, and the screen is drawn on standard output.
    """
    errors = sys.__stderr__
    stream = next((each for each in (errors, sys.__stdout__) if each is not None and each.isatty()), None)
    if stream is None:  # in a browser, or without a screen
        yield
        return
    stream.flush()
    number = stream.fileno()
    with os.fdopen(os.dup(number), "w", encoding=stream.encoding, errors=stream.errors) as own:
        if stream is errors:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)
        sys.__stderr__ = own  # type: ignore[misc]  # what Textual draws on
        try:
            yield
        finally:
            own.flush()
            sys.__stderr__ = errors  # type: ignore[misc]
            os.dup2(own.fileno(), number)
