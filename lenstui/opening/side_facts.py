"""What a side is, in plain values, for whoever describes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SideFacts:
    """A side as the screen describes it.

    Attributes:
        model: its name.
        revision: of the hub, where one was named.
        dtype: of its weights.
        vocabulary: how many logits it gives.
        kind: of lens that it is read through.
        lens: name of that lens, where it has one.
        has_lens: whether there is a lens of that kind.
        is_fitted: whether that lens was fitted to the model.
        prompt: the prompt that it alone reads; None where it reads the one that is typed.
        is_own: it is of the open model, the prompt that is typed, and a lens in use.
        model_number: sides of the same model in memory have the same.
    """

    model: str
    revision: str | None
    dtype: str
    vocabulary: int
    kind: str
    lens: str | None = None
    has_lens: bool = True
    is_fitted: bool = False
    prompt: str | None = None
    is_own: bool = True
    model_number: int = 0


def are_of_one_model(sides: Sequence[SideFacts]) -> bool:
    """Return whether sides are of the same model in memory."""
    return len({side.model_number for side in sides}) < 2


def are_of_one_prompt(sides: Sequence[SideFacts]) -> bool:
    """Return whether sides are lenses of one model on one prompt, so that all may stand in one file."""
    return are_of_one_model(sides) and all(side.prompt is None for side in sides)
