"""A prompt's forward pass as a differentiable graph, and rows of its Jacobians from backward passes.

Every row that is read has a shift: a vector of zeros that is added to its hidden states at all source columns
at once. The gradient by the shift is then the sum over the source columns, and no gradient of the size of the
hidden states is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lenstui.model.load import Model
from lenstui.model.residual import logits_options
from lenstui.support.errors import LensError

_T = TypeVar("_T")

Rules = Callable[[], AbstractContextManager[None]]
"""A function that returns the context of a forward pass."""


@dataclass(frozen=True, slots=True)
class Derivative:
    """What is differentiated by what.

    Attributes:
        rows: the indices `i` of the rows `h_i` to take the derivative by, all below `target`.
        target: the index of the row whose derivative is taken.
        first: the first source and target column; the one before the last is the last of either.
    """

    rows: range
    target: int
    first: int


@dataclass(frozen=True, slots=True)
class Way:
    """A way to compute the same Jacobian.

    Attributes:
        prefix: whether the first columns, which are no sources, are run without a graph, and the others read
            their keys and values. Otherwise all columns run in one pass.
        batched: whether several output dimensions are batched in one backward pass through one graph.
            Otherwise the prompt is run in as many copies as there are dimensions at once.
        chunk: the number of output dimensions at once; of those that go through attention at once, where the
            blocks are taken apart.
        parts: whether the blocks are taken apart, and autograd is left out (`by_parts`).
    """

    prefix: bool
    batched: bool
    chunk: int
    parts: bool = False


def scaled(steps: Generator[float, None, _T], start: float, size: float) -> Generator[float, None, _T]:
    """Yield the shares of a piece of work as those of the whole, and return what the piece returns.

    Args:
        steps: the piece, which yields the share of it that is done.
        start: the share of the whole that was done before it.
        size: the share of the whole that it is.
    """
    while True:
        try:
            share = next(steps)
        except StopIteration as end:
            return cast(_T, end.value)
        yield start + size * share


@dataclass(frozen=True, eq=False)
class Graph:
    """The forward pass of a prompt, with all that its backward passes need.

    Attributes:
        shifts: the shift of each row, float32, `[d]`, or `[copies, 1, d]` of a prompt in copies.
        target: the hidden states whose derivative is taken, `[copies, cols, d]`.
        first: the first source and target column.
        way: the way to compute the Jacobian.
    """

    shifts: tuple[Tensor, ...]
    target: Tensor
    first: int
    way: Way

    @property
    def chunk(self) -> int:
        """The most output dimensions of a call."""
        return self.way.chunk

    def jacobian_steps(self, dims: range) -> Generator[float, None, Tensor]:
        """Return what `jacobian` returns; a single step, so that nothing is yielded."""
        yield from ()
        return self.jacobian(dims)

    def jacobian(self, dims: range) -> Tensor:
        """Return some output dimensions of every row's Jacobian, `[rows, dims, d]`, float32, on the CPU.

        It is the mean over the source columns of the sum over the target columns from there on (no column
        depends on a later one).

        Args:
            dims: the output dimensions, at most `way.chunk`.

        Raises:
            RuntimeError: if the model has an operation that cannot be differentiated.
        """
        copies, cols, d = self.target.shape
        places, ones = torch.arange(len(dims)), torch.tensor(dims)
        if self.way.batched:
            seeds = self.target.new_zeros(len(dims), copies, cols, d)
            seeds[places, :, self.first :, ones] = 1
        else:
            seeds = torch.zeros_like(self.target)
            seeds[places, self.first :, ones] = 1
        gradients = torch.autograd.grad(
            self.target, self.shifts, seeds, retain_graph=True, is_grads_batched=self.way.batched
        )
        sums = torch.stack([gradient.reshape(-1, d)[: len(dims)].cpu() for gradient in gradients])
        return sums / (cols - self.first)


def build_graph(model: Model, ids: Tensor, of: Derivative, way: Way, rules: Rules = nullcontext) -> Graph:
    """Run a prompt, and keep what backward passes need.

    Args:
        model: from `load`.
        ids: the token ids, `[cols]`, on the CPU. The last one is neither source nor target, and is not run.
        of: the derivative to take.
        way: the way to compute it.
        rules: returns a context for the forward pass, in which the model's own derivatives are replaced.

    Raises:
        LensError: if the hidden states are not finite.
        RuntimeError, TypeError, ValueError, AttributeError: if the model cannot be run in this way.
    """
    first = of.first
    module = model.module
    ids = ids[:-1].to(model.device).expand(1 if way.batched else way.chunk, -1)
    options = {"use_cache": False, **logits_options(module)}
    with without_parameters(module), sdpa_kernel(SDPBackend.MATH):
        if way.prefix and first:
            with torch.no_grad():
                prefix = module(input_ids=ids[:, :first], **{**options, "use_cache": True})
            options = {**options, **_cache(prefix), "use_cache": True}
            ids, first = ids[:, first:], 0
        with torch.enable_grad(), rules(), _Watch(model, of, first) as watch:
            module(input_ids=ids, **options)
    kept = watch.target
    assert kept is not None
    if not bool(kept.isfinite().all()):
        raise LensError(
            f"The model's hidden states are not finite on this text in {model.dtype_name}: "
            "no lens can be fitted."
        )
    return Graph(tuple(watch.shifts[row] for row in of.rows), kept, first, way)


def _cache(output: Any) -> dict[str, Any]:
    """Return the cache in a causal LM's output, by the name of the argument that takes it.

    Raises:
        TypeError: if there is none.
    """
    for name in ("cache", "past_key_values"):  # transformers 5 calls it by either name
        if (cache := output.get(name)) is not None:
            return {name: cache}
    raise TypeError("there is no cache of keys and values")


class _Watch(ExitStack):
    """Hooks that add the shifts to the rows, and keep the target."""

    def __init__(self, model: Model, of: Derivative, first: int) -> None:
        super().__init__()
        self.shifts: dict[int, Tensor] = {}
        self.target: Tensor | None = None
        self._first = first
        anatomy = model.anatomy
        for row in of.rows:
            self._keep(anatomy.blocks[row].register_forward_pre_hook(self._shifting(row)))
        if of.target < len(anatomy.blocks):
            self._keep(anatomy.blocks[of.target].register_forward_pre_hook(self._keep_input))
        elif anatomy.final_norm is not None:
            self._keep(anatomy.final_norm.register_forward_pre_hook(self._keep_input))
        else:
            self._keep(anatomy.blocks[-1].register_forward_hook(self._keep_output))

    def _keep(self, handle: Any) -> None:
        self.callback(handle.remove)

    def _shifting(self, row: int) -> Any:
        def shift(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            h = args[0]  # [copies, cols, d]
            shape = (h.shape[-1],) if len(h) == 1 else (len(h), 1, h.shape[-1])
            zeros = torch.zeros(shape, dtype=torch.float32, device=h.device, requires_grad=True)
            self.shifts[row] = zeros
            added = zeros.expand_as(h)
            if self._first:
                is_source = torch.arange(h.shape[1], device=h.device) >= self._first
                added = added * is_source[:, None]
            return (h + added.to(h.dtype), *args[1:])

        return shift

    # The last call counts: NanoChat norms its embedding with the final norm too.
    def _keep_input(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        self.target = args[0].clone()  # some families add to the stream in place

    def _keep_output(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        self.target = (output[0] if isinstance(output, (tuple, list)) else output).clone()


@contextmanager
def without_parameters(module: nn.Module) -> Iterator[None]:
    """Leave the parameters out of the graph, which makes it smaller."""
    wanted = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in wanted:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)
