"""lenstui's own lens format, one `.pt` file, and the reader of lens files of every format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lenstui.lens.formats.header import check_header
from lenstui.lens.formats.library import meant_folder, read_library_folder
from lenstui.lens.formats.others import other_lens, read_mlxterp, stack, unstack
from lenstui.lens.formats.tensor_file import load_tensors, save_tensors
from lenstui.lens.names import file_lens_name
from lenstui.lens.tuned import TunedLens
from lenstui.support.errors import LensError, unreadable

FORMAT = "lenstui.tuned_lens"
VERSION = 1


def save_lens(lens: TunedLens, path: Path) -> None:
    """Write `lens` to `path` atomically: a reader sees either the old file or the complete new one.

    Raises:
        LensError: if the folder cannot be written or the disk is full.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "config": _plain(lens.config),
        "fit": _plain(lens.fit),
        "state_dict": unstack(lens),
    }
    if lens.remarks:
        content["remarks"] = _plain(lens.remarks)
    save_tensors(content, path)


def open_lens(path: str | Path) -> TunedLens:
    """Read a lens of any known format; its `file` is the path that it was read from.

    Args:
        path: a file of lenstui's, a folder of the `tuned-lens` library or a file in it, a bare state dict of
            translators, a script's `layer_maps`, or either file of mlxterp's pair.

    Raises:
        LensError: if there is no lens, or it is damaged or of an unknown format.
    """
    path = Path(path)
    return replace(_read(path), file=meant_folder(path) or path)


def _read(path: Path) -> TunedLens:
    try:
        if folder := meant_folder(path):
            return read_library_folder(folder)
        if path.suffix == ".npz":
            return read_mlxterp(path)
        if path.suffix == ".json" and path.with_suffix(".npz").is_file():
            return read_mlxterp(path.with_suffix(".npz"))
    except OSError as error:
        raise unreadable(path, error) from error
    content = load_tensors(path)
    if isinstance(content, dict) and content.get("format") == FORMAT:
        return _own_lens(content, path)
    if lens := other_lens(content, path):
        return lens
    raise LensError(f"{path} is no lens file of lenstui, nor of another kind that it reads.")


def _own_lens(content: dict[str, Any], path: Path) -> TunedLens:
    version = content.get("version")
    if version is not None and not isinstance(version, int):
        raise LensError(f"{path} is damaged: its version is no number.")
    if version != VERSION:
        raise LensError(f"{path} has format version {version}; this lenstui reads {VERSION}. Update it.")
    config, fit, remarks = header(content)
    check_header(path, config, fit, remarks)
    weight, bias = stack(content.get("state_dict"), path)
    return TunedLens(weight, bias, config, fit, file_lens_name(path), tuple(remarks))


def header(content: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Return the config, the fit and the remarks of a file of lenstui's, unchecked; empty where missing."""
    empty: dict[str, Any] = {"config": {}, "fit": {}, "remarks": []}
    config, fit, remarks = (
        default if content.get(name) is None else content[name] for name, default in empty.items()
    )
    return config, fit, remarks


def _plain(value: Any) -> Any:
    """Return a value as plain types: `weights_only=True` refuses a NumPy scalar or a Path."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return None
    for plain in (bool, int, float, str):  # a subclass, such as torch.__version__, becomes its base type
        if isinstance(value, plain):
            return plain(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no place in a lens file")
