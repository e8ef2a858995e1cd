"""Names of text files as they are typed into a line: files and globs, separated by spaces."""

from __future__ import annotations

import shlex

from lenstui.support.errors import LensError
from lenstui.support.typed_path import expanded, is_there
from lenstui.texts.documents import matches


def file_names(data: str) -> tuple[str, ...]:
    """Return the files and globs that were typed.

    The name of a single file may have spaces without quotes.

    Raises:
        LensError: if a quote is not closed.
    """
    data = data.strip()
    if not data:
        return ()
    if is_there(expanded(data)):
        return (data,)
    try:
        names = shlex.split(data)
    except ValueError as error:
        raise LensError("A quote is not closed.") from error
    return tuple(name.strip(",") for name in names if name.strip(","))


def are_there(data: str) -> bool:
    """Return whether files and globs, as typed, name files that exist."""
    try:
        return all(map(matches, file_names(data)))
    except LensError:
        return False
