"""The instant lens of a model without a fitted one: a closed form on the general sample, estimated first."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch

from lenstui.fitting.closed_form import NormalEquations, equations_size, rows_at_a_time
from lenstui.fitting.fit import begin, fitted_lens
from lenstui.fitting.gradient import summed_kl
from lenstui.fitting.loop import closed_form_steps
from lenstui.fitting.options import FitOptions
from lenstui.fitting.plan import FitPlan
from lenstui.fitting.progress import FitProgress
from lenstui.lens.names import INSTANT
from lenstui.lens.tuned import TunedLens
from lenstui.model.load import Model
from lenstui.model.memory import free_memory
from lenstui.support.errors import LensError
from lenstui.support.paths import general_sample
from lenstui.texts.documents import Documents

LIMIT = 30.0  # seconds that a lens may take to be made unasked
TOKENS = (16_384, 8_192, 4_096)  # of the closed form: as many as the limit allows
_HELD_OUT = (512, 256, 128)  # columns that the lens is measured on
_MEASURE_SHARE = 0.4  # of the limit, for measuring
_COLUMNS = (64, 256)  # of a block, the fewest and the most
_PIECE = 0.2  # seconds that a block may take, since nothing else is done meanwhile
_PROBE = 16  # columns that the head is timed on


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimated cost of an instant lens.

    Attributes:
        tokens: the number of tokens for the closed form.
        seq_len: the number of columns of a block.
        held_out_tokens: the number of columns that the lens is measured on.
        seconds: seconds that all of it takes.
        memory: bytes that it takes at its peak.
        free: bytes of memory that are free; None where that is unknown.
        is_in_memory: whether the normal equations of all rows may be in memory at once.
    """

    tokens: int
    seq_len: int
    held_out_tokens: int
    seconds: float
    memory: int
    free: int | None = None
    is_in_memory: bool = True

    @property
    def refusal(self) -> str:
        """Why the lens cannot be made at all, as a sentence; empty where it can."""
        if self.free is None or self.memory <= self.free:
            return ""
        free = f"{self.free / 1e9:.1f}"
        return f"An instant lens takes about {self.memory / 1e9:.1f} GB of memory, and {free} GB are free."

    @property
    def cost(self) -> str:
        """What the lens takes that may not be taken unasked, behind "made"; empty where it may be made."""
        if not self.is_in_memory or (self.free is not None and self.memory > self.free / 2):
            return f"with {self.memory / 1e9:.1f} GB of memory"
        return f"in about {self.seconds:.0f} s" if self.seconds > LIMIT else ""

    @property
    def plan(self) -> FitPlan:
        """The plan of the fit."""
        options = FitOptions(
            preset=INSTANT,
            closed_form_tokens=self.tokens,
            steps=0,
            seq_len=self.seq_len,
            held_out_tokens=self.held_out_tokens,
        )
        return FitPlan(options, Documents((str(general_sample()),)))


def estimate(model: Model) -> Generator[None, None, Estimate]:
    """Time a block and the head of `model`, and return what an instant lens costs; yields between pieces."""
    d, rows = model.d_model, model.num_blocks
    fewest, most = (min(columns, model.context or columns) for columns in _COLUMNS)
    seq_len = fewest
    forward = _seconds(model.device, lambda: _stream(model, fewest))
    yield
    while 2 * seq_len <= most and forward * 2 * seq_len / fewest <= _PIECE:
        seq_len *= 2
    if seq_len > fewest:
        forward = _seconds(model.device, lambda: _stream(model, seq_len))
        yield
    h = _stream(model, seq_len)
    one_row = NormalEquations.new(0, 1, d, model.device)
    adding = _seconds(model.device, lambda: one_row.add(h))
    yield
    # A solution is 8/3 d³ operations, adding a block 2 columns (d + 1)(2d + 1).
    solving = rows * adding * (8 / 3 * d**3) / (2 * seq_len * (d + 1) * (2 * d + 1))
    head = _seconds(model.device, lambda: _measure(model, h[:, :_PROBE])) / (2 * h[0, :_PROBE].shape[0])
    yield
    at_a_time = rows_at_a_time(d)
    passes = -(-rows // at_a_time)

    def measuring(columns: int) -> float:
        return 2 * columns * ((rows + 1) * head + forward / seq_len)

    def of_all(tokens: int, columns: int) -> float:
        return tokens / seq_len * (passes * forward + rows * adding) + solving + measuring(columns)

    held_out = next((n for n in _HELD_OUT if measuring(n) <= _MEASURE_SHARE * LIMIT), _HELD_OUT[-1])
    tokens = next((n for n in TOKENS if of_all(n, held_out) <= LIMIT), TOKENS[-1])
    return Estimate(
        tokens=tokens,
        seq_len=seq_len,
        held_out_tokens=held_out,
        seconds=of_all(tokens, held_out),
        memory=min(rows, at_a_time) * equations_size(d) + 3 * 4 * rows * d * (d + 1),  # state, copy, file
        free=free_memory(str(model.device)),
        is_in_memory=passes == 1,
    )


def make_instant_lens(
    model: Model, on_estimate: Callable[[Estimate], None], on_progress: Callable[[FitProgress], None]
) -> TunedLens:
    """Make the instant lens of a model, however long that takes.

    Args:
        model: from `load`.
        on_estimate: called once, with the estimated cost.
        on_progress: called after every piece of work.

    Raises:
        LensError: if there is too little memory, the model cannot read the sample, or its hidden states are
            not finite.
    """
    work = estimate(model)
    while True:
        try:
            next(work)
        except StopIteration as end:
            cost: Estimate = end.value
            break
    if cost.refusal:
        raise LensError(cost.refusal)
    on_estimate(cost)
    fit = begin(model, cost.plan)
    for progress in closed_form_steps(fit):
        on_progress(progress)
    return fitted_lens(fit)


def _stream(model: Model, columns: int) -> torch.Tensor:
    """Return the hidden states of some columns, `[L + 1, cols, d]`, of any tokens."""
    ids = torch.arange(columns) % min(model.vocabulary, len(model.tokenizer))
    return model.stream(ids[None])[:, 0]


def _measure(model: Model, h: torch.Tensor) -> None:
    """Compute the KL of one row to itself, as when a lens is measured."""
    with torch.inference_mode():
        for _ in summed_kl(model, h[-1], model.head.norm(h[-1:])):
            pass


def _seconds(device: torch.device, work: Callable[[], object]) -> float:
    """Return the seconds that some work takes the second time, when everything is warm."""
    work()
    _wait(device)
    clock = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - clock


def _wait(device: torch.device) -> None:
    """Wait until the device has done what was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
