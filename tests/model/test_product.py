"""The product in whatever way is fastest here, and how that is found out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from lenstui.model.product import float32_way, product
from lenstui.model.trial import clearly_fastest

HALF = (torch.bfloat16, torch.float16)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[[], None]]:
    """Make ways that take the given seconds, call by call, of a clock that nothing else moves."""
    now = 0.0
    monkeypatch.setattr("lenstui.model.trial.time.perf_counter", lambda: now)

    def way(*seconds: float) -> Callable[[], None]:
        each = iter((9.0, *seconds))  # the first call warms up

        def work() -> None:
            nonlocal now
            now += next(each)

        return work

    return way


def test_the_fastest_way_is_taken(clock: Callable[..., Callable[[], None]]) -> None:
    assert clearly_fastest({"one": clock(*[3.0] * 5), "other": clock(*[2.0] * 5)}) == "other"
    assert clearly_fastest({"one": clock(*[2.0] * 5), "other": clock(*[3.0] * 5)}) == "one"


def test_of_two_that_are_nearly_as_fast_the_first_is(clock: Callable[..., Callable[[], None]]) -> None:
    assert clearly_fastest({"one": clock(*[2.0] * 5), "other": clock(*[1.9] * 5)}) == "one"


def test_what_else_the_machine_does_is_not_counted(clock: Callable[..., Callable[[], None]]) -> None:
    """Work of others makes some calls slow, and the least time of each way is its own."""
    assert clearly_fastest({"one": clock(*[3.0] * 5), "other": clock(50, 9, 2, 30, 8)}) == "other"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *HALF])
@pytest.mark.parametrize("vectors", [1, 100])
def test_the_way_that_is_taken_is_linear(vectors: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(vectors, 32, dtype=dtype), torch.randn(50, 32, dtype=dtype)
    exact = x.double() @ weight.double().T
    off = (product(x, weight).double() - exact).abs().max()
    assert off <= max(torch.finfo(dtype).eps * float(exact.abs().max()), 1e-5)


def test_the_choice_is_kept_for_the_process() -> None:
    assert float32_way() is float32_way()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_go_through_pytorch(dtype: torch.dtype) -> None:
    x = torch.randn(100, 8, dtype=dtype, requires_grad=True)
    weight = torch.randn(4, 8, dtype=dtype)
    product(x, weight).sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, weight.sum(0).expand(100, -1), rtol=1e-2, atol=1e-2)
