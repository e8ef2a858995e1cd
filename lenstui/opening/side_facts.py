"""Descriptions of sides, in plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lenstui.edits.edit_list import EditList
from lenstui.model.rows import is_sublayer


@dataclass(frozen=True, slots=True)
class SideFacts:
    """A side as the screen describes it.

    Attributes:
        model: the name of the model.
        revision: the hub revision, where one was named.
        dtype: the dtype of the weights.
        vocabulary: the number of logits of the model.
        kind: the kind of lens that the side is read through.
        lens: the name of that lens, where it has one.
        has_lens: whether there is a lens of that kind.
        is_fitted: whether that lens was fitted to the model.
        is_instant: whether that lens is an instant one.
        prompt: the prompt that it alone reads; None where it reads the one that is typed.
        is_own: it is of the open model, the prompt that is typed, and a lens in use.
        model_number: sides of the same model in memory have the same.
        lacks: the labels of the rows of the residual stream for which the lens has no numbers.
        edits: edits of the forward pass.
        adapter: the adapter that the model is under, as it is typed; empty for none.
        is_of_base: whether the lens was fitted without that adapter.
    """

    model: str
    revision: str | None
    dtype: str
    vocabulary: int
    kind: str
    lens: str | None = None
    has_lens: bool = True
    is_fitted: bool = False
    is_instant: bool = False
    prompt: str | None = None
    is_own: bool = True
    model_number: int = 0
    lacks: frozenset[str] = frozenset()
    edits: EditList = field(default=EditList())
    adapter: str = ""
    is_of_base: bool = False

    def has_no_row(self, label: str) -> bool:
        """Return whether the lens has no numbers for a row; of a sublayer only the logit lens has any."""
        return label in self.lacks or (self.is_fitted and is_sublayer(label))


def is_edited_run(side: SideFacts, clean: SideFacts) -> bool:
    """Return whether a side shows the edited run of what a clean side shows: the same, but for its edits."""
    if clean.edits or not side.edits:
        return False
    return replace(side, is_own=clean.is_own, edits=clean.edits) == clean


def are_of_one_model(sides: Sequence[SideFacts]) -> bool:
    """Return whether all sides are of the same model in memory."""
    return len({side.model_number for side in sides}) < 2


def are_of_one_file(sides: Sequence[SideFacts]) -> bool:
    """Return whether a file can hold all sides.

    They are lenses of one model on the typed prompt, edited or not, or of two models on it, and no edits.
    """
    if are_of_one_prompt(sides):
        return True
    numbers = {side.model_number for side in sides}
    plain = all(side.prompt is None and not side.edits.in_force for side in sides)
    return len(numbers) == 2 and sides[0].model_number == 0 and plain


def are_of_one_prompt(sides: Sequence[SideFacts]) -> bool:
    """Return whether all sides are lenses of one model on the typed prompt, edited or not."""
    return are_of_one_model(sides) and all(side.prompt is None for side in sides)
