"""What a service runs where the weights are, sent there as source: the head, and its wiring check.

Plain functions of tensors and modules: the service has PyTorch and no lenstui, and some services let no other
module in than torch, numpy, math and the like. `readout/interventions` has the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

Module = Callable[[Tensor], Tensor]
"""A module of the model on the service, as nnsight shows it: called with its input."""

Head: TypeAlias = tuple[Module | None, Module]
"""The final norm, if any, and the unembedding."""


def head_logits(x: Tensor, matrix: Module, scale: float, softcap: float | None) -> Tensor:
    """Return the logits `[..., vocabulary]` of normed hidden states `[..., d]`, as `LinearHead` does.

    Args:
        x: normed hidden states.
        matrix: the model's unembedding.
        scale: the factor on the product.
        softcap: the bound of the softcap, if any.
    """
    logits = matrix(x)
    if scale != 1.0:
        logits = logits * scale
    if softcap is not None:
        logits = torch.tanh(logits / softcap) * softcap
    return logits


def head_checked(
    stream: Sequence[Tensor],
    logits: Tensor,
    head: Head,
    candidates: Sequence[tuple[float, float | None]],
) -> dict[str, Any]:
    """Compare the head as lenstui reads it with the model's own logits, by value, over the whole vocabulary.

    Args:
        stream: `h_0 … h_L`, `[1, cols, d]` each.
        logits: the model's own, `[1, cols, vocabulary]`; of the last columns alone where there are fewer.
        head: the final norm, if any, and the unembedding.
        candidates: factors on the product, each with a softcap or none.

    Returns:
        `worst`: of each candidate the largest difference of two logits, as a share of the largest logit (at
            least 1); and `dtype`, `device`, `d_model`, `vocabulary`, `torch` of the service, plain values.
    """
    norm, matrix = head
    last, own, found = stream[-1], logits[0].detach().float(), []
    with torch.no_grad(), torch.autocast(last.device.type, enabled=False):
        x = last[0, -len(own) :].detach()
        x = x if norm is None else norm(x)
        # A head may forbid tokens with -inf or the lowest number of its dtype: left out of the scale.
        size = own.masked_fill(own <= torch.finfo(logits.dtype).min / 2, 0.0).abs().max().clamp(min=1.0)
        for scale, softcap in candidates:
            ours = head_logits(x, matrix, scale, softcap).float()
            off = torch.where(ours == own, 0.0, (ours - own).abs())
            found.append(float(off.max() / size))
    return {
        "worst": found,
        "dtype": str(last.dtype),
        "device": last.device.type,
        "d_model": last.shape[-1],
        "vocabulary": logits.shape[-1],
        "torch": str(torch.__version__),
    }
