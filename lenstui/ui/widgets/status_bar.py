"""The top line: which model and lens are open, on what, and whether it is read right."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from lenstui.export.printable import printable
from lenstui.ui.messages import OpenModel


class StatusBar(Widget):
    """One line; what matters least gives way first where it is narrow."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"status-bar--name", "status-bar--good", "status-bar--quiet"}
    DEFAULT_CSS = """
    StatusBar {
        height: 1;
        padding: 0 1;
        background: $panel;
        .status-bar--name { text-style: bold; color: $primary; }
        .status-bar--good { color: $success; }
        .status-bar--quiet { color: $foreground 60%; }
    }
    """

    model: reactive[OpenModel | None] = reactive(None)
    stage: reactive[str | None] = reactive(None)

    def render(self) -> Text:
        """The line, as wide as there is room."""
        name = self.get_component_rich_style("status-bar--name", partial=True)
        good = self.get_component_rich_style("status-bar--good", partial=True)
        quiet = self.get_component_rich_style("status-bar--quiet", partial=True)
        left = Text.assemble(("lenstui", name))
        right = Text()
        model, room = self.model, self.content_size.width
        if self.stage is not None:
            right = Text.assemble((f"{self.stage} …", quiet))
        if model is None:
            left.append("  no model yet", style=quiet)
        else:
            if self.stage is None:
                right = _lens_text(model)
            left.append(f"  {short_name(model.name)}")
            parts = [
                (f" · {len(model.rows) - 1} blocks", quiet),
                (f" · {model.device} {model.dtype}", quiet),
                (" · wiring ok", good),
            ]
            for text, style in parts:
                if left.cell_len + cell_len(text) + 2 + right.cell_len <= room:
                    left.append(text, style=style)
        gap = max(2, room - left.cell_len - right.cell_len)
        line = Text.assemble(left, " " * gap, right, no_wrap=True, overflow="ellipsis")
        line.truncate(room, overflow="ellipsis")
        return line


def short_name(name: str) -> str:
    """A hub id as it is; of a folder its own name alone."""
    return printable(
        name if name.count("/") <= 1 and name[:1] not in "./~" else name.rstrip("/").rpartition("/")[2]
    )


def _lens_text(model: OpenModel) -> Text:
    if model.lens is None:
        return Text("no tuned lens")
    kl = "" if model.lens_kl is None else f" (KL {model.lens_kl:.2f})"
    return Text(f"tuned lens: {printable(model.lens)}{kl}")
