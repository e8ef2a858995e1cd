"""Directions in the residual stream: of a token, as a lens reads it, and between two prompts.

A token's direction in row i is `v = Lᵀ P (gain ⊙ W_U[w])`, with `L` the linear part of the transport and
`P` what takes the mean off in a LayerNorm: what a state gains along it, the lens adds to the token's logit.
Of a Jacobian lens that is the steering vector of Gurnee et al. 2026.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lenstui.causal.direction import gradient_of
from lenstui.edits.edit import PromptError
from lenstui.lens.lens import Lens
from lenstui.model.contribution import find_contribution, sound_columns
from lenstui.model.load import Model


def token_direction(model: Model, lens: Lens, row: int, token: int, h_last: Tensor) -> Tensor:
    """Return the direction of a token in a row of the residual stream, `[d]`, float32, of length 1.

    Args:
        model: from `load`.
        lens: a lens for this model, on its device.
        row: the index of the row, 0 for `emb`.
        token: the token id.
        h_last: the last row of some prompt, `[cols, d]`.

    Raises:
        LensError: if the lens does not read the row, or final norm and head are not linear.
    """
    is_last = row == model.num_blocks
    sound = sound_columns(h_last)
    contribution = find_contribution(model.head, sound, final_norm=is_last or lens.final_norm)
    vector = _unembedding_of(model, token)
    if contribution.norm is not None:
        vector = contribution.norm.transposed(vector)
    if not is_last:
        fixed = vector.clone()  # no tensor of inference mode can take part in a gradient
        zeros = torch.zeros(1, model.d_model, device=model.device)
        vector = gradient_of(lambda states: lens.transport(states, row) @ fixed, zeros)[0]
    unit: Tensor = vector / vector.norm()
    return unit


def median_norm(states: Tensor) -> float:
    """Return the median length of states, `[cols, d]`, without column 0, which is often far longer.

    Raises:
        PromptError: if there is no other column.
    """
    if len(states) < 2:
        raise PromptError("the prompt has no column besides the first, whose norm would be the measure")
    return float(states[1:].float().norm(dim=-1).median())


def _unembedding_of(model: Model, token: int) -> Tensor:
    """Return what the head makes a token's logit of, `[d]`, float32, up to a factor."""
    if model.head.linear is not None:
        return model.head.linear.weight[token].detach().float()
    zeros = torch.zeros(1, model.d_model, dtype=model.dtype, device=model.device)
    return gradient_of(lambda x: model.head.logits(x)[:, token], zeros)[0].float()
