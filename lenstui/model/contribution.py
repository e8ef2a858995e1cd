"""The addition of a part of the residual stream to the logits: direct logit attribution.

The final norm is not linear, but in one column it is a linear map with one number, its scale, taken from
`h_L`. With the scale fixed at that, a part `c` of `h_L` adds

    W (gain · c / scale(h_L)),    c less its mean where the norm takes the mean off,

to the logits, and the parts of a column add up to its final logits: less the biases of norm and head, and
before a softcap. Norming each part alone would not add up: it blows a part that adds next to nothing up to
the size of the whole stream. Elhage et al., "A Mathematical Framework for Transformer Circuits", 2021; the
same formula as `apply_ln_to_stack` of TransformerLens.

All of it is computed in float32, whatever the dtype of the model: a part is often a thousandth of the stream,
and would be lost in the stream's rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from lenstui.model.head import Head, LinearHead
from lenstui.model.product import product
from lenstui.support.errors import LensError

_TOLERANCE = {torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 3e-2}  # of the largest number
_PROOF_COLUMNS = 8
_LOUD = 64.0  # large against any norm's epsilon, with a square within float16's range
_MEAN = 3.0  # of the numbers that distinguish LayerNorm from RMSNorm
_CHUNK_BYTES = 64 << 20  # of a matrix that is converted to float32 in chunks


@dataclass(frozen=True, eq=False)
class FrozenNorm:
    """A final norm as a linear map in one column: `gain · (h or h less its mean) / scale + bias`.

    Attributes:
        module: the norm itself, in float32 where possible.
        gain: `[d]`, float32.
        bias: `[d]`, float32.
        takes_mean_off: True for a LayerNorm, False for an RMSNorm.
    """

    module: nn.Module
    gain: Tensor
    bias: Tensor
    takes_mean_off: bool

    def unscaled(self, h: Tensor) -> Tensor:
        """Return the norm of `h` without scale and bias, `[cols, d]`, float32."""
        wide = h.float()
        return self.gain * (wide - wide.mean(-1, keepdim=True) if self.takes_mean_off else wide)

    def inverse_scale(self, h: Tensor) -> Tensor:
        """Return 1 / scale of each column, `[cols, 1]`: a least-squares fit to the norm module's output."""
        unscaled = self.unscaled(h)
        fitted: Tensor = torch.linalg.vecdot(unscaled, self.module(h.float()).float() - self.bias)
        return (fitted / unscaled.square().sum(-1).clamp(min=torch.finfo(torch.float32).tiny))[:, None]

    def transposed(self, direction: Tensor) -> Tensor:
        """Return the vector `v` with `v · h = direction · unscaled(h)` for every `h`, `[..., d]`, float32."""
        v = self.gain * direction.float()
        return v - v.mean(-1, keepdim=True) if self.takes_mean_off else v

    def __call__(self, h: Tensor) -> Tensor:
        """Return the norm of `h`, `[cols, d]`, float32, computed from gain, scale and bias."""
        return self.unscaled(h) * self.inverse_scale(h) + self.bias


@dataclass(frozen=True, eq=False)
class Contribution:
    """A map from parts of the residual stream to the logits that they add.

    Attributes:
        linear: the head's linear map of `[cols, d]`, without bias and softcap.
        constant: the head's bias, as logits, `[vocabulary]` or one number.
        softcap: the head's softcap, or None.
        norm: the final norm; None where there is none, or where it is left out.
    """

    linear: Callable[[Tensor], Tensor]
    constant: Tensor | float
    softcap: float | None
    norm: FrozenNorm | None

    def __call__(self, part: Tensor, h_last: Tensor) -> Tensor:
        """Return the logits `[cols, vocabulary]`, float32, that `part` adds at the scale of `h_last`.

        Args:
            part: `[cols, d]`.
            h_last: `h_L` in the same columns, `[cols, d]`.
        """
        if self.norm is None:
            return self.linear(part.float())
        return self.linear(self.norm.unscaled(part) * self.norm.inverse_scale(h_last))

    def whole(self, stream: Tensor, h_last: Tensor) -> Tensor:
        """Return the final logits `[cols, vocabulary]` of parts that sum to `stream`, with biases and cap."""
        logits = self(stream, h_last) + self.constant
        if self.norm is not None:
            logits += self.linear(self.norm.bias[None])
        return logits if self.softcap is None else self.softcap * torch.tanh(logits / self.softcap)


