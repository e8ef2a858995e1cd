"""Which documents are held out: never trained on, so that a lens can be judged on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice

from lenstui.support.errors import LensError

_FIRST_DOCUMENTS = 64  # are looked at to make sure that both sides get some


@dataclass(frozen=True, slots=True)
class Split:
    """Which documents are held out. A document's own text decides, so that copies stay on one side.

    Attributes:
        share: of the documents that are held out, about.
        seed: another seed holds out others.
        always_held_out: the mark of a document that is, whatever the share.
        never_held_out: the mark of one that is not.
    """

    share: float
    seed: int
    always_held_out: float
    never_held_out: float

    def holds_out(self, text: str) -> bool:
        """Whether the document is for judging alone."""
        mark = _mark(text, self.seed)
        if mark in {self.always_held_out, self.never_held_out}:
            return mark == self.always_held_out
        return mark < self.share


def split_documents(texts: Iterable[str], share: float, seed: int = 0) -> Split | None:
    """Decide which documents are held out, so that there are some on both sides.

    Args:
        texts: the documents; only the first few are looked at.
        share: of them to hold out.
        seed: for another choice.

    Returns:
        None where there is but one document, or copies of one.
    """
    if not 0 < share < 1:
        raise LensError(f"The share that is held out must be between 0 and 1, not {share}.")
    marks = {_mark(text, seed) for text in islice(texts, _FIRST_DOCUMENTS)}
    return Split(share, seed, min(marks), max(marks)) if len(marks) > 1 else None


def _mark(text: str, seed: int) -> float:
    """A number from 0 to 1 that is even over documents, and the same for the same text."""
    digest = blake2b(text.encode(), digest_size=8, key=str(seed).encode()).digest()
    return int.from_bytes(digest) / 2**64
