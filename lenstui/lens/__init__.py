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
    from lenstui.evaluation.evaluate import Quality, evaluate
    from lenstui.fitting.fit import fit
    from lenstui.fitting.options import FitOptions, preset
    from lenstui.lens.formats.library import save_library_folder
    from lenstui.lens.formats.own import open_lens, save_lens
    from lenstui.lens.tuned import TunedLens
    from lenstui.model.load import Model, load, wire
    from lenstui.model.tokens import Prompt, encode
    from lenstui.readout.cells import Cells, Tile
    from lenstui.readout.generation import generate
    from lenstui.readout.pins import Pin, find_pins
    from lenstui.readout.sets.cases import CaseReadout, FailedCase, read_set
    from lenstui.readout.sets.means import SetMeans, mean_over, means_by_group
    from lenstui.readout.sets.prompts import Case, PromptFile, PromptSet, example_prompts, open_prompts
    from lenstui.readout.tiles import Readout, read, read_tiles
    from lenstui.support.errors import LensError

_HOMES = {
    "Case": "lenstui.readout.sets.prompts",
    "CaseReadout": "lenstui.readout.sets.cases",
    "Cells": "lenstui.readout.cells",
    "FailedCase": "lenstui.readout.sets.cases",
    "FitOptions": "lenstui.fitting.options",
    "LensError": "lenstui.support.errors",
    "Model": "lenstui.model.load",
    "Pin": "lenstui.readout.pins",
    "Prompt": "lenstui.model.tokens",
    "PromptFile": "lenstui.readout.sets.prompts",
    "PromptSet": "lenstui.readout.sets.prompts",
    "Quality": "lenstui.evaluation.evaluate",
    "Readout": "lenstui.readout.tiles",
    "SetMeans": "lenstui.readout.sets.means",
    "Tile": "lenstui.readout.cells",
    "TunedLens": "lenstui.lens.tuned",
    "encode": "lenstui.model.tokens",
    "evaluate": "lenstui.evaluation.evaluate",
    "example_prompts": "lenstui.readout.sets.prompts",
    "find_pins": "lenstui.readout.pins",
    "fit": "lenstui.fitting.fit",
    "generate": "lenstui.readout.generation",
    "load": "lenstui.model.load",
    "mean_over": "lenstui.readout.sets.means",
    "means_by_group": "lenstui.readout.sets.means",
    "open_lens": "lenstui.lens.formats.own",
    "open_prompts": "lenstui.readout.sets.prompts",
    "preset": "lenstui.fitting.options",
    "read": "lenstui.readout.tiles",
    "read_set": "lenstui.readout.sets.cases",
    "read_tiles": "lenstui.readout.tiles",
    "save_lens": "lenstui.lens.formats.own",
    "save_library_folder": "lenstui.lens.formats.library",
    "wire": "lenstui.model.load",
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
    return getattr(import_module(_HOMES[name]), name)