def sound_columns(h_last: Tensor) -> Tensor:
    """Return some columns of `h_L` with finite numbers, `[cols, d]`, on which norm and head can be proven."""
    return h_last[h_last.isfinite().all(-1)][:_PROOF_COLUMNS]


def find_contribution(head: Head, h_last: Tensor, *, final_norm: bool = True) -> Contribution:
    """Find, by value, the linear maps that final norm and head are.

    Args:
        head: the model's head.
        h_last: some columns of `h_L`, `[cols, d]`.
        final_norm: whether the final norm is applied.

    Raises:
        LensError: if final norm or head is no such map.
    """
    with torch.inference_mode():
        norm = None
        if final_norm and head.anatomy.final_norm is not None:
            norm = _found_norm(head.anatomy.final_norm, h_last)
        if head.linear is not None:
            return Contribution(*_wide(head.linear), head.linear.softcap, norm)
        return Contribution(*_found_linear(head, h_last), None, norm)


def find_norm(module: nn.Module, h: Tensor) -> FrozenNorm | None:
    """Return a module as an RMSNorm or a LayerNorm, whichever reproduces its output; None where neither does.

    Args:
        module: the module.
        h: some of its real inputs, `[cols, d]`.
    """
    wide = _in_float32(module)
    signs = torch.ones(1, h.shape[-1], device=h.device)
    signs[:, 1::2] = -1
    bias = wide(torch.zeros_like(signs)).float()
    loud = wide(_LOUD * signs).float() - bias
    generator = torch.Generator().manual_seed(0)
    telling = (_MEAN + torch.randn(4, h.shape[-1], generator=generator)).to(h.device)
    for takes_mean_off in (False, True):
        bare = FrozenNorm(wide, torch.ones_like(loud[0]), bias[0], takes_mean_off)
        unit = bare.unscaled(signs)
        norm = replace(bare, gain=(loud / (unit / unit.square().mean().sqrt()))[0])
        is_told = _near(norm(telling), wide(telling).float(), _dtype(wide))
        if is_told and _near(norm(h), module(h), h.dtype):
            return norm
    return None


def _found_norm(module: nn.Module, h: Tensor) -> FrozenNorm:
    norm = find_norm(module, h)
    if norm is None:
        raise LensError(
            f"The final norm, {type(module).__name__}, is neither an RMSNorm nor a LayerNorm: "
            "what attention and MLP add cannot be given in logits."
        )
    return norm


def _in_float32(norm: nn.Module) -> nn.Module:
    """Return a float32 copy of the norm; the norm itself where it is float32 or its weights are offloaded."""
    tensors = [*norm.parameters(), *norm.buffers()]
    if all(tensor.dtype == torch.float32 for tensor in tensors) or any(tensor.is_meta for tensor in tensors):
        return norm
    return copy.deepcopy(norm).float()


def _dtype(module: nn.Module) -> torch.dtype:
    return next((parameter.dtype for parameter in module.parameters()), torch.float32)


def _wide(head: LinearHead) -> tuple[Callable[[Tensor], Tensor], Tensor | float]:
    """Return the linear map, in float32, and the bias as logits, of a head that is one matrix."""
    height = max(1, _CHUNK_BYTES // (4 * head.weight.shape[1]))

    def linear(x: Tensor) -> Tensor:
        if head.weight.dtype == torch.float32:
            return product(x, head.weight) * head.scale
        pieces = [product(x, piece.float()) for piece in torch.split(head.weight, height)]
        return torch.cat(pieces, -1) * head.scale

    return linear, 0.0 if head.bias is None else head.bias.float() * head.scale


def _found_linear(head: Head, h: Tensor) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """Return the linear map and the constant of a head that is the model's own code, in the model's dtype."""
    constant = head.logits(torch.zeros_like(h[:1]))

    def less_constant(x: Tensor) -> Tensor:
        return head.logits(x.to(h.dtype)) - constant

    x = head.norm(h)
    loud = _LOUD * x.roll(1, -1)  # so loud that a softcap would show
    if not _near(less_constant(x) + less_constant(loud), less_constant(x + loud), h.dtype):
        raise LensError(
            f"The head of {type(head.model).__name__} is not linear: what attention and MLP add cannot be "
            "given in logits."
        )
    return less_constant, constant[0]


def _near(ours: Tensor, wanted: Tensor, dtype: torch.dtype) -> bool:
    """Return whether the difference is rounding alone; False where it is NaN."""
    worst = float((ours - wanted).abs().max())
    return worst <= _TOLERANCE.get(dtype, 1e-4) * max(1.0, float(wanted.abs().max()))
