"""The kinds of lens there are. Whoever lists them goes through this registry when asked, and keeps no copy.

It is light: the command line's help imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenstui.lens.logit import LogitLens

if TYPE_CHECKING:
    from lenstui.lens.lens import Lens

LOGIT, TUNED = "logit", "tuned"


@dataclass(frozen=True, slots=True)
class LensKind:
    """A kind of lens.

    Attributes:
        key: what it is called, in a word; `Lens.kind` of its lenses.
        made: makes the lens of this kind that needs no fit; None where each is fitted to a model and comes
            from a file.
    """

    key: str
    made: Callable[[], Lens] | None = None


_KINDS = {LOGIT: LensKind(LOGIT, LogitLens), TUNED: LensKind(TUNED)}


def lens_kinds() -> tuple[LensKind, ...]:
    """Return all kinds, in the order in which lenses are read and shown."""
    return tuple(_KINDS.values())


def made_lens(kind: str) -> Lens | None:
    """Return the lens of a kind that needs no fit; None where there is none without a file."""
    known = _KINDS.get(kind)
    return None if known is None or known.made is None else known.made()


@contextmanager
def registered(kind: LensKind) -> Iterator[None]:
    """Have one more kind of lens in the meantime, behind the others."""
    _KINDS[kind.key] = kind
    try:
        yield
    finally:
        del _KINDS[kind.key]


def register(kind: LensKind) -> None:
    """Add a kind of lens, behind the others, or put it in the place of one of that name."""
    _KINDS[kind.key] = kind
