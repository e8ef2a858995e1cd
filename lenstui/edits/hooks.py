"""Hooks that change components of a forward pass, or keep what they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from lenstui.edits.edit import Component
from lenstui.model.load import Model
from lenstui.model.summands import Summand, find_summands

Change = Callable[[Tensor], Tensor]
"""What is done to a component: from `[batch, cols, d]` to the same shape, never in place."""


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
    of_stream: dict[int, list[Change]] = {}
    of_summands: dict[tuple[int, nn.Module, int], list[tuple[float, Change]]] = {}
    for component, change in changes:
        if component.part == "stream":
            of_stream.setdefault(component.block + 1, []).append(change)
        else:
            summand = summand_of(model, component)
            key = component.block, summand.module, summand.call
            of_summands.setdefault(key, []).append((summand.factor, change))
    handles = [*_stream_hooks(model, of_stream, cols), *_summand_hooks(model, of_summands, cols)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def values_of(model: Model, ids: Tensor, components: Sequence[Component]) -> Mapping[Component, Tensor]:
    """Run a prompt, and return what components are there.

    Args:
        model: from `load`.
        ids: `[1, cols]`, on the CPU.
        components: of this model.

    Returns:
        Of the stream its vectors, of attention and MLP what they add, `[cols, d]`.
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


def summand_of(model: Model, component: Component) -> Summand:
    """Return the submodule whose output is all that attention or the MLP of a block adds.

    Raises:
        LensError: if the block cannot be taken apart, or has no such part.
    """
    block = find_summands(model)[component.block]
    summand = block.attention if component.part == "attn" else block.mlp
    assert summand is not None, component  # as the check of the edit has it
    return summand


def _stream_hooks(model: Model, changes: Mapping[int, Sequence[Change]], cols: int) -> Iterator[Any]:
    """Register the changes of the residual stream, by its index, and yield their handles."""
    blocks, norm = model.anatomy.blocks, model.anatomy.final_norm
    for h, of_row in changes.items():
        if h < len(blocks):
            yield blocks[h].register_forward_pre_hook(_changing_input(of_row, cols), prepend=True)
        elif norm is None:
            yield blocks[-1].register_forward_hook(_changing_output(of_row, cols), prepend=True)
        else:
            yield from _final_hooks(blocks[-1], norm, _changing_input(of_row, cols))


def _final_hooks(last_block: nn.Module, norm: nn.Module, change: Any) -> Iterator[Any]:
    """Register a change of what enters the final norm after the last block, and yield the handles.

    The norm may be called before that too: NanoChat norms its embedding with the same module.
    """
    is_last = [False]

    def enter(module: nn.Module, args: tuple[Any, ...]) -> Any:
        if not is_last[0]:
            return None
        is_last[0] = False
        return change(module, args)

    def leave(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        is_last[0] = True

    yield last_block.register_forward_hook(leave, prepend=True)
    yield norm.register_forward_pre_hook(enter, prepend=True)


def _summand_hooks(
    model: Model, changes: Mapping[tuple[int, nn.Module, int], Sequence[tuple[float, Change]]], cols: int
) -> Iterator[Any]:
    """Register the changes of what submodules add, by block, module and call, and yield their handles."""
    if not changes:
        return
    under_way, calls = [0], Counter[nn.Module]()

    def entering(number: int) -> Any:
        def enter(module: nn.Module, args: tuple[Any, ...]) -> None:
            under_way[0] = number
            calls.clear()

        return enter

    def leave(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        own = changes.get((under_way[0], module, calls[module]))
        calls[module] += 1
        if own is None:
            return None
        scaled = [change if factor == 1 else _scaled(change, factor) for factor, change in own]
        return _changing_output(scaled, cols)(module, args, output)

    for number, block in enumerate(model.anatomy.blocks):
        yield block.register_forward_pre_hook(entering(number), prepend=True)
    for module in dict.fromkeys(module for _, module, _ in changes):
        yield module.register_forward_hook(leave, prepend=True)


def _scaled(change: Change, factor: float) -> Change:
    """Return a change of what is added, as one of the output, which the block multiplies by a factor."""
    return lambda output: change(factor * output) / factor


def _changing_input(changes: Sequence[Change], cols: int) -> Any:
    def hook(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return _changed(args[0], changes, cols), *args[1:]

    return hook


def _changing_output(changes: Sequence[Change], cols: int) -> Any:
    def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if isinstance(output, (tuple, list)):
            return type(output)((_changed(output[0], changes, cols), *output[1:]))
        return _changed(output, changes, cols)

    return hook


def _changed(value: Tensor, changes: Sequence[Change], cols: int) -> Tensor:
    """Return hidden states, `[batch, cols, d]` or `[batch · cols, d]`, with the changes made in order."""
    changed = value.reshape(-1, cols, value.shape[-1])
    for change in changes:
        changed = change(changed)
    return changed.reshape(value.shape).to(value.dtype)
