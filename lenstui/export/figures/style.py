"""How a figure is asked for: its width and whether it has colours."""

from __future__ import annotations

from dataclasses import dataclass

FIGURE_FORMS = ("svg", "pdf")


@dataclass(frozen=True, slots=True)
class FigureStyle:
    """How a figure looks.

    Attributes:
        width_mm: its width, millimetres; None for as wide as it takes.
        greyscale: whether it has greys alone.
    """

    width_mm: float | None = None
    greyscale: bool = False

    @property
    def options(self) -> list[str]:
        """The options of a command for this style."""
        width = [] if self.width_mm is None else ["--width", str(self.width_mm).removesuffix(".0")]
        return [*width, *(["--greyscale"] if self.greyscale else [])]
