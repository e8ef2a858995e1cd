"""How much of all the work of a fit is done, for a bar that never goes back."""

from __future__ import annotations

from lenstui.fitting.options import FitOptions

# What a token costs where it is measured, goes into the closed form, and is learned from: about, relatively.
_MEASURED, _SOLVED, _LEARNED = 1.0, 0.3, 1.5


def share_done(options: FitOptions, stage: str, share: float, step: int) -> float:
    """The share of all work that is done, 0 to 1.

    Args:
        options: of the fit.
        stage: as `FitProgress` names it.
        share: of the stage.
        step: steps that are done.
    """
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
