"""The history of a fit: what was measured on held-out text on the way, kept on the card of its lens.

It is plain values only, as everything in a lens file but the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lenstui.support.errors import LensError

KEY = "history"  # of a card
MOST_POINTS = 128
"""The number of points that are kept: of a longer history every other one goes, but for the last."""


@dataclass(frozen=True, slots=True)
class FitPoint:
    """One measurement on held-out text.

    Attributes:
        step: the number of optimizer steps before it; 0 behind the closed form.
        tokens: the number of columns that the fit had seen.
        columns: the number of held-out columns that it was measured on.
        held_out_kl: KL(final ‖ lens), nats, by row.
    """

    step: int
    tokens: int
    columns: int
    held_out_kl: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean of the held-out KL over the rows, nats."""
        return sum(self.held_out_kl) / len(self.held_out_kl)

    @property
    def plain(self) -> dict[str, Any]:
        """The point as plain values, for a file."""
        return asdict(self) | {"held_out_kl": list(self.held_out_kl)}


def with_point(history: Sequence[Mapping[str, Any]], point: FitPoint) -> list[Mapping[str, Any]]:
    """Return a history with one more point; it replaces one of the same step.

    Args:
        history: the points so far, as plain values.
        point: the new one.
    """
    before = [each for each in history if each["step"] != point.step]
    if len(before) >= MOST_POINTS:
        before = before[::2]
    return [*before, point.plain]


def history_of(fit: Mapping[str, Any]) -> tuple[FitPoint, ...]:
    """Return the history that a card has; empty where it has none, as of lenses of other programs.

    Args:
        fit: the card, from a file whose header was checked.
    """
    return tuple(
        FitPoint(each["step"], each["tokens"], each["columns"], tuple(map(float, each["held_out_kl"])))
        for each in fit.get(KEY) or ()
    )


def curve_of(fit: Mapping[str, Any], name: str) -> tuple[FitPoint, ...]:
    """Return the history that a card has, where that makes a curve: at least two points.

    Args:
        fit: the card.
        name: the name of the lens, for the message.

    Raises:
        LensError: if it does not; it says why.
    """
    points = history_of(fit)
    if not points:
        raise LensError(
            f"{name} keeps no history of its fit: tuned lenses do that lenstui has fitted since it keeps one."
        )
    if len(points) < 2:
        raise LensError(f"{name} was measured once, at step {points[0].step}: that is no curve.")
    return points
