"""The instant lens on Explore: when it is made, and what is said of it where there is no tuned lens yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenstui.jobs.fit_messages import BUSY, FitStatus
from lenstui.jobs.instant_messages import InstantPhase, InstantStatus
from lenstui.tui.shared.fit_words import TAKEN
from lenstui.tui.shared.nothing_yet import NO_MODEL

if TYPE_CHECKING:
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets
    from lenstui.tui.services import Services

HAS_LENS = "A lens that was fitted is in use: an instant one is no better."
IS_MADE = "It is in use already."
BEGUN = "An instant lens is being made, whenever there is nothing else to do."


class InstantLens:
    """The part of Explore that has an instant lens made for a model without a tuned lens."""

    def __init__(self, state: ExploreState, widgets: Widgets, services: Services) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services
        state.instant = InstantStatus()

    def consider(self) -> None:
        """Have an instant lens made, if the open model lacks one and the user has not turned that off.

        This is to be called when there is nothing else to do: the prompt is read, or a fit has ended.
        """
        services = self._services
        begins = services.start.instant and services.instant.status.phase is InstantPhase.NONE
        if begins and not self._why_not():
            services.instant.begin()

    def make(self) -> None:
        """Have an instant lens made however long that takes, or tell the user why not."""
        status = self._services.instant.status
        if reason := self._why_not():
            self._services.tell(reason)
        elif status.phase is InstantPhase.WORKING:
            self._services.tell(BEGUN)
        else:
            self._services.instant.begin(asked=True)

    def _why_not(self) -> str:
        """Return why no instant lens is to be made; empty where one is."""
        model = self._state.model
        if model is None:
            return NO_MODEL
        if self._state.elsewhere:
            return self._state.elsewhere
        if self._services.training.is_busy:
            return TAKEN
        if model.lens is None or self._is_unfinished:
            return ""
        return HAS_LENS if model.instant is None else IS_MADE

    @property
    def _is_unfinished(self) -> bool:
        """Whether the lens in use is an instant one that could not be measured before something else came."""
        model = self._state.model
        return model is not None and model.instant is not None and model.lens_kl is None

    def forget(self) -> None:
        """End what was begun for another model."""
        self._state.instant = InstantStatus()
        self._services.instant.forget()

    def take_fit(self, status: FitStatus) -> None:
        """Begin again after a fit that left no lens."""
        if status.phase not in BUSY:
            self.consider()

    def show_status(self, status: InstantStatus) -> None:
        """Show how far the lens is, in the line that says that there is no tuned lens yet."""
        before, self._state.instant = self._state.instant, status
        panes, state = self._widgets.panes, self._state
        panes.missing = {place: state.no_lens(state.sides[place].kind) for place in panes.missing}
        if status.phase is before.phase:
            return
        if status.phase is InstantPhase.FAILED:
            self._services.tell(f"No instant lens: {status.reason}", seconds=10)
        elif status.phase is InstantPhase.MADE and status.reason:
            self._services.tell(f"The instant lens is in use, but is not kept: {status.reason}", seconds=10)
