"""The submodules of a block that add to the residual stream, and their factors: found by value, in any dtype.

There is no table of families, and real activations are not summed: beside a stream of 20,000 everything "adds
up" in half precision. Instead the model runs once on substituted numbers: every block gets small whole
numbers as its stream, and the output of each of its submodules is replaced by others. The block's output is
then a linear combination of known numbers, exact in every dtype, and least squares gives its coefficients: 1
for the stream, a factor for each submodule that adds to it, 0 for all others.

Where a submodule carries the stream itself (BLOOM's attention takes the residual and returns it with its own
addition), the stream's coefficient is 0. That submodule is then left to run, and the submodules within it are
tried.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from lenstui.model.load import Model, wiring_ids
from lenstui.support.errors import LensError

_COLUMNS = 16
_LARGEST = 42  # three such numbers add up to less than 128, which bfloat16 holds exactly
_NONE = 1e-3  # a smaller coefficient counts as 0
_ATTENTION = ("attn", "attention", "mixer", "mamba", "ssm", "conv", "recurrent", "time_mix", "linear_att")
_MLP = ("mlp", "moe", "feedforward", "ffn")  # in the class name, of a block's only part

_MOST_NAMED = 4

_Call = tuple[str, int]  # a submodule's path in its block, and the index of the call, from 0
_Term = tuple[_Call, float]  # a call and its coefficient


@dataclass(frozen=True, eq=False)
class Summand:
    """A call of a submodule whose output is added to the residual stream.

    Attributes:
        module: the submodule.
        name: its path within the block.
        call: the index of the call among this submodule's calls in the block, from 0.
        factor: the factor on its output.
    """

    module: nn.Module
    name: str
    call: int
    factor: float


@dataclass(frozen=True, eq=False)
class BlockSum:
    """The submodules of a block that add to the residual stream.

    Attributes:
        attention: attention, or the mixer in its place; None in a block that has only an MLP.
        mlp: the MLP; None in a block that has none.
        is_sequential: whether the MLP reads the stream after attention; True where there is only one of them.
    """

    attention: Summand | None
    mlp: Summand | None
    is_sequential: bool


_known: WeakKeyDictionary[nn.Module, tuple[BlockSum, ...]] = WeakKeyDictionary()


def find_summands(model: Model) -> tuple[BlockSum, ...]:
    """Return, for every block, the submodules that add to the residual stream; cached for each model.

    Args:
        model: from `load`.

    Raises:
        LensError: if a block's output is not its input plus the outputs of one or two submodules.
    """
    if model.module not in _known:
        _known[model.module] = _found(model.clean)
    return _known[model.module]


def _found(model: Model) -> tuple[BlockSum, ...]:
    columns = wiring_ids(model.tokenizer, model.vocabulary)[:, :_COLUMNS]
    found: dict[int, BlockSum] = {}
    # For each block, the untried sets of calls that keep their real output.
    untried: list[list[frozenset[_Call]]] = [[frozenset()] for _ in model.anatomy.blocks]
    outermost: dict[int, Sequence[_Term]] = {}
    while len(found) < len(untried):
        running = [sets.pop(0) if sets else frozenset() for sets in untried]
        for number, trial in enumerate(_run(model, columns, running)):
            if number in found:
                continue
            solution = trial.solved()
            outermost.setdefault(number, solution.terms)
            if solution.is_whole and len(solution.terms) in {1, 2}:
                found[number] = _block_sum(model, trial, solution.terms)
                continue
            if not solution.has_stream:  # a substituted output carried the stream
                untried[number] += [
                    running[number] | {call} for call, _ in solution.terms if trial.is_outer(call)
                ]
            if not untried[number]:
                raise _refused(model, number, outermost[number])
    return tuple(found[number] for number in range(len(untried)))


def _refused(model: Model, number: int, terms: Sequence[_Term]) -> LensError:
    names = list(dict.fromkeys(name for (name, _), _ in terms))
    parts = ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
    return LensError(
        f"{type(model.module).__name__}: what block {number} hands on is not its input plus what one or two "
        f"of its parts put out ({parts or 'none'}), so that attention and MLP cannot be told apart."
    )


@dataclass(eq=False)
class _Trial:
    """One block, run on substituted numbers.

    Attributes:
        given: the substituted stream that enters the block, `[cols, d]`, float64.
        modules: the block's submodules, with their paths.
        precision: the relative rounding of the stream's dtype.
        put: the substitute for each call's output, `[cols, d]`, float64.
        entered: the hidden states that entered its submodules, `[cols, d]`, float64.
        inside: paths of all submodules that output a hidden state.
        handed_on: the block's output, `[cols, d]`, float64.
    """

    given: Tensor
    modules: dict[nn.Module, str]
    precision: float
    put: dict[_Call, Tensor] = field(default_factory=dict)
    entered: list[Tensor] = field(default_factory=list)
    inside: set[str] = field(default_factory=set)
    handed_on: Tensor | None = None

    def is_outer(self, call: _Call) -> bool:
        """Return whether a submodule within that of `call` outputs a hidden state too."""
        return any(name.startswith(f"{call[0]}.") for name in self.inside)

    def solved(self) -> _Solution:
        """Return the block's output as a linear combination of the substituted numbers."""
        assert self.handed_on is not None
        stream, *outputs = [given.flatten() for given in (self.given, *self.put.values())]
        wanted = self.handed_on.flatten()
        if not bool(wanted.isfinite().all()):
            return _Solution(tuple((call, 1.0) for call in self.put), has_stream=False, is_whole=False)
        known = torch.stack([stream, *outputs])  # [1 + calls, cols · d]
        weight, *factors = (
            torch.linalg.lstsq(known @ known.T, (known @ wanted)[:, None]).solution[:, 0].tolist()
        )
        terms = {call: factor for call, factor in zip(self.put, factors, strict=True) if abs(factor) > _NONE}
        sizes, total = stream.abs(), stream.clone()
        for call, factor in terms.items():
            total += factor * self.put[call].flatten()
            sizes += (factor * self.put[call].flatten()).abs()
        is_rounding = bool(((total - wanted).abs() <= 4 * self.precision * sizes).all())
        return _Solution(tuple(terms.items()), has_stream=abs(weight - 1) < _NONE, is_whole=is_rounding)


