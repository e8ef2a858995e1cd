"""Where the files of a fit go: the lens in the end, and beside it, until then, its checkpoint."""

from __future__ import annotations

import re
from pathlib import Path

from lenstui import paths
from lenstui.lens.errors import LensError

CHECKPOINT = ".checkpoint"


def new_lens_path(model: str, preset: str) -> Path:
    """`MODEL-PRESET-1.pt` in the lenses folder, or the first number that neither a lens nor a fit has.

    Raises:
        LensError: if the folder cannot be made.
    """
    folder = paths.made(paths.lenses())
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", model.rstrip("/").rpartition("/")[2]).strip("-") or "model"
    number = 1
    while (path := folder / f"{slug}-{preset}-{number}.pt").exists() or checkpoint_path(path).exists():
        number += 1
    return path


def checkpoint_path(lens: Path) -> Path:
    """The checkpoint of a fit whose lens is to go to `lens`."""
    return lens.with_name(lens.name.removesuffix(".pt") + CHECKPOINT)


def check_unfinished(lens: Path) -> None:
    """Raise `LensError` if a fit that was not finished would be lost by a new one for `lens`."""
    path = checkpoint_path(lens)
    if path.exists():
        raise LensError(
            f"{path} is of a fit that was not finished: --resume goes on with it. Delete it to begin anew."
        )
