"""The devices on which the tests of this folder run: a GPU, and what stands in for one everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.tiny.folders import neox_in

if TYPE_CHECKING:
    from lenstui.lens import Model

GPU = pytest.param("gpu", marks=pytest.mark.cuda)
NO_GPU = "there is no CUDA device here"


class Device(NamedTuple):
    """A device.

    Attributes:
        name: PyTorch's name of it.
        short: takes most of its memory for a while: so many bytes are left at once, about.
    """

    name: str
    short: Callable[[int], AbstractContextManager[None]]


def gpu() -> Device:
    """The first GPU; skips the test where there is none."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip(NO_GPU)

    @contextmanager
    def short(left: int) -> Iterator[None]:
        torch.cuda.empty_cache()
        whole = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved(0) + left) / whole)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)

    return Device("cuda:0", short)


@pytest.fixture(params=[GPU, "stand-in"])
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    if request.param == "gpu":
        yield gpu()
        return
    from tests.cuda.stand_in import stand_in

    with stand_in() as pretended:

        @contextmanager
        def short(left: int) -> Iterator[None]:
            pretended.most = left
            try:
                yield
            finally:
                pretended.most = float("inf")

        yield Device("cuda:0", short)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Path:
    """A random GPT-NeoX of three blocks that reads bytes."""
    return neox_in(tmp_path_factory.mktemp("models") / "tiny", byte_tokenizer)


@pytest.fixture
def pair(device: Device, folder: Path) -> tuple[Model, Model]:
    """The same model on the device and on the processor, in float32."""
    from lenstui.lens import load

    there, here = (load(str(folder), device=name, dtype="float32") for name in (device.name, "cpu"))
    assert {parameter.device.type for parameter in there.module.parameters()} == {"cuda"}
    assert there.device.type == "cuda"
    return there, here
