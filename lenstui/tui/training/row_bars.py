"""How good a lens in training is, row by row, in bars.

Of a tuned lens it is the held-out KL, whose bar shrinks from the logit lens's; of a Jacobian lens the
convergence, whose bar grows.
"""

from __future__ import annotations

from math import inf
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.reactive import reactive
from textual.widgets import Static

from lenstui.jobs.fit_messages import FitStatus
from lenstui.lens.kinds import JACOBIAN
from lenstui.readout.cells import FloatArray, row_labels
from lenstui.support.fixed_text import NONE, fixed_text

_LABEL, _NUMBER = 5, 8
_LEAST_BAR = 4
# Of a bar, the longest that fits: its scale is that of its row alone.
_MEANINGS = ("share of the row's logit-lens KL that is left", "share of the row's logit KL", "tuned / logit")
_SHARED = (
    "of the top 10 tokens, the same with even and odd prompts",
    "of the top 10, the same with both halves",
    "of the top 10 the same",
    "same top 10",
)
_EIGHTHS = " ▏▎▍▌▋▊▉"


class RowBars(VerticalScroll):
    """A bar for each row, the last row on top as in the grids, under the mean of all rows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Scroll down", show=False, id="bars.down"),
        Binding("k", "scroll_up", "Scroll up", show=False, id="bars.up"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"row-bars--tuned", "row-bars--logit", "row-bars--quiet"}
    DEFAULT_CSS = """
    RowBars {
        scrollbar-size: 1 1;
        padding: 0 1;
        .row-bars--tuned { color: $primary; }
        .row-bars--logit { color: $foreground 20%; }
        .row-bars--quiet { color: $foreground 60%; }
        Static { width: 1fr; height: auto; }
    }
    """
    status: reactive[FitStatus | None] = reactive(None, init=False, repaint=False)

    def compose(self) -> ComposeResult:
        """Yield one text, which scrolls."""
        yield Static()

    def on_mount(self) -> None:
        """Show that nothing is measured yet."""
        self.show_bars()

    def on_resize(self) -> None:
        """Draw the bars as long as there is room now."""
        self.show_bars()

    def watch_status(self, before: FitStatus | None, status: FitStatus | None) -> None:
        """Draw the bars anew, but only where something was measured."""
        if _measured(before) != _measured(status):
            self.show_bars()

    def show_bars(self) -> None:
        """Draw the bars, or say that nothing is measured yet."""
        tuned, logit, quiet = (
            self.get_component_rich_style(f"row-bars--{kind}", partial=True)
            for kind in ("tuned", "logit", "quiet")
        )
        progress = None if self.status is None else self.status.progress
        width = self.scrollable_content_region.width
        if self.status is not None and self.status.kind == JACOBIAN:
            if progress is None or progress.convergence is None:
                text = Text("Two prompts come first, one for each half.", style=quiet)
            else:
                text = convergence_bars(progress.convergence, width, (tuned, logit, quiet))
        elif progress is None or progress.logit_lens_kl is None:
            text = Text("The logit lens's KL comes first: the full length of each bar.", style=quiet)
        else:
            text = kl_bars(progress.logit_lens_kl, progress.held_out_kl, width, (tuned, logit, quiet))
        self.query_one(Static).update(text)


def kl_bars(
    logit: FloatArray, tuned: FloatArray | None, width: int, styles: tuple[Style, Style, Style]
) -> Text:
    """Return a line for the headings, for the mean, and for each row.

    Args:
        logit: the KL of the logit lens by row, nats, for which the bar has its full length.
        tuned: the KL of the tuned lens by row, nats; None where it is not measured yet.
        width: the width of a line in terminal cells.
        styles: the styles of the tuned lens's part of a bar, of its gain, and of what is of less interest.
    """
    ours = logit if tuned is None else tuned
    labels = row_labels(len(logit))[:-1]
    rows = list(zip(labels, logit.tolist(), ours.tolist(), strict=True))[::-1]
    heading = f"{'row':<{_LABEL}}{'tuned':>{_NUMBER}}{'logit':>{_NUMBER}}"
    meaning = next((text for text in _MEANINGS if len(heading) + 2 + len(text) <= width), "")
    lines = [Text(f"{heading}  {meaning}".rstrip(), style=styles[2])]
    for label, theirs, own in [("mean", float(logit.mean()), float(ours.mean())), *rows]:
        number = NONE if tuned is None else fixed_text(own, 3)
        line = Text(f"{label:<{_LABEL}}{number:>{_NUMBER}}", style="bold" if label == "mean" else "")
        line.append(f"{fixed_text(theirs, 3):>{_NUMBER}}", style=styles[2])
        room = width - line.cell_len - 2
        if room >= _LEAST_BAR:
            line.append("  ").append_text(
                _bar(own / theirs if theirs > 0 and own < inf else 0.0, room, styles)
            )
        lines.append(line)
    return Text("\n", no_wrap=True, overflow="crop").join(lines)


def convergence_bars(shares: FloatArray, width: int, styles: tuple[Style, Style, Style]) -> Text:
    """Return a line for the headings, for the mean, and for each row of a Jacobian lens.

    Args:
        shares: the share of the top 10 tokens that both halves of the prompts give, by row, 0 to 1, for which
            the bar has its full length.
        width: the width of a line in terminal cells.
        styles: the styles of the share in a bar, of what is missing, and of what is of less interest.
    """
    labels = row_labels(len(shares))[:-1]
    heading = f"{'row':<{_LABEL}}{'share':>{_NUMBER}}"
    meaning = next((text for text in _SHARED if len(heading) + 2 + len(text) <= width), "")
    lines = [Text(f"{heading}  {meaning}".rstrip(), style=styles[2])]
    rows = [("mean", float(shares.mean())), *list(zip(labels, shares.tolist(), strict=True))[::-1]]
    for label, share in rows:
        style = "bold" if label == "mean" else ""
        line = Text(f"{label:<{_LABEL}}{fixed_text(share, 2):>{_NUMBER}}", style=style)
        room = width - line.cell_len - 2
        if room >= _LEAST_BAR:
            line.append("  ").append_text(_bar(share, room, styles))
        lines.append(line)
    return Text("\n", no_wrap=True, overflow="crop").join(lines)


def _bar(share: float, width: int, styles: tuple[Style, Style, Style]) -> Text:
    """Draw a share; of 1 or more it fills the bar."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, part = divmod(eighths, 8)
    left = "█" * full + (_EIGHTHS[part] if part else "")
    return Text(left, style=styles[0]).append("░" * (width - len(left)), style=styles[1])


def _measured(status: FitStatus | None) -> object:
    """Return all that decides how the bars look, for comparison."""
    progress = None if status is None else status.progress
    if status is None or progress is None:
        return status and status.kind
    measured = (progress.logit_lens_kl, progress.held_out_kl, progress.convergence)
    return [status.kind, *(None if numbers is None else numbers.tolist() for numbers in measured)]
