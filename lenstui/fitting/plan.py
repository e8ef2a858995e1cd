"""The plan of a fit, of whatever kind of lens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lenstui.fitting.jacobian_options import JacobianOptions
from lenstui.fitting.options import HELD_OUT, FitOptions
from lenstui.support.version import __version__
from lenstui.texts.documents import Documents

AnyOptions = FitOptions | JacobianOptions
"""The options of a fit; their class says which kind of lens is fitted."""


def unit_of(kind: str) -> str:
    """Return what a step is called in the fit of a kind of lens: `step`, or `prompt` of a Jacobian lens."""
    return JacobianOptions.unit if kind == JacobianOptions.kind else FitOptions.unit


@dataclass(frozen=True, slots=True)
class FitPlan:
    """The plan of a fit: all that determines it except the model.

    Attributes:
        options: the options of the fit, which say what kind of lens it makes.
        documents: the documents to fit on.
        held_out: the approximate share of the documents that is never trained on.
        epochs: passes over the text, which determine the number of steps; None for `options.steps`, and for
            a Jacobian lens.
    """

    options: AnyOptions
    documents: Documents
    held_out: float = HELD_OUT
    epochs: int | None = None


def made_now() -> dict[str, Any]:
    """Return the entries of a lens's card that say with what and when it was made."""
    import torch
    import transformers

    return {
        "versions": {
            "lenstui": __version__,
            "torch": str(torch.__version__),
            "transformers": transformers.__version__,
        },
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
