"""The switch to another model, or to another revision of the open model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.support.typed_path import is_there

if TYPE_CHECKING:
    from lenstui.jobs.chosen_model import Chosen
    from lenstui.jobs.messages import Post
    from lenstui.jobs.model_messages import RevisionsListed
    from lenstui.tui.keeper import Keeper
    from lenstui.tui.program import Program


class ModelSwitch:
    """The part of the app that opens other models, and has the look of each kept."""

    def __init__(self, program: Program, keeper: Keeper) -> None:
        self._program = program
        self._keeper = keeper

    def choose(self) -> None:
        """Ask the user for a model, and open that model."""
        from lenstui.tui.shared.fit_words import TAKEN  # the first paint can do without

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
        """Open a model, or the open one in another dtype."""
        from lenstui.jobs.messages import LoadStage
        from lenstui.model.name import BUNDLED_MODEL  # the first paint can do without

        program = self._program
        self._keeper.keep_model(program.explore)
        again = self._keeper.again(chosen.adapter or chosen.name or BUNDLED_MODEL, chosen.revision)
        start = chosen.start(program.start, program.explore.model)
        program.start = replace(start, lenses=(), again=again)
        program.have_stage(LoadStage("looking for the model"))
        program.load_model()

    def take_any_device(self) -> None:
        """Open models on any device from now on, since this machine does not have the requested one."""
        self._program.start = replace(self._program.start, device="auto")

    def step_revision(self, step: int, post: Post) -> None:
        """Ask for the revisions of the open model on this machine, to open the next (1) or the previous (-1).

        Args:
            step: the direction, 1 or -1.
            post: takes the list of revisions, with which `go_on` is to be called.
        """
        from lenstui.model.name import BUNDLED_MODEL  # the first paint can do without
        from lenstui.tui.shared.fit_words import TAKEN

        model = self._program.explore.model
        if self._program.training.is_busy:
            self._tell(TAKEN)
        elif model is None or model.name == BUNDLED_MODEL or is_there(Path(model.name)):
            self._tell("Revisions are of models on the hub: m opens one.")
        else:
            self._program.models.list_revisions(model.name, step, post)

    def go_on(self, found: RevisionsListed) -> None:
        """Open the next or the previous revision of the open model, or tell the user that there is none."""
        explore, revisions = self._program.explore, found.revisions
        model = explore.model
        if model is None or model.name != found.name:
            return
        here = model.revision or "main"
        place = revisions.index(here) + found.step if here in revisions else -1
        if 0 <= place < len(revisions):
            from lenstui.jobs.chosen_model import Chosen  # the first paint can do without

            explore.keep_cursor()
            self.open(Chosen(model.name, revisions[place], self._program.start.dtype, model.adapter))
        elif len(revisions) < 2:
            self._tell(f"No other revision of {model.name} is on this machine.")
        else:
            end = "last" if found.step > 0 else "first"
            self._tell(f"{here} is the {end} of {len(revisions)} revisions.")

    def _tell(self, text: str) -> None:
        self._program.tell(text, seconds=6)
