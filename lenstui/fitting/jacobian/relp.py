"""The rules of an R-Lens: norms and MLPs count as linear maps, and token mixers keep their gradients.

The scale of a norm is a constant; so is the gate `g` of an activation `act(z) = z · g(z)`; and of a product
of two factors that both depend on the stream each takes half of the gradient. Every value stays as it is:
`y` becomes `y.detach() + (z − z.detach())`, with `z` the linear map.

There is no table of families: `relp_parts` finds the parts of a model by what they do, and `Relp` applies the
rules to the functions that they call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from lenstui.fitting.jacobian.relp_parts import Parts

_ACTIVATIONS = (F.silu, F.gelu, F.mish, F.hardswish, F.elu, F.selu)  # with act(0) = 0; ReLU needs no rule
_SCALES = frozenset({"rsqrt", "sqrt", "norm", "vector_norm", "std"})
_POWERS = frozenset({"pow", "__pow__"})
_PRODUCTS = frozenset({"mul", "multiply", "__mul__", "__rmul__"})
_SMALL = 1e-4  # stands for zero in a gate, which is a quotient


class Relp(TorchFunctionMode):
    """A context in which the parts of a model compute as ever, and have the derivatives of an R-Lens.

    Attributes:
        parts: the parts of the model.
        held: the norms whose scale was held since the beginning of the context.
    """

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.held: set[nn.Module] = set()
        self.parts = parts
        self._scopes: list[bool] = [False]  # whether the rules apply, in the modules that are under way
        self._norms: list[nn.Module] = []  # the norms that are under way

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Apply the rules to what the model computes within the context."""
        self.held.clear()
        with ExitStack() as stack:
            for module in {call.module for call in self.parts.held}:
                stack.callback(module.register_forward_pre_hook(self._entering(True)).remove)
                stack.callback(module.register_forward_hook(self._leaving, always_call=True).remove)
            for norm in self.parts.norms:
                stack.callback(norm.register_forward_pre_hook(self._entering_norm).remove)
                stack.callback(norm.register_forward_hook(self._leaving_norm, always_call=True).remove)
            for activation in self.parts.activations:
                stack.callback(activation.register_forward_pre_hook(self._entering(False)).remove)
                stack.callback(activation.register_forward_hook(self._hold_activation).remove)
                stack.callback(activation.register_forward_hook(self._leaving, always_call=True).remove)
            stack.enter_context(self)
            yield

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call a function, and give its result the derivative that the rules say."""
        named = kwargs or {}
        if not self._scopes[-1] or not torch.is_grad_enabled():
            return func(*args, **named)
        if func in _ACTIVATIONS and _is_open(args[0]):
            return held_activation(args[0], func(*args, **named), lambda z: func(z, *args[1:], **named))
        if func is F.layer_norm or func is F.rms_norm:
            self._note_norm()
            return _held_norm(func, *args, **named)
        name = getattr(func, "__name__", "")
        if name in _SCALES or (name in _POWERS and isinstance(args[1], int | float) and args[1] < 0):
            self._note_norm()
            result = func(*args, **named)
            return result.detach() if isinstance(result, Tensor) else result
        if name in _PRODUCTS and len(args) > 1 and _is_open(args[0]) and _is_open(args[1]):
            one, other = args[0], args[1]
            halves = 0.5 * (one * other.detach() + one.detach() * other)
            return _with_derivative(func(*args, **named), halves)
        return func(*args, **named)

    def _note_norm(self) -> None:
        self.held.update(self._norms)

    def _entering(self, is_held: bool) -> Any:
        def enter(module: nn.Module, args: tuple[Any, ...]) -> None:
            self._scopes.append(is_held)

        return enter

    def _leaving(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        self._scopes.pop()

    def _entering_norm(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        self._norms.append(module)

    def _leaving_norm(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        self._norms.pop()

    def _hold_activation(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if torch.is_grad_enabled() and _is_open(args[0]):
            return held_activation(args[0], output, lambda z: module.forward(z, *args[1:]))
        return output


def held_activation(z: Tensor, y: Tensor, act: Callable[[Tensor], Tensor]) -> Tensor:
    """Return `y = act(z)`, with the derivative of `z · g` for the constant gate `g = act(z) / z`.

    Args:
        z: the argument.
        y: the value.
        act: the activation, by elements, with `act(0) = 0`.
    """
    with torch.no_grad():
        is_zero = z == 0
        if bool(is_zero.any()):
            there = torch.where(is_zero, _SMALL, z)
            gate = act(there) / there
        else:
            gate = y / z
    return _with_derivative(y, z * gate)


def _held_norm(
    func: Callable[..., Tensor], x: Tensor, shape: Sequence[int], *more: Any, **named: Any
) -> Tensor:
    """Return the value of a fused norm, with the derivative of a norm whose scale is a constant."""
    names = ("weight", "bias", "eps") if func is F.layer_norm else ("weight", "eps")
    given = {"weight": None, "bias": None, "eps": None, **dict(zip(names, more, strict=False)), **named}
    dims = tuple(range(-len(shape), 0))
    wide = x.float()
    if func is F.layer_norm:
        wide = wide - wide.mean(dims, keepdim=True)
    with torch.no_grad():
        eps = 1e-5 if func is F.layer_norm else torch.finfo(x.dtype).eps
        scale = (wide.square().mean(dims, keepdim=True) + (given["eps"] or eps)).rsqrt()
    z = wide * scale
    if given["weight"] is not None:
        z = z * given["weight"]
    if given["bias"] is not None:
        z = z + given["bias"]
    return _with_derivative(func(x, shape, *more, **named), z.to(x.dtype))


def _is_open(value: Any) -> bool:
    """Return whether a value depends on the stream."""
    return isinstance(value, Tensor) and value.requires_grad


def _with_derivative(y: Tensor, z: Tensor) -> Tensor:
    """Return the value of `y` with the derivative of `z`."""
    return y.detach() + (z - z.detach())
