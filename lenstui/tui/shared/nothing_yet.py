"""What is said where there is nothing yet, in one form: what there is not, and the keys that make it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenstui.lens.kinds import TUNED
from lenstui.lens.names import kind_word

if TYPE_CHECKING:
    from lenstui.jobs.instant_messages import InstantStatus
    from lenstui.jobs.messages import OpenModel

NO_MODEL = "No model yet: m opens one."
NO_PROMPT = "No prompt yet: i types one, Enter reads it."
NO_PINS = "No pins yet: p pins the cell's token, P a word."
NO_SECOND_SIDE = "No second side yet: + adds one."
NO_LENSES = "No lenses yet: t in Explore trains one, b opens one from any folder."
NO_PROMPTS = "No prompts yet: f names a file of them, Enter reads it."


def elsewhere(model: OpenModel | None) -> str:
    """Return why nothing can be done that needs a model's weights; empty where they are here.

    Args:
        model: the open model; None for none.
    """
    if model is None or not model.service:
        return ""
    return f"The weights are on {model.service}: this needs them here."


def no_lens(kind: str, instant: InstantStatus | None = None) -> str:
    """Return that there is no lens of a kind yet for a model, and how to get one.

    Args:
        kind: the kind of lens.
        instant: the status of the open model's instant lens, which is a tuned lens; None for none.
    """
    from lenstui.jobs.instant_messages import InstantPhase  # the first paint can do without

    none = f"No {kind_word(kind)} lens yet"
    phase = None if instant is None or kind != TUNED else instant.phase
    if instant is not None and phase is InstantPhase.WORKING:
        left = "" if instant.seconds is None else f", {instant.seconds} s"
        return f"{none}, but an instant one soon: {instant.doing}{left}"
    if instant is not None and phase is InstantPhase.OFFERED:
        return f"{none}: t trains one, o opens one, O makes one {instant.reason}."
    return f"{none}: t trains one, o opens one."
