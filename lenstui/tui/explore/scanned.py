"""A position of a scanned text on Explore: its tokens are read exactly as the scan read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenstui.readout.reading import Reading
from lenstui.support.printable import printable
from lenstui.tui.explore.reader import Reader, nearest
from lenstui.tui.grid.cursor import Cursor
from lenstui.tui.services import Services, Target

if TYPE_CHECKING:
    from lenstui.jobs.scan_messages import Position
    from lenstui.tui.explore.growth import Growth
    from lenstui.tui.explore.pins import Pins
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets


class Scanned:
    """The part of Explore that shows positions of a scanned text, and goes back to the table of them.

    The prompt is text and tokens then: where the text is edited, or BOS or the chat template is changed, it
    is cut into tokens anew, as any other.
    """

    def __init__(
        self,
        state: ExploreState,
        widgets: Widgets,
        services: Services,
        *,
        reader: Reader,
        pins: Pins,
        growth: Growth,
    ) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services
        self._reader = reader
        self._pins = pins
        self._growth = growth

    def show(self, position: Position) -> None:
        """Read a position, with the cursor on it and the token that follows pinned."""
        state, box = self._state, self._widgets.prompt
        assert state.model is not None  # the position was found with it
        following = position.next_id
        self._pins.pin_targets([] if following is None else [Target(following, position.next_text)])
        box.show(position.text)
        state.fold()
        state.prompt, state.ids = box.prompt, position.ids
        state.reading = Reading()  # as scans read
        rows = state.model.rows
        row = len(rows) - 1 if position.row is None else nearest(position.row, rows)
        state.first_cursor = Cursor(row, len(position.ids) - 1)
        self._reader.read_again()
        self._widgets.panes.focus_grid()
        if position.missing:
            self._services.tell(printable(f"M puts {position.missing} beside."), seconds=8)
        if position.remark:
            self._services.notify(position.remark, title="Other numbers", severity="warning", seconds=12)

    def leave(self) -> None:
        """Stop what is under way; else go back from a position to the table of the scan.

        Elsewhere say nothing: Esc is also pressed to be safe.
        """
        if self._growth.is_generating or self._state.is_downloading:
            self._growth.stop()
        elif self._state.ids:
            self._services.open_scan()
