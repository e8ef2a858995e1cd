"""The part of the screen of lenses that is about the hub: its list, the search, the download of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message_pump import MessagePump
from textual.widgets import Static

from lenstui.jobs.published_messages import PublishedStatus
from lenstui.lens.published.matching import Suits
from lenstui.lens.published.published_lens import PublishedLens
from lenstui.readout.number_texts import size_text
from lenstui.tui.lenses.hub_sheet import HubSheet
from lenstui.tui.lenses.hub_table import HubLine, HubTable
from lenstui.tui.services import Services
from lenstui.tui.shared.shown import shown

NOT_ASKED = "The hub was not asked yet: h asks it."
SEARCHING = "asking the hub …"
NONE_THERE = "No lens for this model is in the repositories that lenstui knows."


class HubList(Vertical):
    """The lenses on the hub for the open model, and below them how far the search or a download is."""

    def __init__(self, services: Services, asker: MessagePump, open_lens: Callable[[Path], None]) -> None:
        """Prepare the list, which is hidden until the hub was asked.

        Args:
            services: what a screen may ask.
            asker: the screen, which gets the answers about downloads.
            open_lens: reads the open model through the lens of a file.
        """
        super().__init__(id="hub")
        self._services = services
        self._asker = asker
        self._open_lens = open_lens
        self._warned: str | None = (
            None  # the lens of which the user was told that it may be for another model
        )
        self.border_title = "on the hub"
        self.display = False

    def compose(self) -> ComposeResult:
        """Yield the list, and the line below it."""
        yield Static(HubLine(), id="hub-headings")
        yield HubTable()
        yield Static(id="hub-hint")

    def on_mount(self) -> None:
        """Show what is known of the hub from before."""
        self._services.signals.published_changed.subscribe(self, self.show)
        self.show(self._status)

    @property
    def _status(self) -> PublishedStatus:
        return self._services.published.status

    @property
    def table(self) -> HubTable:
        """The list alone."""
        return self.query_one(HubTable)

    @property
    def chosen(self) -> PublishedLens | None:
        """The highlighted lens, if the list is on screen."""
        return self.table.chosen if self.display else None

    @property
    def sheet(self) -> HubSheet | None:
        """The card of the highlighted lens."""
        lens = self.chosen
        return None if lens is None else HubSheet(lens, lens.name in self._status.here)

    @property
    def is_downloading(self) -> bool:
        """Whether a lens is being downloaded."""
        return self._status.download is not None

    def ask(self) -> None:
        """Ask the hub for lenses for the open model, and go to their list."""
        self._warned = None
        self._services.published.search()
        self._appear(True)
        self.table.focus()

    def show(self, status: PublishedStatus) -> None:
        """Show another status: the lenses for the open model, or a download under way."""
        model = self._services.model
        is_ours = status.is_asked and (status.is_searching or model is None or status.model == model.name)
        self._appear(is_ours or status.download is not None)
        self.table.show(status.lenses if is_ours else (), status.here)
        self.query_one("#hub-headings").display = bool(status.lenses)
        self._hint(*self._lines(status))

    def _appear(self, is_shown: bool) -> None:
        """Show the list or hide it; the screen's style gives it room."""
        self.display = is_shown
        self.screen.set_class(is_shown, "-hub")

    def _lines(self, status: PublishedStatus) -> list[str]:
        lines = []
        if status.download is not None:
            lens, text = status.download.lens, status.download.text
            lines.append(f"{lens.path.rpartition('/')[2]}  {text} · esc stops")
        if status.outcome:
            lines.append(status.outcome)
        if status.is_searching:
            lines.append(SEARCHING)
        elif status.is_asked and not status.lenses and not status.troubles:
            lines.append(NONE_THERE)
        return [*lines, *status.troubles]

    def _hint(self, *lines: str) -> None:
        hint = self.query_one("#hub-hint", Static)
        hint.update(shown("\n".join(lines)))
        hint.display = bool(lines)

    def why_not_use(self) -> str:
        """Return why the highlighted lens cannot be downloaded and used now; nothing where it can."""
        if self.chosen is None:
            return NOT_ASKED
        download = self._status.download
        if download is None or self.chosen.name in self._status.here:
            return ""
        which = "It" if download.lens == self.chosen else "Another lens"
        return f"{which} is being downloaded: esc stops that."

    def use(self) -> None:
        """Open the highlighted lens, downloaded first where it is not here.

        One that may be for another model is downloaded at the second time.
        """
        lens = self.chosen
        if lens is None or self.why_not_use():
            return
        if lens.name in self._status.here:
            self._open_lens(lens.place)
        elif lens.suits is Suits.PERHAPS and self._warned != lens.name:
            self._warned = lens.name
            self._hint(
                "Nothing says for which model this lens is, and only its shape will be checked: "
                f"Enter again downloads its {size_text(lens.size)} all the same.",
                *self._status.troubles,
            )
        else:
            self._services.published.download(lens, self._services.post_to(self._asker))

    def stop(self) -> None:
        """Stop the download under way."""
        self._services.published.stop()
