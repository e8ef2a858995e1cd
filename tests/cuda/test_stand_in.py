"""The stand-in refuses what CUDA refuses: else what passes on it would say nothing."""

from __future__ import annotations

import pytest

from tests.cuda.devices import Device


@pytest.fixture
def there(device: Device) -> str:
    return device.name


def test_tensors_of_two_devices_do_not_meet(there: str) -> None:
    import torch

    x, y = torch.ones(2, 3, device=there), torch.ones(2, 3)
    for work in (lambda: x + y, lambda: y @ x.T, lambda: torch.cat([x, y]), lambda: y[x[0].long()]):
        with pytest.raises(RuntimeError, match=r"device|cuda"):
            work()
    with pytest.raises(TypeError, match="numpy"):
        x.numpy()
    with pytest.raises(RuntimeError, match=r"device|cuda"):
        torch.nn.Linear(3, 3)(x)


def test_what_belongs_together_stays_there(there: str) -> None:
    import torch

    linear = torch.nn.Linear(3, 3).to(there)
    x = torch.arange(6.0).view(2, 3).to(there)
    (linear(x) ** 2).sum().backward()
    made = (x[0], x.T, torch.zeros_like(x), x.topk(2).values, x[torch.tensor([0])], x * torch.tensor(2.0))
    assert linear.weight.grad is not None
    assert {str(each.device) for each in (*made, linear.weight, linear.weight.grad)} == {there}
    assert x.cpu().device.type == "cpu" and x.cpu().numpy().sum() == 15


def test_memory_runs_out(device: Device) -> None:
    import torch

    with device.short(32 << 20), pytest.raises(torch.OutOfMemoryError, match="out of memory"):
        torch.zeros(1 << 30, dtype=torch.int8, device=device.name)
    assert len(torch.zeros(1 << 26, dtype=torch.int8, device=device.name)) == 1 << 26
