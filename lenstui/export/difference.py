"""The difference of the lenses: a value of the tuned lens minus that of the logit lens, cell by cell."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lenstui.export.values import AGREEMENT, Scale, Value, around_zero
from lenstui.lens.cells import Cells, FloatArray

TITLE = "tuned lens − logit lens"
DIFFERENT = "≠"  # marks a cell in which another token leads by the one lens than by the other


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of one value.

    Attributes:
        value: what is subtracted.
    """

    value: Value

    def of(self, logit: Cells, tuned: Cells) -> FloatArray:
        """The tuned lens's value minus the logit lens's, `[rows, cols]`, NaN where either has none."""
        return self.value.of(tuned) - self.value.of(logit)

    def scale(self, differences: FloatArray, vocabulary: int) -> Scale:
        """A scale that diverges about 0, logarithmic where the value's own is, as that of ranks.

        Args:
            differences: of a whole prompt, column 0 first, NaN where not yet read.
            vocabulary: number of token ids.
        """
        of_value = self.value.scale((), vocabulary)
        return Scale.around_zero(1) if of_value.two else around_zero([differences], log=of_value.log)

    def format(self, number: float) -> str:
        """A difference with its sign, in at most five characters: `+31%`, `−0.42`, `+3.4k`, `0`, `+yes`."""
        if self.value is AGREEMENT and not number:
            return "="
        text = self.value.format(abs(number))
        if text.startswith("<"):  # too small for more than its sign
            text = "0.0%" if text.endswith("%") else "0.00"
        if math.isnan(number) or not number:
            return text
        return f"{'+' if number > 0 else '−'}{text}"

    @property
    def label(self) -> str:
        """Its name on screen."""
        return f"{self.value.label}: tuned − logit"

    @property
    def unit(self) -> str:
        """Its unit on screen, or empty."""
        return self.value.unit

    @property
    def sides(self) -> tuple[str, str]:
        """What the colours below 0 mean, and those above it."""
        return "tuned lower", "tuned higher"
