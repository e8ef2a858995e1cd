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
    from lenstui.lens.prompt_set import Case, PromptFile, PromptSet, example_prompts, open_prompts
    from lenstui.lens.quality import Quality, evaluate
    from lenstui.lens.readout import Readout, read, read_tiles
    from lenstui.lens.set_means import SetMeans, mean_over, means_by_group
    from lenstui.lens.set_readout import CaseReadout, FailedCase, read_set
    from lenstui.lens.tokens import Prompt, encode
    from lenstui.lens.tuned_lens import TunedLens

_HOMES = {
    "Case": "prompt_set",
    "CaseReadout": "set_readout",
    "Cells": "cells",
    "FailedCase": "set_readout",
    "FitOptions": "fit_options",
    "LensError": "errors",
    "Model": "model",
    "Pin": "pins",
    "Prompt": "tokens",
    "PromptFile": "prompt_set",
    "PromptSet": "prompt_set",
    "Quality": "quality",
    "Readout": "readout",
    "SetMeans": "set_means",
    "Tile": "cells",
    "TunedLens": "tuned_lens",
    "encode": "tokens",
    "evaluate": "quality",
    "example_prompts": "prompt_set",
    "find_pins": "pins",
    "fit": "lens_fit",
    "generate": "generation",
    "load": "model",
    "mean_over": "set_means",
    "means_by_group": "set_means",
    "open_lens": "lens_file",
    "open_prompts": "prompt_set",
    "preset": "fit_options",
    "read": "readout",
    "read_set": "set_readout",
    "read_tiles": "readout",
    "save_lens": "lens_file",
    "save_library_folder": "library_folder",
    "wire": "model",
}

__all__ = [
    "Case",
    "CaseReadout",
    "Cells",
    "FailedCase",
    "FitOptions",
    "LensError",
    "Model",
    "Pin",
    "Prompt",
    "PromptFile",
    "PromptSet",
    "Quality",
    "Readout",
    "SetMeans",
    "Tile",
    "TunedLens",
    "encode",
    "evaluate",
    "example_prompts",
    "find_pins",
    "fit",
    "generate",
    "load",
    "mean_over",
    "means_by_group",
    "open_lens",
    "open_prompts",
    "preset",
    "read",
    "read_set",
    "read_tiles",
    "save_lens",
    "save_library_folder",
    "wire",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
