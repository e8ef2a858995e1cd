"""The kinds of fit: what a driver needs of each, by the class of its options, its text or itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lenstui.fitting import fit as tuned
from lenstui.fitting.jacobian import fitted as jacobian
from lenstui.fitting.jacobian.fitted import JacobianText
from lenstui.fitting.jacobian.loop import jacobian_steps, measure_convergence
from lenstui.fitting.jacobian.state import JacobianFit
from lenstui.fitting.jacobian_options import JacobianOptions
from lenstui.fitting.loop import fit_steps, measure
from lenstui.fitting.plan import FitPlan
from lenstui.fitting.processes import ALONE, Processes
from lenstui.fitting.progress import FitProgress
from lenstui.fitting.state import Fit
from lenstui.lens.formats.own import FittedLens
from lenstui.lens.tuned import TunedLens
from lenstui.model.load import Model

AnyFit = Fit | JacobianFit
"""A fit under way, of whatever kind of lens."""

AnyText = tuned.FitText | JacobianText
"""The text of a fit, read and cut as its kind of lens needs it."""


def read_text(model: Model, plan: FitPlan, should_stop: Callable[[], bool] = lambda: False) -> AnyText:
    """Read as much of a plan's text as the fit can use, and hold a part of it out.

    Args:
        model: from `load`.
        plan: the plan of the fit.
        should_stop: called now and then; True stops the reading.

    Raises:
        LensError: if the options are invalid, the text cannot be used, or reading was stopped.
    """
    if isinstance(plan.options, JacobianOptions):
        return jacobian.read_text(model, plan, should_stop)
    return tuned.read_text(model, plan, should_stop)


def begin_fit(
    model: Model,
    plan: FitPlan,
    text: AnyText | None = None,
    first: TunedLens | None = None,
    processes: Processes = ALONE,
) -> AnyFit:
    """Return a fit before its first step.

    Args:
        model: from `load`.
        plan: the plan of the fit.
        text: the text of the plan; None to read it.
        first: the lens whose translators a tuned lens starts from; None for the logit lens.
        processes: those that fit it together.

    Raises:
        LensError: as `read_text` does.
    """
    text = text or read_text(model, plan)
    if isinstance(text, JacobianText):
        return jacobian.begin(model, plan, text, processes)
    return tuned.begin(model, plan, text, first, processes)


def steps_of(fit: AnyFit) -> Iterator[FitProgress]:
    """Do the rest of a fit, yielding after every piece of work, between which its state is consistent."""
    return jacobian_steps(fit) if isinstance(fit, JacobianFit) else fit_steps(fit)


def measuring(fit: AnyFit) -> Iterator[FitProgress]:
    """Measure the current lens on the held-out text, unless that is done, to end a fit."""
    return measure_convergence(fit) if isinstance(fit, JacobianFit) else measure(fit)


def has_lens(fit: AnyFit) -> bool:
    """Return whether a fit has a lens already: a tuned lens begins as the logit lens."""
    return isinstance(fit, Fit) or fit.state.has_learned


def current_lens(fit: AnyFit) -> FittedLens | None:
    """Return a copy of the current lens, without metadata; None where there is none yet."""
    if isinstance(fit, Fit):
        return fit.state.lens()
    return jacobian.current_lens(fit) if fit.state.has_learned else None


def finished_lens(fit: AnyFit) -> FittedLens:
    """Return a copy of the current lens, with the metadata of the model and of the fit for its file.

    Raises:
        LensError: if there is none yet.
    """
    return jacobian.fitted_lens(fit) if isinstance(fit, JacobianFit) else tuned.fitted_lens(fit)