@dataclass(frozen=True)
class _Solution:
    """A block's output as a linear combination of the substituted numbers.

    Attributes:
        terms: the calls whose output has a coefficient that is not 0.
        has_stream: whether the block's input has the coefficient 1.
        is_whole: whether the input once and these terms make up the whole output, up to rounding.
    """

    terms: tuple[_Term, ...]
    has_stream: bool
    is_whole: bool


def _run(model: Model, ids: Tensor, running: Sequence[frozenset[_Call]]) -> list[_Trial]:
    """Run the model once, with substitutes for every block's stream and for its submodules' outputs.

    Args:
        model: from `load`.
        ids: `[1, cols]`.
        running: for every block, the calls that keep their real output.
    """
    generator = torch.Generator().manual_seed(0)
    shape = ids.shape[1], model.d_model
    trials: list[_Trial] = []
    counts: Counter[str] = Counter()
    at: list[int | None] = [None]  # the running block

    def numbers() -> Tensor:
        drawn = torch.randint(-_LARGEST, _LARGEST + 1, shape, generator=generator).double()
        drawn[0] = 0  # in a column of zeros whatever else a block adds stands out
        return drawn

    def hidden(value: Any) -> Tensor | None:
        if not isinstance(value, Tensor) or not value.is_floating_point() or value.ndim not in {2, 3}:
            return None
        return value if value.shape[-1] == shape[1] and value.numel() == shape[0] * shape[1] else None

    def wide(value: Tensor) -> Tensor:
        return value.detach().reshape(shape).to("cpu", torch.float64, copy=True)

    def entering(number: int | None, names: dict[nn.Module, str]) -> Any:
        def enter(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
            if at[0] is not None:
                trials[at[0]].handed_on = wide(args[0])
            at[0] = number
            if number is None:
                return None
            counts.clear()
            given = numbers()
            trials.append(_Trial(given, names, torch.finfo(args[0].dtype).eps))
            return given.reshape(args[0].shape).to(args[0]), *args[1:]

        return enter

    def leaving(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        trial = trials[at[0]] if at[0] is not None else None
        if trial is None or module not in trial.modules:
            return None
        name = trial.modules[module]
        call = name, counts[name]
        counts[name] += 1
        if args and (entered := hidden(args[0])) is not None:
            trial.entered.append(wide(entered))
        left = output[0] if isinstance(output, (tuple, list)) and output else output
        if hidden(left) is None:
            return None
        trial.inside.add(name)
        if call in running[len(trials) - 1]:
            return None
        trial.put[call] = numbers()
        other = trial.put[call].reshape(left.shape).to(left)
        return other if left is output else type(output)((other, *output[1:]))

    def last(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        trials[-1].handed_on = wide(output[0] if isinstance(output, (tuple, list)) else output)

    blocks = model.anatomy.blocks
    names = [{module: name for name, module in block.named_modules() if name} for block in blocks]
    handles = [
        module.register_forward_hook(leaving) for module in dict.fromkeys(m for each in names for m in each)
    ]
    handles += [
        block.register_forward_pre_hook(entering(number, names[number]))
        for number, block in enumerate(blocks)
    ]
    if model.anatomy.final_norm is not None:
        handles.append(model.anatomy.final_norm.register_forward_pre_hook(entering(None, {})))
    else:
        handles.append(blocks[-1].register_forward_hook(last))
    try:
        model.stream(ids)
    finally:
        for handle in handles:
            handle.remove()
    return trials


def _block_sum(model: Model, trial: _Trial, terms: Sequence[_Term]) -> BlockSum:
    named = _named_factors(model)
    modules = {name: module for module, name in trial.modules.items()}
    first, *others = (
        Summand(modules[name], name, call, _exact(factor, named)) for (name, call), factor in terms
    )
    if not others:
        is_mlp = any(word in type(first.module).__name__.lower() for word in _MLP)
        return BlockSum(None, first, True) if is_mlp else BlockSum(first, None, True)
    (second,) = others
    if _is_attention(second) and not _is_attention(first):
        first, second = second, first
    added = first.factor * trial.put[first.name, first.call]
    mid, room = trial.given + added, 4 * trial.precision * (trial.given.abs() + added.abs())
    reads_mid = any(bool(((entered - mid).abs() <= room).all()) for entered in trial.entered)
    return BlockSum(first, second, reads_mid)


def _is_attention(summand: Summand) -> bool:
    return any(word in summand.name.lower() for word in _ATTENTION)


def _named_factors(model: Model) -> tuple[float, ...]:
    """Return the factors on the outputs of sublayers that the config names, under each family's key."""
    config = model.module.config.get_text_config(decoder=True)
    plain = getattr(config, "residual_multiplier", None)  # Granite
    by_depth = getattr(config, "scale_depth", None)  # MiniCPM
    return (
        *((float(plain),) if plain else ()),
        *((float(by_depth) / math.sqrt(model.num_blocks),) if by_depth else ()),
    )


def _exact(factor: float, named: Sequence[float]) -> float:
    """Return the fitted factor, replaced by 1 or a factor of the config where both agree up to rounding."""
    return next((value for value in (1.0, *named) if abs(factor / value - 1) < 5e-3), factor)
