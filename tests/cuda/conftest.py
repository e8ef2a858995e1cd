"""The devices on which the tests of this folder run: a GPU, and what stands in for one everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cuda.devices import GPU, Device, gpu
from tests.tiny.folders import neox_in

if TYPE_CHECKING:
    from lenstui.lens import Model


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
