"""How far each row of a lens can be trusted: a figure by row, and the limit beyond which it is doubtful.

Plain values only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lenstui.support.fixed_text import fixed_text

MOST_KL = 1.0
"""Nats of held-out KL above which a row is doubtful.

There a likely final token has on the mean less than e⁻¹ = 37 % of its final probability (geometric mean over
the final distribution).
"""
LEAST_CONVERGENCE = 0.5
"""Convergence below which a row is doubtful: two halves of the prompts share fewer than 5 of 10 tokens."""


UNKNOWN = "no held-out KL known: E measures it"


@dataclass(frozen=True, slots=True)
class Trust:
    """What is known of the rows of a lens below the last.

    Attributes:
        figures: by the label of a row, its held-out KL in nats, or its convergence, a share.
        source: where the figures are from, in a few words.
        is_convergence: whether they are the convergence of a Jacobian lens, whose KL says little.
    """

    figures: Mapping[str, float]
    source: str
    is_convergence: bool = False

    @property
    def doubtful(self) -> frozenset[str]:
        """The labels of the rows that are doubtful."""
        if self.is_convergence:
            return frozenset(label for label, share in self.figures.items() if share < LEAST_CONVERGENCE)
        return frozenset(label for label, kl in self.figures.items() if kl > MOST_KL)

    @property
    def texts(self) -> dict[str, str]:
        """The figures as texts of at most four characters, by the labels of their rows."""
        return {label: self._text(figure) for label, figure in self.figures.items()}

    def _text(self, figure: float) -> str:
        if self.is_convergence:
            return f"{figure:.0%}"
        return fixed_text(figure, 2 if figure < 9.995 else 1 if figure < 99.95 else 0)

    @property
    def limit_in_words(self) -> str:
        """Which rows are dim: `dim: KL > 1 nat`."""
        if self.is_convergence:
            return f"dim: convergence < {LEAST_CONVERGENCE:.0%}"
        return f"dim: KL > {MOST_KL:g} nat"


def with_trust(text: str, trust: Trust | None, width: int) -> str:
    """Return a text with, behind it, which rows of a lens are dim and where the figures are from.

    What has no room is left out, the source first.

    Args:
        text: what is said already; it may be empty.
        trust: what is known of the lens; None where nothing is.
        width: the room for the text, in characters.
    """
    if trust is None:
        said: tuple[str, ...] = (UNKNOWN, "no KL known")
    else:
        said = (f"{trust.limit_in_words} · {trust.source}", trust.limit_in_words)
    forms = [" · ".join(filter(None, (text, each))) for each in said]
    return next((form for form in forms if len(form) <= width), text or said[-1])
