"""The trust overlay of Explore: rows in which a lens is not to be trusted are dim, each with its figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lenstui.lens.kinds import JACOBIAN, LOGIT
from lenstui.tui.shared.nothing_yet import NO_MODEL
from lenstui.tui.shared.side_names import side_name

if TYPE_CHECKING:
    from lenstui.jobs.messages import TrustFound
    from lenstui.opening.side_facts import SideFacts
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets
    from lenstui.tui.services import Services


class TrustOverlay:
    """The part of Explore that looks up how far the lens of each side can be trusted, and shows it.

    Attributes:
        is_on: whether it is shown, for every model.
    """

    def __init__(self, state: ExploreState, widgets: Widgets, services: Services) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services
        self.is_on = False
        self._is_new = False  # whether the user has just turned it on, and is to hear what is not known
        self._sides: tuple[SideFacts, ...] = ()  # of which something is shown

    def toggle(self) -> None:
        """Dim the rows that are not to be trusted, or no rows."""
        if self._state.model is None:
            self._services.tell(NO_MODEL)
            return
        self.is_on = self._is_new = not self.is_on
        self._widgets.panes.trusts = None
        self.follow()

    def follow(self) -> None:
        """Look up what is known of the lenses that are on the sides now, if that is shown."""
        if not self.is_on or self._state.model is None:
            return
        if self._sides != self._state.sides:
            self._widgets.panes.trusts = None
        self._services.lenses.find_trust(self._services.post_to(self._widgets.screen))

    def take(self, found: TrustFound) -> None:
        """Show what is known. To who has just turned it on, say what is not; if nothing is, turn it off."""
        if not self.is_on or found.sides != self._state.sides:
            return
        has_norm = self._state.reading.final_norm
        trusts = tuple(
            trust if has_norm or side.kind != LOGIT else None
            for side, trust in zip(found.sides, found.trusts, strict=True)
        )
        is_new, self._is_new = self._is_new, False
        pairs = zip(found.sides, trusts, strict=True)
        unknown = [side for side, trust in pairs if trust is None and side.has_lens]
        if is_new and unknown:
            reasons = dict.fromkeys(_why_unknown(side, found.sides, has_norm=has_norm) for side in unknown)
            self._services.tell("\n".join(reasons), seconds=8)
        if is_new and not any(trusts):
            self.is_on = False
            return
        self._sides = found.sides
        self._widgets.panes.trusts = trusts


def _why_unknown(side: SideFacts, sides: Sequence[SideFacts], *, has_norm: bool) -> str:
    """Return, as a sentence, why nothing is known of the rows of a side's lens, and how to get it."""
    name = side_name(side, sides)
    if side.kind == JACOBIAN:
        return f"No convergence of {name} is known: a fit by lenstui measures it (t)."
    if side.kind == LOGIT and not has_norm:
        return f"No KL of {name} without the final norm is known: b reads it with the norm."
    return f"No held-out KL of {name} is known: E measures it on a text."
