"""The product by the library that is taken, and where it is PyTorch's own."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from lenstui.model.product import product

HALF = (torch.bfloat16, torch.float16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *HALF])
@pytest.mark.parametrize("vectors", [1, 100])
def test_the_way_that_is_taken_is_linear(vectors: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(vectors, 32, dtype=dtype), torch.randn(50, 32, dtype=dtype)
    exact = x.double() @ weight.double().T
    off = (product(x, weight).double() - exact).abs().max()
    assert off <= max(torch.finfo(dtype).eps * float(exact.abs().max()), 1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_go_through_pytorch(dtype: torch.dtype) -> None:
    x = torch.randn(100, 8, dtype=dtype, requires_grad=True)
    weight = torch.randn(4, 8, dtype=dtype)
    product(x, weight).sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, weight.sum(0).expand(100, -1), rtol=1e-2, atol=1e-2)


MANY_LENGTHS = """
import psutil, torch
from lenstui.model.product import product
weight = torch.randn(512, 64)
product(torch.randn(3, 64), weight)
before = psutil.Process().memory_info().rss
for vectors in range(4, 404):
    product(torch.randn(vectors, 64), weight)
print((psutil.Process().memory_info().rss - before) / 2**20)
"""


def test_memory_does_not_grow_with_the_lengths_of_prompts() -> None:
    done = subprocess.run([sys.executable, "-c", MANY_LENGTHS], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 120  # MB; 250 where all 400 are kept
