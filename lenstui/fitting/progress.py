"""The progress of a fit, of whatever kind."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from lenstui.readout.cells import FloatArray

_Result = TypeVar("_Result")

# A stage of a fit, which yields its finished share after each piece of work.
Work = Generator[float, None, None]


@dataclass(frozen=True, eq=False)
class FitProgress:
    """The progress of a fit.

    Attributes:
        stage: `logit lens` (its held-out KL is measured), `closed form`, `refining`, `measuring` or `done`;
            of a Jacobian lens `checking` (how the model can be differentiated), `prompts`, `measuring` or
            `done`.
        share: the finished share of the stage, 0 to 1.
        step: the number of optimizer steps so far; of a Jacobian lens, of prompts.
        steps: the number of all optimizer steps, or prompts.
        tokens: the number of columns seen so far, by the closed form and the steps.
        seconds: seconds of work, without pauses.
        eta: seconds that the steps still need; None before the first step.
        loss: the mean training loss of the last step, nats, `[rows]`; None before the first step.
        logit_lens_kl: KL(final ‖ logit lens) on held-out text, nats, `[rows]`; None until measured.
        held_out_kl: KL(final ‖ tuned lens) on held-out text when last measured, nats, `[rows]`; None until
            measured.
        held_out_error: the standard error of its mean over the rows, nats; NaN until measured on two blocks.
        measured_step: the step at which that, or convergence, was measured; -1 before the closed form.
        measured_tokens: the number of held-out columns that it was measured on.
        convergence: the share of top tokens on held-out text that a Jacobian lens of half of the prompts has
            in common with one of the others, `[rows]`; None until measured, and for a tuned lens.
    """

    stage: str
    share: float
    step: int
    steps: int
    tokens: int
    seconds: float
    eta: float | None
    loss: FloatArray | None = None
    logit_lens_kl: FloatArray | None = None
    held_out_kl: FloatArray | None = None
    held_out_error: float = math.nan
    measured_step: int = -1
    measured_tokens: int = 0
    convergence: FloatArray | None = None


class Timed(Protocol):
    """The state of a fit, as far as the time is concerned that its work has taken.

    Attributes:
        seconds: that time.
    """

    seconds: float


def timed(
    state: Timed, work: Iterable[float], progress: Callable[[float], FitProgress]
) -> Iterator[FitProgress]:
    """Drive a stage of a fit, and count the time that its work takes, but not the time between two pieces.

    Args:
        state: where the time is counted.
        work: does the stage, and yields its share that is done.
        progress: returns the progress of the fit at a share of the stage.
    """
    clock = time.monotonic()
    for share in work:
        state.seconds += time.monotonic() - clock
        yield progress(share)
        clock = time.monotonic()
    state.seconds += time.monotonic() - clock


def at_share(
    work: Generator[None, None, _Result],
    share: float,
    mode: Callable[[], AbstractContextManager[object]],
) -> Generator[float, None, _Result]:
    """Do a piece of a stage: yield the stage's share wherever the work yields.

    Args:
        work: yields where a caller may stop or look around.
        share: the share of the stage that is finished before this work.
        mode: what the work is done in, such as `torch.no_grad`; the code of the caller is not in it.

    Returns:
        What `work` returns.
    """
    while True:
        try:
            with mode():
                next(work)
        except StopIteration as end:
            result: _Result = end.value
            return result
        yield share
