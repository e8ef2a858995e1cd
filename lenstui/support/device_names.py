"""Names of devices and dtypes, kept apart from `model/device` so that checking them does not import torch."""

from __future__ import annotations

import re

DTYPES = ("auto", "float32", "bfloat16", "float16")
DEVICE_MAPS = ("auto", "balanced", "sequential")  # of accelerate
QUANTIZATIONS = ("8bit", "4bit")  # of bitsandbytes
DEVICES = "auto, cpu, cuda, cuda:N or mps"
_DEVICE = r"auto|cpu|mps|cuda(:[0-9]{1,3})?"


def is_device_name(name: str) -> bool:
    """Return whether `name` has the form of a device name, present on this machine or not."""
    return re.fullmatch(_DEVICE, name) is not None
