"""A lens's card on screen: how it was fitted, what it reached, how large its matrices are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import isfinite
from typing import Any, ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.reactive import reactive
from textual.widgets import Static

from lenstui.jobs.messages import ListedLens
from lenstui.lens.card import LEADING, LensCard, Match, TranslatorSize
from lenstui.lens.fit_history import history_of
from lenstui.lens.kinds import JACOBIAN
from lenstui.lens.origin import Origin
from lenstui.readout.cells import row_labels
from lenstui.readout.number_texts import nats_text, size_text
from lenstui.tui.lenses.facts import facts, joined
from lenstui.tui.lenses.hub_sheet import HubSheet
from lenstui.tui.shared.shown import shown

_ROW, _KL, _SIZE, _CONVERGENCE = 5, 7, 8, 12
_LEAST_BAR = 6

_MATCHES = {
    Match.WEIGHTS: "for the open weights",
    Match.PARTLY: "for the open weights, as far as they can be compared",
    Match.SHAPE: "fits in shape, but names no weights",
    Match.BASE: "for the base of the open model, without its adapter",
    Match.OTHER_WEIGHTS: "fits in shape, but is for other weights",
    Match.NO: "does not fit the open model",
    None: "",
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """The contents of the card of a lens.

    Attributes:
        lens: the lens.
        sizes: the sizes of its translators by row, as many as have been measured.
        trouble: why the translators cannot be measured; None where they can.
        bar: the style of the bars.
    """

    lens: ListedLens
    sizes: Mapping[int, TranslatorSize] = field(default_factory=dict)
    trouble: str | None = None
    bar: Style = field(default_factory=Style)

    @property
    def key(self) -> object:
        """What tells it from the cards of other lenses."""
        return self.lens.card.path

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what the lens fits and how it was fitted, a line for each row, and where the lens came from.

        The last row is on top, as in the grids.
        """
        card, fit = self.lens.card, self.lens.card.fit
        made_for = card.made_for or "a model that it does not name"
        yield facts(
            ("for", joined(made_for, _shape(card), _MATCHES[self.lens.match])),
            ("with", "" if card.adapter is None else joined(*_adapter(card))),
            ("kind", joined("Jacobian lens", _target(card)) if card.kind == JACOBIAN else ""),
            ("fit", joined(*_fitting(fit))),
            ("curve", _curve(fit)),
            ("eval", "" if card.evaluation is None else card.evaluation.in_words),
        )
        yield Text()
        if card.kind == JACOBIAN:
            yield from self._jacobian_rows(options.max_width)
        else:
            yield from self._rows(options.max_width)
        yield shown(f"\n{self.trouble}\n" if self.trouble else "")
        yield facts(
            ("from", _origin(fit)),
            ("made", joined(_time(fit.get("time")), *_versions(fit.get("versions")))),
            ("file", joined(str(card.path), size_text(card.size))),
        )

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
                ours, theirs = (
                    round(bar * (kl[row] / largest)) if kl and largest > 0 else 0 for kl in (tuned, logit)
                )
                line.append("  ").append_text(_bar(ours, theirs, width=bar, style=self.bar))
            size = self.sizes.get(row)
            numbers = ("…",) * 2 if size is None else (size.weight, size.bias or 0.0, *size.singular_values)
            line.append("".join(f"{_number(number):>{_SIZE}}" for number in numbers))
            yield line

    def _jacobian_rows(self, width: int) -> RenderResult:
        """Yield a line for each row below the last; convergence stands where a tuned lens has its KL."""
        card, converged = self.lens.card, self.lens.card.convergence
        bar = width - (_ROW + _CONVERGENCE + (1 + LEADING) * _SIZE) - 2
        bar = bar if bar >= _LEAST_BAR and converged else 0
        heading = f"{'row':<{_ROW}}{'top 10 kept':>{_CONVERGENCE}}" + "  " * bool(bar) + " " * bar
        heading += f"{'‖J‖':>{_SIZE}}{'  singular values of J':<{LEADING * _SIZE}}"
        yield Text(heading, style="dim", no_wrap=True, overflow="crop")
        shares = dict(zip(card.own_rows, converged or (), strict=False))
        for row, label in reversed(list(enumerate(row_labels(card.blocks)[:-1]))):
            share, size = shares.get(row), self.sizes.get(row)
            line = Text(f"{label:<{_ROW}}", no_wrap=True, overflow="crop")
            line.append(f"{'–' if share is None else f'{share:.0%}':>{_CONVERGENCE}}")
            if bar:
                text = Text("█" * round(bar * min(max(share or 0.0, 0.0), 1.0)), style=self.bar)
                text.pad_right(bar - text.cell_len)
                line.append("  ").append_text(text)
            if row not in card.own_rows:
                line.append(f"{'–':>{_SIZE}}  no matrix", style="dim")
            else:
                numbers = ("…",) if size is None else (size.weight, *size.singular_values)
                line.append("".join(f"{_number(number):>{_SIZE}}" for number in numbers))
            yield line


