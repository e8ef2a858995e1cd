"""Memory that is free for a model, that a model needs, and that this process has taken."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

from lenstui.model.size import ModelSize

READOUT = 300 << 20  # approximate bytes that a readout takes beside the loaded model
_SPARE = 1 << 30  # bytes of a CUDA device that a lens leaves to readouts
_GROUP = Path("/sys/fs/cgroup")  # the control group of a container


def free_memory(device: str = "cpu") -> int | None:
    """Return the bytes of memory that a model may take, on the machine or on a CUDA device.

    Within a container its own limit counts too.

    Args:
        device: PyTorch's name: `cpu`, `cuda:0`, `mps` (which shares the machine's memory).

    Returns:
        The bytes; None where they are unknown.
    """
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(torch.device(device))[0]) if torch.cuda.is_available() else None
    free = int(psutil.virtual_memory().available)
    limit, taken = (_number(_GROUP / name) for name in ("memory.max", "memory.current"))
    return free if limit is None or taken is None else max(0, min(free, limit - taken))


def has_room(device: str, size: int) -> bool:
    """Return whether a lens of so many bytes may be kept on a device: on CUDA where enough is left beside it.

    Args:
        device: PyTorch's name.
        size: the bytes that it would take.
    """
    free = free_memory(device) if device.startswith("cuda") else None
    return free is None or free - size > _SPARE


def needed_memory(size: ModelSize, dtype: str, device: str = "cpu") -> int | None:
    """Return the approximate bytes that a model and its readouts will take.

    Args:
        size: from `model_size`.
        dtype: the dtype's name; `auto` is float32 on the CPU and the stored dtype elsewhere.
        device: PyTorch's name.

    Returns:
        The bytes; None where the number of parameters is unknown.
    """
    weights = size.in_memory("float32" if dtype == "auto" and device == "cpu" else dtype)
    return None if weights is None else weights + READOUT


def peak_memory(device: str = "cpu") -> int:
    """Return the most bytes that this process has ever taken, of main memory or of a CUDA device.

    Args:
        device: PyTorch's name.
    """
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated(torch.device(device)))
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes on Linux


def _number(file: Path) -> int | None:
    """Return the number in a file of the control group; None for `max`, or where there is no such file."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
