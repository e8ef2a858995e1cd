"""How much memory there is for a model, and how much was taken at most."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

from lenstui.model.size import ModelSize

READOUT = 300 << 20  # bytes that a readout takes over the loaded model, about
_GROUP = Path("/sys/fs/cgroup")  # of a container


def free_memory(device: str = "cpu") -> int | None:
    """Bytes that a model may take, of the machine or of a CUDA device.

    A container's own limit counts where there is one.

    Args:
        device: as PyTorch calls it: `cpu`, `cuda:0`, `mps` (which shares the machine's memory).

    Returns:
        None where that cannot be asked.
    """
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(torch.device(device))[0]) if torch.cuda.is_available() else None
    free = int(psutil.virtual_memory().available)
    limit, taken = (_number(_GROUP / name) for name in ("memory.max", "memory.current"))
    return free if limit is None or taken is None else max(0, min(free, limit - taken))


def needed_memory(size: ModelSize, dtype: str, device: str = "cpu") -> int | None:
    """Bytes that a model and its readouts will take, about.

    Args:
        size: from `model_size`.
        dtype: as the user names it; `auto` is float32 on the CPU and the stored one elsewhere.
        device: as PyTorch calls it.

    Returns:
        None where the files do not say how many parameters there are.
    """
    weights = size.in_memory("float32" if dtype == "auto" and device == "cpu" else dtype)
    return None if weights is None else weights + READOUT


def peak_memory(device: str = "cpu") -> int:
    """The most bytes that this process has ever taken, of main memory or of a CUDA device.

    Args:
        device: as PyTorch calls it.
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
    """What a file of the control group says; None for `max`, or where there is none."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
