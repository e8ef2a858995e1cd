"""The state of a fit: the model, the text, and all that changes from one micro-batch to the next."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import blake2b
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from lenstui.fitting import state_schema as schema
from lenstui.fitting.closed_form import NormalEquations, is_normal
from lenstui.fitting.gradient import LinearTarget
from lenstui.fitting.muon import Muon
from lenstui.fitting.options import FitOptions
from lenstui.fitting.processes import ALONE, Processes
from lenstui.lens.fit_history import KEY, history_of
from lenstui.lens.formats.header import is_history
from lenstui.lens.tuned import TunedLens
from lenstui.model.load import Model


@dataclass(frozen=True, eq=False)
class FitBlocks:
    """Blocks of token ids to fit on, and others that are never trained on, on the CPU.

    Attributes:
        train: the blocks to fit on, `[cols]` each.
        held_out: the held-out blocks, `[cols]` each.
    """

    train: Sequence[Tensor]
    held_out: Sequence[Tensor]

    @classmethod
    def enough(
        cls, train: Iterable[Tensor], held_out: Iterable[Tensor], options: FitOptions, *, whole: bool = False
    ) -> FitBlocks:
        """Return as many blocks as `options` can use; the rest of a large text is not read.

        Args:
            train: all blocks to fit on.
            held_out: all held-out blocks.
            options: the options with the numbers of tokens.
            whole: whether to take all of `train`.
        """
        return cls(
            list(islice(train, None if whole else -(-options.tokens // options.seq_len))),
            list(islice(held_out, max(1, options.held_out_tokens // options.seq_len))),
        )

    @property
    def train_tokens(self) -> int:
        """The number of columns of all blocks to fit on."""
        return sum(map(len, self.train))

    @property
    def held_out_tokens(self) -> int:
        """The number of columns of all held-out blocks."""
        return sum(map(len, self.held_out))


def block_at(position: int, count: int, seed: int) -> int:
    """Return the index of the block at a position of the fit: pass after pass, each in a different order.

    It depends on the arguments alone, so that a checkpoint needs only the position.

    Args:
        position: the number of blocks before.
        count: the number of blocks.
        seed: the seed of the order.
    """
    number, place = divmod(position, count)
    return int(_order(count, seed, number)[place])


@lru_cache(maxsize=2)
def _order(count: int, seed: int, number: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(mixed_seed(seed, number)))


def mixed_seed(*numbers: int | str) -> int:
    """Return a 32-bit seed made of several numbers or words, since PyTorch uses no more bits."""
    return int.from_bytes(blake2b(repr(numbers).encode(), digest_size=4).digest())


@dataclass(eq=False)
class FitState:
    """All that changes while a fit runs, consistent at every yield of `fit_steps`.

    Attributes:
        weights: `A` of every row, `[d, d]` each, float32; their `grad` is the sum over the step so far.
        biases: `b` of every row, `[d]` each.
        optimizers: the optimizers of weights and biases.
        normal: the normal equations of the closed form, until they are solved.
        solved_rows: the number of rows that the closed form has solved.
        step: the number of optimizer steps so far.
        position: the number of blocks drawn so far.
        blocks_in_step: the number of drawn blocks that belong to the current step.
        tokens: the number of columns seen so far, by the closed form and the steps.
        seconds: seconds of work.
        step_seconds: seconds of work on steps.
        measure_seconds: seconds of work on measuring between steps.
        loss_sums: the losses of the current step so far, nats, `[rows]`.
        loss: the mean loss of the last step, nats, `[rows]`; None before the first step.
        logit_lens_kl: KL(final ‖ logit lens) on the held-out text, nats, `[rows]`; None until measured.
        held_out_kl: KL(final ‖ tuned lens) on it, when last measured, nats, `[rows]`; None until measured.
        held_out_error: the standard error of its mean over the rows, nats; NaN where there is none.
        measured_step: the step at which that was measured; -1 before the closed form.
        measured_tokens: the number of held-out columns that it was measured on.
        history: all that was measured so far, as `lens/fit_history` keeps it.
    """

    weights: list[nn.Parameter]
    biases: list[nn.Parameter]
    optimizers: list[torch.optim.Optimizer]
    loss_sums: Tensor
    normal: NormalEquations | None = None
    solved_rows: int = 0
    step: int = 0
    position: int = 0
    blocks_in_step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    step_seconds: float = 0.0
    measure_seconds: float = 0.0
    loss: Tensor | None = None
    logit_lens_kl: Tensor | None = None
    held_out_kl: Tensor | None = None
    held_out_error: float = math.nan
    measured_step: int = -1
    measured_tokens: int = 0
    history: list[Mapping[str, Any]] = field(default_factory=list)

    @classmethod
    def new(cls, model: Model, options: FitOptions) -> FitState:
        """Return the state before the first step, in which the lens is the logit lens."""
        d, device = model.d_model, model.device
        weights = [nn.Parameter(torch.zeros(d, d, device=device)) for _ in range(model.num_blocks)]
        biases = [nn.Parameter(torch.zeros(d, device=device)) for _ in range(model.num_blocks)]
        optimizers = _optimizers(weights, biases, options)
        return cls(weights, biases, optimizers, torch.zeros(model.num_blocks, device=device))

    @property
    def has_learned(self) -> bool:
        """Whether the lens has seen any text."""
        return self.tokens > 0

    def lens(self) -> TunedLens:
        """Return a copy of the current lens, on its device."""
        with torch.no_grad():
            return TunedLens(torch.stack([*self.weights]), torch.stack([*self.biases]))

    def take_lens(self, lens: TunedLens) -> None:
        """Replace the translators by those of a lens."""
        with torch.no_grad():
            for row, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
                weight.copy_(lens.weight[row])
                bias.copy_(lens.bias[row])

    def scale_rates(self, scales: Tensor) -> None:
        """Set the factor on every row's learning rate, `[rows]`."""
        for optimizer in self.optimizers:
            groups = optimizer.param_groups
            for settings, scale in zip(
                groups, scales.repeat(len(groups) // len(scales)).tolist(), strict=True
            ):
                settings["scale"] = scale

    @property
    def place(self) -> tuple[int, ...]:
        """How far the fit is: the same in all processes that are at the same place."""
        added = 0 if self.normal is None else self.normal.blocks
        return self.step, self.position, self.blocks_in_step, self.solved_rows, added, self.measured_step

    @property
    def translators(self) -> list[nn.Parameter]:
        """The parameters that are fitted."""
        return [parameter for parameter in (*self.weights, *self.biases) if parameter.requires_grad]

    def parts(self) -> Iterator[Tensor]:
        """Yield the tensors that are sums over the text, of which several processes have parts."""
        if self.normal is not None:
            for row in self.normal.rows:
                yield from self.normal.parts_of(row)
        if self.blocks_in_step:
            yield self.loss_sums
            for parameter in self.translators:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                yield parameter.grad

    def hold_no_part(self) -> None:
        """Leave the sums, and the optimizers' memory, to the first process."""
        for part in self.parts():
            part.zero_()
        for optimizer in self.optimizers:
            optimizer.state.clear()

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors on the CPU and plain values, for a checkpoint."""
        return {
            "weights": [_kept(weight) for weight in self.weights],
            "biases": [_kept(bias) for bias in self.biases],
            "gradients": [
                None if parameter.grad is None else _kept(parameter.grad)
                for parameter in (*self.weights, *self.biases)
            ],
            "optimizers": [_on_cpu(optimizer.state_dict()) for optimizer in self.optimizers],
            "normal": None if self.normal is None else self.normal.state_dict(),
            **{name: _kept(getattr(self, name)) for name in _PLAIN},
            KEY: [dict(point) for point in self.history],
        }

    def load_state_dict(self, kept: Mapping[str, Any]) -> None:
        """Restore the state from a `state_dict` of a fit with the same model and options.

        Raises:
            LensError: if it does not agree with the schema of such a state.
        """
        schema.check_state(kept, self._schema())
        parameters = [*self.weights, *self.biases]
        values = [*kept["weights"], *kept["biases"]]
        for parameter, value, gradient in zip(parameters, values, kept["gradients"], strict=True):
            with torch.no_grad():
                parameter.copy_(value)
            parameter.grad = None if gradient is None else gradient.to(parameter.device)
        for own, state in zip(self.optimizers, kept["optimizers"], strict=True):
            own.load_state_dict(state)
        normal = kept["normal"]
        self.normal = None if normal is None else NormalEquations(**normal).to(parameters[0].device)
        for name in _PLAIN:
            setattr(self, name, kept[name])
        self.history = [point.plain for point in history_of(kept)]
        self.loss_sums = self.loss_sums.to(parameters[0].device)

    def _schema(self) -> schema.Schema:
        """Return what a state of a fit with the same model and options may hold."""
        rows, d = len(self.weights), len(self.biases[0])
        matrix, vector, by_row = schema.tensor(d, d), schema.tensor(d), schema.tensor(rows)
        return {
            "weights": schema.items([matrix] * rows),
            "biases": schema.items([vector] * rows),
            "gradients": schema.items([schema.optional(matrix)] * rows + [schema.optional(vector)] * rows),
            "optimizers": schema.items([schema.optimizer(own) for own in self.optimizers]),
            "normal": schema.optional(lambda kept: is_normal(kept, rows, d)),
            "solved_rows": schema.whole(0, rows),
            "measured_step": schema.whole(-1),
            **dict.fromkeys(
                ("step", "position", "blocks_in_step", "tokens", "measured_tokens"), schema.whole()
            ),
            **dict.fromkeys(("seconds", "step_seconds", "measure_seconds"), schema.duration),
            **dict.fromkeys(("loss", "logit_lens_kl", "held_out_kl"), schema.optional(by_row)),
            "held_out_error": lambda kept: isinstance(kept, float),  # NaN too
            "loss_sums": by_row,
            KEY: is_history,
        }


_PLAIN = (
    "loss_sums", "solved_rows", "step", "position", "blocks_in_step", "tokens", "seconds", "step_seconds",
    "measure_seconds", "loss", "logit_lens_kl", "held_out_kl", "held_out_error",
    "measured_step", "measured_tokens",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Fit:
    """A fit under way.

    Attributes:
        model: from `load`.
        blocks: the blocks of its text.
        options: the options, adapted to the model.
        state: the current state, which `fit_steps` advances.
        data: the names of the texts.
        processes: the processes that fit it together. Between two rounds they have the same state, but for
            sums over the text, of which each has a part, and the optimizers, which the first one has.
        held_out: the hidden states of held-out blocks that are kept, `[L + 1, cols, d]`, with what a KL needs
            of the model's distributions, by the number of the block; in no checkpoint.
        streams: the hidden states of the closed form's blocks that are kept for the steps,
            `[L + 1, cols, d]`, by the place of the block; in no checkpoint.
    """

    model: Model
    blocks: FitBlocks
    options: FitOptions
    state: FitState
    data: tuple[str, ...] = ()
    processes: Processes = ALONE
    held_out: dict[int, tuple[Tensor, LinearTarget | None]] = field(default_factory=dict)
    streams: dict[int, Tensor] = field(default_factory=dict)

    @property
    def blocks_per_step(self) -> int:
        """The number of blocks that one step sees."""
        return max(1, self.options.tokens_per_step // len(self.blocks.train[0]))

    def gather(self) -> None:
        """Bring the whole state to the first process."""
        self.processes.gather(self.state.parts())

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all blocks, by which a resumed fit identifies its text."""
        digest = blake2b(digest_size=16)
        for block in (*self.blocks.train, *self.blocks.held_out):
            digest.update(block.numpy().tobytes())
        return digest.hexdigest()


_NEWTON_SCHULZ = 3  # iterations of Muon; its usual 5 reach no lower KL and take longer


def _optimizers(
    weights: list[nn.Parameter], biases: list[nn.Parameter], options: FitOptions
) -> list[torch.optim.Optimizer]:
    """Return the optimizers of a fit; in each, every row is a group with the `scale` of its learning rate."""
    for weight in weights:
        weight.requires_grad_(not options.bias_only)
    matrices = [] if options.bias_only else _groups(weights)
    offsets, decay = _groups(biases), options.weight_decay
    if options.optimizer == "sgd":
        nesterov = options.momentum > 0
        return [
            torch.optim.SGD(
                [*matrices, *offsets],
                options.lr,
                momentum=options.momentum,
                weight_decay=decay,
                nesterov=nesterov,
            )
        ]
    if options.optimizer == "adam" or not matrices:
        return [torch.optim.AdamW([*matrices, *offsets], options.lr, weight_decay=decay)]
    muon = Muon(
        matrices,
        options.lr,
        weight_decay=decay,
        momentum=options.momentum,
        ns_steps=_NEWTON_SCHULZ,
        adjust_lr_fn="match_rms_adamw",
    )
    return [muon, torch.optim.AdamW(offsets, options.lr, weight_decay=decay)]


def _groups(parameters: list[nn.Parameter]) -> list[dict[str, Any]]:
    return [{"params": [parameter], "scale": 1.0} for parameter in parameters]


def _kept(value: Any) -> Any:
    """Return a copy on the CPU, which the fit will not change."""
    return value.detach().to("cpu", copy=True) if isinstance(value, Tensor) else value


def _on_cpu(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _on_cpu(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_on_cpu(item) for item in value]
    return _kept(value)
