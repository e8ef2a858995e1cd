"""The beginning of the fit of a Jacobian lens with its text, and its end with the lens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from lenstui.fitting.jacobian.loop import jacobian_steps
from lenstui.fitting.jacobian.prompts import FitPrompts, prompts_of, read_prompts
from lenstui.fitting.jacobian.state import JacobianFit
from lenstui.fitting.jacobian_options import JacobianOptions
from lenstui.fitting.plan import FitPlan, made_now
from lenstui.fitting.processes import ALONE, Processes
from lenstui.fitting.progress import FitProgress
from lenstui.lens.compatibility import jacobian_config
from lenstui.lens.jacobian import JacobianLens
from lenstui.model.load import Model
from lenstui.support.errors import LensError
from lenstui.texts.bundled import text_name
from lenstui.texts.documents import SkippedLines, find_files

_DEFAULT = JacobianOptions()


@dataclass(frozen=True, eq=False)
class JacobianText:
    """The text of a fit, read and cut into prompts.

    Attributes:
        prompts: the prompts to fit on, and the held-out ones.
        options: the plan's options, adapted to the model and the text.
        remark: which JSON lines hold no text; None where all do.
    """

    prompts: FitPrompts
    options: JacobianOptions
    remark: str | None = None


def read_text(model: Model, plan: FitPlan, should_stop: Callable[[], bool] = lambda: False) -> JacobianText:
    """Read as many prompts of a plan's text as the fit can use, and hold some of them out.

    Args:
        model: from `load`.
        plan: the plan of the fit of a Jacobian lens.
        should_stop: called at every document; True stops the reading.

    Raises:
        LensError: if the options are invalid, a file cannot be read, too few documents are long enough, the
            model does not have one of the tokens, or reading was stopped.
    """
    assert isinstance(plan.options, JacobianOptions)
    options = suited(plan.options, model)
    options.check()
    skipped = SkippedLines()
    prompts = read_prompts(
        model,
        plan.documents,
        options.seq_len,
        options.n_prompts,
        share=plan.held_out,
        seed=options.seed,
        skipped=skipped,
        should_stop=should_stop,
    )
    options = replace(options, n_prompts=len(prompts.train))
    return JacobianText(prompts, options, str(skipped) if skipped.count else None)


def begin(
    model: Model, plan: FitPlan, text: JacobianText | None = None, processes: Processes = ALONE
) -> JacobianFit:
    """Return a fit before its first step.

    Args:
        model: from `load`.
        plan: the plan of the fit of a Jacobian lens.
        text: the text of the plan; None to read it.
        processes: those that fit it together.

    Raises:
        LensError: as `read_text` does, or if memory is too short.
    """
    text = text or read_text(model, plan)
    names = tuple(map(text_name, find_files(plan.documents)))
    return JacobianFit.new(model, text.prompts, text.options, names, processes)


def fit_jacobian(
    model: Model,
    texts: Iterable[str],
    options: JacobianOptions = _DEFAULT,
    *,
    on_progress: Callable[[FitProgress], None] = lambda progress: None,
) -> JacobianLens:
    """Fit a Jacobian lens to texts in memory.

    Args:
        model: from `load`.
        texts: the documents, of which the beginnings are used; short ones are passed over, and every tenth
            of the others is held out to measure convergence on.
        options: the options of the fit.
        on_progress: called after every piece of work, many times a second.

    Raises:
        LensError: if fewer than two texts are long enough, the options are invalid, or the model cannot be
            differentiated.
    """
    options = suited(options, model)
    options.check()
    prompts = prompts_of(model, texts, options.seq_len, options.n_prompts)
    fit = JacobianFit.new(model, prompts, replace(options, n_prompts=len(prompts.train)), ("texts",))
    for progress in jacobian_steps(fit):  # without a `FitDriver`, since no file is written
        on_progress(progress)
    return fitted_lens(fit)


def suited(options: JacobianOptions, model: Model) -> JacobianOptions:
    """Return the options with prompts no longer than the model's context."""
    if model.context is None or options.seq_len <= model.context:
        return options
    return replace(options, seq_len=model.context)


def current_lens(fit: JacobianFit) -> JacobianLens:
    """Return a copy of the current lens, without metadata.

    Raises:
        LensError: if no prompt is done yet.
    """
    state = fit.state
    if not state.has_learned:
        raise LensError("No prompt is done yet: there is no lens to keep.")
    matrices = dict(zip(fit.derivative.rows, state.mean(), strict=True))
    return JacobianLens(matrices, name=fit.options.preset).to(fit.model.device)


def fitted_lens(fit: JacobianFit) -> JacobianLens:
    """Return a copy of the current lens, with the metadata of the model and of the fit for its file.

    Raises:
        LensError: if no prompt is done yet.
    """
    state, options, error = fit.state, fit.options, fit.state.error()
    said: dict[str, Any] = {
        "method": "Jacobian" if options.rule == "none" else "Jacobian with RelP rules",
        "preset": options.preset,
        "n_prompts": state.prompts,
        "seq_len": options.seq_len,
        "skip_first": options.skip_first,
        "target": options.target,
        "rule": options.rule,
        "estimator": options.estimator,
        "n_exact": int(state.counts().min()),
        "steps": state.prompts,
        "tokens": state.prompts * options.seq_len,
        "seconds": round(state.seconds, 3),
        "seed": options.seed,
        "data": list(fit.data),
        "error": None if error is None else error.tolist(),
        "convergence": None if state.convergence is None else state.convergence.tolist(),
        **made_now(),
    }
    if fit.relp is not None and fit.relp.parts.has_experts:
        said["routed_experts"] = "normal gradients"
    return replace(current_lens(fit), config=jacobian_config(fit.model), fit=said)
