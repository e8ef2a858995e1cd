"""The metadata of lenstui's own lens files, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def header(content: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Return the config, the fit and the remarks of a file of lenstui's, unchecked; empty where missing."""
    empty: dict[str, Any] = {"config": {}, "fit": {}, "remarks": []}
    config, fit, remarks = (
        default if content.get(name) is None else content[name] for name, default in empty.items()
    )
    return config, fit, remarks


def plain(value: Any) -> Any:
    """Return a value as plain types: `weights_only=True` refuses a NumPy scalar or a Path.

    Raises:
        TypeError: if a type has no plain form.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return None
    for kind in (bool, int, float, str):  # a subclass, such as torch.__version__, becomes its base type
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no place in a lens file")
