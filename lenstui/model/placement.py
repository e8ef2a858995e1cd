"""Placement of a model's weights: on one device or several, as stored or quantised."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch

from lenstui.model.device import pick_device, pick_dtype
from lenstui.support.device_names import QUANTIZATIONS
from lenstui.support.errors import LensError

_CASTING = logging.getLogger("bitsandbytes.autograd._functions")
_IN_4BIT = 64  # weights of a row in a block, which share a scale

DeviceMap = str | Mapping[str, int | str]


@dataclass(frozen=True, eq=False)
class Placement:
    """The devices and the form in which a model's weights are loaded.

    Attributes:
        device: the device for all weights, where there is no map.
        dtype: the dtype of weights that are not quantised; `auto` for the checkpoint's own.
        device_map: how accelerate spreads the blocks over several devices: `auto`, or a device for each part;
            None for all of them on `device`.
        quantize: `8bit` or `4bit`, by bitsandbytes; None for no quantisation.
    """

    device: torch.device
    dtype: torch.dtype | str
    device_map: DeviceMap | None = None
    quantize: str | None = None

    @classmethod
    def of(cls, device: str, dtype: str, device_map: DeviceMap | None, quantize: str | None) -> Placement:
        """Return the placement that the given names stand for on this machine.

        Raises:
            LensError: if a device or a package is missing, or a name is unknown.
        """
        where = pick_device(device)
        if device_map is not None:
            _need("accelerate", "A device map")
        if quantize is not None:
            if quantize not in QUANTIZATIONS:
                raise LensError(f"Unknown quantisation {quantize!r}: {', '.join(QUANTIZATIONS)}.")
            _need("bitsandbytes", f"Loading in {quantize}")
            _need("accelerate", f"Loading in {quantize}")
        return cls(where, pick_dtype(dtype, where), device_map, quantize)

    @property
    def is_final(self) -> bool:
        """Whether transformers itself places the weights; otherwise the loaded model has to be moved."""
        return self.device_map is not None or self.quantize is not None

    def words(self) -> dict[str, Any]:
        """Return the keyword arguments for transformers' `from_pretrained`."""
        words: dict[str, Any] = {"dtype": self.dtype}
        if self.is_final:
            words["device_map"] = self.device_map or {"": str(self.device)}
        if self.quantize is not None:
            from transformers import BitsAndBytesConfig

            _CASTING.addFilter(_is_news)
            words["quantization_config"] = BitsAndBytesConfig(**{f"load_in_{self.quantize}": True})
        return words


def broken_width(module: Any) -> int | None:
    """Return the first width of a 4-bit matrix that is no multiple of a block; not every device can run that.

    Args:
        module: the transformers model.
    """
    if not getattr(module, "is_loaded_in_4bit", False):
        return None
    linear = (part for part in module.modules() if type(part).__name__ == "Linear4bit")
    return next((part.in_features for part in linear if part.in_features % _IN_4BIT), None)


def _is_news(record: logging.LogRecord) -> bool:
    """Return False for bitsandbytes' warning about casts to float16, which it repeats for every matrix."""
    return "inputs will be cast" not in record.msg


def _need(package: str, what: str) -> None:
    if find_spec(package) is None:
        raise LensError(f"{what} needs {package}: pip install {package}.")
