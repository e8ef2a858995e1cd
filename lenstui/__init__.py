"""The logit lens and the tuned lens, side by side, in the terminal; and the same as a library.

    import lenstui

    model = lenstui.load("EleutherAI/pythia-14m")
    readout = lenstui.read(model, "The trees are green and the sky is")
    readout.lenses["logit"].kl  # nats, [rows, cols]

Everything is imported on first use, so that importing this package costs nothing. Nothing within imports it.
"""

from importlib import import_module

from lenstui.support.version import __version__

# What the library gives, and the module that it is in. `__init__.pyi` has the types.
_HOMES = {
    "Auroc": "lenstui.readout.sets.auroc",
    "Case": "lenstui.readout.sets.prompt_fields",
    "CaseReadout": "lenstui.readout.sets.cases",
    "CaseTrace": "lenstui.edits.set_trace",
    "Cells": "lenstui.readout.cells",
    "Component": "lenstui.causal.contributions",
    "Components": "lenstui.causal.components",
    "Contributions": "lenstui.causal.contributions",
    "Conversation": "lenstui.support.turns",
    "Edit": "lenstui.edits.edit",
    "FailedCase": "lenstui.readout.sets.cases",
    "FitOptions": "lenstui.fitting.options",
    "Growth": "lenstui.causal.contributions",
    "HeadAttention": "lenstui.causal.attention",
    "JacobianLens": "lenstui.lens.jacobian",
    "JacobianOptions": "lenstui.fitting.jacobian_options",
    "Lens": "lenstui.lens.lens",
    "LensError": "lenstui.support.errors",
    "LogitLens": "lenstui.lens.logit",
    "Model": "lenstui.model.load",
    "OutlierReference": "lenstui.readout.sets.outliers",
    "PassAtK": "lenstui.evaluation.pass_at_k",
    "Passes": "lenstui.evaluation.pass_at_k",
    "Pin": "lenstui.readout.pins",
    "Prompt": "lenstui.model.tokens",
    "PromptFile": "lenstui.readout.sets.prompt_fields",
    "PromptSet": "lenstui.readout.sets.prompts",
    "Quality": "lenstui.evaluation.evaluate",
    "Readout": "lenstui.readout.tiles",
    "Separation": "lenstui.readout.sets.auroc",
    "SetEffects": "lenstui.readout.sets.means",
    "SetMeans": "lenstui.readout.sets.means",
    "SetSide": "lenstui.readout.sets.sides",
    "Tile": "lenstui.readout.cells",
    "Trace": "lenstui.edits.trace",
    "TraceMeans": "lenstui.edits.set_trace",
    "TraceOptions": "lenstui.edits.trace_options",
    "TunedLens": "lenstui.lens.tuned",
    "Turn": "lenstui.support.turns",
    "TurnColumns": "lenstui.model.turns",
    "WordItem": "lenstui.evaluation.word_items",
    "WordReading": "lenstui.readout.words",
    "attention": "lenstui.causal.attention",
    "contributions": "lenstui.causal.attribution",
    "edited": "lenstui.edits.edited",
    "effects_by_group": "lenstui.readout.sets.means",
    "effects_over": "lenstui.readout.sets.means",
    "encode": "lenstui.model.tokens",
    "evaluate": "lenstui.evaluation.evaluate",
    "explain": "lenstui.causal.attribution",
    "example_prompts": "lenstui.readout.sets.prompts",
    "find_pins": "lenstui.readout.pins",
    "fit": "lenstui.fitting.fit",
    "fit_jacobian": "lenstui.fitting.jacobian.fitted",
    "fit_outliers": "lenstui.readout.sets.outliers",
    "generate": "lenstui.readout.generation",
    "load": "lenstui.model.load",
    "mean_over": "lenstui.readout.sets.means",
    "mean_trace": "lenstui.edits.set_trace",
    "mean_trace_by_group": "lenstui.edits.set_trace",
    "means_by_group": "lenstui.readout.sets.means",
    "open_items": "lenstui.evaluation.word_items",
    "open_lens": "lenstui.lens.formats.own",
    "open_prompts": "lenstui.readout.sets.prompts",
    "parse_edit": "lenstui.edits.language",
    "pass_at_k": "lenstui.evaluation.pass_at_k",
    "preset": "lenstui.fitting.options",
    "read": "lenstui.readout.tiles",
    "read_components": "lenstui.causal.components",
    "read_edited_set": "lenstui.edits.edited_set",
    "read_set": "lenstui.readout.sets.cases",
    "read_tiles": "lenstui.readout.tiles",
    "read_two_sides": "lenstui.readout.sets.sides",
    "read_words": "lenstui.readout.words",
    "save_lens": "lenstui.lens.formats.own",
    "save_library_folder": "lenstui.lens.formats.library",
    "separations": "lenstui.readout.sets.auroc",
    "trace": "lenstui.edits.trace",
    "trace_set": "lenstui.edits.set_trace",
    "trace_steps": "lenstui.edits.trace",
    "wire": "lenstui.model.load",
}

__all__ = ["__version__"]
__all__ += list(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
