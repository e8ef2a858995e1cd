"""The base class of every screen, which closes nothing but itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.await_complete import AwaitComplete
from textual.events import Event, Resize
from textual.geometry import Offset
from textual.screen import Screen, ScreenResultType
from textual.widget import Widget

from lenstui.support.printable import printable

if TYPE_CHECKING:
    from lenstui.jobs.export_messages import ViewKept


class AppScreen(Screen[ScreenResultType]):
    """The base class of every screen of lenstui, also of those derived from a library's."""

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Leave this screen, if it is the one in front.

        Textual takes away whatever is in front: a second `dismiss` would take the screen below.
        """
        return super().dismiss(result) if self.is_active else AwaitComplete()

    async def on_event(self, event: Event) -> None:
        """Take no size but the terminal's own of now.

        A screen that lays itself out for another size says that size to itself once more. Of two sizes that
        wait at once, while a window is drawn larger, each would bring the other back, without end.
        """
        if not isinstance(event, Resize) or event.size == self.app.size:
            await super().on_event(event)

    def get_widget_and_offset_at(self, x: int, y: int) -> tuple[Widget | None, Offset | None]:
        """Return the widget whose text the mouse selects at a place of the screen.

        A notification that is being removed has no parent any more, which Textual would ask for.
        """
        widget, offset = super().get_widget_and_offset_at(x, y)
        is_going = widget is not None and widget is not self and widget.parent is None
        return (None, None) if is_going else (widget, offset)

    def on_view_kept(self, message: ViewKept) -> None:
        """Tell the user that what this screen showed was kept in the lab notebook."""
        self._tell(printable(message.text, kept="\n"), seconds=8)

    def _tell(self, text: str, *, seconds: float = 4) -> None:
        """Notify the user why a key did nothing, or what it found, in place of earlier notifications."""
        self.app.clear_notifications()
        self.query("ToastHolder").remove()
        self.notify(text, timeout=seconds, markup=False)

    def on_screen_resume(self) -> None:
        """Remove what is left here of notifications that were taken away meanwhile.

        Textual takes the text away and leaves the widget around it, which would be laid out for ever.
        """
        for holder in self.query("ToastHolder"):
            if holder.is_mounted and not holder.children:
                holder.remove()
