"""From what the user asked for to an open model and its lens: the screen and the command line share this."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.lens.kinds import lens_kinds, made_lens
from lenstui.support.errors import LensError
from lenstui.support.paths import bundled_model, lenses
from lenstui.support.request import Start

if TYPE_CHECKING:
    from lenstui.lens.lens import Lens
    from lenstui.model.hub import Choice, DownloadProgress
    from lenstui.model.load import Model
    from lenstui.opening.source import Source
    from lenstui.readout.reading import Reading

BUNDLED_LENS = "bundled.pt"
DOWNLOADING = "downloading"  # the stage begins so
_BAR = 12  # cells


@dataclass(frozen=True, eq=False)
class Opened:
    """A model that is ready to read.

    Attributes:
        model: it passed the wiring check.
        fitted: the fitted lenses in use, at most one of a kind. At first that is the one that was asked for,
            else the newest in the lenses folder that was made for these weights, else the one that the
            bundled model brings, else none.
        reason: why this model, where the user named none and it is not the default one.
        warnings: what is odd about a lens on this model, by its kind.
    """

    model: Model
    fitted: tuple[Lens, ...] = ()
    reason: str | None = None
    warnings: Mapping[str, str] = field(default_factory=dict)

    @property
    def remarks(self) -> tuple[str, ...]:
        """All that has to be said, the most important first."""
        own = (remark for lens in self.fitted for remark in lens.remarks)
        reason = () if self.reason is None else (self.reason,)
        return (*reason, *self.warnings.values(), *own)

    def lens(self, kind: str) -> Lens | None:
        """Return the lens of a kind: the fitted one in use, or one that needs no fit; None for none."""
        return next((lens for lens in self.fitted if lens.kind == kind), None) or made_lens(kind)

    @property
    def lenses(self) -> tuple[Lens, ...]:
        """All that its prompts can be read through: one of each kind that there is."""
        return tuple(lens for kind in lens_kinds() if (lens := self.lens(kind.key)) is not None)

    @property
    def lens_file(self) -> Path | None:
        """The file of the fitted lens in use, the first where there are several."""
        return self.fitted[0].file if self.fitted else None

    def using(self, lens: Lens, warning: str | None = None) -> Opened:
        """Return the model with a fitted lens in use, on its device, in the place of the one of its kind.

        Args:
            lens: it fits the model.
            warning: what is odd about it.
        """
        others = tuple(other for other in self.fitted if other.kind != lens.kind)
        warnings = {kind: said for kind, said in self.warnings.items() if kind != lens.kind}
        if warning is not None:
            warnings[lens.kind] = warning
        return replace(self, fitted=(lens.to(self.model.device), *others), warnings=warnings)


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
        except LensError:  # it has changed since
            lens = None
    if lens is None and file is not None:
        lens = open_lens(file)
    opened = Opened(model, reason=choice.reason)
    return opened if lens is None else opened.using(lens, fit_warning(lens, model))


def lenses_to_read(
    opened: Opened, kinds: Sequence[str] | None = None, *, all_of_them: bool = False
) -> tuple[Lens, ...]:
    """Return the lenses that a readout is asked for.

    Args:
        opened: the model and the fitted lenses in use.
        kinds: of which kinds, as far as there are such lenses; None for one of each that there is.
        all_of_them: every kind must be there.

    Raises:
        LensError: where there is none of them, or one that must be there is not.
    """
    if kinds is None:
        return opened.lenses
    found = tuple(lens for kind in kinds if (lens := opened.lens(kind)) is not None)
    missing = [kind for kind in kinds if opened.lens(kind) is None]
    if missing and (all_of_them or not found):
        none = f"There is no {missing[0]} lens for {opened.model.name}"
        raise LensError(f"{none}: name one with --lens FILE, or fit one with lenstui train.")
    return found


def missing_lenses(opened: Opened, kinds: Sequence[str] | None) -> Iterator[str]:
    """Yield what to say of kinds that were asked for, and of which there is no lens for the model."""
    shown = " and ".join(lens.kind for lens in opened.lenses if lens.kind in (kinds or ()))
    for kind in kinds or ():
        if opened.lens(kind) is None:
            yield f"There is no {kind} lens for {opened.model.name}: only the {shown} lens is shown."


def source_of(opened: Opened, lenses: Sequence[Lens], reading: Reading | None = None) -> Source:
    """Return where numbers come from.

    Args:
        opened: the model they were read from.
        lenses: through which.
        reading: how a prompt was read; None where that is as by default.
    """
    import torch
    import transformers

    from lenstui.lens.lens import lens_keys
    from lenstui.opening.source import LensSource, Source

    model = opened.model
    files = tuple(
        LensSource.of(key, lens)
        for key, lens in zip(lens_keys(lenses), lenses, strict=True)
        if made_lens(lens.kind) is None
    )
    return Source(
        model=model.name,
        revision=model.revision,
        dtype=model.dtype_name,
        lenses=files,
        kinds=tuple(lens.kind for lens in lenses),
        final_norm=(reading is None or reading.final_norm) and all(lens.final_norm for lens in lenses),
        chat=reading is not None and reading.chat,
        sublayers=reading is not None and reading.sublayers,
        wiring=tuple(check.worst for check in model.wiring),
        device=str(model.device),
        versions=(("torch", str(torch.__version__)), ("transformers", transformers.__version__)),
    )


def lens_to_name(opened: Opened) -> Path | None:
    """The file of the fitted lens in use, to be named in a command; None if it is opened unnamed.

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
