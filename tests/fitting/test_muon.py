"""Muon in float32, against what it is by definition, and against PyTorch's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lenstui.fitting import muon
from lenstui.fitting.muon import Muon

FIRST, THIRD, FIFTH = COEFFICIENTS = 3.4445, -4.7750, 2.0315
STEPS, RATE, DECAY, MOMENTUM = 3, 0.02, 0.1, 0.6


@pytest.fixture(autouse=True)
def slow_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """This processor has no instructions for bfloat16."""
    monkeypatch.setattr(muon, "is_fast_in_bfloat16", lambda device: False)


def by_singular_values(matrix: Tensor) -> Tensor:
    """What the iterations make of a matrix: the same singular vectors, and a polynomial of the values."""
    left, values, right = torch.linalg.svd(matrix.double())
    values = values / values.square().sum().sqrt()
    for _ in range(STEPS):
        values = FIRST * values + THIRD * values**3 + FIFTH * values**5
    return left @ values.diag() @ right


@pytest.mark.parametrize("d", [1, 7, 64])
def test_singular_values_come_near_one(d: int) -> None:
    matrix = torch.randn(d, d)
    before = matrix.clone()
    expected = by_singular_values(matrix)
    found = muon.orthogonalized(matrix, COEFFICIENTS, STEPS, 1e-7)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(matrix, before)


def test_a_gradient_of_zeros_changes_nothing() -> None:
    assert not muon.orthogonalized(torch.zeros(4, 4), COEFFICIENTS, STEPS, 1e-7).any()


def prepared(kind: type[torch.optim.Muon], parameters: list[nn.Parameter]) -> torch.optim.Muon:
    groups = [{"params": [parameter]} for parameter in parameters]
    return kind(groups, RATE, DECAY, momentum=MOMENTUM, ns_steps=STEPS, adjust_lr_fn="match_rms_adamw")


def test_steps_are_as_defined() -> None:
    d, parameter = 16, nn.Parameter(torch.randn(16, 16))
    optimizer = prepared(Muon, [parameter])
    expected, momentum = parameter.detach().double(), torch.zeros(d, d, dtype=torch.float64)
    for _ in range(3):
        gradient = torch.randn(d, d)
        parameter.grad = gradient.clone()
        optimizer.step()
        momentum = MOMENTUM * momentum + (1 - MOMENTUM) * gradient
        ahead = MOMENTUM * momentum + (1 - MOMENTUM) * gradient  # Nesterov
        expected = (1 - RATE * DECAY) * expected - RATE * 0.2 * d**0.5 * by_singular_values(ahead)
    torch.testing.assert_close(parameter.detach().double(), expected, rtol=1e-4, atol=1e-5)


def test_it_goes_where_pytorch_goes_in_bfloat16_and_remembers_the_same() -> None:
    ours, theirs = ([nn.Parameter(torch.zeros(32, 32)) for _ in range(2)] for _ in range(2))
    optimizers = prepared(Muon, ours), prepared(torch.optim.Muon, theirs)
    for _ in range(3):
        gradients = torch.randn(2, 32, 32)
        gradients[1] *= 1e-3  # its size does not matter
        for parameters, optimizer in zip((ours, theirs), optimizers, strict=True):
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient.clone()
            optimizer.step()
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine - other).norm() < 0.03 * other.norm()
    kept, theirs_kept = (optimizer.state_dict() for optimizer in optimizers)
    assert kept["param_groups"] == theirs_kept["param_groups"]
    for place, memory in theirs_kept["state"].items():
        torch.testing.assert_close(kept["state"][place], memory)


def test_a_matrix_without_a_gradient_stays() -> None:
    parameters = [nn.Parameter(torch.eye(4)) for _ in range(2)]
    optimizer = prepared(Muon, parameters)
    parameters[0].grad = torch.ones(4, 4)
    optimizer.step()
    assert not torch.equal(parameters[0], torch.eye(4))
    assert torch.equal(parameters[1], torch.eye(4))


def test_where_bfloat16_is_fast_it_is_pytorchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muon, "is_fast_in_bfloat16", lambda device: True)
    ours, theirs = nn.Parameter(torch.eye(8)), nn.Parameter(torch.eye(8))
    gradient = torch.randn(8, 8)
    for kind, parameter in ((Muon, ours), (torch.optim.Muon, theirs)):
        parameter.grad = gradient.clone()
        prepared(kind, [parameter]).step()
    assert torch.equal(ours, theirs)
