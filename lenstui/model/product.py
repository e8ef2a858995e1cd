"""The matrix product `x Wᵀ + bias` on a CPU, by the faster of PyTorch's two libraries.

PyTorch computes float32 products with MKL, which is slow on processors that are not Intel's. oneDNN, which is
part of PyTorch as well, is twice as fast there and as exact.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lenstui.model.torch_hacks import cpu_is_fast_in_bfloat16, has_onednn_linear, onednn_linear

# oneDNN, and PyTorch in front of it, keep what they made for a product of some sizes: 0.6 MB for each, and
# every length of a prompt has sizes of its own. By default they keep 1024, hundreds of MB after an hour of
# reading. A reading needs some twenty, each made in less than a millisecond. Both look at this once, at their
# first product.
for _cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
    os.environ.setdefault(_cache, "32")

# On ARM oneDNN would not be faster.
_ONEDNN = platform.machine() in {"x86_64", "AMD64"} and has_onednn_linear()


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `x Wᵀ + bias`, `[..., out]`, as `torch.nn.functional.linear` does.

    Args:
        x: `[..., in]`.
        weight: `[out, in]`.
        bias: `[out]`.
    """
    if _suits(x, weight):
        return onednn_linear(x, weight, bias)
    return nn.functional.linear(x, weight, bias)


def is_fast_in_bfloat16(device: torch.device) -> bool:
    """Return whether products in bfloat16 are faster on a device than in float32."""
    if device.type == "cpu":
        return cpu_is_fast_in_bfloat16()
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def _suits(x: Tensor, weight: Tensor) -> bool:
    return (
        _ONEDNN
        and type(x) is Tensor
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == weight.device.type == "cpu"
        and not (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad))
    )


class FastProducts(TorchFunctionMode):
    """A context in which a model's own linear layers go through `product`."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Replace `linear` where oneDNN can compute it, and call every other function unchanged."""
        if func is nn.functional.linear and not kwargs and _suits(args[0], args[1]):
            return onednn_linear(args[0], args[1], args[2] if len(args) > 2 else None)
        return func(*args, **(kwargs or {}))
