"""A base model under an adapter: a second set of modules, which holds the base's own weights.

The base's modules stay as they are. So the base reads without any switch that an error could leave on, bit
for bit as if no adapter were there, and what is known of a module by watching it is of one of the two alone.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from lenstui.model.adapter_files import CONFIG, WEIGHTS, Adapter
from lenstui.support.errors import FOREIGN_ERRORS, LensError, first_clause

_NAME = "default"  # peft's name for the only adapter of a model
_VOCABULARY = (
    "embed",
    "wte",
    "lm_head",
    "unembed",
)  # parts of the names of matrices with a row for each token


def adapted_module(base: nn.Module, adapter: Adapter, base_name: str) -> nn.Module:
    """Return a causal LM that is `base` under an adapter. Both hold the same weights, which are not copied.

    Args:
        base: a causal LM of transformers in eval mode, which is left as it is.
        adapter: the adapter.
        base_name: the name of the base, for messages.

    Raises:
        LensError: if peft is missing, or the adapter does not fit.
    """
    check_base(base, adapter, base_name)
    wanted = [(parameter, parameter.requires_grad) for parameter in base.parameters()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about training, and what is refused below
            module = _twin(base)
            _inject(module, adapter, base_name, {id(parameter) for parameter, _ in wanted})
    finally:
        for parameter, wants in wanted:  # peft freezes them
            parameter.requires_grad_(wants)
    return module.eval()


def check_base(base: nn.Module, adapter: Adapter, base_name: str) -> None:
    """Refuse an adapter on a base that cannot have one.

    Raises:
        LensError: if peft is missing, or the weights of the base are quantised or put away.
    """
    need_peft()
    parameters = list(base.parameters())
    if getattr(base, "is_quantized", False) or any(not each.is_floating_point() for each in parameters):
        raise LensError(
            f"{adapter.name} needs plain weights, and those of {base_name} are quantised: "
            "leave --quantize out, or name another base with --model."
        )
    if any(each.is_meta for each in parameters):
        raise LensError(
            f"{adapter.name} needs all weights of {base_name} in memory, and some were put away: "
            "leave --device-map out."
        )


def need_peft() -> None:
    """Refuse an adapter where peft is missing.

    Raises:
        LensError: if it is; the message names the extra.
    """
    if find_spec("peft") is None:
        raise LensError("An adapter needs peft: pip install 'lenstui[adapters]'.")


def _twin(base: nn.Module) -> nn.Module:
    """Return a copy of all modules, whose parameters and buffers are those of `base`."""
    kept = {id(tensor): tensor for tensor in (*base.parameters(), *base.buffers())}
    return copy.deepcopy(base, kept)


def _inject(module: nn.Module, adapter: Adapter, base_name: str, shared: Collection[int]) -> None:
    """Put an adapter into a model, in place.

    Args:
        module: the model.
        adapter: the adapter.
        base_name: the name of the base, for messages.
        shared: the ids of parameters that another model has too, which stay as they are.
    """
    from peft import PeftConfig, PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = PeftConfig.from_pretrained(str(adapter.place))
    except FOREIGN_ERRORS as error:
        raise LensError(f"{adapter.place / CONFIG} is not understood: {first_clause(error)}.") from error
    try:
        weights = load_file(adapter.place / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise LensError(f"{adapter.place / WEIGHTS} is damaged: {first_clause(error)}.") from error
    config.inference_mode = True
    try:
        model = PeftModel(module, config, _NAME)
        weights = _put_in_whole_matrices(model, weights, shared, adapter, base_name)
        expected = get_peft_model_state_dict(model, adapter_name=_NAME, save_embedding_layers=False)
        _check_fits(expected, weights, adapter, base_name)
        set_peft_model_state_dict(model, weights, adapter_name=_NAME)
    except torch.OutOfMemoryError as error:
        raise LensError(f"{adapter.name} does not fit into memory beside {base_name}.") from error
    except ValueError as error:
        if "arget modules" not in str(error):
            raise LensError(f"{adapter.name} does not fit {base_name}: {first_clause(error)}.") from error
        raise LensError(
            f"{adapter.name} is for another model than {base_name}, which has none of the modules that it "
            f"changes ({_modules(config.target_modules)}).{_made_for(adapter)}"
        ) from error
    except (*FOREIGN_ERRORS, ImportError) as error:
        raise LensError(f"{adapter.name} does not fit {base_name}: {first_clause(error)}.") from error
    _put_in_whole_modules(module)


def _check_fits(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor], adapter: Adapter, base_name: str
) -> None:
    """Refuse weights of an adapter for which a base has no place, or another one.

    Args:
        expected: what peft would save of the adapter on this base.
        found: the weights in the adapter's file.
        adapter: the adapter.
        base_name: the name of the base.

    Raises:
        LensError: if names or shapes differ; the message names both models.
    """
    unlike = [name for name in expected if name in found and found[name].shape != expected[name].shape]
    strange = [name for name in found if name not in expected]
    for name in unlike:
        if expected[name].shape[1:] == found[name].shape[1:] and any(part in name for part in _VOCABULARY):
            raise _other_vocabulary(name, len(found[name]), len(expected[name]), adapter, base_name)
    if unlike:
        ours, theirs = (list(each[unlike[0]].shape) for each in (expected, found))
        raise LensError(
            f"{adapter.name} is for another model than {base_name}: its {_brief(unlike[0])} is {theirs}, "
            f"and here it would be {ours}.{_made_for(adapter)}"
        )
    missing = [name for name in expected if name not in found]
    for names, what in (
        (strange, f"which has no place for {len(strange)} of its {len(found)} matrices"),
        (missing, f"which needs {len(missing)} matrices more than its {len(found)}"),
    ):
        if names:
            raise LensError(
                f"{adapter.name} is for another model than {base_name}, {what} ({_brief(names[0])}, …)."
                f"{_made_for(adapter)}"
            )


def _put_in_whole_matrices(
    model: nn.Module,
    weights: Mapping[str, Tensor],
    shared: Collection[int],
    adapter: Adapter,
    base_name: str,
) -> dict[str, Tensor]:
    """Put matrices of the base that an adapter's file has too, such as embeddings, into the adapted model.

    They take the place of the base's, which peft would write over.

    Returns:
        The other weights.
    """
    named, rest = dict(model.named_parameters(remove_duplicate=False)), dict(weights)
    for name in weights:
        if id(known := named.get(name)) not in shared or known is None:
            continue
        own = rest.pop(name)
        if own.shape != known.shape:
            raise _other_vocabulary(name, len(own), len(known), adapter, base_name)
        own = own.to(known)
        if torch.equal(own, known):
            continue
        own = nn.Parameter(own, requires_grad=False)
        for part in list(model.modules()):  # all of them: a tied head is the embedding
            for key, parameter in list(part.named_parameters(recurse=False, remove_duplicate=False)):
                if parameter is known:
                    setattr(part, key, own)
    return rest


def _other_vocabulary(name: str, rows: int, wanted: int, adapter: Adapter, base_name: str) -> LensError:
    return LensError(
        f"{adapter.name} brings a vocabulary of its own ({_brief(name)} with {rows} rows), and {base_name} "
        f"has {wanted}: merge both with peft, and open the result."
    )


def _made_for(adapter: Adapter) -> str:
    return f" It was made for {adapter.base}." if adapter.base else ""


def _modules(named: Any) -> str:
    """Return the names of modules in an adapter's configuration, which may be one pattern, at most four."""
    names = [named] if isinstance(named, str) else sorted({name.rpartition(".")[2] for name in named or ()})
    return ", ".join(names[:4]) + ", …" * (len(names) > 4)


def _brief(name: str) -> str:
    """Return the name of an adapter's matrix without what peft puts before it."""
    return name.removeprefix("base_model.model.").replace(".base_layer", "").removesuffix(".weight")


def _put_in_whole_modules(module: nn.Module) -> None:
    """Put modules that an adapter brings whole (`modules_to_save`) into the place of peft's wrappers.

    A head is then a plain matrix again.
    """
    from peft.utils import ModulesToSaveWrapper

    for around in list(module.modules()):
        for name, part in list(around.named_children()):
            if isinstance(part, ModulesToSaveWrapper):
                setattr(around, name, part.modules_to_save[_NAME])
