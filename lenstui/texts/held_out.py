"""The split into held-out documents, which are never trained on, and the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice

from lenstui.support.errors import LensError

_FIRST_DOCUMENTS = 64  # documents that are read to make sure that both sides get some


@dataclass(frozen=True, slots=True)
class Split:
    """A rule for held-out documents. It depends on a document's own text, so that copies stay on one side.

    Attributes:
        share: the approximate share of documents that are held out.
        seed: the seed of the marks; another seed holds out other documents.
        always_held_out: the mark of a document that is held out, whatever the share.
        never_held_out: the mark of a document that is not held out, whatever the share.
    """

    share: float
    seed: int
    always_held_out: float
    never_held_out: float

    def holds_out(self, text: str) -> bool:
        """Return whether a document is held out."""
        mark = _mark(text, self.seed)
        if mark in {self.always_held_out, self.never_held_out}:
            return mark == self.always_held_out
        return mark < self.share


def split_documents(texts: Iterable[str], share: float, seed: int = 0) -> Split | None:
    """Return a rule for held-out documents that leaves some on both sides.

    Args:
        texts: the documents; only the first few are read.
        share: the share of documents to hold out.
        seed: the seed for the choice of documents.

    Returns:
        The rule; None where there is only one document, or copies of one.
    """
    if not 0 < share < 1:
        raise LensError(f"The share that is held out must be between 0 and 1, not {share}.")
    marks = {_mark(text, seed) for text in islice(texts, _FIRST_DOCUMENTS)}
    return Split(share, seed, min(marks), max(marks)) if len(marks) > 1 else None


def _mark(text: str, seed: int) -> float:
    """Return a number from 0 to 1 that depends on the text and the seed, spread evenly over documents."""
    digest = blake2b(text.encode(), digest_size=8, key=str(seed).encode()).digest()
    return int.from_bytes(digest) / 2**64
