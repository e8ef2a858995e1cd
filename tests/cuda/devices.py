"""The devices that a test may be given: a GPU where there is one, and what its memory is made short by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import pytest

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
