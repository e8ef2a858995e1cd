"""Text from standard input."""

from __future__ import annotations

import sys

from lenstui.support.errors import LensError


def standard_input() -> str:
    """Return all of standard input, without the newline that ends its last line.

    Raises:
        LensError: if it is not UTF-8.
    """
    try:
        return sys.stdin.buffer.read().decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise LensError(f"Standard input is not UTF-8 text (byte {error.start}).") from error
