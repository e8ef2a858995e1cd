"""The jobs of the model thread that change what is open: a model, its lenses, the sides.

Torch is imported inside the jobs.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.jobs import models as model_list
from lenstui.jobs.failures import reporting
from lenstui.jobs.messages import (
    LensNotSaved,
    LensOpened,
    LensRefused,
    LensSaved,
    LoadFailed,
    LoadStage,
    ModelLoaded,
    OpenModel,
    Post,
    SidesChanged,
    SidesTold,
)
from lenstui.jobs.thread import JobThread, Stop
from lenstui.lens.kinds import TUNED, first_kinds
from lenstui.lens.names import instant_words, is_instant
from lenstui.opening.opened import DOWNLOADING, Opened, open_model
from lenstui.opening.side_count import MORE_LENSES, MOST_SIDES
from lenstui.opening.sides import Side, Sides
from lenstui.readout.cells import row_labels
from lenstui.support.errors import LensError, NoDeviceError, named_line
from lenstui.support.paths import instant_lenses, lenses
from lenstui.support.request import Start

if TYPE_CHECKING:
    from lenstui.lens.formats.own import FittedLens
    from lenstui.lens.lens import Lens


class ModelJobs:
    """The open model, its lenses, the sides, and the jobs that change them. For the model thread alone."""

    def __init__(self, post: Post) -> None:
        """Prepare the jobs; no model is open yet.

        Args:
            post: takes the messages for every screen: which model is open, and how far loading is.
        """
        self._post = post
        self.sides: Sides | None = None  # what the panes show; None while no model is open
        self._lens_in_training: Callable[[], FittedLens | None] = lambda: None
        self._kind_in_training: Callable[[], str | None] = lambda: None

    @property
    def opened(self) -> Opened | None:
        """The open model with its lenses, or None; the only attribute that other threads may read.

        An `Opened` is replaced, never modified.
        """
        sides = self.sides  # read once: another thread may change it meanwhile
        return None if sides is None else sides.opened

    @property
    def described(self) -> OpenModel:
        """The description of the open model and the sides, for the screen."""
        assert self.sides is not None
        described = _describe(self.sides.opened)
        return replace(
            described,
            sides=self.sides.facts,
            context=self.sides.context,
            remarks=(*described.remarks, *self.sides.remarks),
        )

    def load(self, start: Start, stop: Stop, *, has_room: bool = True) -> None:
        """Open the model that `start` asks for; if that fails, the former model stays open.

        Args:
            start: the request.
            stop: returns whether to give it up.
            has_room: whether as many sides as there may be have room; else two are shown at first.
        """
        most = MOST_SIDES if has_room else MOST_SIDES - 1
        self.open(start, stop, lambda opened: self._change(opened, most))

    def open(self, start: Start, stop: Stop, use: Callable[[Opened], None]) -> None:
        """Load the model that `start` asks for, and pass it to `use`, which may refuse it; post any error."""
        try:
            sides = () if self.sides is None else self.sides.sides
            opened = open_model(start, self._say_stage, stop, at_hand=[side.opened for side in sides])
            if not stop():
                use(opened)
        except LensError as error:
            if not stop():  # else the user gave it up, and knows
                self._post(LoadFailed(str(error), no_device=isinstance(error, NoDeviceError)))
        except Exception as error:  # whatever torch and transformers raise must not end the program
            self._post(LoadFailed(f"Opening failed: {named_line(error)}"))

    def _change(self, opened: Opened, most: int) -> None:
        """Make another model the open one. The other sides stay as far as they agree with that model.

        Args:
            opened: the model.
            most: the most sides that are shown of it at first.
        """
        remarks: list[str] = []
        if self.sides is None:
            self.sides = Sides.of(opened, most)
        else:
            self.sides, remarks = self.sides.of_another(opened, most)
            give_back_memory()
        if most < len(opened.lenses) <= MOST_SIDES and self.sides.are_first(most):
            remarks = [*remarks, MORE_LENSES.format(most, len(opened.lenses))]
        self._post(ModelLoaded(self.described))
        for remark in remarks:
            self._post(SidesTold(remark))

    def _say_stage(self, stage: str) -> None:
        self._post(LoadStage(stage, is_download=stage.startswith(DOWNLOADING)))

    def prefer(
        self, lens_in_training: Callable[[], FittedLens | None], kind_in_training: Callable[[], str | None]
    ) -> None:
        """Read prompts through the lens in training instead of the lens in use, while there is one.

        Args:
            lens_in_training: returns a copy of the lens in training, or None.
            kind_in_training: returns its kind, or None, without copying it.
        """
        self._lens_in_training, self._kind_in_training = lens_in_training, kind_in_training

    @property
    def kind_in_training(self) -> str | None:
        """The kind of the lens that is being fitted to the open model, or None."""
        return self._kind_in_training()

    @property
    def lens_in_training(self) -> FittedLens | None:
        """A copy of the lens that is being fitted to the open model, or None."""
        return self._lens_in_training()

    @property
    def lenses(self) -> tuple[Lens | None, ...]:
        """The lens of each side, with the lens in training in place of the one in use; None for no lens.

        If any side shows another model, prompt or lens, every side has its own lens instead.
        """
        assert self.sides is not None
        training = self.lens_in_training if self.sides.are_own else None

        def of(side: Side) -> Lens | None:
            return training if training is not None and training.kind == side.kind else side.lens

        return tuple(map(of, self.sides.sides))

    def put_to_use(self, lens: FittedLens, file: Path | None, *, has_room: bool = True) -> None:
        """Read the open model through a lens that was fitted to that model.

        Where no side shows a lens of its kind there is one more side, or, without room for one, it takes the
        place of the last. From the lenses folder the best lens opens by itself, and an instant lens where
        there is no other; one that went elsewhere is kept as a choice.
        """
        assert self.opened is not None
        own = {lenses().resolve(), instant_lenses().resolve()}
        is_elsewhere = file is not None and file.parent.resolve() not in own
        opened = self.opened.using(replace(lens, file=file), is_chosen=is_elsewhere)
        assert self.sides is not None
        self._show(opened, lens.kind, place=None if has_room else len(self.sides.sides) - 1)

    def _use(self, opened: Opened) -> None:
        """Replace the lenses in use, on all sides that show the open model with its former lenses in use."""
        assert self.sides is not None
        self.sides = self.sides.using(opened)
        self._post(LensOpened(self.described))

    def open_lens(self, path: Path, place: int | None, post: Post, stop: Stop) -> None:
        """Read the open model through the lens of a file; if that fails, the lens in use stays.

        Args:
            path: the file or folder.
            place: the side to put the lens on where none shows a lens of its kind; None for one more side.
            post: takes the refusal.
            stop: returns whether to give it up.
        """
        opened = self.opened
        if opened is None:
            post(LensRefused("No model is open: a lens needs one."))
            return
        from lenstui.lens.compatibility import fit_warning
        from lenstui.lens.formats.own import open_lens

        with reporting(lambda text: post(LensRefused(text)), f"{path} was not opened"):
            lens = open_lens(path)
            warning = fit_warning(lens, opened.model)
            if not stop():
                self._show(opened.using(lens, warning, is_chosen=True), lens.kind, place)

    def _show(self, opened: Opened, kind: str, place: int | None) -> None:
        """Put a lens to use, and on a side where none shows its kind."""
        assert self.sides is not None
        if kind in {side.kind for side in self.sides.sides} or kind in first_kinds():
            self._use(opened)
            return
        self.sides = self.sides.using(opened).showing(kind, place)
        self._post(SidesChanged(self.described))

    def save_lens(
        self, path: Path, post: Post, *, as_folder: bool, kind: str = TUNED, place: int | None = None
    ) -> None:
        """Save a lens to a file of lenstui's, or a tuned lens to a folder of the `tuned-lens` library.

        Args:
            path: the file, or the folder.
            post: takes the answer.
            as_folder: whether to write a folder.
            kind: the kind of lens.
            place: the side whose lens it is; None for the lens in use of the open model.
        """
        sides = self.sides
        if sides is not None and place is not None and kind not in {s.kind for s in sides.sides[place:][:1]}:
            post(LensNotSaved("The sides have changed meanwhile: save it again."))
            return
        opened = self.opened if sides is None or place is None else sides.sides[place].opened
        lens = None if opened is None else opened.lens(kind)
        if opened is None or lens is None:
            post(LensNotSaved("No lens is in use: there is nothing to save."))
            return
        from lenstui.lens.compatibility import marked
        from lenstui.lens.formats.library import save_library_folder
        from lenstui.lens.formats.own import save_lens
        from lenstui.lens.jacobian import JacobianLens
        from lenstui.lens.tuned import TunedLens

        with reporting(lambda text: post(LensNotSaved(text)), f"{path} was not written"):
            assert isinstance(lens, TunedLens | JacobianLens)
            remark = None
            if as_folder:
                assert isinstance(lens, TunedLens)
                lens, remark = marked(lens, opened.model)
                save_library_folder(lens, path)
            else:
                save_lens(lens, path)
            post(LensSaved(path, remark))


class ModelService:
    """A service that opens models, and lists models to open. Methods return at once; answers are posted."""

    def __init__(self, post: Post, thread: JobThread, file_thread: JobThread, jobs: ModelJobs) -> None:
        """Prepare the service.

        Args:
            post: takes the messages about loading.
            thread: the thread that does model work.
            file_thread: the thread that looks at files.
            jobs: the jobs with the open model.
        """
        self._post = post
        self._thread = thread
        self._file_thread = file_thread
        self._jobs = jobs

    def load(self, start: Start, *, has_room: bool = True) -> None:
        """Open a model; a model that is still being loaded is dropped.

        Args:
            start: the request.
            has_room: whether as many sides as there may be have room. Then the bundled model has its Jacobian
                lens at once, and a model with several lenses is shown through as many as may be, else two.
        """
        asked = replace(start, jacobian=has_room)
        self._thread.submit("load", lambda stop: self._jobs.load(asked, stop, has_room=has_room))

    def stop_loading(self) -> None:
        """Give up loading a model that is being downloaded."""
        self._thread.submit("load", lambda stop: None)
        self._post(LoadFailed("The download was stopped: what came whole is kept."))

    def list_models(self, recent: Sequence[str], device: str, dtype: str, post: Post) -> None:
        """List the models on this machine: in the cache, opened before, and the bundled one."""
        self._file_thread.submit(
            "models", lambda stop: model_list.list_models(post, recent, device, dtype, stop)
        )

    def list_paths(self, typed: str, device: str, dtype: str, post: Post) -> None:
        """List the models and folders that a typed path may go on to."""
        self._file_thread.submit(
            "paths", lambda stop: model_list.list_paths(post, typed, device, dtype, stop)
        )

    def list_revisions(self, name: str, step: int, post: Post) -> None:
        """List the revisions of a model that are in the cache."""
        self._file_thread.submit("revisions", lambda stop: model_list.list_revisions(post, name, step))


def _describe(opened: Opened) -> OpenModel:
    model, lens = opened.model, opened.lens(TUNED)
    held_out = lens.fit.get("held_out_kl") if lens is not None else None
    return OpenModel(
        name=model.name,
        remarks=opened.remarks,
        rows=row_labels(model.num_blocks),
        d_model=model.d_model,
        vocabulary=model.vocabulary,
        context=model.context,
        device=str(model.device) if model.remote is None else model.remote.place,
        dtype=model.dtype_name,
        wiring=tuple(f"{check.name}: off by {check.worst:.1e}" for check in model.wiring),
        lens=None if lens is None else lens.name,
        lens_kl=sum(held_out) / len(held_out) if held_out and all(map(isfinite, held_out)) else None,
        lens_file=None if lens is None else lens.file,
        allowed=model.allowed,
        revision=model.revision,
        lens_choice=opened.lens_choice,
        instant=instant_words(lens.fit) if lens is not None and is_instant(lens.fit) else None,
        lens_files=tuple(
            each.file for each in opened.fitted if each.file is not None and not is_instant(each.fit)
        ),
        chosen_lens=opened.chosen_lens,
        adapter=None if model.adapter is None else model.adapter.typed,
        service="" if model.remote is None else model.remote.service,
    )


def give_back_memory() -> None:
    """Free the memory of models that were closed."""
    import torch

    gc.unfreeze()  # Explore froze what was in memory when a model was opened, so that the collector skips it
    gc.collect()
    gc.freeze()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
