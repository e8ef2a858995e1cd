"""Going to another model, or to another revision of the open one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.jobs.messages import LoadStage, Post
from lenstui.jobs.model_messages import RevisionsListed
from lenstui.tui.keeper import Keeper
from lenstui.tui.program import Program
from lenstui.tui.shared.fit_words import TAKEN

if TYPE_CHECKING:
    from lenstui.jobs.chosen_model import Chosen


class ModelSwitch:
    """Opens one model after the other, and keeps how each of them was looked at."""

    def __init__(self, program: Program, keeper: Keeper) -> None:
        self._program = program
        self._keeper = keeper

    def choose(self) -> None:
        """Ask for a model and open it."""
        if self._program.training.is_busy:
            self._tell(TAKEN)
        else:
            self._program.choose_model(self._open_chosen)

    def _open_chosen(self, chosen: Chosen | None) -> None:
        if chosen is None:
            return
        explore = self._program.explore
        self._keeper.keep_look(explore, self._program.start)
        if explore.model is not None and chosen.is_of(explore.model):
            explore.keep_cursor()
        self.open(chosen)

    def open(self, chosen: Chosen) -> None:
        """Open another model, or the same in another dtype."""
        program = self._program
        self._keeper.keep_reading(program.explore)
        program.start = chosen.start(program.start, program.explore.model)
        program.have_stage(LoadStage("looking for the model"))
        program.models.load(program.start)

    def take_any_device(self) -> None:
        """Open models on the device that there is from now on: the one that was asked for does not exist."""
        self._program.start = replace(self._program.start, device="auto")

    def step_revision(self, step: int, post: Post) -> None:
        """Open the next revision of the open model on this machine (1), or the one before (-1).

        Args:
            step: which way.
            post: takes the list of revisions, which `go_on` is to be called with.
        """
        from lenstui.model.hub import BUNDLED_MODEL  # the first paint can do without

        model = self._program.explore.model
        if self._program.training.is_busy:
            self._tell(TAKEN)
        elif model is None or model.name == BUNDLED_MODEL or Path(model.name).exists():
            self._tell("Revisions are of models on the hub: m opens one.")
        else:
            self._program.models.list_revisions(model.name, step, post)

    def go_on(self, found: RevisionsListed) -> None:
        """Open the neighbour of the revision that is open."""
        explore, revisions = self._program.explore, found.revisions
        model = explore.model
        if model is None or model.name != found.name:
            return
        here = model.revision or "main"
        place = revisions.index(here) + found.step if here in revisions else -1
        if 0 <= place < len(revisions):
            from lenstui.jobs.chosen_model import Chosen  # the first paint can do without

            explore.keep_cursor()
            self.open(Chosen(model.name, revisions[place], self._program.start.dtype))
        elif len(revisions) < 2:
            self._tell(f"No other revision of {model.name} is on this machine.")
        else:
            end = "last" if found.step > 0 else "first"
            self._tell(f"{here} is the {end} of {len(revisions)} revisions.")

    def _tell(self, text: str) -> None:
        self._program.tell(text, seconds=6)
