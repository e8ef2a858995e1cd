"""The kinds of lens there are. Whoever lists them goes through this registry when asked, and keeps no copy.

It is light: the command line's help imports it.
"""

from __future__ import annotations

from collections.abc import Callable
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


def first_kinds() -> tuple[str, str]:
    """Return the two kinds that are shown beside each other, and subtracted, unless others are asked for."""
    first, second = tuple(_KINDS)[:2]
    return first, second


def made_lens(kind: str) -> Lens | None:
    """Return the lens of a kind that needs no fit; None where there is none without a file."""
    known = _KINDS.get(kind)
    return None if known is None or known.made is None else known.made()


def register(kind: LensKind) -> None:
    """Add a kind of lens, behind the others.

    Raises:
        ValueError: if there is one of that name.
    """
    if kind.key in _KINDS:
        raise ValueError(f"There is a kind of lens {kind.key!r} already.")
    _KINDS[kind.key] = kind


def unregister(key: str) -> None:
    """Take a kind of lens out again.

    Raises:
        KeyError: if there is none of that name.
    """
    del _KINDS[key]
