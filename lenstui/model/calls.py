"""Hooks on single calls of submodules: a block may call one of them twice, and blocks may share one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

OnCall = Callable[[tuple[Any, ...], Any], Any]
"""A function of the positional arguments and the output of a call; its result takes the output's place."""

OnInput = Callable[[tuple[Any, ...]], tuple[Any, ...] | None]
"""A function of the positional arguments of a call; its result takes their place."""

Call = tuple[nn.Module, int]
"""A submodule, and the index of the call among its calls in one block, from 0."""


def hook_calls(
    blocks: Sequence[nn.Module], wanted: Sequence[Mapping[Call, OnCall]], *, first: bool = False
) -> list[Any]:
    """Register hooks that hand over calls of submodules as blocks have made them, and return their handles.

    Args:
        blocks: the blocks of a model, in order.
        wanted: for every block, the calls to hand over, each with its function; one that returns None leaves
            the output as it is.
        first: whether the hooks come before those that are there already.
    """
    counter = _Counter()

    def called(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        on_call = wanted[counter.block].get(counter.call(module))
        return None if on_call is None else on_call(args, output)

    return [
        *(module.register_forward_hook(called, prepend=first) for module in _modules(wanted)),
        *counter.hooks(blocks, first=first),
    ]


def hook_inputs(
    blocks: Sequence[nn.Module], wanted: Sequence[Mapping[Call, OnInput]], *, first: bool = False
) -> list[Any]:
    """Register hooks that hand over the inputs of calls, as `hook_calls` does, and return their handles."""
    counter = _Counter()

    def calling(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        on_input = wanted[counter.block].get(counter.call(module))
        return None if on_input is None else on_input(args)

    return [
        *(module.register_forward_pre_hook(calling, prepend=first) for module in _modules(wanted)),
        *counter.hooks(blocks, first=first),
    ]


class _Counter:
    """A count of the calls of each submodule in the block that is running.

    Attributes:
        block: the index of that block.
    """

    def __init__(self) -> None:
        self.block = 0
        self._calls: Counter[nn.Module] = Counter()

    def hooks(self, blocks: Sequence[nn.Module], *, first: bool) -> list[Any]:
        """Register hooks that begin to count anew where a block begins, and return their handles."""

        def entering(number: int) -> Any:
            def enter(module: nn.Module, args: tuple[Any, ...]) -> None:
                self.block = number
                self._calls.clear()

            return enter

        return [
            block.register_forward_pre_hook(entering(number), prepend=first)
            for number, block in enumerate(blocks)
        ]

    def call(self, module: nn.Module) -> Call:
        """Return the next call of a submodule, and count it."""
        call = module, self._calls[module]
        self._calls[module] += 1
        return call


def _modules(wanted: Sequence[Mapping[Call, Any]]) -> dict[nn.Module, None]:
    """Return the submodules of the wanted calls, each once."""
    return dict.fromkeys(module for block in wanted for module, _ in block)
