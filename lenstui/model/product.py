"""The matrix product `x Wᵀ + bias` on a CPU, by the faster of PyTorch's two libraries.

PyTorch computes float32 products with MKL. oneDNN, which is part of PyTorch as well and as exact, takes three
quarters of the time or less on processors that are not Intel's. Which is faster here is tried on a small
product, once in a process. Half precision stays PyTorch's own: its logits are then those of the model, to the
last bit.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lenstui.model.torch_hacks import has_onednn_linear, onednn_linear
from lenstui.model.trial import clearly_fastest

Way = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""A function that returns `x Wᵀ + bias`."""

_TRIED = 64, 512, 512  # vectors, in, out: a few milliseconds


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `x Wᵀ + bias`, `[..., out]`, as `torch.nn.functional.linear` does.

    Args:
        x: `[..., in]`.
        weight: `[out, in]`.
        bias: `[out]`.
    """
    return float32_way()(x, weight, bias) if _suits(x, weight) else nn.functional.linear(x, weight, bias)


def _suits(x: Tensor, weight: Tensor) -> bool:
    return (
        type(x) is Tensor
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == weight.device.type == "cpu"
        and not (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad))
    )


@cache
def float32_way() -> Way:
    """Return the way to multiply in float32 that is faster on this processor, tried at the first call."""
    # On ARM oneDNN would not be faster.
    if platform.machine() not in {"x86_64", "AMD64"} or not has_onednn_linear():
        return nn.functional.linear
    vectors, width, out = _TRIED
    with torch.inference_mode():
        x, weight = torch.ones(vectors, width), torch.ones(out, width)
        ways: dict[Way, Callable[[], object]] = {
            onednn_linear: lambda: onednn_linear(x, weight, None),
            nn.functional.linear: lambda: nn.functional.linear(x, weight),
        }
        return clearly_fastest(ways)


class FastProducts(TorchFunctionMode):
    """A context in which a model's own linear layers go through `product`."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Replace `linear` by the faster product, and call every other function unchanged."""
        if func is nn.functional.linear and not kwargs:
            return product(*args)
        return func(*args, **(kwargs or {}))
