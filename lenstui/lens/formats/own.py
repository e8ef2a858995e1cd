"""lenstui's own lens format, one `.pt` file, and the reader of lens files of every format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from lenstui.lens.formats.header import check_header
from lenstui.lens.formats.jacobian import jacobian_file, own_content
from lenstui.lens.formats.library import meant_folder, read_library_folder
from lenstui.lens.formats.others import other_lens, read_mlxterp, stack, unstack
from lenstui.lens.formats.plain import header, plain
from lenstui.lens.formats.tensor_file import load_tensors, save_tensors
from lenstui.lens.jacobian import JacobianLens
from lenstui.lens.names import file_lens_name
from lenstui.lens.origin import with_origin
from lenstui.lens.tuned import TunedLens
from lenstui.support.errors import LensError, unreadable

FORMAT = "lenstui.tuned_lens"
VERSION = 1
CHECKPOINT_FORMAT = "lenstui.checkpoint"


FittedLens = TunedLens | JacobianLens
"""A lens that comes from a file."""


def save_lens(lens: FittedLens, path: Path) -> None:
    """Write `lens` to `path` atomically: a reader sees either the old file or the complete new one.

    Raises:
        LensError: if the folder cannot be written or the disk is full.
    """
    save_tensors(own_content(lens) if isinstance(lens, JacobianLens) else _tuned_content(lens), path)


def _tuned_content(lens: TunedLens) -> dict[str, Any]:
    content = {
        "format": FORMAT,
        "version": VERSION,
        "config": plain(lens.config),
        "fit": plain(lens.fit),
        "state_dict": unstack(lens),
    }
    if lens.remarks:
        content["remarks"] = plain(lens.remarks)
    return content


def open_lens(path: str | Path) -> FittedLens:
    """Read a lens of any known format; its `file` is the path that it was read from.

    The matrices of a Jacobian lens stay on the disk until their rows are read.

    Args:
        path: a file of lenstui's, a folder of the `tuned-lens` library or a file in it, a bare state dict of
            translators, a script's `layer_maps`, either file of mlxterp's pair, or a Jacobian lens of the
            reference code or of J++.

    Raises:
        LensError: if there is no lens, or it is damaged or of an unknown format.
    """
    path = Path(path)
    lens, file = _read(path), meant_folder(path) or path
    return replace(lens, file=file, fit=with_origin(lens.fit, file))


def _read(path: Path) -> FittedLens:
    try:
        if folder := meant_folder(path):
            return read_library_folder(folder)
        if path.suffix == ".npz":
            return read_mlxterp(path)
        if path.suffix == ".json" and path.with_suffix(".npz").is_file():
            return read_mlxterp(path.with_suffix(".npz"))
    except OSError as error:
        raise unreadable(path, error) from error
    content = load_tensors(path, mapped=True)
    form = content.get("format") if isinstance(content, dict) else None
    if form == FORMAT:
        return _own_lens(content, path)
    if found := jacobian_file(content, path):
        return found.lens(path)
    if lens := other_lens(content, path):
        return lens
    if form == CHECKPOINT_FORMAT:
        raise LensError(
            f"{path} is the checkpoint of a fit, not a lens: lenstui train --resume {path} goes on with it."
        )
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
