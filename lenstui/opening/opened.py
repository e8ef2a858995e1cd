"""From what the user asked for to an open model and its lens: the screen and the command line share this."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.support.errors import LensError
from lenstui.support.paths import bundled_model, lenses
from lenstui.support.request import Start

if TYPE_CHECKING:
    from lenstui.lens.tuned import TunedLens
    from lenstui.model.hub import Choice, DownloadProgress
    from lenstui.model.load import Model
    from lenstui.opening.source import Source

BUNDLED_LENS = "bundled.pt"
DOWNLOADING = "downloading"  # the stage begins so
_BAR = 12  # cells


@dataclass(frozen=True, eq=False)
class Opened:
    """A model that is ready to read.

    Attributes:
        model: it passed the wiring check.
        lens: a tuned lens that fits it: the one that was asked for, else the newest in the lenses folder that
            was made for these weights, else the one that the bundled model brings, else None.
        lens_file: where that came from.
        reason: why this model, where the user named none and it is not the default one.
        warning: what is odd about the lens on this model.
    """

    model: Model
    lens: TunedLens | None
    lens_file: Path | None
    reason: str | None
    warning: str | None = None

    @property
    def remarks(self) -> tuple[str, ...]:
        """All that has to be said, the most important first."""
        own = () if self.lens is None else self.lens.remarks
        return tuple(remark for remark in (self.reason, self.warning, *own) if remark is not None)


def open_model(
    start: Start,
    on_stage: Callable[[str], None] = lambda stage: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Opened:
    """Find, fetch if need be, load and check the model, and open its lens.

    Args:
        start: what was asked for.
        on_stage: told in a few words what is being done.
        should_stop: asked while a download runs.

    Raises:
        LensError: whatever is wrong, in one line that says what to do.
    """
    on_stage("looking for the model")
    from lenstui.model.hub import BUNDLED_MODEL, Choice, choose_default, resolve

    def on_progress(progress: DownloadProgress) -> None:
        full = round(_BAR * progress.done / max(progress.total, 1))
        bar = "━" * full + "─" * (_BAR - full)
        on_stage(f"{DOWNLOADING} {bar} {progress.done / 1e6:.0f} of {progress.total / 1e6:.0f} MB")

    if start.demo:
        choice = Choice(BUNDLED_MODEL, bundled_model(), None)
    elif start.model is None and (last := _last_model(start)) is not None:
        choice = last
    elif start.model is None:
        choice = choose_default(on_progress, should_stop)
    else:
        folder = resolve(
            start.model,
            start.revision,
            with_code=start.trust_remote_code,
            on_progress=on_progress,
            should_stop=should_stop,
        )
        choice = Choice(start.model, folder, None)

    on_stage("importing torch and transformers")
    from lenstui.lens.catalog import newest_fitting
    from lenstui.lens.compatibility import fit_warning
    from lenstui.lens.formats.own import open_lens
    from lenstui.model.load import load

    # First: a wrong file is no reason to load a model.
    lens = None if start.lens is None else open_lens(start.lens)
    model = load(
        choice.name,
        folder=choice.path,
        revision=start.revision,
        device=start.device,
        dtype=start.dtype,
        device_map=start.device_map,
        quantize=start.quantize,
        trust_remote_code=start.trust_remote_code,
        on_stage=on_stage,
    )
    file = start.lens or newest_fitting(model, lenses()) or _bundled_lens(choice.path)
    if lens is None and (before := _last_lens(start, choice.name, file)) is not None:
        try:
            lens = open_lens(before)
            fit_warning(lens, model)
            file = before
        except LensError:  # it has changed since
            lens = None
    if lens is None and file is not None:
        lens = open_lens(file)
    warning = None if lens is None else fit_warning(lens, model)
    return Opened(model, lens, file, choice.reason, warning)


def source_of(opened: Opened, *, tuned: bool) -> Source:
    """Where numbers come from.

    Args:
        opened: the model they were read from.
        tuned: whether a tuned lens had part in them.
    """
    import torch
    import transformers

    from lenstui.opening.source import Source

    model = opened.model
    lens = None if opened.lens_file is None else opened.lens_file.name
    return Source(
        model=model.name,
        revision=model.revision,
        dtype=model.dtype_name,
        lens=lens if tuned else None,
        wiring=tuple(check.worst for check in model.wiring),
        device=str(model.device),
        versions=(("torch", str(torch.__version__)), ("transformers", transformers.__version__)),
    )


def lens_to_name(opened: Opened) -> Path | None:
    """The file of the lens in use, to be named in a command; None if it is the one that is opened unnamed.

    That is the bundled model's own lens, as long as no other was fitted for it.
    """
    from lenstui.lens.catalog import newest_fitting

    file = opened.lens_file
    if file is None or file.parent != bundled_model() or newest_fitting(opened.model, lenses()) is not None:
        return file
    return None


def _last_model(start: Start) -> Choice | None:
    """The model of the last session, if it is on this machine and not the one that is opened anyway."""
    from lenstui.model.hub import BUNDLED_MODEL, DEFAULT_MODEL, Choice, find_local

    if start.again is None or start.again.model in {BUNDLED_MODEL, DEFAULT_MODEL}:
        return None
    folder = find_local(start.again.model)
    reason = f"{start.again.model} is the model of the last session: --no-restore opens the default one"
    return None if folder is None else Choice(start.again.model, folder, reason)


def _last_lens(start: Start, model: str, newest: Path | None) -> Path | None:
    """The lens of the last session, if it is still there and no other was made since."""
    again = start.again
    if again is None or again.lens is None or again.model != model or not again.lens.exists():
        return None
    is_newer = newest is not None and newest.exists() and newest.stat().st_mtime > again.when
    return None if is_newer else again.lens


def _bundled_lens(folder: Path) -> Path | None:
    """The lens that the bundled model brings."""
    lens = folder / BUNDLED_LENS
    return lens if folder == bundled_model() and lens.is_file() else None
