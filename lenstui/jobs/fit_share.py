"""The finished share of the work of a fit, for a progress bar that never goes back."""

from __future__ import annotations

from lenstui.fitting.jacobian_options import JacobianOptions
from lenstui.fitting.options import FitOptions

# The approximate, relative cost of a token: in measuring, in the closed form, and in an optimizer step.
_MEASURED, _SOLVED, _LEARNED = 1.0, 0.3, 1.5


def share_done(options: FitOptions | JacobianOptions, stage: str, share: float, step: int) -> float:
    """Return the finished share of all work of a fit, 0 to 1.

    Args:
        options: the options of the fit.
        stage: the name of the current stage, as in `FitProgress`.
        share: the finished share of that stage, 0 to 1.
        step: the number of optimizer steps so far.
    """
    if isinstance(options, JacobianOptions):  # its prompts take nearly all of the time
        return 1.0 if stage == "done" else share if stage == "prompts" else step / options.n_prompts
    measure = _MEASURED * options.held_out_tokens
    solve = _SOLVED * options.closed_form_tokens
    learn = _LEARNED * options.steps * options.tokens_per_step
    total = 2 * measure + solve + learn  # what is measured on the way is a part of learning
    if stage == "done":
        return 1.0
    if stage == "logit lens":
        done = share * measure
    elif stage == "closed form":
        done = measure + share * solve
    elif stage == "measuring" and step < options.steps:
        done = measure + solve + learn * step / options.steps
    elif stage == "measuring":
        done = measure + solve + learn + share * measure
    else:
        done = measure + solve + share * learn
    return min(done / total, 1.0)
