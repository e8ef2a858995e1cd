"""The jobs that put a model, a lens or a prompt on a side, and take sides away.

Torch is imported inside the jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lenstui.edits.edit_list import EditList
from lenstui.jobs.failures import reporting
from lenstui.jobs.messages import LensRefused, Post, SidesChanged, SidesRefused, SidesTold
from lenstui.jobs.model import ModelJobs, give_back_memory
from lenstui.jobs.read import ReadJobs
from lenstui.jobs.thread import JobThread, Stop
from lenstui.lens.kinds import JACOBIAN, first_kinds
from lenstui.lens.names import kind_word
from lenstui.opening.opened import Opened, with_bundled_jacobian_lens
from lenstui.opening.side_facts import SideFacts
from lenstui.opening.side_reading import check_edits, side_prompts
from lenstui.opening.sides import Sides
from lenstui.support.errors import LensError
from lenstui.support.paths import lenses
from lenstui.support.request import Start

SAME = (
    "The new side shows the same as another: L, M, B, or c in the list of lenses, put something else there."
)
CHANGING = "The sides are about to change: press it again."
NO_LENS = "No {} lens is in use to compare it with: Enter uses one."
IN_USE = "This lens is in use: highlight another one to compare it with."


Seen = Sequence[SideFacts]


class SideService:
    """A service that changes the sides. Its methods return at once; the results are posted.

    A place is the index of a side as the caller sees them. If the sides have changed by the time of the
    change, what was typed or loaded goes to the nearest place, and what a key alone asked for is refused.
    """

    def __init__(
        self,
        post: Post,
        thread: JobThread,
        model_jobs: ModelJobs,
        read_jobs: ReadJobs,
    ) -> None:
        """Prepare the service.

        Args:
            post: takes the messages for every screen: which sides there are now.
            thread: the thread that does model work.
            model_jobs: the jobs with the open model and the sides.
            read_jobs: the jobs that read the prompt on screen.
        """
        self._post = post
        self._thread = thread
        self._model_jobs = model_jobs
        self._read_jobs = read_jobs

    def open(self, place: int, start: Start) -> None:
        """Load a model, and put it on a side."""
        self._thread.submit(
            "load", lambda stop: self._model_jobs.open(start, stop, lambda opened: self._put(place, opened))
        )

    def compare(self, place: int, path: Path, post: Post) -> None:
        """Read the open model through another lens on a side, beside the lens in use."""
        self._thread.submit("compare", lambda stop: self._compare(place, path, post, stop))

    def put_prompt(self, place: int, text: str, post: Post) -> None:
        """Read another prompt on a side."""
        self._change(lambda sides: sides.with_prompt(place, text), post)

    def put_prompt_beside(self, place: int, text: str, post: Post) -> None:
        """Read another prompt beside a side, through the same lens."""
        self._change(lambda sides: sides.with_prompt_beside(place, text), post)

    def put_edits(self, place: int, edits: EditList, seen: Seen, post: Post) -> None:
        """Edit the forward passes of a side; edits that cannot be done on its prompt are refused."""

        def change(sides: Sides) -> Sides:
            after = sides.with_edits(place, edits)
            if self._read_jobs.request is not None:
                check_edits(after, self._read_jobs.request.of_sides)
            return after

        self._change(change, post, seen)

    def next_lens(self, place: int, seen: Seen, post: Post) -> None:
        """Read a side through the next lens, one at hand or a Jacobian lens that was made for the model."""
        self._change(lambda sides: _with_jacobian_lens(sides).with_next_lens(place), post, seen)

    def add(self, post: Post) -> None:
        """Add a side; if it shows what another side shows, a remark is posted."""
        self._change(Sides.with_one_more, post)

    def take_away(self, place: int, seen: Seen, post: Post) -> None:
        """Take a side away, and free the memory of a model that no other side shows."""
        self._change(lambda sides: sides.without(place), post, seen)

    # ── on the model thread ──────────────────────────────────────────────────────────────────────────────

    def _change(self, change: Callable[[Sides], Sides], post: Post, seen: Seen | None = None) -> None:
        """Submit a change of the sides, which drops no earlier one.

        Args:
            change: returns the sides after the change.
            post: takes the refusal.
            seen: the sides as the caller saw them, without which the change is refused; None for any.
        """

        def work(stop: Stop) -> None:
            before = self._model_jobs.sides
            if before is None:
                return
            if seen is not None and before.facts != tuple(seen):
                post(SidesRefused(CHANGING))
                return
            try:
                after = change(before)
            except LensError as error:
                post(SidesRefused(str(error)))
                return
            self._have(after)
            if len(after.sides) > len(before.sides) and any(map(after.sides[-1].is_as, before.sides)):
                self._post(SidesTold(SAME))

        self._thread.submit(None, work)

    def _put(self, place: int, opened: Opened) -> None:
        """Put a model on a side.

        Raises:
            LensError: if no model is open, or the model cannot be read beside the open one.
        """
        if self._model_jobs.sides is None:
            raise LensError("No model is open: there is nothing to compare it with.")
        sides = self._model_jobs.sides.with_model(place, opened)
        if self._read_jobs.request is not None:
            side_prompts(sides, self._read_jobs.request.of_sides)
        self._have(sides)

    def _compare(self, place: int, path: Path, post: Post, stop: Stop) -> None:
        sides = self._model_jobs.sides
        if sides is None:
            return
        from lenstui.lens.compatibility import fit_warning
        from lenstui.lens.formats.own import open_lens

        with reporting(lambda text: post(LensRefused(text)), f"{path} was not opened"):
            lens = open_lens(path)
            in_use, kind = sides.opened.lens(lens.kind), lens.kind
            warning = fit_warning(lens, sides.opened.model)
            is_shown = kind in first_kinds() or any(side.kind == kind for side in sides.sides)
            if in_use is None and is_shown:
                raise LensError(NO_LENS.format(kind_word(kind)))
            if in_use is not None and in_use.file is not None and path.resolve() == in_use.file.resolve():
                if is_shown:
                    raise LensError(IN_USE)
                after = sides.showing(kind, place)
            elif in_use is None:
                after = sides.using(sides.opened.with_lens(lens, warning)).showing(kind, place)
            else:
                after = sides.with_lens(place, lens, warning)
            if not stop():
                self._have(after)

    def _have(self, sides: Sides) -> None:
        assert self._model_jobs.sides is not None
        before = {id(model) for model in self._model_jobs.sides.models}
        self._model_jobs.sides = sides
        self._post(SidesChanged(self._model_jobs.described))
        if before - {id(model) for model in sides.models}:
            give_back_memory()


def _with_jacobian_lens(sides: Sides) -> Sides:
    """Return the sides with a Jacobian lens at hand, if there is one for the open model.

    It is one of the lenses folder, else that of the bundled model.
    """
    if sides.opened.lens(JACOBIAN) is not None:
        return sides
    from lenstui.lens.catalog import fitting_jacobian_lens
    from lenstui.lens.compatibility import fit_warning
    from lenstui.lens.formats.own import open_lens

    model = sides.opened.model
    path = fitting_jacobian_lens(model, lenses())
    if path is None and model.base is not None:
        path = fitting_jacobian_lens(model.base, lenses())
    try:
        if path is None:
            opened = with_bundled_jacobian_lens(sides.opened)
            return sides if opened is sides.opened else sides.using(opened)
        lens = open_lens(path)
        return sides.using(sides.opened.with_lens(lens, fit_warning(lens, model)))
    except LensError:  # a damaged file keeps none of the other lenses away; the list of lenses has its error
        return sides
