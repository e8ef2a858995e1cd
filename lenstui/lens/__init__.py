"""Logit lens and tuned lens of any Hugging Face causal LM, without a screen.

    from lenstui.lens import load, open_lens, read

    model = load("EleutherAI/pythia-14m")
    readout = read(model, "The trees are green and the sky is")
    readout.lenses["logit"].kl  # nats, [rows, cols]

Everything is imported on first use, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lenstui.lens.cells import Cells, Tile
    from lenstui.lens.errors import LensError
    from lenstui.lens.fit_options import FitOptions, preset
    from lenstui.lens.generation import generate
    from lenstui.lens.lens_file import open_lens, save_lens
    from lenstui.lens.lens_fit import fit
    from lenstui.lens.library_folder import save_library_folder
    from lenstui.lens.model import Model, load, wire
    from lenstui.lens.pins import Pin, find_pins
    from lenstui.lens.quality import Quality, evaluate
    from lenstui.lens.readout import Readout, read, read_tiles
    from lenstui.lens.tokens import Prompt, encode
    from lenstui.lens.tuned_lens import TunedLens

_HOMES = {
    "Cells": "cells",
    "FitOptions": "fit_options",
    "LensError": "errors",
    "Model": "model",
    "Pin": "pins",
    "Prompt": "tokens",
    "Quality": "quality",
    "Readout": "readout",
    "Tile": "cells",
    "TunedLens": "tuned_lens",
    "encode": "tokens",
    "evaluate": "quality",
    "find_pins": "pins",
    "fit": "lens_fit",
    "generate": "generation",
    "load": "model",
    "open_lens": "lens_file",
    "preset": "fit_options",
    "read": "readout",
    "read_tiles": "readout",
    "save_lens": "lens_file",
    "save_library_folder": "library_folder",
    "wire": "model",
}

__all__ = [
    "Cells",
    "FitOptions",
    "LensError",
    "Model",
    "Pin",
    "Prompt",
    "Quality",
    "Readout",
    "Tile",
    "TunedLens",
    "encode",
    "evaluate",
    "find_pins",
    "fit",
    "generate",
    "load",
    "open_lens",
    "preset",
    "read",
    "read_tiles",
    "save_lens",
    "save_library_folder",
    "wire",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
