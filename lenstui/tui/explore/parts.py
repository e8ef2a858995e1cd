"""The parts of Explore that do what its keys and messages ask for. The first paint can do without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lenstui.tui.explore.appearance import Appearance
from lenstui.tui.explore.cell import CellInFull
from lenstui.tui.explore.cell_follower import CellFollower
from lenstui.tui.explore.cell_menu import CellMenu
from lenstui.tui.explore.comparison import Comparison
from lenstui.tui.explore.explanation import Explanation
from lenstui.tui.explore.export import Export
from lenstui.tui.explore.finals import Finals
from lenstui.tui.explore.find import Find
from lenstui.tui.explore.first_row import FirstRow
from lenstui.tui.explore.growth import Growth
from lenstui.tui.explore.instant_lens import InstantLens
from lenstui.tui.explore.lens_in_training import LensInTraining
from lenstui.tui.explore.model_view import ModelView
from lenstui.tui.explore.pins import Pins
from lenstui.tui.explore.reader import Reader
from lenstui.tui.explore.reading_options import ReadingOptions
from lenstui.tui.explore.scanned import Scanned
from lenstui.tui.explore.sublayers import Sublayers
from lenstui.tui.explore.tracing import Tracing
from lenstui.tui.explore.trust_overlay import TrustOverlay
from lenstui.tui.explore.turns import Turns
from lenstui.tui.explore.words import Words

if TYPE_CHECKING:
    from lenstui.support.turns import Conversation
    from lenstui.tui.explore.cell import CellScreen
    from lenstui.tui.explore.prompt_line import PromptLine
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets
    from lenstui.tui.services import Services


class Parts:
    """The parts of Explore, which share its state and its widgets, and do not know the screen."""

    def __init__(
        self,
        state: ExploreState,
        widgets: Widgets,
        services: Services,
        prompt_line: PromptLine,
        read_prompt: Callable[[str | Conversation], None],
    ) -> None:
        """Prepare the parts; nothing is read yet.

        Args:
            state: what they share.
            widgets: of the screen.
            services: of the program.
            prompt_line: the part that the first paint has already.
            read_prompt: puts a prompt into the box, and reads it.
        """
        self.services = services  # of which keys open other screens
        self.prompt_line = prompt_line
        self.words = Words(state, widgets, services)
        self.follower = CellFollower(state, widgets, self.words)
        self.training = LensInTraining(state, widgets, services, self.follower)
        self.reader = Reader(
            state, widgets, services, prompt_line=prompt_line, training=self.training, follower=self.follower
        )
        self.options = ReadingOptions(state, services, prompt_line, self.reader.read_again)
        self.sublayers = Sublayers(state, services, self.options)
        self.turns = Turns(state, widgets, services, prompt_line=prompt_line, read=read_prompt)
        self.growth = Growth(state, widgets, services, prompt_line, self.reader)
        self.pins = Pins(state, widgets, services, self.reader)
        self.scanned = Scanned(
            state, widgets, services, reader=self.reader, pins=self.pins, growth=self.growth
        )
        self.comparison = Comparison(state, widgets, services)
        self.explanation = Explanation(state, widgets, services, self.comparison)
        self.tracing = Tracing(state, widgets, services)
        self.finals = Finals(state, widgets, services, self.follower)
        self.trust = TrustOverlay(state, widgets, services)
        self.appearance = Appearance(state, widgets, services, self.trust, self.turns)
        self.find = Find(state, widgets, services)
        self.first_row = FirstRow(state, widgets, services)
        self.instant = InstantLens(state, widgets, services)
        self.export = Export(state, widgets, services)
        self.cell = CellInFull(state, widgets, services, self.words, self._show_cell_menu)
        self.menu = CellMenu(
            state, widgets, services, cell=self.cell, pins=self.pins, first_row=self.first_row,
            growth=self.growth, comparison=self.comparison, export=self.export, explanation=self.explanation,
            tracing=self.tracing,
        )  # fmt: skip
        self.model_view = ModelView(
            state, widgets, services, prompt_line=prompt_line, reader=self.reader, options=self.options,
            pins=self.pins, training=self.training,
        )  # fmt: skip

    def _show_cell_menu(self, screen: CellScreen) -> None:
        """Show what can be done with the cell on the screen of a cell in full."""
        self.menu.show_in_full(screen)
