"""The jobs that put a model, a lens or a prompt on a side, and take sides away.

Torch is imported in here, inside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from textual.message import Message

from lenstui.jobs.failures import told
from lenstui.jobs.messages import LensRefused, SidesChanged, SidesRefused, SidesTold
from lenstui.jobs.model import ModelJobs, give_back_memory
from lenstui.jobs.model_thread import ModelThread, Stop
from lenstui.jobs.read import ReadJobs
from lenstui.opening.opened import Opened
from lenstui.opening.side_facts import SideFacts
from lenstui.opening.side_reading import side_prompts
from lenstui.opening.sides import Sides
from lenstui.support.errors import LensError
from lenstui.support.request import Start

SAME = (
    "The new side shows the same as another: L, M, B, or c in the list of lenses, put something else there."
)
CHANGING = "The sides are about to change: press it again."
NO_LENS = "No {} lens is in use to compare it with: Enter uses one."
IN_USE = "This lens is in use: highlight another one to compare it with."


Seen = Sequence[SideFacts]


class SideService:
    """Changes what is on the sides, at once for the caller; what becomes of it is posted.

    A place is one of the sides that the caller sees. Where others are there by the time that it is done, what
    was typed or loaded goes to the nearest one, and what a key alone asked for is refused.
    """

    def __init__(
        self,
        post: Callable[[Message], object],
        thread: ModelThread,
        work: ModelJobs,
        reading: ReadJobs,
        recent: Callable[[], Sequence[str]],
    ) -> None:
        """Change nothing yet.

        Args:
            post: takes the messages.
            thread: that does model work.
            work: the open model and the sides.
            reading: the prompt that is on screen.
            recent: names of models that were open before, the last one first.
        """
        self._post = post
        self._thread = thread
        self._work = work
        self._reading = reading
        self.recent = recent

    def open(self, place: int, start: Start) -> None:
        """Load a model and put it on a side."""
        self._thread.submit(
            "load", lambda stop: self._work.open(start, stop, lambda opened: self._put(place, opened))
        )

    def compare(self, place: int, path: Path) -> None:
        """Read the open model through another lens on a side, beside the one in use."""
        self._thread.submit("compare", lambda stop: self._compare(place, path, stop))

    def put_prompt(self, place: int, text: str) -> None:
        """Read another prompt on a side."""
        self._change(lambda sides: sides.with_prompt(place, text))

    def next_lens(self, place: int, seen: Seen) -> None:
        """Read a side through the next kind of lens."""
        self._change(lambda sides: sides.with_next_lens(place), seen)

    def add(self) -> None:
        """Have one more side; where it shows the same as another one, that is said."""
        self._change(Sides.with_one_more)

    def take_away(self, place: int, seen: Seen) -> None:
        """Have one side less; the memory of a model that is on no other is free then."""
        self._change(lambda sides: sides.without(place), seen)

    # ── on the model thread ──────────────────────────────────────────────────────────────────────────────

    def _change(self, change: Callable[[Sides], Sides], seen: Seen | None = None) -> None:
        """Have other sides; none of those asked for before is dropped."""

        def work(stop: Stop) -> None:
            before = self._work.sides
            if before is None:
                return
            if seen is not None and before.facts != tuple(seen):
                self._post(SidesRefused(CHANGING))
                return
            try:
                after = change(before)
            except LensError as error:
                self._post(SidesRefused(str(error)))
                return
            self._have(after)
            if len(after.sides) > len(before.sides) and any(map(after.sides[-1].is_as, before.sides)):
                self._post(SidesTold(SAME))

        self._thread.submit(None, work)

    def _put(self, place: int, opened: Opened) -> None:
        """Have a model on a side.

        Raises:
            LensError: if it cannot be read beside the open one; it names both.
        """
        if self._work.sides is None:
            raise LensError("No model is open: there is nothing to compare it with.")
        sides = self._work.sides.with_model(place, opened)
        if self._reading.request is not None:
            side_prompts(sides, self._reading.request.of_sides)
        self._have(sides)

    def _compare(self, place: int, path: Path, stop: Stop) -> None:
        sides = self._work.sides
        if sides is None:
            return
        from lenstui.lens.compatibility import fit_warning
        from lenstui.lens.formats.own import open_lens

        with told(lambda text: self._post(LensRefused(text)), f"{path} was not opened"):
            lens = open_lens(path)
            in_use = sides.opened.lens(lens.kind)
            if in_use is None:
                raise LensError(NO_LENS.format(lens.kind))
            if in_use.file is not None and path.resolve() == in_use.file.resolve():
                raise LensError(IN_USE)
            warning = fit_warning(lens, sides.opened.model)
            if not stop():
                self._have(sides.with_lens(place, lens, warning))

    def _have(self, sides: Sides) -> None:
        assert self._work.sides is not None
        before = {id(model) for model in self._work.sides.models}
        self._work.sides = sides
        self._post(SidesChanged(self._work.described))
        if before - {id(model) for model in sides.models}:
            give_back_memory()
