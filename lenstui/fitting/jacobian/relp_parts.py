"""The parts of a model that the rules of an R-Lens are about, found by what they do on a short text.

A part of a block that reads other columns than its own is a token mixer, and is left alone. All others
(norms, MLPs or their layers) are held. Which of their modules are activations shows by elements.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from lenstui.model.load import Model

_ROUNDING = 1e-4  # of the largest value: a smaller difference is none


@dataclass(frozen=True, eq=False)
class Call:
    """A call of a part of a block.

    Attributes:
        block: the number of the block.
        name: the part's path in the block.
        module: the part.
        args: its positional arguments.
        kwargs: its other arguments.
        output: its first output, `[1, cols, width]` or `[cols, width]` of a part that can be held.
    """

    block: int
    name: str
    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any

    @property
    def hidden(self) -> list[Tensor]:
        """The floating tensors with columns that it is given: a hidden state, and sometimes a residual."""
        given = [each for each in (*self.args, *self.kwargs.values()) if _has_columns(each)]
        return list({id(each): each for each in given}.values())

    def again(self, hidden: list[Tensor]) -> Tensor:
        """Return its first output for other hidden states, as many as it was given."""
        others = {id(former): other for former, other in zip(self.hidden, hidden, strict=True)}
        args = tuple(others.get(id(each), each) for each in self.args)
        kwargs = {name: others.get(id(each), each) for name, each in self.kwargs.items()}
        output: Tensor = _first(self.module(*args, **kwargs))
        return output


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a model by what the rules do with them.

    Attributes:
        held: the calls of the parts that are held, each once.
        norms: the norms among them and within them.
        activations: the modules within them that are activations.
        has_experts: whether there are routed experts, which are left alone.
        unknown: the calls of parts that cannot be told.
    """

    held: tuple[Call, ...]
    norms: frozenset[nn.Module]
    activations: frozenset[nn.Module]
    has_experts: bool
    unknown: tuple[Call, ...]


def find_parts(model: Model, ids: Tensor) -> Parts:
    """Watch a model read a short text, and return its parts.

    Args:
        model: from `load`.
        ids: the token ids, `[cols]`, at least three, on the CPU.
    """
    held: dict[nn.Module, Call] = {}
    mixers: set[nn.Module] = set()
    unknown = []
    has_experts = False
    with torch.no_grad():
        for call in _watched(model, ids):
            if _has_experts(call.module):
                has_experts = True
            elif not _has_columns(call.output) or not call.hidden:
                if any(True for _ in call.module.parameters()):
                    unknown.append(call)
            elif _mixes_columns(call):
                mixers.add(call.module)
            else:
                held.setdefault(call.module, call)
        for mixer in mixers:
            held.pop(mixer, None)
        inside = {module for part in held for module in part.modules()}
        activations = frozenset(_activations(model, ids, inside))
    norms = frozenset(module for module in inside if "norm" in type(module).__name__.lower())
    return Parts(tuple(held.values()), norms, activations, has_experts, tuple(unknown))


def _watched(model: Model, ids: Tensor) -> Iterator[Call]:
    """Yield the outermost calls in every block, with copies of their arguments."""
    found: list[Call] = []
    given: list[tuple[tuple[Any, ...], dict[str, Any]]] = []  # of the calls that are under way

    def entering(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        copied = not given  # some families add in place
        given.append(
            (tuple(map(_copied, args)), {key: _copied(value) for key, value in kwargs.items()})
            if copied
            else (args, kwargs)
        )

    def leaving(number: int, name: str) -> Any:
        def leave(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            call = Call(number, name, module, *given.pop(), _first(output))
            if not given:
                found.append(replace(call, output=_copied(call.output)))

        return leave

    with ExitStack() as stack:
        for number, block in enumerate(model.anatomy.blocks):
            for name, module in block.named_modules():
                if module is not block:
                    stack.callback(module.register_forward_pre_hook(entering, with_kwargs=True).remove)
                    stack.callback(module.register_forward_hook(leaving(number, name)).remove)
        _run(model, ids)
    yield from found


def _activations(model: Model, ids: Tensor, among: set[nn.Module]) -> Iterator[nn.Module]:
    """Yield the modules that act on each element alone, are not linear, and keep zero."""
    seen: dict[nn.Module, Tensor] = {}

    def keep(module: nn.Module, args: tuple[Any, ...]) -> None:
        if args and isinstance(args[0], Tensor) and args[0].is_floating_point():
            seen.setdefault(module, args[0].clone())

    leaves = [module for module in among if not any(True for _ in module.children())]
    with ExitStack() as stack:
        for module in leaves:
            stack.callback(module.register_forward_pre_hook(keep).remove)
        _run(model, ids)
    for module, z in seen.items():
        try:
            if _is_activation(module, z):
                yield module
        except (RuntimeError, TypeError, IndexError):  # it takes more than a hidden state
            continue


def _is_activation(module: nn.Module, z: Tensor) -> bool:
    """Return whether a module acts on each element alone, is not homogeneous, and keeps zero."""
    y = module(z)
    if not isinstance(y, Tensor) or y.shape != z.shape:
        return False
    changed = z.clone()
    changed[..., 0] += 1
    elsewhere = (module(changed) - y)[..., 1:]
    if z.shape[-1] < 2 or bool(elsewhere.any()):
        return False
    size = _ROUNDING * float(y.abs().max())
    keeps_zero = float(module(torch.zeros_like(z)).abs().max()) <= size
    return keeps_zero and not bool((module(2 * z) - 2 * y).abs().max() <= 2 * size)


def _mixes_columns(call: Call) -> bool:
    """Return whether the last column of its output depends on the hidden states of others."""
    former = [each.clone() for each in call.hidden]
    changed = [each.clone() for each in call.hidden]
    for each in changed:
        each[..., :-1, :] = each[..., :-1, :].flip(-1) - each.std()
    difference = (call.again(changed) - call.again(former))[..., -1, :].abs().max()
    return bool(difference > _ROUNDING * call.output.abs().max())


def _has_experts(module: nn.Module) -> bool:
    """Return whether a module routes to experts, by the names of its parts."""
    names = (f"{name} {type(part).__name__}".lower() for name, part in module.named_modules())
    return any("expert" in name for name in names)


def _run(model: Model, ids: Tensor) -> None:
    with torch.no_grad():
        model.module(input_ids=ids[None].to(model.device), use_cache=False)


def _has_columns(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.ndim in {2, 3}


def _first(output: Any) -> Any:
    return output[0] if isinstance(output, (tuple, list)) else output


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value
