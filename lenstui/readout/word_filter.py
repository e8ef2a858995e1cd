"""The words of a vocabulary: the tokens that the readout filter leaves in the ranking of a cell."""

from __future__ import annotations

import torch
from torch import Tensor

from lenstui.model.load import Model
from lenstui.support.errors import LensError


def word_ids(model: Model) -> Tensor:
    """Return the ids of the tokens with a letter or digit, in any script, ascending, on the model's device.

    Raises:
        LensError: if there are none.
    """
    words = torch.from_numpy(model.texts.words[: model.vocabulary]).nonzero()[:, 0]
    if not len(words):
        raise LensError("No token of this vocabulary has a letter or digit: read it without --words-only.")
    return words.to(model.device)
