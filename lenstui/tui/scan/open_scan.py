"""The dialog that asks which scan to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from lenstui.export.names import shown_path
from lenstui.support.cell_width import fit
from lenstui.support.printable import printable
from lenstui.support.typed_path import expanded
from lenstui.tui.shared.box import Box, BoxScreen
from lenstui.tui.shared.line_list import LineList
from lenstui.tui.shared.still_input import ONE_LINE, StillInput

if TYPE_CHECKING:
    from lenstui.scan.catalog import ListedScan

_NAME = 26  # cells of a scan's name


class OpenScan(BoxScreen[Path | None]):
    """A list of the last scans, and a line for the folder of any other. Returns the folder, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", id="open_scan.close"),
        Binding("down", "list('cursor_down')", "Down", show=False, id="open_scan.down"),
        Binding("up", "list('cursor_up')", "Up", show=False, id="open_scan.up"),
    ]
    DEFAULT_CSS = """
    OpenScan {
        Box { width: 92; }
        Horizontal { height: 1; margin-top: 1; }
        Horizontal Label { width: 8; color: $text-muted; }
        Input { width: 1fr; }
        OptionList, OptionList:focus {
            border: none; background: $surface; height: auto; max-height: 14; padding: 0;
        }
        .none { color: $text-muted; }
    }
    """

    def __init__(self, scans: Sequence[ListedScan], place: Path) -> None:
        """Prepare the dialog.

        Args:
            scans: the scans that are listed.
            place: the folder where they are.
        """
        super().__init__()
        self._scans, self._place = scans, place

    def compose(self) -> ComposeResult:
        """Yield the list, and the line for another folder."""
        with Box("open a scan", "enter opens · up down choose · esc closes"):
            if self._scans:
                yield LineList(*(Option(_line(scan)) for scan in self._scans), compact=True)
            else:
                yield Label(f"No scans in {printable(shown_path(self._place))} yet.", classes="none")
            with Horizontal():
                yield Label("folder")
                yield StillInput(placeholder="or the folder of any other scan", restrict=ONE_LINE)

    def on_mount(self) -> None:
        """Highlight the last scan, and begin in the line."""
        self.query_one(StillInput).focus()
        for scans in self.query(OptionList):
            scans.highlighted = 0

    def action_list(self, action: str) -> None:
        """Move in the list, wherever the focus is."""
        for scans in self.query(OptionList):
            getattr(scans, f"action_{action}")()

    @on(Input.Submitted)
    def open_typed(self, message: Input.Submitted) -> None:
        """Open the typed folder, or the highlighted scan where none is typed."""
        typed = message.value.strip()
        if typed:
            self.dismiss(_folder(typed))
        elif self._scans:
            self.dismiss(self._scans[self.query_one(OptionList).highlighted or 0].folder)

    @on(OptionList.OptionSelected)
    def open_listed(self, message: OptionList.OptionSelected) -> None:
        """Open the chosen scan."""
        self.dismiss(self._scans[message.option_index].folder)


def _folder(typed: str) -> Path:
    """Return the folder that a typed text means."""
    return expanded(typed).absolute()


def _line(scan: ListedScan) -> Text:
    """Return a scan on one line: its name, the model, the texts, whether it is finished."""
    line = Text(fit(printable(scan.folder.name), _NAME), no_wrap=True, overflow="ellipsis")
    if scan.manifest is None:
        return line.append("  damaged", "dim")
    texts = ", ".join(Path(name).name for name in scan.manifest.data)
    parts = [str(scan.manifest.source.get("model")), texts]
    parts += [] if scan.manifest.finished else ["not finished"]
    return line.append(printable(f"  {' · '.join(parts)}"), "dim")
