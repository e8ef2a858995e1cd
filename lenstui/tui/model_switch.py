"""Going to another model, or to another revision of the open one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.jobs.messages import LoadFailed, LoadStage
from lenstui.jobs.model_messages import RevisionsListed
from lenstui.support.request import Start
from lenstui.tui.app_base import TAKEN
from lenstui.tui.keeper import Keeper

if TYPE_CHECKING:
    from lenstui.tui.models.picker import Chosen


class ModelSwitch(Keeper):
    """An app that opens one model after the other, each read as it was before."""

    # ── models ───────────────────────────────────────────────────────────────────────────────────────────

    def load(self, start: Start) -> None:
        """Open a model on the model thread."""
        self._thread.submit("load", lambda stop: self._work.load(start, stop))

    def stop_loading(self) -> None:
        """Give up a download."""
        self._thread.submit("load", lambda stop: None)
        self._hand_on(LoadFailed("The download was stopped: what came whole is kept."))

    def take_any_device(self) -> None:
        """The one that was asked for is not here: what is opened from now on goes to the one that is."""
        self._start = replace(self._start, device="auto")

    def action_open_model(self) -> None:
        """Ask for a model and open it."""
        if self.training.is_busy:
            self._tell(TAKEN)
            return
        from lenstui.tui.models.picker import ModelPicker  # the first paint can do without

        recent, start = self._session.recent(), self._start
        if self.explore.model is None and start.model is not None:
            recent = [start.model, *recent]  # it was not opened, which may be no fault of its own
        self.push_screen(
            ModelPicker(self.explore.model, recent, start.device, start.dtype), self._open_chosen
        )

    def _open_chosen(self, chosen: Chosen | None) -> None:
        if chosen is not None:
            self.keep_session()
            model = self.explore.model
            if model is not None and chosen.is_of(model):
                self.explore.first_cursor = self.explore.panes.cursor
            self._open(chosen)

    def _open(self, chosen: Chosen) -> None:
        """Open another model, or the same in another dtype."""
        self._keep_reading()
        self._start = chosen.start(self._start, self.explore.model)
        self.explore.post_message(LoadStage("looking for the model"))
        self.load(self._start)

    # ── revisions ────────────────────────────────────────────────────────────────────────────────────────

    def action_step_revision(self, step: int) -> None:
        """Open the next revision of the model that is on this machine, or the one before."""
        from lenstui.jobs import models as model_list
        from lenstui.model.hub import BUNDLED_MODEL  # the first paint can do without

        model = self.explore.model
        if self.training.is_busy:
            self._tell(TAKEN)
        elif model is None or model.name == BUNDLED_MODEL or Path(model.name).exists():
            self._tell("Revisions are of models on the hub: m opens one.")
        else:
            name = model.name
            self.look_at_files(
                "revisions", lambda stop: model_list.list_revisions(self.post_message, name, step)
            )

    def on_revisions_listed(self, message: RevisionsListed) -> None:
        """Go to the neighbour of the one that is open."""
        model, revisions = self.explore.model, message.revisions
        if model is None or model.name != message.name:
            return
        here = model.revision or "main"
        place = revisions.index(here) + message.step if here in revisions else -1
        if 0 <= place < len(revisions):
            self.explore.first_cursor = self.explore.panes.cursor
            from lenstui.tui.models.picker import Chosen  # the first paint can do without

            self._open(Chosen(model.name, revisions[place], self._start.dtype))
        elif len(revisions) < 2:
            self._tell(f"No other revision of {model.name} is on this machine.")
        else:
            self._tell(
                f"{here} is the {'last' if message.step > 0 else 'first'} of {len(revisions)} revisions."
            )
