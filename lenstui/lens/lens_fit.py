"""Fit a tuned lens to texts and say in it what it is: the way in for notebooks and the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice

import torch
import transformers
from torch import Tensor

import lenstui
from lenstui.lens.compatibility import lens_config
from lenstui.lens.errors import LensError
from lenstui.lens.fit_options import PRESETS, FitOptions
from lenstui.lens.fitting import FitProgress, fit_steps
from lenstui.lens.model import Model
from lenstui.lens.text_blocks import token_blocks
from lenstui.lens.tuned_lens import TunedLens


@dataclass(frozen=True, eq=False)
class FitBlocks:
    """Blocks of token ids to fit on, and others that are never trained on, on the CPU.

    Attributes:
        train: `[cols]` each.
        held_out: `[cols]` each.
    """

    train: Sequence[Tensor]
    held_out: Sequence[Tensor]

    @classmethod
    def enough(cls, train: Iterable[Tensor], held_out: Iterable[Tensor], options: FitOptions) -> FitBlocks:
        """As many blocks as `options` can use, and no more: the rest of a large text is not even read."""
        wanted = options.closed_form_tokens + options.steps * options.tokens_per_step
        return cls(
            list(islice(train, -(-wanted // options.seq_len))),
            list(islice(held_out, max(1, options.held_out_tokens // options.seq_len))),
        )


def fit(
    model: Model,
    texts: Iterable[str],
    options: FitOptions = PRESETS["quick"],
    *,
    held_out: float = 0.1,
    on_progress: Callable[[FitProgress], None] = lambda progress: None,
) -> TunedLens:
    """Fit a tuned lens to texts in memory.

    Args:
        model: from `load`.
        texts: documents.
        options: from `preset`.
        held_out: share of the blocks, the last ones, that is never trained on.
        on_progress: called after every micro-batch.

    Raises:
        LensError: for too little text, options that make no sense, or a loss that is not finite.
    """
    options = suited(options, model)
    blocks = list(token_blocks(model.tokenizer, texts, options.seq_len))
    last = max(1, round(held_out * len(blocks)))
    if len(blocks) < 2:
        raise LensError("There is too little text: it must fill at least two blocks, one of them held out.")
    final = None
    sides = FitBlocks.enough(blocks[:-last], blocks[-last:], options)
    for progress in fit_steps(model, sides.train, sides.held_out, options):
        on_progress(progress)
        final = progress
    assert final is not None  # fit_steps yields at least once
    return stamped(model, final, options, data=["texts"])


def suited(options: FitOptions, model: Model) -> FitOptions:
    """The options with blocks no longer than the model's context."""
    if model.context is None or options.seq_len <= model.context:
        return options
    return replace(options, seq_len=model.context)


def stamped(model: Model, progress: FitProgress, options: FitOptions, *, data: Sequence[str]) -> TunedLens:
    """A copy of the lens as it is now, with all that its file says of the model and of the fit.

    Args:
        model: the one it was fitted for.
        progress: the last one with a held-out KL.
        options: how it was fitted.
        data: names of the texts.
    """
    kl = progress.held_out_kl
    fit = {
        "method": "closed form, then KL" if options.closed_form_tokens else "KL",
        "preset": options.preset,
        "steps": progress.step,
        "tokens": progress.tokens,
        "seconds": round(progress.seconds, 3),
        "seed": options.seed,
        "data": list(data),
        "held_out_kl": None if kl is None else kl.tolist(),
        "logit_lens_kl": progress.logit_lens_kl.tolist(),
        "versions": {
            "lenstui": lenstui.__version__,
            "torch": str(torch.__version__),
            "transformers": transformers.__version__,
        },
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    lens = progress.lens
    return TunedLens(lens.weight.clone(), lens.bias.clone(), lens_config(model), fit, options.preset)
