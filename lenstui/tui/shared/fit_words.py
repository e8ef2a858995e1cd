"""A fit in words: its presets, its progress and its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lenstui.export.command import resume_command
from lenstui.fitting.plan import unit_of
from lenstui.jobs.fit_messages import Elsewhere, FitStatus, Phase
from lenstui.support.duration import duration

if TYPE_CHECKING:
    from lenstui.readout.cells import FloatArray

PRESETS: Mapping[str, str] = {
    "quick": "closed form, then 32 steps: within minutes",
    "standard": "eight times the text, 1,000 steps: to publish with",
    "paper": "SGD as in Belrose et al. 2023, 250 steps of 262,144 tokens: hours on a CPU",
    "adam": "Adam from zero, the recipe of small scripts",
}
_OLD = 60.0  # seconds without news of a fit elsewhere that are worth a word
TAKEN = "A lens is in training for this model: end that first (t, then s or x)."


def mean(kl: FloatArray | None) -> float | None:
    """Return the mean KL over the rows; None if it is not measured or not finite in some row."""
    return None if kl is None or not np.isfinite(kl).all() else float(np.mean(kl))


def doing(status: FitStatus) -> str:
    """Return what a fit is doing, in a word or two."""
    stage = None if status.progress is None else status.progress.stage
    match status.phase:
        case Phase.READING:
            return "reading the text"
        case Phase.PAUSED:
            return "paused" if status.trouble is None else "failed"
        case Phase.KEEPING:
            return "measuring" if stage == "measuring" else "saving"
        case Phase.KEPT:
            return "done"
        case Phase.DISCARDED:
            return "discarded"
        case _:
            return "beginning" if stage is None else _STAGES.get(stage, stage)


_STAGES = {
    "logit lens": "logit lens's KL",
    "checking": "checking the way",
    "prompts": "this prompt",
    "done": "saving",
}


def glances(status: FitStatus) -> list[str]:
    """Return the progress of a fit for the top line of the screen, in several forms, the fullest first."""
    if status.phase is Phase.READING:
        return ["training: reading the text …", "training …"]
    state = {Phase.PAUSED: "training paused", Phase.KEEPING: "keeping the lens"}.get(status.phase, "training")
    if status.phase is Phase.PAUSED and status.trouble is not None:
        state = "training failed"
    shortest = f"{state} {status.share:.0%}"
    progress = status.progress
    if progress is None:
        return [shortest]
    kl = mean(progress.held_out_kl)
    step = (
        f" · {unit_of(status.kind)} {progress.step}/{progress.steps}"
        if progress.step
        else f" · {doing(status)}"
    )
    left = f" · {duration(progress.eta)} left" if progress.eta and status.phase is Phase.RUNNING else ""
    reached = "" if kl is None else f" · KL {kl:.2f}"
    if (shares := progress.convergence) is not None:
        reached = f" · convergence {float(shares.mean()):.2f}"
    full = shortest + step
    return [full + left + reached, full + reached, full, shortest]


def elsewhere_words(fit: Elsewhere) -> str:
    """Return how far a fit of another process is, and how old that is where it may have been killed."""
    name = "" if fit.status.path is None else fit.status.path.stem
    old = f" · nothing new for {duration(fit.age)}" if fit.age > _OLD else ""
    return f"{name}, of {fit.model}, elsewhere: {glances(fit.status)[0]}{old}"


def outcome(status: FitStatus) -> str:
    """Return the outcome of a fit for a message: KL or convergence, seconds, file, and what went wrong."""
    progress = status.progress
    lines = []
    if progress is not None:
        before, after = mean(progress.logit_lens_kl), mean(progress.held_out_kl)
        steps = f"{progress.step} {unit_of(status.kind)}{'s' * (progress.step != 1)}"
        if (shares := progress.convergence) is not None:
            low, high = float(shares.min()), float(shares.max())
            lines.append(f"Convergence {low:.2f} to {high:.2f} by row, {steps} in {progress.seconds:.1f} s")
        elif before is not None and after is not None:
            lines.append(f"Held-out KL {before:.3f} → {after:.3f} nats in {progress.seconds:.1f} s, {steps}")
    lines.append("It is in no file." if status.path is None else str(status.path))
    if status.trouble is not None:
        lines.append(status.trouble)
    return "\n".join(lines)


def how_to_go_on(checkpoint: Path) -> str:
    """Return the path of a fit's checkpoint and the command that goes on with it, as text."""
    return f"lenstui: the fit is in {checkpoint}\nTo go on: {resume_command(checkpoint)}"
