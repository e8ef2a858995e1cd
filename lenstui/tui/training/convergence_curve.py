"""The convergence of a Jacobian lens by the number of its prompts: the mean of all rows, and the extremes."""

from __future__ import annotations

import numpy as np
from textual_hires_canvas import HiResMode

from lenstui.jobs.fit_messages import FitStatus
from lenstui.readout.cells import FloatArray
from lenstui.tui.shared.plot import Plot
from lenstui.tui.shared.themes import rich_colour


class ConvergenceCurve(Plot):
    """A plot of the convergence wherever it was measured, with all prompts across from the first point on."""

    def __init__(self) -> None:
        super().__init__()
        self.measured: list[tuple[int, FloatArray]] = []  # prompts, and the share of each row

    def start(self) -> None:
        """Clear the plot for another fit."""
        self.measured = []
        self._draw()

    def add(self, status: FitStatus) -> None:
        """Add what is new in a status: another measurement."""
        progress = status.progress
        if progress is None or progress.convergence is None:
            return
        if self.measured and self.measured[-1][0] == progress.measured_step:
            return
        if not self.measured:
            self.set_xlimits(0, 1.03 * max(progress.steps, 1))
            self.set_ylimits(0, 1)
        self.measured.append((progress.measured_step, progress.convergence))
        self._draw()

    def _draw(self) -> None:
        primary, accent, quiet = (rich_colour(self.app, name) for name in ("primary", "accent", "secondary"))
        self.clear()
        if not self.measured:
            return
        prompts = [count for count, _ in self.measured]
        shares = np.stack([each for _, each in self.measured])  # [measurements, rows]
        for extreme in (shares.min(1), shares.max(1)):
            self.plot(prompts, extreme, line_style=quiet, hires_mode=HiResMode.BRAILLE)
        self.plot(prompts, shares.mean(1), line_style=primary, hires_mode=HiResMode.BRAILLE)
        self.scatter(prompts, shares.mean(1), marker="●", marker_style=accent)
