"""Every private name of PyTorch that lenstui uses, each behind a public function.

PyTorch gives no guarantee for private names. Each function says why it is used, and which test fails once it
is gone; without it lenstui is slower, never wrong. `tests/test_private_names.py` checks that private names
are used in this module alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def has_onednn_linear() -> bool:
    """Return whether this PyTorch has `onednn_linear`.

    Noticed by `test_the_fast_product_is_there` in `tests/model/test_torch_hacks.py`.
    """
    return torch.backends.mkldnn.is_available() and hasattr(  # type: ignore[no-untyped-call]
        torch.ops.mkldnn, "_linear_pointwise"
    )


def onednn_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return `x Wᵀ + bias` by oneDNN, `[..., out]`, for float32 tensors on the CPU without gradients.

    Why: `torch.nn.functional.linear` gives float32 to MKL, which takes twice as long on processors that are
    not Intel's, and no public call chooses oneDNN.

    Noticed by `test_the_fast_product_is_linear` in `tests/model/test_torch_hacks.py`.

    Args:
        x: `[..., in]`.
        weight: `[out, in]`.
        bias: `[out]`.
    """
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return result


def cpu_is_fast_in_bfloat16() -> bool:
    """Return whether the CPU multiplies bfloat16 in hardware (AVX-512 BF16).

    Why: without such instructions bfloat16 is slower than float32, and PyTorch has no public function that
    tells.

    Noticed by `test_the_cpu_can_be_asked_for_bfloat16` in `tests/model/test_torch_hacks.py`.
    """
    return bool(torch.cpu._is_avx512_bf16_supported())


@contextmanager
def shapes_alone() -> Iterator[None]:
    """A context in which tensors have shapes and no numbers, so that a model without weights can be run.

    Why: a model on the meta device runs too, but not where its code looks at a number, as transformers does
    for the mask of attention; it asks whether tensors are fake, and there is no public name for that mode.

    Noticed by `test_the_parts_are_found_without_weights` in `tests/model/test_remote.py`.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    shapes = ShapeEnv(assume_static_by_default=True)
    with FakeTensorMode(allow_non_fake_inputs=True, shape_env=shapes):
        yield
