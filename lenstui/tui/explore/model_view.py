"""The open model on Explore: the progress of loading, the lines about the model, the change to another."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from lenstui.jobs.messages import LoadFailed, LoadStage, OpenModel
from lenstui.tui.shared.shown import shown
from lenstui.tui.shared.side_names import SideNames

if TYPE_CHECKING:
    from lenstui.tui.explore.lens_in_training import LensInTraining
    from lenstui.tui.explore.pins import Pins
    from lenstui.tui.explore.prompt_line import PromptLine
    from lenstui.tui.explore.reader import Reader
    from lenstui.tui.explore.reading_options import ReadingOptions
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets
    from lenstui.tui.services import Services


class ModelView:
    """The part of Explore that shows the open model, and has the prompt read with that model."""

    def __init__(
        self,
        state: ExploreState,
        widgets: Widgets,
        services: Services,
        *,
        prompt_line: PromptLine,
        reader: Reader,
        options: ReadingOptions,
        pins: Pins,
        training: LensInTraining,
    ) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services
        self._prompt_line = prompt_line
        self._reader = reader
        self._options = options
        self._pins = pins
        self._training = training
        self._remarks: tuple[str, ...] = ()  # remarks of the program itself, not of a model

    def remark(self, *remarks: str) -> None:
        """Add lasting remarks to the line under the top line, which is hidden while there are none."""
        model, notice = self._state.model, self._widgets.notice
        self._remarks += remarks
        text = " · ".join((*self._remarks, *(model.remarks if model else ())))
        notice.update(shown(text))
        notice.tooltip = shown(text) if text else None
        notice.display = bool(text)

    # ── loading ──────────────────────────────────────────────────────────────────────────────────────────

    def show_loading(self, message: LoadStage | LoadFailed) -> None:
        """Show the stage of loading a model, or why no model was opened."""
        if isinstance(message, LoadStage):
            self._show_stage(message)
        else:
            self._show_failure(message)

    def _show_stage(self, message: LoadStage) -> None:
        self._state.is_downloading = message.is_download
        self._widgets.status.stage = message.text + " · esc stops" * message.is_download
        if self._state.model is None:
            self._widgets.panes.say(f"{message.text} …" + "\n\nEsc stops it." * message.is_download)

    def _show_failure(self, message: LoadFailed) -> None:
        """Show why no model was opened; a model that was open stays open."""
        self._state.is_downloading = False
        self._widgets.status.stage = None
        if self._state.model is not None:
            self._services.notify(message.text, title="Not opened", severity="error", seconds=15)
            return
        what = "a model on the device that there is" if message.no_device else "another model"
        keys = "Esc, then m," if self._prompt_line.is_at_prompt else "m"
        self._widgets.panes.say(f"{message.text}\n\nPress {keys} to open {what}.")
        if not self._prompt_line.is_at_prompt:
            self._widgets.panes.focus_grid()

    # ── what is open ─────────────────────────────────────────────────────────────────────────────────────

    def show_model(self, model: OpenModel) -> None:
        """Show another model, and read the prompt with that model."""
        state, panes, panel, before = self._state, self._widgets.panes, self._widgets.panel, self._state.model
        state.is_downloading = False
        self._describe(model)
        self._options.begin(model)
        state.texts.clear()
        if before is None or (before.name, before.vocabulary) != (model.name, model.vocabulary):
            self._pins.forget()
        state.fold()
        for place, side in enumerate(model.sides):
            message = "" if side.has_lens else state.no_lens(side.kind)
            panes.empty(place, model.rows, model.vocabulary, message)
        state.rows, state.columns, state.others, state.other_rows = model.rows, (), {}, {}
        panel.forget()
        gc.freeze()  # torch brought so many objects that a full collection takes longer than a frame
        self._reader.read(state.prompt)

    def show_lens(self, model: OpenModel) -> None:
        """Read the prompt again through another lens; the cursor and the grids of other lenses stay."""
        self._describe(model)
        if self._state.columns:
            self._reader.read_lens_in_use()

    def show_sides(self, model: OpenModel) -> None:
        """Show other sides, and read the prompt on all of them; the cursor stays in its place."""
        state, panes = self._state, self._widgets.panes
        count, had_prompts = len(state.sides), state.has_prompts
        self._describe(model)
        self._training.mark()
        if had_prompts or state.has_prompts:
            state.keeps_column = True  # counted from the end, where prompts have the same tokens
        elif state.columns:
            state.first_cursor = panes.cursor
        if len(state.sides) > count:
            panes.active = len(state.sides) - 1
        for place, side in enumerate(state.sides):
            if not side.has_lens:
                panes.difference = False
                panes.empty(place, state.rows_of(place), model.vocabulary, "")
        self._pins.keep_those_of(model)
        if state.columns:
            self._reader.read_again()

    def _describe(self, model: OpenModel) -> None:
        """Store the open model and its sides, and describe them in the lines above the prompt."""
        self._state.model = model
        self._widgets.panes.names = self._widgets.panel.names = SideNames.of(model.sides)
        sides = enumerate(model.sides)
        missing = {place: self._state.no_lens(side.kind) for place, side in sides if not side.has_lens}
        self._widgets.panes.missing = missing
        self._widgets.panel.sides = model.sides
        self._services.clear_notifications()
        status = self._widgets.status
        status.model, status.stage = model, None
        status.tooltip = shown("\n".join(("Wiring check", *model.wiring)))
        self.remark()
