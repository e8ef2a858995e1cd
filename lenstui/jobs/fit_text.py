"""The jobs before a fit: count its text, look for unfinished fits, read the text or a checkpoint.

They have a thread of their own, so that a long text never keeps a prompt waiting. Torch is imported inside
the jobs.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import ref

from lenstui.fitting.jacobian_options import JacobianOptions
from lenstui.fitting.names import CHECKPOINT, Claim, claim, claim_new, lens_path
from lenstui.jobs.fit_messages import (
    Elsewhere,
    FitRequest,
    FitsElsewhere,
    FitStatus,
    Phase,
    PromptsSize,
    TextCounted,
    TextRefused,
    TextSize,
    Unfinished,
    UnfinishedFound,
)
from lenstui.jobs.messages import Post
from lenstui.jobs.thread import Stop
from lenstui.lens.kinds import TUNED
from lenstui.lens.names import instant_lens_named, instant_words
from lenstui.opening.opened import Opened
from lenstui.support.errors import LensError, advice, named_line
from lenstui.support.paths import lenses

if TYPE_CHECKING:
    from lenstui.fitting.driver import FitDriver
    from lenstui.fitting.kinds import AnyText
    from lenstui.fitting.plan import FitPlan
    from lenstui.lens.tuned import TunedLens
    from lenstui.model.load import Model


_NO_MODEL = "No model is open: a lens is fitted to one."
_OUT_OF_MEMORY = "Out of memory: choose shorter blocks or prompts, or open the model in bfloat16."


@dataclass(frozen=True, eq=False)
class _LastText:
    """The text that was read last, with its request and its model."""

    request: FitRequest
    model: ref[Model]  # weak, so that a model that is closed does not stay in memory
    text: AnyText


class FitTextJobs:
    """The jobs that read texts and checkpoints. Used by the text thread alone."""

    def __init__(self, opened: Callable[[], Opened | None]) -> None:
        """Prepare the jobs; nothing is read yet.

        Args:
            opened: returns the open model with its lenses, or None.
        """
        self._opened = opened
        self._last: _LastText | None = None

    def count(self, request: FitRequest, post: Post, stop: Stop) -> None:
        """Post how much text a request has, and keep the text for a fit that may be about to begin."""
        from lenstui.texts.documents import count_documents

        opened = self._opened()
        if opened is None:
            return
        try:
            text = self._read(request, opened.model, stop)
            documents = count_documents(request.documents)
        except Exception as error:  # whatever Arrow, a tokenizer or a disk come up with
            if not stop():
                post(TextRefused(request, error_text(error)))
            return
        if not stop():
            post(TextCounted(request, _size(text, documents)))

    def find_unfinished(self, post: Post, stop: Stop) -> None:
        """Post the checkpoints of the open model that are in the lenses folder, the newest first."""
        from lenstui.fitting.checkpoint import open_checkpoint
        from lenstui.lens.compatibility import compare_weights

        opened = self._opened()
        if opened is None:
            return
        found = []
        shape = (opened.model.num_blocks, opened.model.d_model)
        for path in lenses().glob(f"*{CHECKPOINT}"):
            if stop():
                return
            try:
                checkpoint, modified = open_checkpoint(path), path.stat().st_mtime
                config, options = checkpoint.config, checkpoint.plan.options
                fits = (config.get("num_hidden_layers"), config.get("d_model")) == shape
                if fits and not compare_weights(config, opened.model).different:
                    step = int(checkpoint.state["step"])
                    steps = options.steps
                    found.append(Unfinished(path, options.preset, step, steps, modified, options.kind))
            except Exception:  # damaged in whatever way, or finished just now: no fit to go on with
                continue
        found.sort(key=lambda fit: -fit.modified)
        post(UnfinishedFound(tuple(found)))

    def find_elsewhere(self, post: Post, stop: Stop) -> None:
        """Post the fits of other processes whose progress files are in the lenses folder."""
        from lenstui.fitting.progress_file import PROGRESS, lens_of, read_progress

        found = []
        for path in sorted(lenses().glob(f"*{PROGRESS}")):
            if stop():
                return
            try:
                fit, age = read_progress(path), max(0.0, time.time() - path.stat().st_mtime)
            except (LensError, OSError):  # no such file, or one of a fit that has just ended
                continue
            share = fit.step / fit.steps if fit.steps else fit.share
            running = Phase.RUNNING
            status = FitStatus(running, fit.preset, lens_of(path), share, fit.progress, kind=fit.kind)
            found.append(Elsewhere(status, fit.model, age))
        post(FitsElsewhere(tuple(found)))

    def prepare(self, request: FitRequest, stop: Stop) -> FitDriver | None:
        """Return the driver of a new fit, or None if the job was stopped meanwhile.

        Raises:
            LensError: if no model is open, the options are invalid, the text cannot be used, reading was
                stopped, or the lens to start from is not in use.
        """
        from lenstui.fitting.driver import begun

        opened = self._opened()
        if opened is None:
            raise LensError(_NO_MODEL)
        first = _first_lens(opened, request)
        text = self._read(request, opened.model, stop)
        if stop():
            return None
        plan = replace(_plan(request), options=text.options)
        claimed, trouble = _claimed(opened.model.label, text.options.preset)
        driver = begun(opened.model, plan, text, claimed, request.checkpoint_every, first=first)
        driver.remark = trouble or driver.remark
        return driver

    def resume(self, path: Path, checkpoint_every: float, stop: Stop) -> FitDriver | None:
        """Return the driver of a fit that goes on from its checkpoint, or None if the job was stopped.

        Raises:
            LensError: if no model is open, the checkpoint cannot be read, the model or the text is not what
                the fit began with, or the fit is under way elsewhere.
        """
        from lenstui.fitting.checkpoint import open_checkpoint
        from lenstui.fitting.driver import resumed

        opened = self._opened()
        if opened is None:
            raise LensError(_NO_MODEL)
        claimed = claim(lens_path(path))
        try:
            checkpoint = open_checkpoint(path)
            driver = resumed(opened.model, checkpoint, claimed, checkpoint_every)
        except BaseException:
            claimed.release()
            raise
        if stop():
            claimed.release()
            return None
        if checkpoint.names_other_place(claimed.lens):
            place = f"The lens will go to {claimed.lens}, beside its checkpoint, which names another place."
            driver.remark = " ".join(filter(None, (driver.remark, place)))
        return driver

    def _read(self, request: FitRequest, model: Model, stop: Stop) -> AnyText:
        """Return the text of a request; the text that was read last is not read again."""
        from lenstui.fitting.kinds import read_text

        last = self._last
        if last is not None and last.request == request and last.model() is model:
            return last.text
        self._last = None  # so that no two texts are in memory
        text = read_text(model, _plan(request), stop)
        self._last = _LastText(request, ref(model), text)
        return text


def error_text(error: BaseException) -> str:
    """Return one line on an error: what the user can do about it, or else its kind and message."""
    return advice(error, _OUT_OF_MEMORY) or named_line(error)


def _plan(request: FitRequest) -> FitPlan:
    from lenstui.fitting.plan import FitPlan

    return FitPlan(request.options, request.documents, request.held_out, request.epochs)


def _first_lens(opened: Opened, request: FitRequest) -> TunedLens | None:
    """Return the lens in use that a fit is to start from; None where it starts from none.

    Raises:
        LensError: if that lens is no longer in use.
    """
    from lenstui.lens.tuned import TunedLens

    options = request.options
    if isinstance(options, JacobianOptions) or not options.starts_from:
        return None
    lens = opened.lens(TUNED)
    said = "" if lens is None else instant_lens_named(instant_words(lens.fit))
    if not isinstance(lens, TunedLens) or said != options.starts_from:
        raise LensError("The instant lens that the fit was to start from is no longer in use.")
    return lens


def _size(text: AnyText, documents: int) -> TextSize | PromptsSize:
    from lenstui.fitting.jacobian.fitted import JacobianText

    if isinstance(text, JacobianText):
        prompts = text.prompts
        return PromptsSize(
            documents,
            len(prompts.train),
            len(prompts.held_out),
            text.options.seq_len,
            prompts.passed_over,
            text.remark,
        )
    blocks, options = text.blocks, text.options
    return TextSize(
        documents,
        blocks.train_tokens,
        blocks.held_out_tokens,
        options.tokens / blocks.train_tokens,
        options.steps,
        options.seq_len,
        text.remark,
    )


def _claimed(model: str, preset: str) -> tuple[Claim, str | None]:
    """Claim a new lens file; return the claim, and why it is not in the lenses folder, else None."""
    try:
        return claim_new(model, preset), None
    except LensError as error:
        folder = Path(tempfile.mkdtemp(prefix="lenstui-"))
        return claim(folder / f"{preset}.pt"), f"{error} The lens will go to {folder}."
