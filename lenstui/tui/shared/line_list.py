"""A list of lines to choose from, in a window of any size."""

from __future__ import annotations

from textual.widgets import OptionList


class LineList(OptionList):
    """A list of lines, one of which is highlighted.

    Textual looks for the line that is a page away among those that it has laid out, and fails where there was
    no room to lay out any: the keys of a list are pressed in a window of a few lines, too.
    """

    def action_page_up(self) -> None:
        """Move the highlight up by a page, where the list has room."""
        if self.scrollable_content_region:
            super().action_page_up()  # type: ignore[no-untyped-call]

    def action_page_down(self) -> None:
        """Move the highlight down by a page, where the list has room."""
        if self.scrollable_content_region:
            super().action_page_down()  # type: ignore[no-untyped-call]
