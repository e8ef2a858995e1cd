"""The registry of lens kinds. Code that lists the kinds asks it each time, and keeps no copy.

It imports no torch: the command line's help needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lenstui.lens.lens import Lens
    from lenstui.lens.logit import LogitLens

LOGIT, TUNED, JACOBIAN = "logit", "tuned", "jacobian"


@dataclass(frozen=True, slots=True)
class LensKind:
    """A kind of lens.

    Attributes:
        key: the kind's name, one word; the `Lens.kind` of its lenses.
        made: makes the one lens of a kind that needs no fit; None where each lens is fitted to a model and
            comes from a file.
        reads_next: whether its readouts are distributions of the next token, so that those of a word's
            tokens add up to that of the word; a Jacobian lens reads what comes at some later position.
    """

    key: str
    made: Callable[[], Lens] | None = None
    reads_next: bool = True


def _logit_lens() -> LogitLens:
    """Return the logit lens. What lenses do is imported with the first, and not for a name of a kind."""
    from lenstui.lens.logit import LogitLens

    return LogitLens()


_KINDS = {
    LOGIT: LensKind(LOGIT, _logit_lens),
    TUNED: LensKind(TUNED),
    JACOBIAN: LensKind(JACOBIAN, reads_next=False),
}


def lens_kinds() -> tuple[LensKind, ...]:
    """Return all kinds, in the order in which lenses are read and shown."""
    return tuple(_KINDS.values())


def first_kinds() -> tuple[str, str]:
    """Return the two kinds that are shown beside each other, and subtracted, unless others are asked for."""
    first, second = tuple(_KINDS)[:2]
    return first, second


def made_lens(kind: str) -> Lens | None:
    """Return the lens of a kind that needs no fit; None for any other kind."""
    known = _KINDS.get(kind)
    return None if known is None or known.made is None else known.made()


def reads_next(kind: str) -> bool:
    """Return whether a kind's readouts are distributions of the next token; True for an unknown kind."""
    return kind not in _KINDS or _KINDS[kind].reads_next


def register(kind: LensKind) -> None:
    """Add a kind of lens, after the others.

    Raises:
        ValueError: if there already is a kind with that key.
    """
    if kind.key in _KINDS:
        raise ValueError(f"There is a kind of lens {kind.key!r} already.")
    _KINDS[kind.key] = kind


def unregister(key: str) -> None:
    """Remove a kind of lens.

    Raises:
        KeyError: if there is no kind with that key.
    """
    del _KINDS[key]
