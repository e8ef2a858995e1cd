"""`--instant`: the instant lens of a model without a fitted one, made on the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lenstui.cli.stderr import say
from lenstui.support.errors import LensError
from lenstui.support.request import Start

if TYPE_CHECKING:
    from lenstui.fitting.instant import Estimate
    from lenstui.fitting.progress import FitProgress
    from lenstui.opening.opened import Opened


def open_with_lens(asked: Start, on_stage: Callable[[str], None]) -> Opened:
    """Open a model with its lenses; if an instant lens is asked for and there is no other, make it.

    Args:
        asked: the request.
        on_stage: called with each stage, in a few words.

    Raises:
        LensError: if the model cannot be opened, or the lens cannot be made.
    """
    from lenstui.lens.kinds import TUNED
    from lenstui.opening.opened import open_model

    opened = open_model(asked, on_stage)
    if not asked.instant:
        return opened
    if (lens := opened.lens(TUNED)) is None:
        opened = _with_instant_lens(opened, on_stage)
        lens = opened.lens(TUNED)
    assert lens is not None
    from lenstui.lens.names import INSTANT, instant_words, is_instant

    if not is_instant(lens.fit):
        say(f"The tuned lens {lens.name} was fitted for this model: no instant one is made.")
        return opened
    kl = lens.fit["held_out_kl"]
    say(f"{INSTANT} lens · {instant_words(lens.fit)} · KL {sum(kl) / len(kl):.2f}")
    return opened


def _with_instant_lens(opened: Opened, on_stage: Callable[[str], None]) -> Opened:
    """Make the instant lens, keep it if its folder can be written, and use it."""
    from lenstui.fitting.instant import make_instant_lens
    from lenstui.lens.instant import instant_file, keep_instant_lens

    seconds = 0.0

    def on_estimate(cost: Estimate) -> None:
        nonlocal seconds
        seconds = cost.seconds
        on_stage(f"instant lens: {cost.tokens:,} tokens, about {seconds:.0f} s")

    def on_progress(progress: FitProgress) -> None:
        left = max(1, round(seconds - progress.seconds))
        on_stage(f"instant lens: {progress.stage} {progress.share:.0%}, about {left} s left")

    on_stage("instant lens: estimating")
    lens = make_instant_lens(opened.model, on_estimate, on_progress)
    try:
        lens = keep_instant_lens(lens, instant_file(opened.model))
    except LensError as error:  # the folder may be read-only
        say(f"The instant lens is not kept. {error}")
    return opened.using(lens)
