"""Foils: another word that could come next in a case, and its numbers against those of the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lenstui.readout.cells import FloatArray, IntArray
from lenstui.readout.pins import Pin
from lenstui.support.errors import LensError


@dataclass(frozen=True, slots=True, eq=False)
class FoilColumn:
    """The foil's numbers of one lens at the end of one prompt, by row, nats, float32.

    Attributes:
        logprob: the log-probability of the foil's token, `[rows]`.
        rank: the rank of that token, `[rows]`.
        logit_diff: the logit of the target's token minus that of the foil's, as the model's head gives them,
            `[rows]`; NaN where both words begin with the same token.
        whole_logprob: the log-probability of the whole foil, summed along its tokens, `[rows]`; NaN for a
            lens whose readouts are no distributions of the next token.
    """

    logprob: FloatArray
    rank: IntArray
    logit_diff: FloatArray
    whole_logprob: FloatArray


def find_foil(word: str | None, target: Pin | None, find: Callable[[str], Pin]) -> tuple[Pin | None, str]:
    """Return the token that stands for a foil, and why there is no logit difference with it.

    Logits are of single tokens. Of a word of several tokens it is the first one's, so that two words that
    begin with the same token have no difference; what is then left are the log-probabilities of both, whole.

    Args:
        word: the foil; None for no foil.
        target: the token of the target; None without one.
        find: returns the token of a word, or raises `LensError`.

    Returns:
        The token, None where there is none; and a sentence, empty where nothing is missing.
    """
    if word is None:
        return None, ""
    if target is None:
        return None, f"The foil {word!r} has no target to be held against."
    try:
        foil = find(word)
    except LensError as error:
        return None, f"The foil {word!r}: {error}"
    if foil.ids == target.ids:
        return None, f"Target and foil are the same, {word!r}."
    if foil.id == target.id:
        return foil, (
            f"{target.word!r} and {word!r} begin with the same token, and logits are those of first tokens: "
            "only the whole words can be told apart."
        )
    return foil, ""


def minus(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return a difference; NaN where both are infinite, as of two tokens that the head forbids."""
    with np.errstate(invalid="ignore"):
        return first - second
