"""The schema of a fit's state in a checkpoint: what it may hold, checked before any of it is used.

A checkpoint may come from anywhere, and a tensor of another size, layout or dtype would fail only where it is
computed with, or take the memory that it claims.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lenstui.support.errors import LensError

_LARGEST = 1 << 53  # whole numbers that a float holds exactly

Check = Callable[[object], bool]
"""Whether a value is what the schema wants."""
Schema = Mapping[str, Check]
"""The checks of the entries of a table, none of which may be missing."""


def check_state(kept: object, schema: Schema) -> None:
    """Refuse a state that does not agree with a schema.

    Raises:
        LensError: if it does not; the message names the first wrong entry.
    """
    if not isinstance(kept, Mapping):
        raise LensError("The checkpoint is damaged: its state is no table.")
    for name, is_right in schema.items():
        if name not in kept:
            raise LensError(f"The checkpoint is damaged, or of another lenstui: its state has no {name}.")
        if not is_right(kept[name]):
            raise LensError(f"The checkpoint does not fit this model and these options ({name}).")


def tensor(*shape: int, dtype: torch.dtype = torch.float32) -> Check:
    """Check for a tensor of a shape and dtype whose numbers are all there."""

    def check(value: object) -> bool:
        return (
            isinstance(value, Tensor)
            and value.layout is torch.strided
            and (value.shape, value.dtype, value.device.type) == (shape, dtype, "cpu")
        )

    return check


def whole(least: int = 0, most: int = _LARGEST) -> Check:
    """Check for a whole number within limits."""
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def flag(value: object) -> bool:
    """Return whether a value is True or False."""
    return isinstance(value, bool)


def duration(value: object) -> bool:
    """Return whether a value is a number of seconds."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LARGEST


def optional(is_right: Check) -> Check:
    """Check for None, or what another check is for."""
    return lambda value: value is None or is_right(value)


def items(checks: Sequence[Check]) -> Check:
    """Check for a list of as many items as there are checks, one for each."""

    def check(value: object) -> bool:
        return (
            isinstance(value, list)
            and len(value) == len(checks)
            and all(is_right(item) for is_right, item in zip(checks, value, strict=True))
        )

    return check


def table(schema: Schema) -> Check:
    """Check for a table with the entries of a schema and no others."""

    def check(value: object) -> bool:
        return (
            isinstance(value, Mapping)
            and value.keys() == schema.keys()
            and all(is_right(value[name]) for name, is_right in schema.items())
        )

    return check


def optimizer(own: torch.optim.Optimizer) -> Check:
    """Check for the state of an optimizer of the same class, parameters and settings.

    It keeps tensors of its parameters' shapes, and numbers, and nothing before the first step.
    """
    fresh = own.state_dict()["param_groups"]
    shapes = [tuple(p.shape) for group in own.param_groups for p in group["params"]]
    kept_by = _kept_by(own)

    def is_kept(shape: tuple[int, ...]) -> Check:
        return table({name: _is_like(value, shape) for name, value in kept_by.items()})

    def check(value: object) -> bool:
        if not isinstance(value, Mapping) or value.keys() != {"state", "param_groups"}:
            return False
        groups, kept = value["param_groups"], value["state"]
        return (
            items([_settings(group) for group in fresh])(groups)
            and isinstance(kept, Mapping)
            and all(whole(0, len(shapes) - 1)(number) for number in kept)
            and all(is_kept(shapes[number])(item) for number, item in kept.items())
        )

    return check


def _kept_by(own: torch.optim.Optimizer) -> Mapping[str, Any]:
    """Return what an optimizer keeps for a parameter, found in a step of one of shape `[1, 1]`."""
    small = torch.nn.Parameter(torch.zeros(1, 1))
    small.grad = torch.zeros(1, 1)
    settings = {name: value for name, value in own.param_groups[0].items() if name != "params"}
    one = type(own)([{**settings, "params": [small]}])  # type: ignore[call-arg]
    one.step()
    return one.state_dict()["state"].get(0, {})  # type: ignore[no-any-return]


def _is_like(kept: Tensor | None, shape: tuple[int, ...]) -> Check:
    """Check for what is kept for a parameter of a shape, where `kept` is kept for one of shape `[1, 1]`."""
    if kept is None:
        return lambda value: value is None
    return tensor(*shape) if kept.ndim else tensor()


def _settings(fresh: Mapping[str, Any]) -> Check:
    """Check for the settings of a group of parameters: those of a fresh one, but for its rates."""

    def is_like(name: str) -> Check:
        if name in {"lr", "scale"}:
            return lambda value: isinstance(value, float) and math.isfinite(value)
        own = list(fresh[name]) if isinstance(fresh[name], tuple) else fresh[name]  # as a state has it
        return lambda value: type(value) is type(own) and value == own

    return table({name: is_like(name) for name in fresh})
