"""Tuned lenses on disk: our own format, one `.pt`, only ever loaded with `weights_only=True`."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lenstui.lens.errors import LensError
from lenstui.lens.tuned_lens import TunedLens

FORMAT = "lenstui.tuned_lens"
VERSION = 1


def save_lens(lens: TunedLens, path: Path) -> None:
    """Write `lens` to `path` atomically: there is the old file or the new one, never half of one.

    Raises:
        LensError: if the folder cannot be written or the disk is full.
    """
    state: dict[str, Tensor] = {}
    for row in range(len(lens.weight)):
        state[f"{row}.weight"] = lens.weight[row].detach().cpu().float().clone()
        state[f"{row}.bias"] = lens.bias[row].detach().cpu().float().clone()
    content = {
        "format": FORMAT,
        "version": VERSION,
        "config": _plain(lens.config),
        "fit": _plain(lens.fit),
        "state_dict": state,
    }
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch turns some write errors into RuntimeError
        raise LensError(f"Could not write {path}: {error}. Choose another folder.") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def open_lens(path: Path) -> TunedLens:
    """Read a lens file.

    Raises:
        LensError: if there is none, it is damaged, or it is something else.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise LensError(f"There is no lens file {path}.") from error
    except pickle.UnpicklingError as error:
        raise LensError(
            f"{path} holds more than plain tensors, so it was not opened: it is no lens file."
        ) from error
    except Exception as error:  # on damaged bytes torch raises nearly every kind
        raise LensError(f"{path} is damaged or no lens file: {_first_line(error)}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise LensError(f"{path} is no lens file of lenstui (its format mark is missing).")
    if content.get("version") != VERSION:
        raise LensError(
            f"{path} has format version {content.get('version')}; this lenstui reads {VERSION}. Update it."
        )
    config, fit = content.get("config") or {}, content.get("fit") or {}
    if not isinstance(config, dict) or not isinstance(fit, dict):
        raise LensError(f"{path} is damaged: its config or its fit is no table.")
    weight, bias = _translators(content.get("state_dict"), path)
    return TunedLens(weight, bias, config, fit, path.stem)


def _translators(state: Any, path: Path) -> tuple[Tensor, Tensor]:
    """Stack `{"0.weight": [d, d], "0.bias": [d], …}` to `[L, d, d]` and `[L, d]`."""
    if not isinstance(state, dict) or not state:
        raise LensError(f"{path} holds no translators.")
    rows = (len(state) + 1) // 2  # rounded up, so that a weight without a bias is missed
    try:
        weight = torch.stack([state[f"{row}.weight"].float() for row in range(rows)])
        bias = torch.stack([state[f"{row}.bias"].float() for row in range(rows)])
    except (KeyError, AttributeError, RuntimeError) as error:
        raise LensError(
            f"{path} holds translators of unequal shapes or misses some: {_first_line(error)}"
        ) from error
    d = bias.shape[-1]
    if bias.ndim != 2 or weight.shape != (rows, d, d):
        raise LensError(f"{path} holds translators of shape {tuple(weight.shape[1:])} with biases of {d}.")
    return weight, bias


def _plain(value: Any) -> Any:
    """Only what `weights_only=True` reads: a NumPy scalar or a Path would make the file unreadable."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return None
    for plain in (bool, int, float, str):  # a subclass, such as torch.__version__, becomes a plain one
        if isinstance(value, plain):
            return plain(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no place in a lens file")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
