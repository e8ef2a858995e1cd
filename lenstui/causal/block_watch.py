"""Hooks on all submodules of a block, which find by value how its parts come to add to the stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lenstui.causal.projection import Projection, is_linear
from lenstui.model.calls import Call
from lenstui.model.contribution import find_norm
from lenstui.model.summands import BlockSum, Summand


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Where a block's attention weights come out, `[1, heads, cols, cols]`.

    Attributes:
        call: the call of the module.
        place: the index of the weights in its output.
        heads: the number of attention heads.
    """

    call: Call
    place: int
    heads: int


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What one pass shows of a block.

    Attributes:
        attention: the map whose output is attention's addition, or why there is none.
        mlp: likewise.
        width: of the input of `attention`; 0 where there is none.
        weights: where attention weights come out, by the paths of modules.
    """

    attention: Projection | str
    mlp: Projection | str
    width: int
    weights: Mapping[str, Weights]

    def weights_of(self, projection: Projection) -> Weights | None:
        """Return the weights of the innermost module that a projection is in, or None."""
        around = [name for name in self.weights if f"{projection.name}.".startswith(f"{name}.")]
        return self.weights[max(around, key=len)] if around else None


@dataclass(eq=False)
class Watch:
    """Hooks that record what the submodules of a block put out, until it ends.

    Attributes:
        block: the block.
        sums: the submodules that add to the stream.
        cols: the number of columns of the text.
        d: the width of the stream.
    """

    block: nn.Module
    sums: BlockSum
    cols: int
    d: int
    _outputs: dict[tuple[str, int], Tensor] = field(default_factory=dict)  # in the order of completion
    _inputs: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    _weights: dict[str, Weights] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)
    _is_running: bool = False

    def hooks(self, found: list[Found]) -> Iterator[Any]:
        """Register the hooks, which append what they find when the block ends, and yield their handles."""

        def enter(module: nn.Module, args: tuple[Any, ...]) -> None:
            self._is_running = True

        def end(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            self._is_running = False  # modules are tried from here on
            found.append(self._result())
            self._outputs.clear()
            self._inputs.clear()

        yield self.block.register_forward_pre_hook(enter)
        for name, module in self.block.named_modules():
            if name:
                yield module.register_forward_hook(self._recording(name))
        yield self.block.register_forward_hook(end)

    def _recording(self, name: str) -> Any:
        def record(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if not self._is_running:
                return
            call = name, self._counts[name]
            self._counts[name] += 1
            parts = output if isinstance(output, (tuple, list)) else (output,)
            for place, part in enumerate(parts):
                if _is_weights(part, self.cols):
                    self._weights.setdefault(name, Weights((module, call[1]), place, part.shape[1]))
            if parts and _is_hidden(parts[0], self.cols, self.d):
                self._outputs[call] = parts[0].detach().reshape(self.cols, self.d).clone()
            if args and _is_hidden(args[0], self.cols) and len(args) == 1:
                self._inputs[call] = args[0].detach().reshape(self.cols, -1).clone()

        return record

    def _result(self) -> Found:
        attention, mlp = self._projection(self.sums.attention), self._projection(self.sums.mlp)
        width = 0
        if isinstance(attention, Projection):
            width = self._inputs[attention.name, attention.call].shape[-1]
        return Found(attention, mlp, width, dict(self._weights))

    def _projection(self, part: Summand | None) -> Projection | str:
        """Return the linear map whose output a part adds, or why there is none."""
        if part is None:
            return "it has no such part"
        modules = dict(self.block.named_modules())
        wanted, norm = self._outputs.get((part.name, part.call)), None
        while wanted is not None:
            call = next(
                (each for each, put_out in self._outputs.items() if torch.equal(put_out, wanted)), None
            )
            if call is None or call not in self._inputs:
                break
            module, x = modules[call[0]], self._inputs[call]
            if is_linear(module, x, self._outputs[call]):
                return Projection(module, call[1], part.factor, norm, call[0], x.shape[-1])
            wanted = None
            if norm is None and x.shape[-1] == self.d and not any(module.children()):
                norm = find_norm(module, x)
                wanted = None if norm is None else x
        return f"no linear map puts out what {part.name} adds"


def _is_weights(value: Any, cols: int) -> bool:
    return (
        isinstance(value, Tensor) and value.ndim == 4 and len(value) == 1 and value.shape[2:] == (cols, cols)
    )


def _is_hidden(value: Any, cols: int, width: int | None = None) -> bool:
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.ndim not in {2, 3}:
        return False
    return value.numel() == cols * value.shape[-1] and width in {None, value.shape[-1]}
