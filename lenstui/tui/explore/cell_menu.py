"""The menu of what can be done with the cell under the cursor, or with a pin in the list of pins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenstui.tui.explore.cell_words import place_text
from lenstui.tui.explore.pin_list import PinList

if TYPE_CHECKING:
    from lenstui.tui.explore.cell import CellInFull, CellScreen
    from lenstui.tui.explore.comparison import Comparison
    from lenstui.tui.explore.explanation import Explanation
    from lenstui.tui.explore.export import Export
    from lenstui.tui.explore.first_row import FirstRow
    from lenstui.tui.explore.growth import Growth
    from lenstui.tui.explore.pins import Pins
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.tracing import Tracing
    from lenstui.tui.explore.widgets import Widgets
    from lenstui.tui.services import Services

NO_CELL = "no cell is read yet"

# What can be done beside what is about the cell: every key of Explore is in its menu.
_ALSO = (
    *("explore.pins", "explore.prompts", "explore.scan", "explore.find", "explore.next", "explore.previous"),
    *("explore.go_to", "explore.other", "explore.step_back", "explore.stop"),
    *("explore.value", "explore.value_back", "explore.contents", "explore.taller", "explore.flatter"),
    *("explore.flip", "explore.prompt", "explore.turns", "explore.template", "explore.fold"),
    "explore.reading",
    *(
        "app.train",
        "app.evaluate",
        "app.lenses",
        "explore.instant",
        "app.model",
        "app.revision_back",
        "app.revision_next",
    ),
    *("app.commands", "app.help", "app.quit"),
)
# Of these, what needs the weights here.
_OF_WEIGHTS = ("app.train", "app.evaluate", "explore.instant", "explore.prompts", "explore.scan")


class CellMenu:
    """The part of Explore that shows what can be done here: with a cell, with a pin, with a cell in full."""

    def __init__(
        self,
        state: ExploreState,
        widgets: Widgets,
        services: Services,
        *,
        cell: CellInFull,
        pins: Pins,
        first_row: FirstRow,
        growth: Growth,
        comparison: Comparison,
        export: Export,
        explanation: Explanation,
        tracing: Tracing,
    ) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services
        self._cell = cell
        self._pins = pins
        self._first_row = first_row
        self._growth = growth
        self._comparison = comparison
        self._export = export
        self._explanation = explanation
        self._tracing = tracing

    def open(self) -> None:
        """Show what can be done with the cell; with the highlighted pin, if the pins have the focus."""
        if isinstance(self._widgets.focused, PinList):
            self._show_for_pin(self._widgets.focused)
        else:
            self._show_for_cell()

    def _show_for_cell(self) -> None:
        comparison, export = self._comparison, self._export
        why_not = {
            "explore.open_cell": self._cell.why_not_open(),
            "explore.pin": self._pins.why_not_toggle(),
            "explore.why": self._explanation.why_not(),
            "explore.first_row": self._first_row.why_not_ask(),
            "explore.append": self._growth.why_not_append(),
            "explore.generate": self._growth.why_not_generate(),
            "explore.crystallization": "" if self._state.rows else NO_CELL,
            "explore.trust": "" if self._state.rows else NO_CELL,
            "explore.sublayers": self._state.elsewhere if self._state.rows else NO_CELL,
            "explore.words_only": "" if self._state.rows else NO_CELL,
            "explore.difference": comparison.why_no_difference(),
            "explore.other_kind": comparison.why_no_model(),
            "explore.beside": comparison.why_no_model(),
            "explore.second_prompt": comparison.why_no_prompt(),
            "explore.edit": comparison.why_no_edit(),
            "explore.trace": self._tracing.why_not(),
            "explore.add_side": comparison.why_no_more(),
            "explore.remove_side": comparison.why_no_less(),
            "explore.export": export.why_not_ask(),
            "explore.keep": export.why_not_keep(),
            "explore.copy_cell": export.why_not_copy_cell(),
            "explore.copy_command": export.why_no_command(),
            "explore.pin_word": self._pins.why_no_more(),
            "explore.plot": self._pins.why_no_plot(),
            **dict.fromkeys(_ALSO, ""),  # these say themselves, when chosen, why they cannot be done
            **dict.fromkeys(_OF_WEIGHTS, self._state.elsewhere),  # these too
        }
        self._services.show_menu(self._title, [self._widgets.screen], why_not)

    def _show_for_pin(self, pins: PinList) -> None:
        why_not = {
            "pins.first": pins.why_not_first(),
            "pins.unpin": "",
            "explore.pin_word": self._pins.why_no_more(),
            "explore.plot": self._pins.why_no_plot(),
        }
        self._services.show_menu(f'pin "{pins.chosen.text}"', [pins, self._widgets.screen], why_not)

    def show_in_full(self, screen: CellScreen) -> None:
        """Show what can be done with the cell on the screen of a cell in full."""
        why_not = {
            "explore.pin": self._pins.why_not_toggle(),
            "explore.append": self._growth.why_not_append(),
            "explore.copy_cell": self._export.why_not_copy_cell(),
            "explore.export": self._export.why_not_ask(),
            "cell.other": screen.why_no_other(),
            "cell.page_down": "",
            "cell.page_up": "",
        }
        self._services.show_menu(self._title, [screen, self._widgets.screen], why_not)

    @property
    def _title(self) -> str:
        if not self._state.columns:
            return NO_CELL
        panes = self._widgets.panes
        return place_text(self._state, panes.count, panes.cursor.row, panes.cursor.column)
