"""A lens's card on screen: how it was fitted, what it reached, how large its translators are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.reactive import reactive
from textual.widgets import Static

from lenstui.export.printable import printable
from lenstui.lens.cells import row_labels
from lenstui.lens.lens_card import LEADING, LensCard, Match, TranslatorSize
from lenstui.ui.messages import ListedLens
from lenstui.ui.values import nats_text
from lenstui.ui.widgets.lens_table import mean_text, size_text

_ROW, _KL, _SIZE = 5, 7, 8
_LEAST_BAR = 6

_MATCHES = {
    Match.WEIGHTS: "made for the open model's weights",
    Match.SHAPE: "its shapes fit the open model; nothing says which weights it was made for",
    Match.OTHER_WEIGHTS: "its shapes fit the open model, but it was made for other weights",
    Match.NO: "its shapes do not fit the open model",
    None: "no model is open yet",
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is shown of a lens.

    Attributes:
        lens: the lens.
        sizes: of its translators, as many as have been measured, by row.
        trouble: why they cannot be.
    """

    lens: ListedLens
    sizes: Mapping[int, TranslatorSize] = field(default_factory=dict)
    trouble: str | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The facts, then a line a row, the last row on top as in the grids."""
        facts = Table.grid(padding=(0, 2))
        facts.add_column(style="dim", no_wrap=True)
        facts.add_column(overflow="fold")
        for label, value in _facts(self.lens):
            facts.add_row(label, Text(value))
        yield facts
        yield Text()
        yield from self._rows(options.max_width)
        if self.trouble:
            yield Text(self.trouble)

    def _rows(self, width: int) -> RenderResult:
        card = self.lens.card
        tuned, logit = card.held_out_kl, card.logit_lens_kl
        fixed = _ROW + 2 * _KL + (2 + LEADING) * _SIZE
        bar = width - fixed - 2
        heading = f"{'row':<{_ROW}}{'KL':>{_KL}}{'logit':>{_KL}}"
        if bar >= _LEAST_BAR:
            heading += "  " + " " * bar
        heading += f"{'‖A‖':>{_SIZE}}{'‖b‖':>{_SIZE}}{'  singular values of A':<{LEADING * _SIZE}}"
        yield Text(heading, style="dim", no_wrap=True, overflow="crop")
        largest = max((*(tuned or ()), *(logit or ())), default=0.0)
        for row, label in reversed(list(enumerate(row_labels(card.blocks)[:-1]))):
            line = Text(f"{label:<{_ROW}}", no_wrap=True, overflow="crop")
            line.append(f"{_nats(tuned, row):>{_KL}}{_nats(logit, row):>{_KL}}")
            if bar >= _LEAST_BAR:
                line.append("  ").append_text(_bar(tuned, logit, row, largest, bar))
            size = self.sizes.get(row)
            numbers = ("…",) * 2 if size is None else (size.weight, size.bias, *size.singular_values)
            line.append("".join(f"{_number(number):>{_SIZE}}" for number in numbers))
            yield line


class LensSheet(VerticalScroll):
    """The card of the highlighted lens."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Scroll down", show=False),
        Binding("k", "scroll_up", "Scroll up", show=False),
    ]
    DEFAULT_CSS = """
    LensSheet {
        scrollbar-size: 1 1;
        background: $surface;
        Static { width: 1fr; height: auto; }
    }
    """
    sheet: reactive[Sheet | None] = reactive(None)

    def compose(self) -> ComposeResult:
        """One text, which scrolls."""
        yield Static()

    def watch_sheet(self, before: Sheet | None, sheet: Sheet | None) -> None:
        """Show it; another lens's from its top on."""
        self.query_one(Static).update("" if sheet is None else sheet)
        if before is None or sheet is None or before.lens.card.path != sheet.lens.card.path:
            self.scroll_home(animate=False)


def _facts(lens: ListedLens) -> list[tuple[str, str]]:
    """Label and value of what the file says; what it does not say is left out."""
    card, fit = lens.card, lens.card.fit
    shape = f"{card.blocks} blocks · width {card.d_model}"
    facts = [
        ("for", _joined(card.made_for or "a model that it does not name", shape)),
        ("fits", _MATCHES[lens.match]),
        ("fit", _joined(*_fitting(fit))),
        ("data", ", ".join(map(str, data)) if isinstance(data := fit.get("data"), list) else ""),
        ("made", _joined(_time(fit.get("time")), *_versions(fit.get("versions")))),
        ("KL", _held_out(card)),
        ("file", _joined(str(card.path), size_text(card.size))),
    ]
    return [(label, printable(value)) for label, value in facts if value]


def _fitting(fit: Mapping[str, Any]) -> list[str]:
    parts = [str(fit["method"])] if fit.get("method") else []
    if fit.get("preset"):
        parts.append(f"preset {fit['preset']}")
    for key, unit in (("steps", "steps"), ("tokens", "tokens"), ("seconds", "s")):
        if isinstance(number := fit.get(key), int | float):
            parts.append(f"{number:,.0f} {unit}")
    if fit.get("seed") is not None:
        parts.append(f"seed {fit['seed']}")
    return parts


def _versions(versions: Any) -> list[str]:
    if not isinstance(versions, Mapping):
        return []
    return [f"{name} {version}" for name, version in versions.items()]


def _time(time: Any) -> str:
    return str(time).replace("T", " ").replace("+00:00", " UTC") if time else ""


def _held_out(card: LensCard) -> str:
    if card.held_out_kl is None:
        return "the file says none: lenstui eval measures it"
    return f"{mean_text(card.held_out_kl)} nats held out, {mean_text(card.logit_lens_kl)} by the logit lens"


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def _nats(numbers: Sequence[float] | None, row: int) -> str:
    return nats_text(numbers[row]) if numbers else "–"


def _number(number: float | str) -> str:
    """Three significant digits."""
    if isinstance(number, str):
        return number
    return f"{number:.3g}" if abs(number) >= 1000 or 0 < abs(number) < 0.01 else f"{number:#.3g}".rstrip(".")


def _bar(
    tuned: Sequence[float] | None, logit: Sequence[float] | None, row: int, largest: float, width: int
) -> Text:
    """The KL of the tuned lens, and in a lighter shade on to that of the logit lens."""
    ends = [
        0 if not numbers or largest <= 0 else round(width * numbers[row] / largest)
        for numbers in (tuned, logit)
    ]
    text = Text("█" * ends[0] + "░" * (ends[1] - ends[0]))
    text.truncate(width, pad=True)
    return text
