"""From the user's request to an open model and its lenses, for the screen and the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.lens.kinds import lens_kinds, made_lens
from lenstui.support.errors import LensError
from lenstui.support.paths import bundled_model, instant_lenses, lenses
from lenstui.support.request import Again, Start

if TYPE_CHECKING:
    from lenstui.lens.lens import Lens
    from lenstui.model.hub import Choice, DownloadProgress
    from lenstui.model.load import Model
    from lenstui.opening.source import Source
    from lenstui.readout.reading import Reading

BUNDLED_LENS = "bundled.pt"
DOWNLOADING = "downloading"  # the first word of the stage during a download
_BAR = 12  # cells of the progress bar


@dataclass(frozen=True, eq=False)
class Opened:
    """A model that is ready to read, with the fitted lenses in use.

    Attributes:
        model: the model, which passed the wiring check.
        fitted: the fitted lenses in use, at most one of a kind. At first that is the requested one, else the
            one that the user chose for the model before, else one in the lenses folder that was made for
            these weights (the best on the text of the newest), else the bundled model's lens, else an
            instant lens that was kept for these weights if the request allows that, else none.
        reason: why this model was opened, where the user named none and it is not the default one.
        warnings: warnings about lenses on this model, by their kind.
        lens_choice: why this lens is in use, in a few words, where it opened by itself and others fit too.
        chosen_lens: the file of the lens in use if the user chose it, which is kept for the model.
        lens_remark: what became of an earlier choice: the lens is gone, or another was fitted since.
    """

    model: Model
    fitted: tuple[Lens, ...] = ()
    reason: str | None = None
    warnings: Mapping[str, str] = field(default_factory=dict)
    lens_choice: str = ""
    chosen_lens: Path | None = None
    lens_remark: str | None = None

    @property
    def remarks(self) -> tuple[str, ...]:
        """All remarks on the model and its lenses for the user, the most important first."""
        own = (remark for lens in self.fitted for remark in lens.remarks)
        said = (remark for remark in (self.reason, self.lens_remark) if remark is not None)
        return (*said, *self.warnings.values(), *own)

    def lens(self, kind: str) -> Lens | None:
        """Return the lens of a kind: the fitted one in use, or one that needs no fit; None for none."""
        return next((lens for lens in self.fitted if lens.kind == kind), None) or made_lens(kind)

    @property
    def lenses(self) -> tuple[Lens, ...]:
        """All lenses that the model can be read through: one of each kind, as far as there is one."""
        return tuple(lens for kind in lens_kinds() if (lens := self.lens(kind.key)) is not None)

    @property
    def lens_file(self) -> Path | None:
        """The file of the fitted lens in use, of the first where there are several."""
        return self.fitted[0].file if self.fitted else None

    def using(self, lens: Lens, warning: str | None = None, *, is_chosen: bool = False) -> Opened:
        """Return the model with a fitted lens in use, on its device, in the place of the one of its kind.

        Args:
            lens: a lens that fits the model.
            warning: a warning about the lens on this model, if any.
            is_chosen: whether the user chose the lens, so that it is kept for the model.
        """
        others = tuple(other for other in self.fitted if other.kind != lens.kind)
        warnings = {kind: said for kind, said in self.warnings.items() if kind != lens.kind}
        if warning is not None:
            warnings[lens.kind] = warning
        fitted = (lens.to(self.model.device), *others)
        chosen = lens.file if is_chosen else None
        return replace(
            self, fitted=fitted, warnings=warnings, lens_choice="", chosen_lens=chosen, lens_remark=None
        )


def open_model(
    start: Start,
    on_stage: Callable[[str], None] = lambda stage: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Opened:
    """Find a model, download it if needed, load and check it, and open its lens.

    Args:
        start: the request.
        on_stage: called with each stage, in a few words.
        should_stop: called during a download; True ends it.

    Raises:
        LensError: if the model or the lens cannot be opened; one line that says what to do.
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
    from lenstui.lens.compatibility import fit_warning
    from lenstui.lens.formats.own import open_lens
    from lenstui.lens.instant import kept_instant_lens
    from lenstui.model.load import load

    # Before the model, since loading takes long and the file may be wrong.
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
    opened = Opened(model, reason=choice.reason)
    if lens is not None:
        return opened.using(lens, fit_warning(lens, model), is_chosen=True)
    opened = _with_lens(opened, start.again, choice.path)
    if start.instant and not opened.fitted and (kept := kept_instant_lens(model)) is not None:
        return opened.using(kept)
    return opened


