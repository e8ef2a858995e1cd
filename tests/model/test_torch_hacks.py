"""The private names of PyTorch behind `lenstui.model.torch_hacks` still are there, and do what they did."""

from __future__ import annotations

import platform

import pytest
import torch

from lenstui.model import product
from lenstui.model.torch_hacks import cpu_is_fast_in_bfloat16, has_onednn_linear, onednn_linear

needs_onednn = pytest.mark.skipif(
    platform.machine() not in {"x86_64", "AMD64"} or not torch.backends.mkldnn.is_available(),
    reason="this PyTorch comes without oneDNN, or is not for x86",
)


@needs_onednn
def test_the_fast_product_is_there() -> None:
    """Where it has gone, lenstui still works, at half the speed: nothing else would fail."""
    assert has_onednn_linear()


@needs_onednn
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("shape", [(7,), (2, 7)])
def test_the_fast_product_is_linear(shape: tuple[int, ...], with_bias: bool) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(*shape, 32), torch.randn(50, 32)
    bias = torch.randn(50) if with_bias else None
    wanted = torch.nn.functional.linear(x, weight, bias)
    assert torch.allclose(onednn_linear(x, weight, bias), wanted, atol=1e-5)


@needs_onednn
def test_a_models_own_layers_take_the_fast_product(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[int, ...]] = []

    def listen(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        taken.append(tuple(x.shape))
        return onednn_linear(x, weight, bias)

    monkeypatch.setattr(product, "onednn_linear", listen)
    x = torch.randn(3, 8)
    layers = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8, bias=False)
    with torch.inference_mode():
        wanted = [layer(x) for layer in layers]
        with product.FastProducts():
            found = [layer(x) for layer in layers]
    assert taken == [(3, 8), (3, 8)]
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(wanted, found, strict=True))


def test_the_cpu_can_be_asked_for_bfloat16() -> None:
    assert cpu_is_fast_in_bfloat16() in {True, False}
