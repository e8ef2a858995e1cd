"""The one exception whose text is written for the user."""


class LensError(Exception):
    """Something that the user can act on. The message is one line: what is wrong, and what to do."""


class NoDeviceError(LensError):
    """The device that was asked for is not on this machine."""


def first_line(error: BaseException) -> str:
    """What `error` says, on one line: the first, and the second where the first only announces it."""
    first, *more = str(error).strip().splitlines() or [type(error).__name__]
    return f"{first.rstrip()} {more[0].strip()}" if more and first.rstrip().endswith(":") else first


def first_clause(error: Exception) -> str:
    """The same without a full stop, to stand within a sentence."""
    return first_line(error).rstrip(".")


def named_line(error: BaseException) -> str:
    """The same behind its kind, for what is not ours: `ValueError: it is odd`."""
    return f"{type(error).__name__}: {first_line(error)}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: torch has many kinds of errors for that, which all say so."""
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower()


def advice(error: BaseException, out_of_memory: str) -> str | None:
    """What the user is told about an error that something can be done about, one line; None for any other.

    Args:
        error: whatever was raised.
        out_of_memory: what to say where memory ran out.
    """
    if isinstance(error, LensError):
        return str(error)
    return out_of_memory if is_out_of_memory(error) else None
