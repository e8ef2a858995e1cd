"""From the user's request to an open model and its lenses, for the screen and the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.lens.kinds import JACOBIAN, TUNED, lens_kinds, made_lens
from lenstui.lens.names import kind_word
from lenstui.model.rows import Row
from lenstui.support.errors import LensError
from lenstui.support.paths import bundled_model, instant_lenses, lenses
from lenstui.support.request import Again, Start

if TYPE_CHECKING:
    from lenstui.lens.lens import Lens
    from lenstui.model.hub_process import DownloadProgress
    from lenstui.model.load import Model
    from lenstui.opening.found_model import FoundModel
    from lenstui.opening.source import Source
    from lenstui.readout.reading import Reading

BUNDLED_LENS = "bundled.pt"
BUNDLED_JACOBIAN_LENS = "bundled-jacobian.pt"
DOWNLOADING = "downloading"  # the first word of the stage during a download


@dataclass(frozen=True, eq=False)
class Opened:
    """A model that is ready to read, with the fitted lenses in use.

    Attributes:
        model: the model, which passed the wiring check.
        fitted: the fitted lenses at hand; the first of a kind is in use. At first these are the requested
            ones, in their order, and behind them, unless one of them is tuned, a tuned lens: the one that the
            user chose for the model before, else one in the lenses folder that was made for these weights
            (the best on the text of the newest), else the bundled model's, else an instant lens that was
            kept for these weights if the request allows that, else none. The bundled model's Jacobian lens
            comes last, if the request wants it.
        reason: why this model was opened, where the user named none and it is not the default one.
        warnings: warnings about fitted lenses on this model.
        lens_choice: why the tuned lens is in use, in a few words, where it opened by itself and others fit
            too.
        chosen_lens: the file of the tuned lens in use if the user chose it, which is kept for the model.
        lens_remark: what became of an earlier choice: the lens is gone, or another was fitted since.
        place: the folder or GGUF file of the model; of an adapted model that of its base.
        start: the request by which it was opened.
    """

    model: Model
    fitted: tuple[Lens, ...] = ()
    reason: str | None = None
    warnings: Mapping[Lens, str] = field(default_factory=dict)
    lens_choice: str = ""
    chosen_lens: Path | None = None
    lens_remark: str | None = None
    place: Path | None = None
    start: Start | None = None

    @property
    def remarks(self) -> tuple[str, ...]:
        """All remarks on the model and its lenses for the user, the most important first."""
        own = (remark for lens in self.fitted for remark in lens.remarks)
        said = (remark for remark in (self.reason, self.lens_remark) if remark is not None)
        of_remote = () if self.model.remote is None else self.model.remote.remarks
        return (*said, *of_remote, *self.warnings.values(), *own)

    def lens(self, kind: str) -> Lens | None:
        """Return the lens of a kind: the fitted one in use, or one that needs no fit; None for none."""
        return next((lens for lens in self.fitted if lens.kind == kind), None) or made_lens(kind)

    @property
    def lenses(self) -> tuple[Lens, ...]:
        """All lenses that the model can be read through, in the order of their kinds."""
        return tuple(lens for kind in lens_kinds() for lens in self.lenses_of(kind.key))

    def lenses_of(self, kind: str) -> tuple[Lens, ...]:
        """Return the lenses of a kind, the one in use first."""
        made = made_lens(kind)
        return tuple(lens for lens in self.fitted if lens.kind == kind) if made is None else (made,)

    @property
    def lens_file(self) -> Path | None:
        """The file of the tuned lens in use, if any."""
        lens = self.lens(TUNED)
        return None if lens is None else lens.file

    def is_in_use(self, lens: Lens) -> bool:
        """Return whether a lens is the first of its kind, or the only one, as it needs no fit."""
        return made_lens(lens.kind) is not None or lens is self.lens(lens.kind)

    def using(self, lens: Lens, warning: str | None = None, *, is_chosen: bool = False) -> Opened:
        """Return the model with a fitted lens in use, on its device, in the place of the one of its kind.

        Args:
            lens: a lens that fits the model.
            warning: a warning about the lens on this model, if any.
            is_chosen: whether the user chose the lens, so that it is kept for the model.
        """
        lens, before = lens.to(self.model.device), self.lens(lens.kind)
        others = (each for each in self.fitted if each is not before and not _same_file(each, lens))
        opened = _having(self, (lens, *others), warning)
        if lens.kind != TUNED:
            return opened
        chosen = lens.file if is_chosen else None
        return replace(opened, lens_choice="", chosen_lens=chosen, lens_remark=None)

    def preferring(self, lens: Lens) -> Opened:
        """Return the model with one of its lenses in use, as the first of its kind."""
        if self.is_in_use(lens):
            return self
        return replace(self, fitted=(lens, *(each for each in self.fitted if each is not lens)))

    def with_lens(self, lens: Lens, warning: str | None = None) -> Opened:
        """Return the model with one more fitted lens, in use only if it is the first of its kind."""
        lens = lens.to(self.model.device)
        return _having(self, (*self.fitted, lens), warning, new=-1)


def open_model(
    start: Start,
    on_stage: Callable[[str], None] = lambda stage: None,
    should_stop: Callable[[], bool] = lambda: False,
    at_hand: Iterable[Opened] = (),
) -> Opened:
    """Find a model, download it if needed, load and check it, and open its lens.

    Args:
        start: the request.
        on_stage: called with each stage, in a few words.
        should_stop: called during a download; True ends it.
        at_hand: models in memory. An adapted model shares the weights of its base, if that is among them, and
            of an adapted model among them the base is not loaded again.

    Raises:
        LensError: if the model or the lens cannot be opened; one line that says what to do.
    """
    if start.remote:
        return _open_remotely(start, on_stage, should_stop)
    on_stage("looking for the model")

    from lenstui.opening.found_model import find_model

    def on_progress(progress: DownloadProgress) -> None:
        on_stage(f"{DOWNLOADING} {progress.text}")

    found = find_model(start, on_progress, should_stop)
    choice = found.choice
    on_stage("importing torch and transformers")
    from lenstui.lens.compatibility import fit_warning
    from lenstui.lens.formats.own import open_lens
    from lenstui.lens.instant import kept_instant_lens
    from lenstui.model.load import load

    # Before the model, since loading takes long and a file may be wrong.
    named = [open_lens(path) for path in start.lenses]
    model = _from_memory(found, start, at_hand)
    if model is None:
        model = load(
            choice.name,
            folder=choice.path,
            revision=found.revision,
            device=start.device,
            dtype=start.dtype,
            device_map=start.device_map,
            quantize=start.quantize,
            trust_remote_code=start.trust_remote_code,
            adapter=found.adapter,
            on_stage=on_stage,
        )
    opened = Opened(model, reason=choice.reason, place=choice.path, start=start)
    for lens in named:
        opened = opened.with_lens(lens, fit_warning(lens, model))
    if opened.lens(TUNED) is not None:
        opened = replace(opened, chosen_lens=opened.lens_file)
    else:
        opened = _with_tuned_lens(opened, start.again, choice.path)
        if start.instant and opened.lens(TUNED) is None and (kept := kept_instant_lens(model)) is not None:
            opened = opened.using(kept)
        if not named:
            opened = _with_other_lenses(opened, start.again)
    return with_bundled_jacobian_lens(opened) if start.jacobian else opened


def _open_remotely(start: Start, on_stage: Callable[[str], None], should_stop: Callable[[], bool]) -> Opened:
    """Open a model whose weights are on NDIF, and the lenses that are named.

    What is wrong with the key, the service or the name is found out before anything heavy is imported.
    """
    from lenstui.model.hub import find_without_weights
    from lenstui.model.name import check_hub_name
    from lenstui.model.ndif import Service, check_protocol

    assert start.model is not None
    check_hub_name(start.model)
    service = Service.of_environment()
    on_stage(f"asking {service.name}")
    deployment, versions = service.deployment(start.model, start.revision), service.versions()
    check_protocol(service, versions)
    place = find_without_weights(
        deployment.name,
        start.revision,
        lambda progress: on_stage(f"{DOWNLOADING} {progress.text}"),
        should_stop,
    )
    on_stage("importing torch and transformers")
    from lenstui.lens.compatibility import fit_warning
    from lenstui.lens.formats.own import open_lens
    from lenstui.model.remote_load import open_remote

    named = [open_lens(path) for path in start.lenses]
    model = open_remote(
        deployment,
        place,
        service,
        versions,
        revision=start.revision,
        on_stage=on_stage,
    )
    opened = Opened(model, place=place, start=start)
    for lens in named:
        opened = opened.with_lens(lens, fit_warning(lens, model))
    return opened


def _from_memory(found: FoundModel, start: Start, at_hand: Iterable[Opened]) -> Model | None:
    """Return a model or an adapted one made of weights in memory; None where these have to be loaded."""
    from lenstui.model.load import with_adapter

    for opened in at_hand:
        model = opened.model.clean
        is_other = found.adapter is not None or model.adapter is not None
        if not is_other or model.remote is not None or opened.place != found.choice.path:
            continue
        if _how(opened.start) != _how(start):
            continue
        base = model if model.base is None else model.base
        if (base.name, base.revision) != (found.choice.name, found.revision):
            base = replace(base, name=found.choice.name, revision=found.revision)
        return base if found.adapter is None else with_adapter(base, found.adapter)
    return None


def _how(start: Start | None) -> tuple[object, ...] | None:
    """Return how a request has weights loaded."""
    if start is None:
        return None
    return start.device, start.dtype, start.device_map, start.quantize, start.trust_remote_code


def with_bundled_jacobian_lens(opened: Opened) -> Opened:
    """Return the bundled model with its Jacobian lens at hand; any other model, or with one, as it is."""
    from lenstui.lens.compatibility import fit_warning
    from lenstui.lens.formats.own import open_lens
    from lenstui.model.name import BUNDLED_MODEL

    path = bundled_model() / BUNDLED_JACOBIAN_LENS
    is_missing = opened.lens(JACOBIAN) is None and path.is_file()
    if opened.model.name != BUNDLED_MODEL or not is_missing:
        return opened
    lens = open_lens(path)
    return opened.with_lens(lens, fit_warning(lens, opened.model))


def _with_other_lenses(opened: Opened, again: Again | None) -> Opened:
    """Return the model with the lenses of the last session beside the tuned one, as far as they are there."""
    from lenstui.lens.compatibility import fit_warning
    from lenstui.lens.formats.own import open_lens

    for path in again.others if again is not None and _is_of(again, opened.model) else ():
        try:
            lens = open_lens(path)
            warning = fit_warning(lens, opened.model)
        except LensError:  # the file has changed since the last session, or is gone
            continue
        opened = opened.with_lens(lens, warning)
    return opened


def _having(opened: Opened, fitted: tuple[Lens, ...], warning: str | None, new: int = 0) -> Opened:
    """Return the model with other fitted lenses, of which `new` is the index of the one with the warning."""
    said = opened.warnings if warning is None else {**opened.warnings, fitted[new]: warning}
    return replace(opened, fitted=fitted, warnings={lens: said[lens] for lens in fitted if lens in said})


def _same_file(one: Lens, other: Lens) -> bool:
    return one.file is not None and other.file is not None and one.file.resolve() == other.file.resolve()


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
    found = tuple(lens for kind in kinds for lens in opened.lenses_of(kind))
    missing = [kind for kind in kinds if not opened.lenses_of(kind)]
    if missing and (all_of_them or not found):
        none = f"There is no {kind_word(missing[0])} lens for {opened.model.title}"
        fits = ", or fit one with lenstui train" if missing[0] == TUNED else ""
        raise LensError(f"{none}: name one with --lens FILE{fits}.")
    return found


def missing_lenses(opened: Opened, kinds: Sequence[str] | None) -> Iterator[str]:
    """Yield a remark for each requested kind of which there is no lens for the model."""
    shown = " and ".join(kind_word(lens.kind) for lens in opened.lenses if lens.kind in (kinds or ()))
    for kind in kinds or ():
        if opened.lens(kind) is None:
            none = f"There is no {kind_word(kind)} lens for {opened.model.title}"
            yield f"{none}: only the {shown} lens is shown."


def source_of(opened: Opened, lenses: Sequence[Lens], reading: Reading | None = None) -> Source:
    """Return the source of the numbers of a readout.

    Args:
        opened: the model that was read.
        lenses: the lenses of the readout.
        reading: the options for reading the prompt; None for the defaults.
    """
    from lenstui.lens.compatibility import is_of_base
    from lenstui.lens.lens import lens_keys
    from lenstui.opening.source import AdapterSource, LensSource, Source

    model = opened.model
    files = tuple(
        LensSource.of(key, lens, is_of_base=is_of_base(lens, model))
        for key, lens in zip(lens_keys(lenses), lenses, strict=True)
        if made_lens(lens.kind) is None
    )
    return Source(
        model=model.name,
        revision=model.revision,
        adapter=None if model.adapter is None else AdapterSource.of(model.adapter),
        dtype=model.dtype_name,
        lenses=files,
        kinds=tuple(lens.kind for lens in lenses),
        final_norm=(reading is None or reading.final_norm) and all(lens.final_norm for lens in lenses),
        chat=reading is not None and reading.chat,
        sublayers=reading is not None and reading.sublayers,
        words_only=reading is not None and reading.words_only,
        wiring=tuple(check.worst for check in model.wiring),
        device=str(model.device) if model.remote is None else model.remote.place,
        edits=model.edits,
        edit_lens=model.edit_lens,
        versions=_versions(model),
        service="" if model.remote is None else model.remote.service,
    )


def _versions(model: Model) -> tuple[tuple[str, str], ...]:
    """Return the versions of the packages that a model's numbers come from, by name."""
    if model.remote is not None:
        return tuple(model.remote.versions.items())
    names = ("torch", "transformers", *(["peft"] if model.adapter is not None else []))
    return tuple((name, str(import_module(name).__version__)) for name in names)


