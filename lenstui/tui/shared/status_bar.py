"""The top line: the open model and its lens, what they run on, and the result of the wiring check."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from lenstui.lens.names import INSTANT
from lenstui.support.printable import printable
from lenstui.tui.shared.shown import shown
from lenstui.tui.shared.side_names import side_name

if TYPE_CHECKING:
    from lenstui.jobs.fit_messages import FitStatus
    from lenstui.jobs.messages import OpenModel


class StatusBar(Widget):
    """The line at the top of the screen; where it is narrow, what matters least gives way first."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "status-bar--name",
        "status-bar--good",
        "status-bar--quiet",
        "status-bar--fit",
    }
    DEFAULT_CSS = """
    StatusBar {
        height: 1;
        padding: 0 1;
        background: $panel;
        .status-bar--name { text-style: bold; color: $primary; }
        .status-bar--good { color: $success; }
        .status-bar--quiet { color: $foreground 60%; }
        .status-bar--fit { color: $accent; }
    }
    """

    model: reactive[OpenModel | None] = reactive(None)
    stage: reactive[str | None] = reactive(None)
    fit: reactive[FitStatus | None] = reactive(None)

    def render(self) -> Text:
        """Return the fullest of the lines that fit."""
        room = self.content_size.width
        lines = [(left, right) for left, right in self._lines() if left.cell_len + 2 + right.cell_len <= room]
        left, right = lines[0] if lines else (self._lines()[-1][0], Text())
        gap = " " * max(0, room - left.cell_len - right.cell_len)
        line = Text.assemble(left, gap, right, no_wrap=True)
        line.truncate(room, overflow="ellipsis")
        return line

    def _lines(self) -> list[tuple[Text, Text]]:
        """Return the texts on the left and on the right, in several forms, the fullest first."""
        brand = ("lenstui  ", self._style("name"))
        model, quiet = self.model, self._style("quiet")
        stage = None if self.stage is None else Text.assemble((f"{printable(self.stage)} …", quiet))
        if model is None:
            return [(Text.assemble(brand, ("no model yet", quiet)), stage or Text())]
        name = short_name(model.name) + (f"@{printable(model.revision)}" if model.revision else "")
        name += f" + {short_name(model.adapter)}" if model.adapter else ""
        blocks = (f" · {len(model.rows) - 1} blocks", quiet)
        machine = (f" · {model.device} {model.dtype}", quiet)
        wiring = (" · wiring ok", self._style("good"))
        everything = Text.assemble(brand, name, blocks, machine, wiring)
        brandless = Text.assemble(name, blocks, machine, wiring)
        lens = "none" if model.lens is None else printable(model.lens)
        facts = ["" if model.lens_kl is None else f"KL {model.lens_kl:.2f}", model.lens_choice]
        kl = f" ({', '.join(filter(None, facts))})" if any(facts) else ""
        read_through = f"tuned lens: {lens}"
        if model.instant is not None:
            reached = "being measured" if model.lens_kl is None else f"KL {model.lens_kl:.2f}"
            read_through, kl = f"{INSTANT} lens", f" · {model.instant} · {reached}"
        if others := [side_name(side, model.sides) for side in model.sides if not side.is_own]:
            read_through, kl = f"beside: {', '.join(others)}", ""
        brief = stage or Text(read_through)
        if self.fit is not None:
            return self._lines_in_training(everything, brandless, Text.assemble(name, wiring), self.fit)
        return [
            (everything, stage or Text(f"{read_through}{kl}")),
            (everything, brief),
            (brandless, brief),
            (Text.assemble(name, machine, wiring), brief),
            (Text.assemble(name, wiring), brief),
            (Text.assemble(name, wiring), Text()),
        ]

    def _lines_in_training(
        self, full: Text, brandless: Text, brief: Text, fit: FitStatus
    ) -> list[tuple[Text, Text]]:
        """Return the lines during a fit: its progress takes the place of the lens, and is shortened last."""
        from lenstui.tui.shared.fit_words import glances  # the first paint can do without

        first, *others = (shown(glance, style=self._style("fit")) for glance in glances(fit))
        shorter = [(brief, glance) for glance in others]
        return [(full, first), (brandless, first), (brief, first), *shorter, (brief, Text())]

    def _style(self, part: str) -> Style:
        return self.get_component_rich_style(f"status-bar--{part}", partial=True)


def short_name(name: str) -> str:
    """Return a Hub id unchanged, and the last part of a folder's path."""
    return printable(
        name if name.count("/") <= 1 and name[:1] not in "./~" else name.rstrip("/").rpartition("/")[2]
    )
