"""What a part of the residual stream adds to the logits: direct logit attribution.

The final norm is not linear, but in one column it is a linear map with one number, its scale, taken from
`h_L`. With the scale kept at that, a part `c` of `h_L` adds

    W (gain · c / scale(h_L)),    c less its mean where the norm takes the mean off,

to the logits, and the parts of a column add up to its final logits: less the biases of norm and head, and
before a softcap. The norm of the part alone would not: it blows a part that adds next to nothing up to the
size of the whole stream. Elhage et al., "A Mathematical Framework for Transformer Circuits", 2021; the
same as `apply_ln_to_stack` of TransformerLens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lenstui.lens.errors import LensError
from lenstui.lens.head import Head

_TOLERANCE = {torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 3e-2}  # of the largest number
_LOUD = 64.0  # beside it no norm's epsilon counts, and its square is a float16


@dataclass(frozen=True, eq=False)
class FrozenNorm:
    """A final norm as it is in one column: `gain · (h or h less its mean) / scale + bias`.

    Attributes:
        gain: `[d]`, float32.
        bias: `[d]`, float32.
        takes_mean_off: a LayerNorm does, an RMSNorm does not.
    """

    gain: Tensor
    bias: Tensor
    takes_mean_off: bool

    def unscaled(self, h: Tensor) -> Tensor:
        """`[cols, d]`, float32, without scale and bias."""
        wide = h.float()
        return self.gain * (wide - wide.mean(-1, keepdim=True) if self.takes_mean_off else wide)

    def inverse_scale(self, h: Tensor, normed: Tensor) -> Tensor:
        """One number a column, `[cols, 1]`, as the norm itself made it: the best fit of `normed`."""
        unscaled = self.unscaled(h)
        fitted: Tensor = torch.linalg.vecdot(unscaled, normed.float() - self.bias)
        return (fitted / unscaled.square().sum(-1).clamp(min=torch.finfo(torch.float32).tiny))[:, None]


@dataclass(frozen=True, eq=False)
class Contribution:
    """Logits of what parts of the residual stream add.

    Attributes:
        head: of the model.
        linear: the head's linear map, without bias and softcap, of `[cols, d]`.
        norm: the final norm; None where there is none, or where it is passed over.
    """

    head: Head
    linear: Callable[[Tensor], Tensor]
    norm: FrozenNorm | None

    def __call__(self, part: Tensor, h_last: Tensor) -> Tensor:
        """Logits `[cols, vocabulary]`, float32, of `part` at the scale of `h_last`, `[cols, d]` each."""
        if self.norm is None:
            return self.linear(part.to(h_last.dtype))
        scaled = self.norm.unscaled(part) * self.norm.inverse_scale(h_last, self.head.norm(h_last))
        return self.linear(scaled.to(h_last.dtype))


def find_contribution(head: Head, h_last: Tensor, *, final_norm: bool = True) -> Contribution:
    """Find the linear maps that final norm and head are, by value.

    Args:
        head: of the model.
        h_last: some columns of `h_L`, `[cols, d]`.
        final_norm: False passes over the final norm.

    Raises:
        LensError: if one of them is no such map.
    """
    with torch.inference_mode():
        norm = None
        if final_norm and head.anatomy.final_norm is not None:
            norm = _found_norm(head, h_last)
        return Contribution(head, _found_linear(head, h_last), norm)


def _found_norm(head: Head, h: Tensor) -> FrozenNorm:
    """As an RMSNorm or as a LayerNorm, whatever its class: whichever gives what the module gives."""
    wanted = head.norm(h).float()
    signs = torch.ones_like(h[:1])
    signs[:, 1::2] = -1
    bias = head.norm(torch.zeros_like(signs)).float()
    loud = head.norm(_LOUD * signs).float() - bias
    for takes_mean_off in (False, True):
        bare = FrozenNorm(torch.ones_like(loud[0]), bias[0], takes_mean_off)
        unit = bare.unscaled(signs)
        norm = replace(bare, gain=(loud / (unit / unit.square().mean().sqrt()))[0])
        if _near(norm.unscaled(h) * norm.inverse_scale(h, wanted) + norm.bias, wanted, h.dtype):
            return norm
    raise LensError(
        f"The final norm, {type(head.anatomy.final_norm).__name__}, is neither an RMSNorm nor a LayerNorm: "
        "what attention and MLP add cannot be given in logits."
    )


def _found_linear(head: Head, h: Tensor) -> Callable[[Tensor], Tensor]:
    if head.linear is not None:
        linear = replace(head.linear, bias=None, softcap=None)
        return lambda x: linear(x).float()
    constant = head.logits(torch.zeros_like(h[:1]))

    def less_constant(x: Tensor) -> Tensor:
        return head.logits(x) - constant

    x = head.norm(h)
    turned = x.roll(1, -1)
    if not _near(less_constant(x) + less_constant(turned), less_constant(x + turned), h.dtype):
        raise LensError(
            f"The head of {type(head.model).__name__} is not linear: what attention and MLP add cannot be "
            "given in logits."
        )
    return less_constant


def _near(ours: Tensor, wanted: Tensor, dtype: torch.dtype) -> bool:
    """Whether the difference is rounding alone. NaN is not."""
    worst = float((ours - wanted).abs().max())
    return worst <= _TOLERANCE.get(dtype, 1e-4) * max(1.0, float(wanted.abs().max()))
