"""Hooks on single calls of submodules: a block may call one of them twice, and blocks may share one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

OnCall = Callable[[tuple[Any, ...], Any], None]
"""A function of the positional arguments and the output of a call."""

Call = tuple[nn.Module, int]
"""A submodule, and the index of the call among its calls in one block, from 0."""


def hook_calls(blocks: Sequence[nn.Module], wanted: Sequence[Mapping[Call, OnCall]]) -> list[Any]:
    """Register hooks that hand over calls of submodules as blocks make them, and return their handles.

    Args:
        blocks: the blocks of a model, in order.
        wanted: for every block, the calls to hand over, each with its function.
    """
    under_way: list[int] = [0]
    counts: Counter[nn.Module] = Counter()

    def entering(number: int) -> Any:
        def enter(module: nn.Module, args: tuple[Any, ...]) -> None:
            under_way[0] = number
            counts.clear()

        return enter

    def called(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        on_call = wanted[under_way[0]].get((module, counts[module]))
        counts[module] += 1
        if on_call is not None:
            on_call(args, output)

    modules = dict.fromkeys(module for block in wanted for module, _ in block)
    return [
        *(module.register_forward_hook(called) for module in modules),
        *(block.register_forward_pre_hook(entering(number)) for number, block in enumerate(blocks)),
    ]
