"""PyTorch devices and dtypes by their names on the command line."""

from __future__ import annotations

import torch

from lenstui.support.device_names import DEVICES, DTYPES, is_device_name
from lenstui.support.errors import LensError, NoDeviceError
from lenstui.support.launch import Launch


def pick_device(name: str) -> torch.device:
    """Return the device with a name; for `auto` the first accelerator, else the CPU.

    Raises:
        NoDeviceError: if this machine does not have the device.
        LensError: if no device has that name.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if not is_device_name(name):
        raise LensError(f"Unknown device {name!r}: {DEVICES}.")
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise NoDeviceError(f"There is no {name} here ({count} CUDA devices). Use --device auto or cpu.")
        return torch.device("cuda", device.index or 0)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise NoDeviceError("There is no mps device here. Use --device auto or cpu.")
    return device


def device_of(launch: Launch, name: str) -> str:
    """Return the name of the device of one of several processes: each has a CUDA device of its own, if any.

    That becomes PyTorch's current one, which is meant where a process talks to others of CUDA.

    Args:
        launch: the place of the process; one that was started by itself has the device that was named.
        name: the name of a device, the same for all of them.

    Raises:
        NoDeviceError: if this machine has fewer CUDA devices than processes.
        LensError: if the name is that of a single device.
    """
    if not launch.is_several or name == "cpu":
        return name
    if name == "mps" or (name.startswith("cuda:") and launch.count_here > 1):
        raise LensError(f"--device {name} is a single device: several processes take --device cuda or cpu.")
    if name.startswith("cuda:") or not torch.cuda.is_available():
        return "cpu" if name == "auto" else name
    if launch.number_here >= (count := torch.cuda.device_count()):
        raise NoDeviceError(
            f"There are {launch.count_here} processes for {count} CUDA devices here: start one for each "
            "(--nproc-per-node), or choose --device cpu."
        )
    torch.cuda.set_device(launch.number_here)
    return f"cuda:{launch.number_here}"


def pick_dtype(name: str, device: torch.device) -> torch.dtype | str:
    """Return the dtype with a name; for `auto` float32 on the CPU, the checkpoint's own (`"auto"`) elsewhere.

    Raises:
        LensError: if no dtype has that name.
    """
    if name not in DTYPES:
        raise LensError(f"Unknown dtype {name!r}: {', '.join(DTYPES)}.")
    if name == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    dtype: torch.dtype = getattr(torch, name)
    return dtype
