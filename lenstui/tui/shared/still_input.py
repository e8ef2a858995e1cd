"""A line to type into, with a cursor that does not blink."""

from __future__ import annotations

from textual.widgets import Input

ONE_LINE = r"[^\x00-\x1f\x7f-\x9f]*"  # what may be typed where a control character makes no sense


class StillInput(Input):
    """A line whose cursor does not blink, which costs 3 kB/s over SSH."""

    DEFAULT_CSS = "StillInput { background: $panel; }"

    def __init__(
        self,
        value: str | None = None,
        *,
        placeholder: str = "",
        restrict: str | None = None,
        select_on_focus: bool = True,
        id: str | None = None,
    ) -> None:
        super().__init__(
            value,
            placeholder=placeholder,
            restrict=restrict,
            select_on_focus=select_on_focus,
            id=id,
            compact=True,
        )
        self.cursor_blink = False
