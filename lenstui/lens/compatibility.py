"""The match between a lens and a model, and the metadata by which a lens file identifies its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import torch

from lenstui.lens.card import Match
from lenstui.lens.fingerprint import HEAD, Comparison, compare, fingerprint, spoken
from lenstui.lens.formats.unembed_hash import unembed_hash
from lenstui.lens.jacobian import JacobianLens
from lenstui.lens.kinds import made_lens
from lenstui.lens.lens import Lens
from lenstui.lens.names import adapter_of, kind_word
from lenstui.lens.tuned import TunedLens
from lenstui.model.adapter_files import Adapter
from lenstui.model.load import Model

_SAMPLES = 64
_TOLERANCE = 0.02  # of the largest entry: allows for a change of dtype, not for fine-tuning


def lens_config(model: Model) -> dict[str, Any]:
    """Return the `config` of a lens file for `model`: plain values only."""
    return {
        "base_model_name_or_path": model.name,
        "base_model_revision": model.revision,
        **({} if model.adapter is None else {"adapter": _adapter_facts(model.adapter)}),
        "d_model": model.d_model,
        "num_hidden_layers": model.num_blocks,
        "bias": True,
        "lens_type": "linear_tuned_lens",
        "unembed_sample": unembedding_sample(model),
        "fingerprint": fingerprint(model),
    }


def _adapter_facts(adapter: Adapter) -> dict[str, Any]:
    return {"name": adapter.typed, "kind": adapter.kind, "hash": adapter.digest}


def is_of_base(lens: Lens, model: Model) -> bool:
    """Return whether a lens was fitted without the adapter that a model is under; False for one unfitted."""
    if model.adapter is None or made_lens(lens.kind) is not None:
        return False
    adapter = lens.config.get("adapter")
    return not isinstance(adapter, Mapping) or adapter.get("hash") != model.adapter.digest


def jacobian_config(model: Model) -> dict[str, Any]:
    """Return the `config` of the file of a Jacobian lens for `model`: plain values only."""
    return lens_config(model) | {"bias": False, "lens_type": "jacobian_lens"}


def unembedding_sample(model: Model) -> list[float] | None:
    """Return 64 entries of the unembedding, which older versions compare; None where it is no matrix."""
    if (weight := model.unembedding) is None:
        return None
    flat = weight.detach().flatten()
    places = torch.arange(_SAMPLES, device=flat.device) * (flat.numel() // _SAMPLES)
    return [float(value) for value in flat[places].float().cpu()]


def compare_weights(config: Mapping[str, Any], model: Model) -> Comparison:
    """Compare, as far as possible, the weights that a lens or checkpoint was made for with those of `model`.

    Args:
        config: the file's config, which `check_header` has passed.
        model: the open model.

    Returns:
        The comparison by the fingerprint; by the head alone for older files and those of other programs.
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
    """Return how closely a lens of the right shape matches a model, from the comparison of the weights."""
    if found.different:
        return Match.OTHER_WEIGHTS
    if not found.same:
        return Match.SHAPE
    return Match.WEIGHTS if found.is_whole else Match.PARTLY


def fit_warning(lens: Lens, model: Model) -> str | None:
    """Return a warning where a lens fits the model in shape but may be for other weights; else None.

    What the lens itself leaves open on this model is said behind it.

    Raises:
        LensError: if the lens does not fit in shape.
    """
    lens.check_fits(model.num_blocks, model.d_model)
    said = (_warning(lens, compare_weights(lens.config, model), model), lens.doubt(model.num_blocks))
    return ". ".join(each for each in said if each is not None) or None


def _warning(lens: Lens, found: Comparison, model: Model) -> str | None:
    """Return the warning, if any, that follows for a lens from the comparison of the weights."""
    if model.remote is not None:
        return _unlike_name(lens, model)
    if model.adapter is not None and model.base is not None and is_of_base(lens, model):
        of_base = compare_weights(lens.config, model.base)
        if not of_base.different and adapter_of(lens.config) is None:
            return (
                f"The {kind_word(lens.kind)} lens {lens.name} is of the base ({model.name}), fitted without "
                f"the adapter {model.adapter.typed}: read its rows with care"
            )
    if found.different:
        made_for = lens.config.get("base_model_name_or_path") or "another model"
        if (adapter := adapter_of(lens.config)) is not None:
            made_for = f"{made_for} + {adapter}"
        differ = "differs" if len(found.different) == 1 else "differ"
        return (
            f"The {kind_word(lens.kind)} lens {lens.name} was made for other weights ({made_for}): "
            f"{spoken(found.different)} {differ}, so read its rows with care"
        )
    doubt = unproven(found)
    return None if doubt is None else f"The {kind_word(lens.kind)} lens {lens.name} {doubt}"


def _unlike_name(lens: Lens, model: Model) -> str | None:
    """Return a warning where a lens names another model than one whose weights cannot be compared."""
    made_for = lens.config.get("base_model_name_or_path")
    if made_lens(lens.kind) is not None or made_for == model.name:
        return None
    of = f"made for {made_for}" if made_for else "made for a model that its file does not name"
    return (
        f"The {kind_word(lens.kind)} lens {lens.name} was {of}: whether for these weights cannot be "
        "compared, for they are on the service"
    )


def unproven(found: Comparison) -> str | None:
    """Return what the comparison leaves open where no part differs; None where it leaves nothing open.

    The text is a predicate, to stand behind the lens's name.
    """
    if found.is_whole:
        return None
    if found.unknown:
        return (
            f"may be for other weights: {spoken(found.unknown)} could not be compared in full, for they are "
            "quantised, put away or arranged otherwise than when it was made"
        )
    if not found.same:  # files of most programs identify no weights
        return None
    return (
        f"knows its model by {spoken(found.same)} alone: whether its blocks and final norm are this model's, "
        "its file does not say"
    )


_Fitted = TypeVar("_Fitted", bound=TunedLens | JacobianLens)


def marked(lens: _Fitted, model: Model) -> tuple[_Fitted, str | None]:
    """Return the lens with a config that identifies `model`.

    Returns:
        The lens and None; the lens unchanged and a warning, where it is for other weights.

    Raises:
        LensError: if the lens does not fit in shape.
    """
    lens.check_fits(model.num_blocks, model.d_model)
    found = compare_weights(lens.config, model)
    if found.different:
        return lens, f"{_warning(lens, found, model)}; what it says of its own model was kept"
    own = jacobian_config(model) if isinstance(lens, JacobianLens) else lens_config(model)
    config = own | {"unembed_hash": unembed_hash(model)}
    if lens.config.get("base_model_name_or_path"):  # the model's name here may be a local path
        config |= {key: lens.config.get(key) for key in ("base_model_name_or_path", "base_model_revision")}
    return replace(lens, config=config), None


def _same_sample(config: Mapping[str, Any], model: Model) -> bool | None:
    """Return whether a config's sample of the unembedding agrees with `model`; None where either has none."""
    ours, theirs = unembedding_sample(model), config.get("unembed_sample")
    if ours is None or not theirs or len(theirs) != len(ours):
        return None
    largest = max(map(abs, ours), default=0.0)
    return all(abs(a - b) <= _TOLERANCE * largest for a, b in zip(ours, theirs, strict=True))


def _same_hash(config: Mapping[str, Any], model: Model) -> bool | None:
    """Return whether a config's `tuned-lens` hash agrees with `model`; None where either has none."""
    theirs = config.get("unembed_hash")
    ours = unembed_hash(model) if theirs else None
    return None if ours is None else ours == theirs
