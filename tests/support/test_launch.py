"""What a process is told of those that it was started with, and the device that it takes."""

from __future__ import annotations

import pytest

from lenstui.model.device import device_of
from lenstui.support.errors import LensError
from lenstui.support.launch import Launch, launched

ADDRESS = {"MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
PLACE = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}


def test_it_is_what_torchrun_sets() -> None:
    assert launched({**ADDRESS, **PLACE}) == Launch(5, 8, 1, 4, is_several=True)
    assert launched({**ADDRESS, "RANK": "0", "WORLD_SIZE": "1"}) == Launch(is_several=True)


def test_without_torchrun_it_is_one_process() -> None:
    assert launched({}) == launched(PLACE) == Launch()  # as some containers set WORLD_SIZE alone


@pytest.mark.parametrize("wrong", [{"RANK": "8"}, {"RANK": "x"}, {"LOCAL_RANK": "4"}, {"WORLD_SIZE": ""}])
def test_what_cannot_be_is_refused_on_one_line(wrong: dict[str, str]) -> None:
    with pytest.raises(LensError, match="by torchrun"):
        launched({**ADDRESS, **PLACE, **wrong})


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    current: list[int] = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.set_device", current.append)
    return current


def test_each_has_a_gpu_of_its_own(two_gpus: list[int]) -> None:
    second = Launch(3, 4, 1, 2, is_several=True)
    assert device_of(second, "auto") == device_of(second, "cuda") == "cuda:1"
    assert two_gpus == [1, 1]
    assert device_of(second, "cpu") == "cpu"
    assert device_of(Launch(1, 2, 0, 1, is_several=True), "cuda:1") == "cuda:1"  # one on each machine
    assert device_of(Launch(), "cuda") == "cuda"


def test_more_processes_than_gpus_and_one_for_all_are_refused(two_gpus: list[int]) -> None:
    with pytest.raises(LensError, match="3 processes for 2 CUDA devices"):
        device_of(Launch(2, 3, 2, 3, is_several=True), "auto")
    for name in ("cuda:0", "mps"):
        with pytest.raises(LensError, match=f"--device {name} is a single device"):
            device_of(Launch(0, 2, 0, 2, is_several=True), name)
    assert not two_gpus


def test_without_gpus_they_share_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert device_of(Launch(1, 2, 1, 2, is_several=True), "auto") == "cpu"
