"""Whether a tuned lens belongs to a model, and what a lens file says about the model it is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lenstui.lens.model import Model
from lenstui.lens.tuned_lens import TunedLens
from lenstui.lens.unembed_hash import hash_warning, unembed_hash

_SAMPLES = 64
_TOLERANCE = 0.02  # of the largest entry: a change of dtype is no alarm, a fine-tuned model is one


def lens_config(model: Model) -> dict[str, Any]:
    """The `config` of a lens file for `model`: plain values only."""
    return {
        "base_model_name_or_path": model.name,
        "base_model_revision": model.revision,
        "d_model": model.d_model,
        "num_hidden_layers": model.num_blocks,
        "bias": True,
        "lens_type": "linear_tuned_lens",
        "unembed_sample": unembedding_sample(model),
    }


def unembedding_sample(model: Model) -> list[float] | None:
    """64 evenly spread entries of the unembedding, to know it again by; None where it is no matrix."""
    matrix = model.module.get_output_embeddings()
    weight: Tensor | None = getattr(matrix, "weight", None)
    if weight is None:
        return None
    flat = weight.detach().flatten()
    places = torch.arange(_SAMPLES, device=flat.device) * (flat.numel() // _SAMPLES)
    return [float(value) for value in flat[places].float().cpu()]


def fit_warning(lens: TunedLens, model: Model) -> str | None:
    """What to say of a lens that fits the model in shape but was made for other weights; None if it was not.

    Raises:
        LensError: if it does not even fit in shape.
    """
    lens.check_fits(model.num_blocks, model.d_model)
    same = same_unembedding(lens.config, model)
    if same is None:
        return hash_warning(lens, model)  # what the tuned-lens library writes
    if same:
        return None
    made_for = lens.config.get("base_model_name_or_path") or "another model"
    return f"The tuned lens {lens.name} was made for other weights ({made_for}): read its rows with care"


def same_unembedding(config: Mapping[str, Any], model: Model) -> bool | None:
    """Whether a lens's config samples the unembedding of `model`; None where one of them has no sample."""
    ours, theirs = unembedding_sample(model), config.get("unembed_sample")
    if ours is None or not isinstance(theirs, list) or len(theirs) != len(ours):
        return None
    largest = max(map(abs, ours), default=0.0)
    return all(abs(a - float(b)) <= _TOLERANCE * largest for a, b in zip(ours, theirs, strict=True))


def marked(lens: TunedLens, model: Model) -> tuple[TunedLens, str | None]:
    """The lens with all by which to know `model` again; as it was, and why, where it is for other weights.

    Raises:
        LensError: if it does not even fit in shape.
    """
    warning = fit_warning(lens, model)
    if warning is not None:
        return lens, f"{warning}; what it says of its own model was kept"
    config = lens_config(model) | {"unembed_hash": unembed_hash(model)}
    if lens.config.get("base_model_name_or_path"):  # rather than a path that holds on this machine alone
        config |= {key: lens.config.get(key) for key in ("base_model_name_or_path", "base_model_revision")}
    return replace(lens, config=config), None
