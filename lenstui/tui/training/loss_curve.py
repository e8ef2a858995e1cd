"""The loss curve: training loss by step, and the held-out KL wherever it was measured."""

from __future__ import annotations

from textual_hires_canvas import HiResMode

from lenstui.jobs.fit_messages import FitStatus
from lenstui.tui.shared.fit_words import mean
from lenstui.tui.shared.plot import Plot
from lenstui.tui.shared.themes import rich_colour

_MOST = 2000  # points of the curve; of more, every second one is left out


class LossCurve(Plot):
    """A plot of the training loss so far, and of the held-out KL."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[tuple[int, float]] = []
        self.measured: list[tuple[int, float]] = []

    def start(self) -> None:
        """Clear the plot for another fit."""
        self.losses, self.measured = [], []
        self._draw()

    def add(self, status: FitStatus) -> None:
        """Add what is new in a status: another training loss, another held-out KL."""
        progress = status.progress
        if progress is None:
            return
        if not self.losses and not self.measured:
            # All steps from the first point on, so that nothing wanders; with room for the last point.
            self.set_xlimits(0, 1.03 * max(progress.steps, 1))
        before = (self.losses[-1:], self.measured[-1:])
        loss, kl = mean(progress.loss), mean(progress.held_out_kl)
        if loss is not None and (not self.losses or self.losses[-1][0] < progress.step):
            self.losses.append((progress.step, loss))
        if kl is not None and (not self.measured or self.measured[-1] != (progress.measured_step, kl)):
            self.measured.append((max(progress.measured_step, 0), kl))
        if len(self.losses) > _MOST:
            del self.losses[1::2]
        if before != (self.losses[-1:], self.measured[-1:]):
            self._draw()

    def _draw(self) -> None:
        primary, accent = (rich_colour(self.app, name) for name in ("primary", "accent"))
        self.clear()
        if self.losses:
            steps, losses = zip(*self.losses, strict=True)
            self.plot(steps, losses, line_style=primary, hires_mode=HiResMode.BRAILLE)
        if self.measured:
            steps, kls = zip(*self.measured, strict=True)
            self.scatter(steps, kls, marker="●", marker_style=accent)
