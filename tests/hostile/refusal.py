"""What hostile files may do: be read, or be refused in a line."""

from __future__ import annotations

from collections.abc import Callable

from lenstui.lens import LensError
from lenstui.support.errors import LONGEST_MESSAGE


def is_read(read: Callable[[], object], where: str) -> bool:
    """Return whether something is read; fail where it is refused in more than a line, or otherwise.

    Args:
        read: reads it.
        where: what was altered, for the failure.
    """
    try:
        read()
    except LensError as error:
        line = str(error)
        assert len(line) <= LONGEST_MESSAGE, where
        assert line.isprintable(), where
        return False
    except Exception as error:
        raise AssertionError(f"{where}: {error!r}") from error
    return True
