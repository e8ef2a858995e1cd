"""The progress of a fit: a bar for the stage, a bar for the whole, and its speed."""

from __future__ import annotations

from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from lenstui.fitting.plan import unit_of
from lenstui.jobs.fit_messages import FitStatus, Phase
from lenstui.support.duration import duration
from lenstui.tui.shared.fit_words import doing

_LABEL = 18
_FACTS = 38  # cells behind the bar


class FitBar(Widget):
    """Two bars for the progress of a fit, and a line about its files."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"fit-bar--done", "fit-bar--open", "fit-bar--quiet"}
    DEFAULT_CSS = """
    FitBar {
        height: 3;
        padding: 0 1;
        .fit-bar--done { color: $primary; }
        .fit-bar--open { color: $foreground 20%; }
        .fit-bar--quiet { color: $foreground 60%; }
    }
    """
    status: reactive[FitStatus] = reactive(FitStatus())

    def render(self) -> Text:
        """Return the bar of the stage, the bar of the whole fit, and the line about its files."""
        status, progress = self.status, self.status.progress
        stage = 0.0 if progress is None else progress.share
        left, speed, step = "", "", ""
        if progress is not None:
            step = f"{unit_of(status.kind)} {progress.step} of {progress.steps}" if progress.step else ""
            if progress.stage == "prompts":  # of the stage, which is all prompts, the current one
                stage = progress.share * progress.steps - progress.step
            if progress.eta and status.phase is Phase.RUNNING:
                left = f"{duration(progress.eta)} left"
            speed = f"{progress.seconds:.1f} s"
            if progress.tokens and progress.seconds:
                speed = f"{progress.tokens / progress.seconds:,.0f} tokens/s  {speed}"
        lines = [
            self._line(doing(status), 1.0 if status.phase is Phase.KEPT else stage, step),
            self._line("total", status.share, "  ".join(filter(None, (left, speed)))),
            self._files(),
        ]
        return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)

    def _line(self, label: str, share: float, facts: str) -> Text:
        width = max(self.content_size.width - _LABEL - 6 - _FACTS, 8)
        full = round(min(max(share, 0.0), 1.0) * width)
        line = Text(f"{label:<{_LABEL}}", no_wrap=True)
        line.append("━" * full, style=self._style("done"))
        line.append("━" * (width - full), style=self._style("open"))
        return line.append(f"{share:>5.0%}  ").append(facts)

    def _files(self) -> Text:
        status, quiet = self.status, self._style("quiet")
        if status.path is None:
            return Text()
        parts = [f"{'saved as' if status.phase is Phase.KEPT else 'goes to'} {status.path}"]
        if status.checkpoint_trouble is not None:
            parts.insert(0, f"no checkpoint: {status.checkpoint_trouble}")
        elif status.phase is not Phase.KEPT and status.checkpoint_step is not None:
            parts.insert(0, f"checkpoint at {unit_of(status.kind)} {status.checkpoint_step}")
        return Text(" · ".join(parts), style=quiet, no_wrap=True)

    def _style(self, part: str) -> Style:
        return self.get_component_rich_style(f"fit-bar--{part}", partial=True)
