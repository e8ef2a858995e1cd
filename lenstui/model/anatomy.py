"""The blocks, the final norm and the body of a causal LM, found by watching one forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lenstui.support.errors import LensError


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The parts of a causal LM that the residual stream and the head are read from.

    Attributes:
        body: the submodule whose `forward` the causal LM's own `forward` calls for the hidden states.
        body_output: the output of `body` in the watched pass; the pattern for outputs that replace it.
        blocks: the `L` blocks, in order.
        final_norm: the norm after the last block, or None where there is none.
        after_norm: modules of the body that follow the final norm (OPT-350m's `project_out`).
    """

    body: nn.Module
    body_output: Any
    blocks: tuple[nn.Module, ...]
    final_norm: nn.Module | None
    after_norm: tuple[nn.Module, ...]


@dataclass
class _Watch:
    """A record of one forward pass: calls in the order of entry, with arguments and outputs."""

    order: list[str] = field(default_factory=list)
    callers: list[tuple[str, ...]] = field(default_factory=list)  # of each call in `order`, outermost first
    depth: dict[str, int] = field(default_factory=dict)
    first_argument: dict[str, Any] = field(default_factory=dict)
    num_arguments: dict[str, int] = field(default_factory=dict)
    output: dict[str, Any] = field(default_factory=dict)
    open_calls: list[str] = field(default_factory=list)


def _watch_forward(model: nn.Module, ids: Tensor) -> _Watch:
    seen = _Watch()

    def entering(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            seen.order.append(name)
            seen.callers.append(tuple(seen.open_calls))
            seen.depth[name] = len(seen.open_calls)
            seen.first_argument[name] = args[0] if args else None
            seen.num_arguments[name] = len(args)
            seen.open_calls.append(name)

        return hook

    def leaving(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            seen.open_calls.pop()
            if seen.depth[name] == 1:  # the body is called by the causal LM itself
                seen.output[name] = output

        return hook

    handles = []
    for name, module in model.named_modules():
        handles.append(module.register_forward_pre_hook(entering(name)))
        handles.append(module.register_forward_hook(leaving(name)))
    try:
        with torch.inference_mode():
            logits = getattr(model(input_ids=ids, use_cache=False), "logits", None)
    finally:
        for handle in handles:
            handle.remove()
    if not isinstance(logits, Tensor) or logits.ndim != 3 or logits.shape[:2] != ids.shape:
        raise LensError(f"{type(model).__name__} is no causal LM: there are no next-token logits to read.")
    return seen


def _is_ordered_once(names: Sequence[str], order: Sequence[str]) -> bool:
    wanted = set(names)
    return [name for name in order if name in wanted] == list(names)


def _find_block_list(
    model: nn.Module, seen: _Watch, ids: Tensor, num_blocks: int | None, d_model: int | None
) -> str:
    """Return the name of the outermost list of modules, each called once, in order, with a hidden state."""
    candidates: list[tuple[bool, int, str]] = []
    for name, module in model.named_modules():
        if not isinstance(module, nn.ModuleList) or not len(module):
            continue
        members = [f"{name}.{i}" for i in range(len(module))]
        hidden = seen.first_argument.get(members[0])
        if not _is_ordered_once(members, seen.order) or not isinstance(hidden, Tensor):
            continue
        width = hidden.numel() // ids.numel()  # of all streams together, in one column
        streams = width // (d_model or hidden.shape[-1])
        # Streams are either a fourth dimension or concatenated in a wider hidden state.
        if len(module) == num_blocks and (hidden.ndim == 4 or (hidden.ndim == 3 and streams > 1)):
            raise LensError(
                f"{type(model).__name__} runs {streams} residual streams side by side: "
                "there is no single one for a lens to read. Choose another model."
            )
        if hidden.ndim == 3 and hidden.shape[:2] == ids.shape:
            candidates.append((len(module) != num_blocks, seen.depth[members[0]], name))
    if not candidates:
        raise LensError(
            f"{type(model).__name__}: found no list of blocks that are called once each, in order, with a "
            "hidden state. Choose another model."
        )
    return min(candidates)[2]


def _is_norm(module: nn.Module) -> bool:
    return "norm" in type(module).__name__.lower()


def find_anatomy(
    model: nn.Module, ids: Tensor, num_blocks: int | None, d_model: int | None = None
) -> Anatomy:
    """Watch `model` read `ids` once, and return the modules that play each part.

    Args:
        model: a causal LM in eval mode.
        ids: a short text, `[1, cols]`.
        num_blocks: the number of blocks according to the config, where it has one.
        d_model: the width of the residual stream according to the config, where it has one.

    Raises:
        LensError: if no block list is found, or the model has several residual streams.
    """
    seen = _watch_forward(model, ids)
    modules = dict(model.named_modules())
    list_name = _find_block_list(model, seen, ids, num_blocks, d_model)
    block_names = [f"{list_name}.{i}" for i in range(len(modules[list_name]))]
    bodies = [n for n in seen.output if f"{list_name}.".startswith(f"{n}.")]
    if not bodies:
        raise LensError(f"{type(model).__name__}: its head cannot be told from its blocks.")

    # The outermost calls after the last block: the final norm, and in a few families more. Found by their
    # callers, not by name: a module that blocks share has only its name in the first of them.
    tail: list[str] = []
    last = seen.order.index(block_names[-1])
    for name, callers in zip(seen.order[last + 1 :], seen.callers[last + 1 :], strict=True):
        if bodies[0] in callers and not {block_names[-1], *tail} & set(callers):
            tail.append(name)
    for name in tail:
        if seen.num_arguments[name] != 1:
            raise LensError(
                f"{type(model).__name__}: behind its last block, {type(modules[name]).__name__} reads more "
                "than the last hidden state: there is no single residual stream for a lens to read. "
                "Choose another model."
            )
    final_norm = modules[tail.pop(0)] if tail and _is_norm(modules[tail[0]]) else None
    return Anatomy(
        body=modules[bodies[0]],
        body_output=seen.output[bodies[0]],
        blocks=tuple(modules[n] for n in block_names),
        final_norm=final_norm,
        after_norm=tuple(modules[n] for n in tail),
    )