def files_to_name(opened: Opened, lenses_read: Sequence[Lens]) -> tuple[Path, ...]:
    """Return the files of lenses for a command to name, in their order, without those opened unnamed.

    The bundled model's tuned lens is opened unnamed, as long as no other was fitted for that model, its
    Jacobian lens where that kind is asked for, and so is an instant lens.
    """
    from lenstui.lens.catalog import fitting_lens

    named = [
        lens.file
        for lens in lenses_read
        if lens.file is not None and lens.file.parent != instant_lenses() and not is_bundled_jacobian(lens)
    ]
    bundled = [file for file in named if file.parent == bundled_model()]
    if bundled and fitting_lens(opened.model, lenses()) is None:
        named.remove(bundled[0])
    return tuple(named)


def is_bundled_jacobian(lens: Lens) -> bool:
    """Return whether a lens is the Jacobian lens of the bundled model, which opens where it is asked for."""
    return lens.file == bundled_model() / BUNDLED_JACOBIAN_LENS


def lacking_rows(readers: Sequence[Lens], rows: Sequence[str]) -> Iterator[str]:
    """Yield a remark for each lens that lacks rows of the residual stream.

    Args:
        readers: the lenses of a readout.
        rows: the labels of its rows; the last row is every lens's.
    """
    for lens in readers:
        lacks = [label for label in rows[:-1] if (row := Row.of(label)).part is None and not lens.reads(row)]
        if lacks:
            some = "row" if len(lacks) == 1 else "rows"
            yield f"The {kind_word(lens.kind)} lens {lens.name} has no {some} {', '.join(lacks)}."


