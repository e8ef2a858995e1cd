"""Errors of other programs as one line."""

from __future__ import annotations

import pytest

from lenstui.support.errors import first_line, is_out_of_memory

CUDA = (
    "CUDA out of memory. Tried to allocate 64.00 MiB. GPU 0 has a total capacity of 79.11 GiB of which "
    "17.88 MiB is free. If reserved but unallocated memory is large try setting PYTORCH_ALLOC_CONF."
)
CPU = (
    "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: "
    "you tried to allocate 4000000000000 bytes. Error code 12 (Cannot allocate memory)"
)


@pytest.mark.parametrize(
    "text", [CUDA, CPU, "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"]
)
def test_memory_that_ran_out_is_known_by_what_is_said(text: str) -> None:
    assert is_out_of_memory(RuntimeError(text))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("CUDA error: device-side assert triggered"))


def test_the_line_leaves_the_state_of_the_allocator_out() -> None:
    assert first_line(RuntimeError(CUDA)) == "CUDA out of memory. Tried to allocate 64.00 MiB."
    assert first_line(RuntimeError("Out of memory:\nnothing is left")) == "Out of memory: nothing is left"
