"""The difference of two lenses, or sides: a value of the one minus that of the other, cell by cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from lenstui.export.legend import scale_note
from lenstui.lens.names import lens_brief, lens_title
from lenstui.readout.number_texts import points_text, signed_text
from lenstui.readout.scales import Scale, around_zero
from lenstui.readout.values import PROBABILITY, Value

if TYPE_CHECKING:
    import numpy.typing as npt

    from lenstui.readout.cells import Cells, FloatArray
    from lenstui.support.late_numpy import np

DIFFERENT = "≠"  # marks a cell whose top-1 tokens differ


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of one value between two lenses or sides, right minus left.

    Attributes:
        value: the value.
        left: the key or name of the subtracted side.
        right: the key or name of the side that it is subtracted from.
    """

    value: Value
    left: str
    right: str

    @classmethod
    def of_two(cls, value: Value, lenses: Iterable[str]) -> Difference:
        """Return the difference of a readout's first two lenses, by their keys: second minus first."""
        left, right = islice(lenses, 2)
        return cls(value, left, right)

    @property
    def title(self) -> str:
        """The difference of two lenses in words: `tuned lens − logit lens`."""
        return f"{lens_title(self.right)} − {lens_title(self.left)}"

    def pair(self, lenses: Mapping[str, Cells]) -> tuple[Cells, Cells]:
        """Return the cells of the left and the right lens."""
        return lenses[self.left], lenses[self.right]

    def of(self, left: Cells, right: Cells) -> FloatArray:
        """Return the right side's value minus the left one's, `[rows, cols]`, NaN where either has none."""
        return self.value.of(right) - self.value.of(left)

    def scale(self, differences: FloatArray, vocabulary: int) -> Scale:
        """Return a scale that diverges about 0; for ranks logarithmic, though it shows plain differences.

        Args:
            differences: the differences of a whole prompt, column 0 first, NaN where not yet read.
            vocabulary: the number of token ids.
        """
        if self.value.is_yes_or_no:
            return Scale.around_zero(1)
        return around_zero([differences], log=self.value.log_difference)

    def format(self, number: float) -> str:
        """Return a difference with its sign, in at most five characters: `+31`, `−0.42`, `+3.4k`, `0`."""
        if self.value.is_yes_or_no:
            return signed_text(number, lambda size: f"{size:.0f}")
        return signed_text(number, points_text if self.value.is_share else self.value.format)

    @property
    def label(self) -> str:
        """The name on screen. Each side's number may be of another token, which is said."""
        of_top1 = "top-1 " * (self.value is PROBABILITY)
        return f"{of_top1}{self.value.label}: {self.brief}"

    @property
    def brief(self) -> str:
        """The difference of two sides in short: `tuned − logit`."""
        return f"{lens_brief(self.right)} − {lens_brief(self.left)}"

    @property
    def unit(self) -> str:
        """The unit on screen, or empty: percentages differ by points."""
        return "points" if self.value.is_share else self.value.unit

    @property
    def sides(self) -> tuple[str, str]:
        """The meaning of the colours below 0, and of those above it."""
        left, right = map(lens_brief, (self.left, self.right))
        if self.value.is_yes_or_no:
            return f"only {left}", f"only {right}"
        return f"{right} lower", f"{right} higher"

    def note(self, scale: Scale) -> str:
        """Return the meaning of the colours, by their names, for a legend."""
        below, above = self.sides
        return f"blue: {below}, orange: {above}{', ' * scale.log}{scale_note(scale)}"


def differing(left: Cells, right: Cells) -> npt.NDArray[np.bool_]:
    """Return whether the top-1 tokens of two sides differ, `[rows, cols]`."""
    ours, theirs = right.top_ids[..., 0], left.top_ids[..., 0]
    differs: npt.NDArray[np.bool_] = (ours >= 0) & (theirs >= 0) & (ours != theirs)
    return differs