def _with_tuned_lens(opened: Opened, again: Again | None, folder: Path) -> Opened:
    """Return a model with the tuned lens that was chosen for it before, else the one that opens by itself.

    Args:
        opened: a model without a tuned lens.
        again: what is known of the model from before.
        folder: the folder of the model.

    Raises:
        LensError: if the lens that opens by itself cannot be opened.
    """
    from lenstui.lens.catalog import fitting_lens
    from lenstui.lens.compatibility import fit_warning
    from lenstui.lens.formats.own import open_lens

    found = fitting_lens(opened.model, lenses())
    if found is None and opened.model.base is not None:  # the lens of the base is the next best
        found = fitting_lens(opened.model.base, lenses())
    usual = _bundled_lens(folder) if found is None else found.path
    remark = None
    if again is not None and again.lens is not None and _is_of(again, opened.model):
        try:
            lens = _tuned_lens(again.lens)
            warning = fit_warning(lens, opened.model)
        except LensError as error:
            instead = "there is no other" if usual is None else f"{usual.name} is in use"
            remark = f"The lens that was chosen for this model cannot be opened, and {instead}: {error}"
        else:
            opened = replace(opened.with_lens(lens, warning), chosen_lens=lens.file)
            if usual is None or usual.resolve() == again.lens.resolve():
                return opened
            is_since = found is not None and usual.stat().st_mtime > again.when
            since = f"{usual.name} was fitted since {again.lens.name} was chosen: o has both"
            return replace(opened, lens_choice="chosen", lens_remark=since if is_since else None)
    if usual is not None:
        lens = open_lens(usual)
        opened = opened.with_lens(lens, fit_warning(lens, opened.model))
    return replace(opened, lens_choice="" if found is None else found.why, lens_remark=remark)


def _is_of(again: Again, model: Model) -> bool:
    """Return whether what is known from before is of a model, under the same adapter."""
    adapter = None if model.adapter is None else model.adapter.typed
    return (again.model, again.adapter) == (model.name, adapter)


def _tuned_lens(path: Path) -> Lens:
    """Read a tuned lens.

    Raises:
        LensError: if the file is damaged, or now holds a lens of another kind.
    """
    from lenstui.lens.formats.own import open_lens

    lens = open_lens(path)
    if lens.kind != TUNED:
        raise LensError(f"{path} holds no tuned lens any more.")
    return lens


def _bundled_lens(folder: Path) -> Path | None:
    """Return the lens file of the bundled model; None for any other model."""
    lens = folder / BUNDLED_LENS
    return lens if folder == bundled_model() and lens.is_file() else None
