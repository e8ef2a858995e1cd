"""Muon in float32, for devices on which PyTorch's own, which multiplies in bfloat16, is slow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from lenstui.model.product import is_fast_in_bfloat16, product

_LENGTH = 0.2  # of an update, times √d: as long as one by Adam is (Liu et al. 2025, "Muon is scalable")


class Muon(torch.optim.Muon):
    """PyTorch's Muon for square matrices, with its settings and its memory, in float32 where that is faster.

    A processor without instructions for bfloat16 takes five times as long for it as for float32. Of learning
    rates PyTorch's `match_rms_adamw` is the only one.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Do one step with the gradients that there are."""
        if is_fast_in_bfloat16(self.param_groups[0]["params"][0].device):
            return cast("float | None", super().step(closure))  # type: ignore[no-untyped-call]
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: nn.Parameter, gradient: Tensor, group: Mapping[str, Any]) -> None:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        momentum = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
        direction = gradient.lerp(momentum, group["momentum"]) if group["nesterov"] else momentum
        update = orthogonalized(direction, group["ns_coefficients"], group["ns_steps"], group["eps"])
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(update, alpha=-group["lr"] * _LENGTH * math.sqrt(len(parameter)))


def orthogonalized(
    matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """Return about the orthogonal matrix closest to a square one, by iterations of Newton and Schulz.

    Singular values come near 1, and singular vectors stay (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/).

    Args:
        matrix: `[d, d]`, float32.
        coefficients: of the first, third and fifth power in an iteration.
        steps: the number of iterations.
        eps: the least length that the matrix is divided by.
    """
    first, third, fifth = coefficients
    x: Tensor = matrix / matrix.norm().clamp(min=eps)
    for _ in range(steps):
        gram = product(x, x)  # X Xᵀ, [d, d]
        powers = third * gram + fifth * product(gram, gram)  # symmetric
        x = first * x + product(powers, x.T)
    return x
