"""A linear map through which a block adds to the stream: the output projection of attention or MLP."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lenstui.model.calls import Call
from lenstui.model.contribution import FrozenNorm
from lenstui.support.errors import FOREIGN_ERRORS

_TOLERANCE = {torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 3e-2}  # of the largest number


@dataclass(frozen=True, eq=False)
class Projection:
    """A linear map of a block whose output is added to the residual stream.

    It is applied as a module, never by its weight, which an adapter or a quantisation may have changed.

    Attributes:
        module: the map; it may have a bias.
        call: the index of its call in the block, from 0.
        factor: the factor on what is added.
        norm: a norm between the map and the stream, or None. Its scale is held at what it was.
        name: the path of the module within the block.
        width: the width of its input.
    """

    module: nn.Module
    call: int
    factor: float
    norm: FrozenNorm | None
    name: str
    width: int

    @property
    def key(self) -> Call:
        """The call, for `lenstui.model.calls`."""
        return self.module, self.call

    def applied(self, x: Tensor) -> Tensor:
        """Return the map of inputs `[n, width]`, with its bias, `[n, d]`, float32."""
        output: Tensor = self.module(x[None])
        return output[0].float()

    def added(self, x: Tensor, whole: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each input adds to the stream, without any bias, and what biases of map and norm add.

        Args:
            x: inputs, `[n, width]`, in the dtype of the map.
            whole: the whole input in the column at hand, `[1, width]`, which has the norm's scale.

        Returns:
            `[n, d]` and `[d]`, float32.
        """
        y = self.applied(torch.cat([x, torch.zeros_like(whole)]))
        bias = y[-1:]
        y = y[:-1] - bias
        if self.norm is None:
            return self.factor * y, self.factor * bias[0]
        scale = self._inverse_scale(whole)
        bias = self.norm.unscaled(bias) * scale + self.norm.bias
        return self.factor * (self.norm.unscaled(y) * scale), self.factor * bias[0]

    def pulled_back(self, direction: Tensor, whole: Tensor) -> Tensor:
        """Return `g` with `g · x = direction · added(x)` for every input `x`, `[width]`, float32.

        Args:
            direction: in the stream, `[d]`, float32.
            whole: the whole input in the column at hand, `[1, width]`.
        """
        v = self.factor * direction.to(whole.device)
        if self.norm is not None:
            with torch.inference_mode():
                scale = self._inverse_scale(whole)[0]
            v = (self.norm.transposed(v) * scale).clone()
        with torch.inference_mode(mode=False), torch.enable_grad():
            x = torch.zeros(1, *whole.shape, dtype=whole.dtype, device=whole.device, requires_grad=True)
            y = self.module(x)
            (g,) = torch.autograd.grad(y, x, v.to(y).reshape(y.shape).clone())
        return g[0, 0].float()

    def _inverse_scale(self, whole: Tensor) -> Tensor:
        assert self.norm is not None
        return self.norm.inverse_scale(self.applied(whole))


def is_linear(module: nn.Module, x: Tensor, output: Tensor) -> bool:
    """Return whether a module is a linear map with a bias, on real inputs; False for the identity."""
    if x.shape == output.shape and torch.equal(x, output):
        return False
    other = x.roll(1, 0).flip(-1)
    zero = torch.zeros_like(x[:1])
    try:
        first, second, both, bias = (module(each[None])[0].float() for each in (x, other, x + other, zero))
    except FOREIGN_ERRORS:
        return False
    worst = float((first + second - bias - both).abs().max())
    size = max(float(each.abs().max()) for each in (first, second, both))
    return worst <= _TOLERANCE.get(x.dtype, 1e-4) * size
