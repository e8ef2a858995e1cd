"""The state of the fit of a Jacobian lens: all that changes from one piece of work to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

from lenstui.fitting.jacobian.convergence import held_out_states
from lenstui.fitting.jacobian.field_sums import FieldSums
from lenstui.fitting.jacobian.graph import Derivative, Rules, Way
from lenstui.fitting.jacobian.prompts import FitPrompts
from lenstui.fitting.jacobian.relp import Relp
from lenstui.fitting.jacobian.relp_check import proven_relp
from lenstui.fitting.jacobian_options import JacobianOptions
from lenstui.fitting.processes import ALONE, Processes
from lenstui.fitting.state_schema import (
    Schema,
    check_state,
    duration,
    flag,
    optional,
    table,
    tensor,
    whole,
)
from lenstui.model.load import Model
from lenstui.model.memory import free_memory
from lenstui.support.errors import LensError


@dataclass(eq=False)
class JacobianState:
    """All that changes while a Jacobian lens is fitted, consistent at every yield.

    The output dimensions of a prompt are done in order, each on its own, so that in the middle of a prompt
    the first ones are sums over one prompt more than the others.

    With a control variate the Jacobian of every `exact_every`th prompt is computed alone; a prompt's half is
    that of the last such prompt, and the sums are of what is exact less the mean field.

    Attributes:
        sums: the sum of the Jacobians over the prompts, `[rows, d, d]`, float32, on the CPU.
        halves: the sums, over the prompts with even and with odd numbers, of what their Jacobians make of the
            held-out hidden states, `[2, rows, positions, d]`, float32, on the CPU.
        squares: the sum of the squared norms of each output dimension, `[rows, d]`.
        exact_every: the distance between two prompts whose Jacobian is computed.
        field: the sums of a control variate; None without one.
        way: the way in which Jacobians are computed; None until it is proven.
        prompts: the number of prompts that are done.
        dims: the number of output dimensions of the next prompt that are done.
        seconds: seconds of work.
        prompt_seconds: seconds of work on prompts.
        convergence: the share of top tokens that both halves have in common, `[rows]`; None until measured.
        measured_prompts: the number of prompts when it was last measured.
    """

    sums: Tensor
    halves: Tensor
    squares: Tensor
    exact_every: int = 1
    field: FieldSums | None = None
    way: Way | None = None
    prompts: int = 0
    dims: int = 0
    seconds: float = 0.0
    prompt_seconds: float = 0.0
    convergence: Tensor | None = None
    measured_prompts: int = 0

    @property
    def step(self) -> int:
        """The number of prompts that are done."""
        return self.prompts

    @property
    def place(self) -> tuple[int, ...]:
        """How far the fit is: the same in all processes that are at the same place."""
        return self.prompts, self.dims, self.measured_prompts

    @property
    def has_learned(self) -> bool:
        """Whether there is a lens to keep: every output dimension was seen."""
        return self.prompts > 0

    def counts(self) -> Tensor:
        """Return how many prompts each output dimension of the sums holds, `[d]`."""
        return self.half_counts().sum(0)

    def half_counts(self) -> Tensor:
        """Return how many prompts each output dimension of the halves holds, `[2, d]`."""
        d = self.sums.shape[-1]
        exact = -(-self.prompts // self.exact_every)
        counts = torch.tensor([-(-exact // 2), exact // 2], dtype=torch.float32)
        counts = counts[:, None].repeat(1, d)
        counts[self.half_of(self.prompts), : self.dims] += 1
        return counts

    def half_of(self, prompt: int) -> int:
        """Return the half that a prompt belongs to."""
        return prompt // self.exact_every % 2

    @property
    def is_exact(self) -> bool:
        """Whether the Jacobian of the current prompt is to be computed."""
        return self.prompts % self.exact_every == 0

    @property
    def has_halves(self) -> bool:
        """Whether either half has a prompt."""
        return self.prompts > self.exact_every

    def mean(self) -> Tensor:
        """Return the estimate of the mean Jacobian, `[rows, d, d]`."""
        mean = self.sums / self.counts()[:, None]
        return mean if self.field is None else self.field.add_mean(mean)

    def half_means(self) -> Tensor:
        """Return what either half makes of the held-out hidden states, `[2, rows, positions, d]`."""
        means = self.halves / self.half_counts()[:, None, None]
        return means if self.field is None else means + self.field.half_means

    def error(self) -> Tensor | None:
        """Return the standard error of each row's estimate, as a share of its norm, `[rows]`.

        None where too few prompts are done to know.
        """
        counts = self.counts()
        if float(counts.min()) < 2:
            return None
        errors = []
        for row, sums in enumerate(self.sums):  # one at a time: `[d, d]` may be large
            mean = sums / counts[:, None]
            variance = ((self.squares[row] / counts - mean.square().sum(-1)) / (counts - 1)).sum()
            if self.field is not None:
                variance += self.field.variance(row, mean, counts)
                mean += self.field.total[row] / self.field.counts.sum()
            errors.append(variance.clamp(min=0).sqrt() / mean.norm())
        return torch.stack(errors)

    def add(self, jacobian: Tensor, first: int, held_out: Tensor, field: Tensor | None = None) -> None:
        """Add some output dimensions of the current prompt to the sums.

        Args:
            jacobian: `[rows, dims, d]`.
            first: the first of them.
            held_out: the held-out hidden states, `[rows, positions, d]`.
            field: the prompt's mean field, `[rows, d, d]`; None without a control variate.
        """
        dims = slice(first, first + jacobian.shape[1])
        if field is not None and self.field is not None:
            jacobian = jacobian - field[:, dims]
            self.field.products[:, dims] += (jacobian * field[:, dims]).sum(-1)
        self.sums[:, dims] += jacobian
        self.squares[:, dims] += jacobian.square().sum(-1)
        self.halves[self.half_of(self.prompts), :, :, dims] += held_out @ jacobian.mT

    def add_field(self, field: Tensor, prompt: int, held_out: Tensor) -> None:
        """Add the mean field of a prompt, `[rows, d, d]`, to the sums of a control variate.

        Args:
            field: the mean field.
            prompt: the number of the prompt.
            held_out: the held-out hidden states, `[rows, positions, d]`.
        """
        if self.field is not None:
            self.field.add(field, self.half_of(prompt), held_out)

    def advance(self, dims: int) -> None:
        """Note that so many output dimensions of the current prompt are done, and go on to the next one."""
        self.dims = dims
        if dims == self.sums.shape[-1]:
            self.prompts, self.dims = self.prompts + 1, 0

    def half_parts(self) -> Iterator[Tensor]:
        """Yield the sums that the halves are made of, of which several processes have parts."""
        yield self.halves
        if self.field is not None:
            yield from (self.field.halves, self.field.counts)

    def parts(self) -> Iterator[Tensor]:
        """Yield all sums over the prompts, of which several processes have parts."""
        yield from self.half_parts()
        yield self.squares
        for tensors in (self.sums, *(() if self.field is None else (self.field.total,))):
            yield from tensors  # row by row
        if self.field is not None:
            yield from (self.field.squares, self.field.products)

    def hold_no_part(self) -> None:
        """Leave the sums to the first process."""
        for part in self.parts():
            part.zero_()

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors on the CPU and plain values, for a checkpoint."""
        way = None if self.way is None else asdict(self.way)
        plain = {name: _kept(getattr(self, name)) for name in _PLAIN}
        field = None if self.field is None else self.field.state_dict()
        return {**plain, "way": way, "field": field, "step": self.step}

    def load_state_dict(self, kept: Mapping[str, Any]) -> None:
        """Restore the state from a `state_dict` of a fit with the same model and options.

        Raises:
            LensError: if it does not agree with the schema of such a state.
        """
        check_state(kept, self._schema())
        for name in _PLAIN:
            setattr(self, name, kept[name])
        if self.field is not None:
            self.field.load_state_dict(kept["field"])
        self.way = None if kept["way"] is None else Way(**kept["way"])

    def _schema(self) -> Schema:
        """Return what a state of a fit with the same model and options may hold."""
        rows, d, _ = self.sums.shape
        field = optional(table({})) if self.field is None else table(self.field.schema())
        return {
            "sums": tensor(*self.sums.shape),
            "halves": tensor(*self.halves.shape),
            "squares": tensor(*self.squares.shape),
            "field": field,
            "way": optional(_WAY),
            "dims": whole(0, d - 1),
            "convergence": optional(tensor(rows)),
            **dict.fromkeys(("prompts", "measured_prompts"), whole()),
            **dict.fromkeys(("seconds", "prompt_seconds"), duration),
        }