def lenses_to_read(
    opened: Opened, kinds: Sequence[str] | None = None, *, all_of_them: bool = False
) -> tuple[Lens, ...]:
    """Return the lenses for a readout.

    Args:
        opened: the model and the fitted lenses in use.
        kinds: the requested kinds, which may lack a lens; None for one lens of each kind that has one.
        all_of_them: whether every requested kind must have a lens.

    Raises:
        LensError: if no requested kind has a lens, or one that must have one lacks it.
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
    """Yield a remark for each requested kind of which there is no lens for the model."""
    shown = " and ".join(lens.kind for lens in opened.lenses if lens.kind in (kinds or ()))
    for kind in kinds or ():
        if opened.lens(kind) is None:
            yield f"There is no {kind} lens for {opened.model.name}: only the {shown} lens is shown."


def source_of(opened: Opened, lenses: Sequence[Lens], reading: Reading | None = None) -> Source:
    """Return the source of the numbers of a readout.

    Args:
        opened: the model that was read.
        lenses: the lenses of the readout.
        reading: the options for reading the prompt; None for the defaults.
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
    """Return the file of the fitted lens in use, for a command to name; None if it is opened unnamed.

    The bundled model's lens is opened unnamed, as long as no other was fitted for that model, and so is an
    instant lens.
    """
    from lenstui.lens.catalog import fitting_lens

    file = opened.lens_file
    if file is not None and file.parent == instant_lenses():
        return None
    if file is None or file.parent != bundled_model() or fitting_lens(opened.model, lenses()) is not None:
        return file
    return None


def _last_model(start: Start) -> Choice | None:
    """Return the model of the last session, if it is on this machine and is not opened anyway."""
    from lenstui.model.hub import BUNDLED_MODEL, DEFAULT_MODEL, Choice, find_local

    if start.again is None or start.again.model in {BUNDLED_MODEL, DEFAULT_MODEL}:
        return None
    folder = find_local(start.again.model)
    reason = f"{start.again.model} is the model of the last session: --no-restore opens the default one"
    return None if folder is None else Choice(start.again.model, folder, reason)


def _with_lens(opened: Opened, again: Again | None, folder: Path) -> Opened:
    """Return a model with the lens that the user chose for it before, or else the one that opens by itself.

    Args:
        opened: a model without a lens.
        again: what is known of the model from before.
        folder: the folder of the model.

    Raises:
        LensError: if the lens that opens by itself cannot be opened.
    """
    from lenstui.lens.catalog import fitting_lens
    from lenstui.lens.compatibility import fit_warning
    from lenstui.lens.formats.own import open_lens

    found = fitting_lens(opened.model, lenses())
    usual = _bundled_lens(folder) if found is None else found.path
    remark = None
    if again is not None and again.lens is not None and again.model == opened.model.name:
        try:
            lens = open_lens(again.lens)
            warning = fit_warning(lens, opened.model)
        except LensError as error:
            instead = "there is no other" if usual is None else f"{usual.name} is in use"
            remark = f"The lens that was chosen for this model cannot be opened, and {instead}: {error}"
        else:
            opened = opened.using(lens, warning, is_chosen=True)
            if usual is None or usual.resolve() == again.lens.resolve():
                return opened
            is_since = found is not None and usual.stat().st_mtime > again.when
            since = f"{usual.name} was fitted since {again.lens.name} was chosen: o has both"
            return replace(opened, lens_choice="chosen", lens_remark=since if is_since else None)
    if usual is not None:
        lens = open_lens(usual)
        opened = opened.using(lens, fit_warning(lens, opened.model))
    return replace(opened, lens_choice="" if found is None else found.why, lens_remark=remark)


def _bundled_lens(folder: Path) -> Path | None:
    """Return the lens file of the bundled model; None for any other model."""
    lens = folder / BUNDLED_LENS
    return lens if folder == bundled_model() and lens.is_file() else None