def _curve(fit: Mapping[str, Any]) -> str:
    """Return how often the lens was measured while it was fitted; nothing where that is not kept."""
    count = len(history_of(fit))
    return f"measured {count} times on the way: x exports the curve" if count > 1 else ""


class LensSheet(VerticalScroll):
    """The card of the highlighted lens."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Scroll down", show=False),
        Binding("k", "scroll_up", "Scroll up", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"lens-sheet--bar"}
    DEFAULT_CSS = """
    LensSheet {
        .lens-sheet--bar { color: $primary; }
        scrollbar-size: 1 1;
        background: $surface;
        Static { width: 1fr; height: auto; }
    }
    """
    sheet: reactive[Sheet | HubSheet | None] = reactive(None)

    def compose(self) -> ComposeResult:
        """Yield one text, which scrolls."""
        yield Static()

    def watch_sheet(self, before: Sheet | HubSheet | None, sheet: Sheet | HubSheet | None) -> None:
        """Show the new card, that of another lens from its top on."""
        bar = self.get_component_rich_style("lens-sheet--bar", partial=True)
        styled = replace(sheet, bar=bar) if isinstance(sheet, Sheet) else sheet
        self.query_one(Static).update("" if styled is None else styled)
        if before is None or sheet is None or before.key != sheet.key:
            self.scroll_home(animate=False)


def _adapter(card: LensCard) -> Iterator[str]:
    """Yield the name, kind and hash of the adapter that a lens was fitted under."""
    found = card.config["adapter"]
    yield f"adapter {card.adapter}"
    yield from (str(found[key]) for key in ("kind", "hash") if found.get(key))


def _shape(card: LensCard) -> str:
    least = "at least " if card.kind == JACOBIAN and card.config.get("num_hidden_layers") is None else ""
    return f"{least}{card.blocks} blocks · width {card.d_model}"


def _target(card: LensCard) -> str:
    """Return which row a Jacobian lens leads to."""
    target = card.fit.get("target")
    return f"to the {target} block's output" if target else "its file names no target"


_COUNTS = (
    ("n_prompts", "prompts"),
    ("n_exact", "of them exact"),
    ("steps", "steps"),
    ("tokens", "tokens"),
    ("seconds", "s"),
)


def _fitting(fit: Mapping[str, Any]) -> list[str]:
    parts = [str(fit["method"])] if fit.get("method") else []
    if fit.get("preset"):
        parts.append(f"preset {fit['preset']}")
    for key, unit in (
        ("n_prompts", "prompts"),
        ("n_exact", "of them exact"),
        ("steps", "steps"),
        ("tokens", "tokens"),
        ("seconds", "s"),
    ):
        if isinstance(number := fit.get(key), int | float):
            parts.append(f"{number:,.0f} {unit}")
    parts += [f"{key} {fit[key]}" for key in ("rule", "estimator") if fit.get(key) not in {None, "none"}]
    if fit.get("seed") is not None:
        parts.append(f"seed {fit['seed']}")
    if isinstance(data := fit.get("data"), list):
        parts.append(f"on {', '.join(map(str, data))}")
    if isinstance(merged := fit.get("merged"), list):
        parts.append(f"merged from {', '.join(map(str, merged))}")
    return parts


def _origin(fit: Mapping[str, Any]) -> str:
    """Return where on the hub a lens was downloaded from; nothing for any other lens."""
    origin = Origin.in_fit(fit)
    return "" if origin is None else joined(origin.repository, origin.path, f"commit {origin.commit}")


def _versions(versions: Any) -> list[str]:
    if not isinstance(versions, Mapping):
        return []
    return [f"{name} {version}" for name, version in versions.items()]


def _time(time: Any) -> str:
    try:
        return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except (TypeError, ValueError):
        return ""


def _nats(numbers: Sequence[float] | None, row: int) -> str:
    return nats_text(numbers[row]) if numbers else "–"


def _number(number: float | str) -> str:
    """Return a number with three significant digits, in at most seven characters.

    Examples: `12.8`, `1.28e3`, `1.28e-5`. A text is returned as it is.
    """
    if isinstance(number, str):
        return number
    if not isfinite(number) or number == 0 or 0.01 <= number < 999.5:
        return f"{number:#.3g}".rstrip(".")
    digits, exponent = f"{number:.{2 if number >= 1e-9 else 1}e}".split("e")
    return f"{digits}e{int(exponent)}"


def _bar(ours: int, theirs: int, *, width: int, style: Style) -> Text:
    """Return the bar of the tuned lens's KL, continued in a lighter shade to the logit lens's KL."""
    text = Text("█" * ours, style=style).append("░" * (theirs - ours), style="dim")
    text.pad_right(width - text.cell_len)
    return text