_WAY = table({"prefix": flag, "batched": flag, "chunk": whole(1, 1 << 12), "parts": flag})
_PLAIN = (
    "sums", "halves", "squares", "prompts", "dims", "seconds", "prompt_seconds", "convergence",
    "measured_prompts",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class JacobianFit:
    """The fit of a Jacobian lens under way.

    Attributes:
        model: from `load`.
        prompts: its prompts.
        options: the options, adapted to the model and the text.
        state: the current state, which `jacobian_steps` advances.
        held_out: the hidden states that convergence is measured on, `[rows, positions, d]`, float32, on the
            CPU.
        data: the names of the texts.
        processes: the processes that fit it together. Between two rounds they have the same state, but for
            sums over the prompts, of which each has a part.
    """

    model: Model
    prompts: FitPrompts
    options: JacobianOptions
    state: JacobianState
    held_out: Tensor
    data: tuple[str, ...] = ()
    processes: Processes = ALONE

    @classmethod
    def new(
        cls,
        model: Model,
        prompts: FitPrompts,
        options: JacobianOptions,
        data: tuple[str, ...] = (),
        processes: Processes = ALONE,
    ) -> JacobianFit:
        """Return a fit before its first step.

        Raises:
            LensError: if there is no row to fit, or memory is too short for the Jacobians.
        """
        rows, d = derivative(model, options).rows, model.d_model
        is_exact = options.estimator == "exact"
        sums_of_each = 1 if is_exact else 2
        _check_memory(len(rows), d, copies=sums_of_each * processes.count_here + 1)
        held_out = held_out_states(model, prompts.held_out, rows, options.skip_first)
        sums, halves = torch.zeros(len(rows), d, d), torch.zeros(2, *held_out.shape)
        field = None if is_exact else FieldSums.zeros(sums, halves)
        state = JacobianState(sums, halves, torch.zeros(len(rows), d), options.exact_every, field)
        return cls(model, prompts, options, state, held_out, data, processes)

    def gather(self) -> None:
        """Bring the whole state to the first process."""
        self.processes.gather(self.state.parts())

    @property
    def derivative(self) -> Derivative:
        """The derivative that its Jacobians are the mean of."""
        return derivative(self.model, self.options)

    @cached_property
    def relp(self) -> Relp | None:
        """The rules of an R-Lens, proven on the first prompt; None without such a rule.

        Raises:
            LensError: if they do not hold in the model.
        """
        return proven_relp(self.model, self.prompts.train[0]) if self.options.rule == "relp" else None

    @property
    def rules(self) -> Rules:
        """A function that returns a context for the forward pass."""
        return nullcontext if self.relp is None else self.relp.applied

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all prompts, by which a resumed fit identifies its text."""
        digest = blake2b(digest_size=16)
        for prompt in (*self.prompts.train, *self.prompts.held_out):
            digest.update(prompt.numpy().tobytes())
        return digest.hexdigest()


def _check_memory(rows: int, d: int, copies: int) -> None:
    """Refuse a fit whose sums, in all processes, and the means that are made of them do not fit in memory."""
    needed, free = copies * 4 * rows * d * d, free_memory()
    if free is not None and needed > free:
        raise LensError(
            f"The Jacobians of {rows} rows of width {d} take {needed / 1e9:.1f} GB of main memory, and "
            f"{free / 1e9:.1f} GB are free."
        )


def derivative(model: Model, options: JacobianOptions) -> Derivative:
    """Return the derivative that a fit takes, by all rows below its target.

    Raises:
        LensError: if there is no such row.
    """
    target = model.num_blocks if options.target == "last" else model.num_blocks - 1
    if target < 1:
        raise LensError("The model has a single block, and so no row below the penultimate one.")
    return Derivative(range(target), target, options.skip_first)


def _kept(value: Any) -> Any:
    """Return a copy, which the fit will not change."""
    return value.clone() if isinstance(value, Tensor) else value
