"""Hooks that change components of a forward pass, or keep what they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from lenstui.causal.maps import find_maps
from lenstui.edits.edit import Component
from lenstui.model.calls import Call, OnCall, OnInput, hook_calls, hook_inputs
from lenstui.model.load import Model
from lenstui.model.summands import find_summands

Change = Callable[[Tensor], Tensor]
"""What is done to a component: from `[batch, cols, width]` to the same shape, never in place.

Of the residual stream these are its vectors, of attention and MLP what they add, of an attention head its
slice of the projection's input, of a neuron its activation, 1 wide.
"""

_ALL = slice(None)
_At = list[dict[Call, list[tuple[slice, Change]]]]  # by block, the changes of each call, with their slices


@contextmanager
def changing(model: Model, changes: Sequence[tuple[Component, Change]], cols: int) -> Iterator[None]:
    """Have forward passes of a model go through changes, those of one component in the order given.

    They come before all other hooks, so that whoever records the residual stream or what a block's parts add
    records the changed numbers.

    Args:
        model: from `load`.
        changes: components of this model, each with what is done to it.
        cols: the number of columns of the passes.
    """
    of_stream: dict[int, list[tuple[slice, Change]]] = defaultdict(list)
    inputs: _At = [{} for _ in model.anatomy.blocks]
    outputs: _At = [{} for _ in model.anatomy.blocks]
    for component, change in changes:
        block = component.block
        if component.part == "stream":
            of_stream[block + 1].append((_ALL, change))
        elif component.part in {"attn", "mlp"}:
            call, factor = _summand(model, component)
            outputs[block].setdefault(call, []).append(
                (_ALL, change if factor == 1 else _scaled(change, factor))
            )
        else:
            call, part = _slice_of_input(model, component)
            inputs[block].setdefault(call, []).append((part, change))
    handles = [
        *_stream_hooks(model, of_stream, cols),
        *_call_hooks(model, hook_inputs, _changing_input, inputs, cols),
        *_call_hooks(model, hook_calls, _changing_output, outputs, cols),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def values_of(model: Model, ids: Tensor, components: Sequence[Component]) -> Mapping[Component, Tensor]:
    """Run a prompt, and return what components are there, `[cols, width]` as a `Change` has them.

    Args:
        model: from `load`.
        ids: `[1, cols]`, on the CPU.
        components: of this model.
    """
    found: dict[Component, Tensor] = {}

    def keeping(component: Component) -> Change:
        def keep(value: Tensor) -> Tensor:
            found[component] = value[0].detach().clone()
            return value

        return keep

    wanted = [(component, keeping(component)) for component in components]
    with changing(model, wanted, ids.shape[1]):
        model.stream(ids)
    return found


def _summand(model: Model, component: Component) -> tuple[Call, float]:
    """Return the call whose output attention or MLP of a block adds, and the factor on that output."""
    block = find_summands(model)[component.block]
    summand = block.attention if component.part == "attn" else block.mlp
    assert summand is not None, component  # as the check of the edit has it
    return (summand.module, summand.call), summand.factor


def _slice_of_input(model: Model, component: Component) -> tuple[Call, slice]:
    """Return the projection of an attention head or neuron, and the slice of its input."""
    maps, index = find_maps(model).blocks[component.block], component.index
    assert index is not None
    if component.part == "neuron":
        assert maps.mlp is not None, component  # as the check of the edit has it
        return maps.mlp.key, slice(index, index + 1)
    assert maps.attention is not None, component
    width = maps.attention.width // maps.heads
    return maps.attention.key, slice(index * width, (index + 1) * width)


def _stream_hooks(
    model: Model, changes: Mapping[int, Sequence[tuple[slice, Change]]], cols: int
) -> Iterator[Any]:
    """Register the changes of the residual stream, by its index, and yield their handles."""
    blocks, norm = model.anatomy.blocks, model.anatomy.final_norm
    for h, of_row in changes.items():
        into, out_of = _changing_input(of_row, cols), _changing_output(of_row, cols)
        if h < len(blocks):
            yield blocks[h].register_forward_pre_hook(_before(into), prepend=True)
        elif norm is None:
            yield blocks[-1].register_forward_hook(_after(out_of), prepend=True)
        else:
            yield from _final_hooks(blocks[-1], norm, into)


def _before(change: OnInput) -> Any:
    return lambda module, args: change(args)


def _after(change: OnCall) -> Any:
    return lambda module, args, output: change(args, output)


def _final_hooks(last_block: nn.Module, norm: nn.Module, change: OnInput) -> Iterator[Any]:
    """Register a change of what enters the final norm after the last block, and yield the handles.

    The norm may be called before that too: NanoChat norms its embedding with the same module.
    """
    is_last = [False]

    def enter(module: nn.Module, args: tuple[Any, ...]) -> Any:
        if not is_last[0]:
            return None
        is_last[0] = False
        return change(args)

    def leave(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        is_last[0] = True

    yield last_block.register_forward_hook(leave, prepend=True)
    yield norm.register_forward_pre_hook(enter, prepend=True)


def _call_hooks(model: Model, hook: Any, changing: Any, changes: _At, cols: int) -> list[Any]:
    """Register the changes of what calls of submodules take or put out, and return the handles."""
    if not any(changes):
        return []
    wanted = [{call: changing(own, cols) for call, own in of_block.items()} for of_block in changes]
    handles: list[Any] = hook(model.anatomy.blocks, wanted, first=True)
    return handles


def _scaled(change: Change, factor: float) -> Change:
    """Return a change of what is added, as one of the output, which the block multiplies by a factor."""
    return lambda output: change(factor * output) / factor


def _changing_input(changes: Sequence[tuple[slice, Change]], cols: int) -> OnInput:
    return lambda args: (_changed(args[0], changes, cols), *args[1:])


def _changing_output(changes: Sequence[tuple[slice, Change]], cols: int) -> OnCall:
    def change(args: tuple[Any, ...], output: Any) -> Any:
        if isinstance(output, (tuple, list)):
            return type(output)((_changed(output[0], changes, cols), *output[1:]))
        return _changed(output, changes, cols)

    return change


def _changed(value: Tensor, changes: Sequence[tuple[slice, Change]], cols: int) -> Tensor:
    """Return hidden states, `[batch, cols, width]` or `[batch · cols, width]`, with changes made in order."""
    changed = value.reshape(-1, cols, value.shape[-1])
    for part, change in changes:
        if part == _ALL:
            changed = change(changed)
        else:
            whole = changed.clone()
            whole[..., part] = change(changed[..., part])
            changed = whole
    return changed.reshape(value.shape).to(value.dtype)
