"""The closed form of a tuned lens: weighted ridge regression of `h_L` on every `h_i`, streamed."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from lenstui.lens.errors import LensError
from lenstui.lens.model import Model
from lenstui.lens.residual import residual_stream
from lenstui.lens.tuned_lens import TunedLens


def fit_closed_form(model: Model, blocks: Iterable[Tensor], *, ridge: float = 1e-4) -> TunedLens:
    """Solve for the translators that bring `h_i + A_i h_i + b_i` closest to `h_L`.

    Each position weighs `1 / mean(h_L²)`, because the final norm divides by that. Only the normal equations
    are kept, one `(d+1)²` and one `(d+1) × d` matrix per row, float64 on the CPU: never a hidden state.

    Args:
        model: from `load`.
        blocks: token ids `[cols]`, on the CPU.
        ridge: added to the diagonal, as a share of its mean; it pulls towards the logit lens.

    Raises:
        LensError: if there is no block at all, or the model's numbers are not finite.
    """
    rows, d = model.num_blocks, model.d_model
    gram = torch.zeros(rows, d + 1, d + 1, dtype=torch.float64)
    cross = torch.zeros(rows, d + 1, d, dtype=torch.float64)
    seen = 0
    for block in blocks:
        h = residual_stream(model.module, model.anatomy, block[None].to(model.device))[:, 0]
        h = h.to("cpu", torch.float64)  # [L + 1, cols, d]
        weight = h[-1].square().mean(-1, keepdim=True).rsqrt()  # the root: it goes on both sides of a product
        x = torch.nn.functional.pad(h[:-1], (0, 1), value=1.0) * weight  # [L, cols, d + 1]
        y = (h[-1] - h[:-1]) * weight  # [L, cols, d]: what the translator has to add
        gram += x.mT @ x
        cross += x.mT @ y
        seen += len(block)
    if not seen:
        raise LensError("There is too little text for a single block: give more, or shorter blocks.")
    if not torch.isfinite(gram).all():
        raise LensError("The model's hidden states are not finite on this text: no lens can be fitted.")
    diagonal = gram.diagonal(dim1=-2, dim2=-1)[:, :d].mean(-1)  # [L]
    penalty = torch.eye(d + 1, dtype=torch.float64)
    penalty[d, d] = 0  # the bias is not pulled towards zero
    solution = torch.linalg.solve(gram + ridge * diagonal[:, None, None] * penalty, cross)  # [L, d + 1, d]
    return TunedLens(solution[:, :d].mT.float().contiguous(), solution[:, d].float())
