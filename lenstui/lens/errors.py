"""The one exception whose text is written for the user."""


class LensError(Exception):
    """Something that the user can act on. The message is one line: what is wrong, and what to do."""


def first_line(error: Exception) -> str:
    """What `error` says, on one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]
