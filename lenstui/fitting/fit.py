"""The fit of a tuned lens: its beginning with its text, its end with the lens, and the library's `fit`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from torch import Tensor

from lenstui.fitting.loop import fit_steps
from lenstui.fitting.options import DEFAULT_PRESET, HELD_OUT, PRESETS, FitOptions
from lenstui.fitting.plan import FitPlan, made_now
from lenstui.fitting.processes import ALONE, Processes
from lenstui.fitting.progress import FitProgress
from lenstui.fitting.state import Fit, FitBlocks, FitState
from lenstui.lens.compatibility import lens_config
from lenstui.lens.fit_history import KEY
from lenstui.lens.tuned import TunedLens
from lenstui.model.load import Model
from lenstui.support.errors import LensError
from lenstui.texts.blocks import split_blocks, token_blocks
from lenstui.texts.bundled import text_name
from lenstui.texts.documents import SkippedLines, find_files

_FEWEST_TOKENS, _TOKENS_PER_WIDTH = 4_096, 16  # of a closed form: more change no KL


@dataclass(frozen=True, eq=False)
class FitText:
    """The text of a fit, read and cut into blocks.

    Attributes:
        blocks: the blocks to fit on, and the held-out ones.
        options: the plan's options, adapted to the model and the text.
        remark: which JSON lines hold no text; None where all do.
    """

    blocks: FitBlocks
    options: FitOptions
    remark: str | None = None


def read_text(model: Model, plan: FitPlan, should_stop: Callable[[], bool] = lambda: False) -> FitText:
    """Read as much of a plan's text as the fit can use, hold a part of it out, and cut it into blocks.

    Args:
        model: from `load`.
        plan: the plan of the fit.
        should_stop: called at every block; True stops the reading.

    Raises:
        LensError: if the options are invalid, a file cannot be read, there is too little text, the model does
            not have one of the tokens, or reading was stopped.
    """
    assert isinstance(plan.options, FitOptions)
    options = suited(plan.options, model)
    options.check()
    skipped = SkippedLines()
    train, held_out = split_blocks(
        model.tokenizer,
        plan.documents,
        options.seq_len,
        share=plan.held_out,
        seed=options.seed,
        skipped=skipped,
    )
    blocks = FitBlocks.enough(
        _checked(model, train, should_stop),
        _checked(model, held_out, should_stop),
        options,
        whole=plan.epochs is not None,
    )
    if plan.epochs is not None:
        per_step = max(1, options.tokens_per_step // options.seq_len)
        options = replace(options, steps=max(1, plan.epochs * len(blocks.train) // per_step))
    return FitText(blocks, options, str(skipped) if skipped.count else None)


def begin(
    model: Model,
    plan: FitPlan,
    text: FitText | None = None,
    first: TunedLens | None = None,
    processes: Processes = ALONE,
) -> Fit:
    """Return a fit before its first step.

    Args:
        model: from `load`.
        plan: the plan of the fit.
        text: the text of the plan; None to read it.
        first: the lens whose translators the fit starts from; None for the logit lens.
        processes: those that fit it together.

    Raises:
        LensError: as `read_text` does.
    """
    text = text or read_text(model, plan)
    names = tuple(map(text_name, find_files(plan.documents)))
    state = FitState.new(model, text.options)
    if first is not None:
        state.take_lens(first)
    return Fit(model, text.blocks, text.options, state, names, processes)


def _checked(
    model: Model, blocks: Iterable[Tensor], should_stop: Callable[[], bool] = lambda: False
) -> Iterator[Tensor]:
    """Yield the blocks, and raise at a token that the model does not have, or when `should_stop` is true."""
    for block in blocks:
        if should_stop():
            raise LensError("Reading the text was stopped.")
        model.check_ids(block.tolist())
        yield block


def fit(
    model: Model,
    texts: Iterable[str],
    options: FitOptions = PRESETS[DEFAULT_PRESET],
    *,
    held_out: float = HELD_OUT,
    on_progress: Callable[[FitProgress], None] = lambda progress: None,
) -> TunedLens:
    """Fit a tuned lens to texts in memory.

    Args:
        model: from `load`.
        texts: the documents.
        options: from `preset`.
        held_out: the share of the blocks, at the end, that is never trained on.
        on_progress: called after every piece of work, many times a second.

    Raises:
        LensError: if there is too little text, the options are invalid, or a loss is not finite.
    """
    options = suited(options, model)
    blocks = list(_checked(model, token_blocks(model.tokenizer, texts, options.seq_len)))
    last = max(1, round(held_out * len(blocks)))
    if len(blocks) < 2:
        raise LensError("There is too little text: it must fill at least two blocks, one of them held out.")
    sides = FitBlocks.enough(blocks[:-last], blocks[-last:], options)
    running = Fit(model, sides, options, FitState.new(model, options), ("texts",))
    for progress in fit_steps(running):  # without a `FitDriver`, since no file is written
        on_progress(progress)
    return fitted_lens(running)


def suited(options: FitOptions, model: Model) -> FitOptions:
    """Return the options for a model: with blocks no longer than its context.

    Where steps follow, the closed form sees no more tokens than a model of this width has a use for.
    """
    if model.context is not None:
        options = replace(options, seq_len=min(options.seq_len, model.context))
    if options.steps:
        most = max(_FEWEST_TOKENS, _TOKENS_PER_WIDTH * model.d_model)
        options = replace(options, closed_form_tokens=min(options.closed_form_tokens, most))
    return options


def fitted_lens(fit: Fit) -> TunedLens:
    """Return a copy of the current lens, with the metadata of the model and of the fit for its file."""
    state, options = fit.state, fit.options
    said = {
        "method": _method(options, state.step),
        "preset": options.preset,
        "steps": state.step,
        "tokens": state.tokens,
        "seconds": round(state.seconds, 3),
        "seed": options.seed,
        "data": list(fit.data),
        "held_out_kl": None if state.held_out_kl is None else state.held_out_kl.tolist(),
        "held_out_error": None if math.isnan(state.held_out_error) else state.held_out_error,
        "logit_lens_kl": None if state.logit_lens_kl is None else state.logit_lens_kl.tolist(),
        KEY: [dict(point) for point in state.history],
        **made_now(),
    }
    return replace(state.lens(), config=lens_config(fit.model), fit=said, name=options.preset)


def _method(options: FitOptions, steps: int) -> str:
    """Return, in words, how a lens was fitted, after so many steps."""
    first = options.starts_from or ("closed form" if options.closed_form_tokens else "")
    return f"{first}, then KL" if first and steps else first or "KL"
