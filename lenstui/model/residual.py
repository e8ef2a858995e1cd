"""The residual stream: from token ids to `h_0 … h_L`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lenstui.model.anatomy import Anatomy
from lenstui.model.product import FastProducts


def residual_stream(
    model: nn.Module, anatomy: Anatomy, ids: Tensor, options: Mapping[str, Any] | None = None
) -> Tensor:
    """Run `model` once and return the inputs of every block and of the final norm.

    `output_hidden_states` is not used: its last element is already normed in most families.

    Args:
        model: the causal LM.
        anatomy: its parts.
        ids: `[batch, cols]`.
        options: further arguments of the model's forward pass, such as a cache of keys and values.

    Returns:
        `h`, `[L + 1, batch, cols, d]` in the model's dtype, on the device of the head. `h[i]` is the input of
        block `i`, `h[L]` the input of the final norm (the last block's output where there is none).
    """
    return _run(model, anatomy, ids, {**logits_options(model), **(options or {})})[0]


def residual_stream_and_logits(model: nn.Module, anatomy: Anatomy, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return the residual stream, and the model's own logits `[batch, cols, vocabulary]` of the same pass."""
    return _run(model, anatomy, ids, {})


def _run(
    model: nn.Module, anatomy: Anatomy, ids: Tensor, options: Mapping[str, Any]
) -> tuple[Tensor, Tensor]:
    rows: list[Tensor] = []
    last: list[Tensor] = []

    # A clone, since some families add to the stream in place.
    def keep_input(module: nn.Module, args: tuple[Any, ...]) -> None:
        rows.append(args[0].detach().clone())

    # The last call counts: NanoChat norms its embedding with the same module.
    def keep_last_input(module: nn.Module, args: tuple[Any, ...]) -> None:
        last[:] = [args[0].detach().clone()]

    def keep_output(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        last[:] = [(output[0] if isinstance(output, (tuple, list)) else output).detach().clone()]

    handles = [block.register_forward_pre_hook(keep_input) for block in anatomy.blocks]
    if anatomy.final_norm is not None:
        handles.append(anatomy.final_norm.register_forward_pre_hook(keep_last_input))
    else:
        handles.append(anatomy.blocks[-1].register_forward_hook(keep_output))
    try:
        with torch.inference_mode(), FastProducts():
            output = model(input_ids=ids, **{"use_cache": False, **options})
    finally:
        for handle in handles:
            handle.remove()
    device = _device_of_head(model, output.logits)
    return torch.stack([row.to(device) for row in rows + last]), output.logits.to(device)


def logits_options(model: nn.Module) -> dict[str, Any]:
    """Return the arguments with which a causal LM computes as few logits as it can.

    At `[cols, vocabulary]` they would be the largest tensor of all.
    """
    takes_it = "logits_to_keep" in inspect.signature(model.forward).parameters
    return {"logits_to_keep": 1} if takes_it else {}


def _device_of_head(model: nn.Module, logits: Tensor) -> torch.device:
    """Return the device of the unembedding, of a model that may be spread over several."""
    find: Any = getattr(model, "get_output_embeddings", lambda: None)
    weight = getattr(find(), "weight", None)
    return weight.device if isinstance(weight, Tensor) and not weight.is_meta else logits.device
