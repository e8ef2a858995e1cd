"""The jobs before a fit: count its text, look for what was not finished, read the text or a checkpoint.

They have a thread of their own, so that a long text never keeps a prompt waiting. Torch is imported here,
inside them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from lenstui.fitting.names import CHECKPOINT, Claim, claim, claim_new, lens_path
from lenstui.jobs.fit_messages import (
    FitRequest,
    TextCounted,
    TextRefused,
    TextSize,
    Unfinished,
    UnfinishedFound,
)
from lenstui.jobs.model_thread import Stop
from lenstui.opening.opened import Opened
from lenstui.support.errors import LensError, is_out_of_memory, named_line
from lenstui.support.paths import lenses

if TYPE_CHECKING:
    from lenstui.fitting.fit import FitPlan
    from lenstui.fitting.options import FitOptions
    from lenstui.fitting.state import Fit, FitBlocks
    from lenstui.model.load import Model


@dataclass(frozen=True, eq=False)
class Prepared:
    """A fit that can begin, or go on.

    Attributes:
        fit: its text is read.
        plan: what it was begun with.
        claim: on the file that the lens is to go to.
        checkpoint_every: seconds between two checkpoints; 0 for none but at an end.
        trouble: what has to be said of it.
    """

    fit: Fit
    plan: FitPlan
    claim: Claim
    checkpoint_every: float
    trouble: str | None = None

    @property
    def path(self) -> Path:
        """The file that the lens is to go to."""
        return self.claim.lens


@dataclass(frozen=True, eq=False)
class _Text:
    """The text that was read last."""

    request: FitRequest
    model: Model
    blocks: FitBlocks
    options: FitOptions
    remark: str | None


class FitTextJobs:
    """Reads texts and checkpoints. Touched by the text thread alone."""

    def __init__(self, post: Callable[[Message], object], opened: Callable[[], Opened | None]) -> None:
        """Read nothing yet.

        Args:
            post: takes the messages.
            opened: what is open just now.
        """
        self._post = post
        self._opened = opened
        self._last: _Text | None = None

    def count(self, request: FitRequest, stop: Stop) -> None:
        """Say how much text there is, and keep it for a fit that may be about to begin."""
        from lenstui.texts.documents import count_documents

        opened = self._opened()
        if opened is None:
            return
        try:
            text = self._read(request, opened.model, stop)
            documents = count_documents(request.documents)
        except Exception as error:  # whatever Arrow, a tokenizer or a disk come up with
            if not stop():
                self._post(TextRefused(request, told(error)))
            return
        if not stop():
            self._post(TextCounted(request, _size(text, documents)))

    def find_unfinished(self, stop: Stop) -> None:
        """Look for checkpoints of the open model in the lenses folder."""
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
                    found.append(Unfinished(path, options.preset, step, options.steps, modified))
            except Exception:  # damaged in whatever way, or finished just now: not one to go on with
                continue
        found.sort(key=lambda fit: -fit.modified)
        self._post(UnfinishedFound(tuple(found)))

    def prepare(self, request: FitRequest, stop: Stop) -> Prepared | None:
        """A fit before its first step; None if it was stopped meanwhile.

        Raises:
            LensError: as `read_blocks` does.
        """
        from lenstui.fitting.fit import FitPlan, file_names
        from lenstui.fitting.state import Fit, FitState

        opened = self._opened()
        if opened is None:
            raise LensError("No model is open: a lens is fitted to one.")
        text = self._read(request, opened.model, stop)
        if stop():
            return None
        options = text.options
        fit = Fit(
            opened.model,
            text.blocks,
            options,
            FitState.new(opened.model, options),
            file_names(request.documents),
        )
        plan = FitPlan(options, request.documents, request.held_out, request.epochs)
        claimed, trouble = _claimed(opened.model.name, options.preset)
        return Prepared(fit, plan, claimed, request.checkpoint_every, trouble or text.remark)

    def resume(self, path: Path, checkpoint_every: float, stop: Stop) -> Prepared | None:
        """A fit as its checkpoint left it; None if it was stopped meanwhile.

        Raises:
            LensError: as `open_checkpoint` and `resume` do, or if the fit is under way elsewhere.
        """
        from lenstui.fitting.checkpoint import doubt, open_checkpoint, resume

        opened = self._opened()
        if opened is None:
            raise LensError("No model is open: a lens is fitted to one.")
        claimed = claim(lens_path(path))
        try:
            checkpoint = open_checkpoint(path)
            fit = resume(opened.model, checkpoint)
        except BaseException:
            claimed.release()
            raise
        if stop():
            claimed.release()
            return None
        lens = claimed.lens
        remarks = [f"{left_open}."] if (left_open := doubt(opened.model, checkpoint)) is not None else []
        if checkpoint.save not in {None, lens.absolute()}:
            remarks.append(f"The lens will go to {lens}, beside its checkpoint, which names another place.")
        return Prepared(fit, checkpoint.plan, claimed, checkpoint_every, " ".join(remarks) or None)

    def _read(self, request: FitRequest, model: Model, stop: Stop) -> _Text:
        """The text of a request; the last one is not read again."""
        from lenstui.fitting.fit import FitPlan, read_blocks
        from lenstui.texts.documents import SkippedLines

        last = self._last
        if last is not None and last.request == request and last.model is model:
            return last
        self._last = None  # so that no two texts are in memory
        plan = FitPlan(request.options, request.documents, request.held_out, request.epochs)
        skipped = SkippedLines()
        blocks, options = read_blocks(model, plan, skipped, stop)
        self._last = _Text(request, model, blocks, options, str(skipped) if skipped.count else None)
        return self._last


def told(error: BaseException) -> str:
    """What to say of an error: a line that is written for the user, or else what kind it is."""
    if isinstance(error, LensError):
        return str(error)
    if is_out_of_memory(error):
        return "Out of memory: choose shorter blocks (block length), or open the model in bfloat16."
    assert isinstance(error, Exception)
    return named_line(error)


def _size(text: _Text, documents: int) -> TextSize:
    options = text.options
    fit_tokens, held_out_tokens = (sum(map(len, side)) for side in (text.blocks.train, text.blocks.held_out))
    wanted = options.closed_form_tokens + options.steps * options.tokens_per_step
    return TextSize(
        documents,
        fit_tokens,
        held_out_tokens,
        wanted / fit_tokens,
        options.steps,
        options.seq_len,
        text.remark,
    )


def _claimed(model: str, preset: str) -> tuple[Claim, str | None]:
    """Where the lens is to go; and why it cannot be the lenses folder, where it cannot."""
    try:
        return claim_new(model, preset), None
    except LensError as error:
        folder = Path(tempfile.mkdtemp(prefix="lenstui-"))
        return claim(folder / f"{preset}.pt"), f"{error} The lens will go to {folder}."
