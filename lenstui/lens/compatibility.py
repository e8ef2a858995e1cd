"""Whether a lens belongs to a model, and what a lens file says about the model it is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lenstui.lens.card import Match
from lenstui.lens.fingerprint import HEAD, Comparison, compare, fingerprint, spoken
from lenstui.lens.formats.unembed_hash import unembed_hash
from lenstui.lens.lens import Lens
from lenstui.lens.tuned import TunedLens
from lenstui.model.load import Model

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
        "fingerprint": fingerprint(model),
    }


def unembedding_sample(model: Model) -> list[float] | None:
    """64 entries of the unembedding, by which older versions know it again; None where it is no matrix."""
    matrix = model.module.get_output_embeddings()
    weight: Tensor | None = getattr(matrix, "weight", None)
    if weight is None:
        return None
    flat = weight.detach().flatten()
    places = torch.arange(_SAMPLES, device=flat.device) * (flat.numel() // _SAMPLES)
    return [float(value) for value in flat[places].float().cpu()]


def compare_weights(config: Mapping[str, Any], model: Model) -> Comparison:
    """Compare the weights that a lens or a checkpoint was made for with those of `model`, as far as can be.

    Args:
        config: of the file, which `check_header` has passed.
        model: the open model.

    Returns:
        By the fingerprint, or in older files and those of other programs by the head alone.
    """
    found = compare(config.get("fingerprint"), model)
    head = _same_sample(config, model)
    if found is None:
        if head is None:  # the hash comes last: it does not tolerate a change of dtype
            head = _same_hash(config, model)
        if head is None:
            return Comparison()
        return Comparison(same=(HEAD,)) if head else Comparison(different=(HEAD,))
    if head is False and HEAD not in found.different:
        return replace(found, different=(*found.different, HEAD))
    return found


def match_weights(found: Comparison) -> Match:
    """How far a lens whose shapes fit belongs to a model, by what comparing the weights found."""
    if found.different:
        return Match.OTHER_WEIGHTS
    if not found.same:
        return Match.SHAPE
    return Match.WEIGHTS if found.is_whole else Match.PARTLY


def fit_warning(lens: Lens, model: Model) -> str | None:
    """What to say of a lens that fits the model in shape but may be for other weights; None if it is not.

    Raises:
        LensError: if it does not even fit in shape.
    """
    lens.check_fits(model.num_blocks, model.d_model)
    return _warning(lens, compare_weights(lens.config, model))


def _warning(lens: Lens, found: Comparison) -> str | None:
    """What to say of a lens by what comparing the weights found."""
    if found.different:
        made_for = lens.config.get("base_model_name_or_path") or "another model"
        differ = "differs" if len(found.different) == 1 else "differ"
        return (
            f"The {lens.kind} lens {lens.name} was made for other weights ({made_for}): "
            f"{spoken(found.different)} {differ}, so read its rows with care"
        )
    doubt = unproven(found)
    return None if doubt is None else f"The {lens.kind} lens {lens.name} {doubt}"


def unproven(found: Comparison) -> str | None:
    """What is left open where no part differs, to stand behind the file's name; None if nothing is."""
    if found.is_whole:
        return None
    if found.unknown:
        return (
            f"may be for other weights: {spoken(found.unknown)} could not be compared in full, for they are "
            "quantised, put away or arranged otherwise than when it was made"
        )
    if not found.same:  # it names no weights, as the files of most programs: there is nothing to compare
        return None
    return (
        f"knows its model by {spoken(found.same)} alone: whether its blocks and final norm are this model's, "
        "its file does not say"
    )


def marked(lens: TunedLens, model: Model) -> tuple[TunedLens, str | None]:
    """The lens with all by which to know `model` again; as it was, and why, where it is for other weights.

    Raises:
        LensError: if it does not even fit in shape.
    """
    lens.check_fits(model.num_blocks, model.d_model)
    found = compare_weights(lens.config, model)
    if found.different:
        return lens, f"{_warning(lens, found)}; what it says of its own model was kept"
    config = lens_config(model) | {"unembed_hash": unembed_hash(model)}
    if lens.config.get("base_model_name_or_path"):  # rather than a path that holds on this machine alone
        config |= {key: lens.config.get(key) for key in ("base_model_name_or_path", "base_model_revision")}
    return replace(lens, config=config), None


def _same_sample(config: Mapping[str, Any], model: Model) -> bool | None:
    """Whether a config samples the unembedding of `model`; None where one of them has no sample."""
    ours, theirs = unembedding_sample(model), config.get("unembed_sample")
    if ours is None or not theirs or len(theirs) != len(ours):
        return None
    largest = max(map(abs, ours), default=0.0)
    return all(abs(a - b) <= _TOLERANCE * largest for a, b in zip(ours, theirs, strict=True))


def _same_hash(config: Mapping[str, Any], model: Model) -> bool | None:
    """Whether a config holds the `tuned-lens` library's hash of `model`; None where one of them has none."""
    theirs = config.get("unembed_hash")
    ours = unembed_hash(model) if theirs else None
    return None if ours is None else ours == theirs
