"""The instant lenses on disk: one file a model in the cache, named by the fingerprint of its weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lenstui.lens.compatibility import fit_warning
from lenstui.lens.fingerprint import fingerprint_digest
from lenstui.lens.formats.own import open_lens, save_lens
from lenstui.lens.tuned import TunedLens
from lenstui.model.load import Model
from lenstui.support.errors import LensError
from lenstui.support.paths import instant_lenses, made


def instant_file(model: Model) -> Path:
    """Return the file of a model's instant lens, whether it exists or not."""
    return instant_lenses() / f"{fingerprint_digest(model)}.pt"


def kept_instant_lens(model: Model) -> TunedLens | None:
    """Return the instant lens that was kept for exactly these weights, or None."""
    file = instant_file(model)
    if not file.is_file():
        return None
    try:
        lens = open_lens(file)
        fits = fit_warning(lens, model) is None
    except LensError:  # damaged: it is made anew
        return None
    return lens if fits and isinstance(lens, TunedLens) else None


def keep_instant_lens(lens: TunedLens, file: Path) -> TunedLens:
    """Write an instant lens to its file, from `instant_file`, and return it with that file.

    Raises:
        LensError: if the folder cannot be written or the disk is full.
    """
    made(file.parent)
    save_lens(lens, file)
    return replace(lens, file=file)
