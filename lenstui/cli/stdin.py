"""Text from standard input."""

from __future__ import annotations

import sys

from lenstui.support.errors import LensError
from lenstui.support.small_file import LIMIT


def standard_input() -> str:
    """Return all of standard input, without the newline that ends its last line.

    Raises:
        LensError: if it is not UTF-8, or has more than `LIMIT`.
    """
    content = sys.stdin.buffer.read(LIMIT + 1)
    if len(content) > LIMIT:
        raise LensError(f"Standard input has more than {LIMIT >> 20} MB: give less.")
    try:
        return content.decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise LensError(f"Standard input is not UTF-8 text (byte {error.start}).") from error
