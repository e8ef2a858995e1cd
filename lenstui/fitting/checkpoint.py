"""Checkpoints: an unfinished fit on disk, so that little is lost however the program ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lenstui.fitting.jacobian_options import JacobianOptions
from lenstui.fitting.kinds import AnyFit, begin_fit
from lenstui.fitting.options import FitOptions
from lenstui.fitting.plan import AnyOptions, FitPlan
from lenstui.fitting.processes import ALONE, Processes
from lenstui.fitting.state import Fit
from lenstui.lens.compatibility import compare_weights, lens_config, unproven
from lenstui.lens.fingerprint import spoken
from lenstui.lens.formats.header import check_header
from lenstui.lens.formats.own import CHECKPOINT_FORMAT as FORMAT
from lenstui.lens.formats.tensor_file import check_bytes, load_tensors, save_tensors
from lenstui.model.load import Model
from lenstui.opening.source import from_anywhere
from lenstui.support.errors import LensError
from lenstui.support.field_types import wrong_field
from lenstui.texts.documents import Documents

VERSION = 1
_OPTIONS: dict[str, type[AnyOptions]] = {kind.kind: kind for kind in (FitOptions, JacobianOptions)}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The content of a checkpoint file.

    Attributes:
        config: the model that is fitted, as in a lens file.
        model: the name to open the model by, valid in any folder.
        adapter: the adapter that the model is under, likewise; None for none.
        dtype: the name of the weights' dtype.
        plan: the plan of the fit.
        save: the file that the lens is to be saved to, if one was chosen.
        text: the fingerprint of the blocks.
        state: from `FitState.state_dict`.
    """

    config: Mapping[str, Any]
    model: str
    dtype: str
    plan: FitPlan
    save: Path | None
    text: str
    state: Mapping[str, Any]
    adapter: str | None = None

    def names_other_place(self, lens: Path) -> bool:
        """Return whether the checkpoint names another file than `lens` for the lens."""
        return self.save not in {None, lens.absolute()}


def save_checkpoint(path: Path, fit: AnyFit, plan: FitPlan, save: Path | None = None) -> None:
    """Write all that `resume` needs. An older file of that name stays until the new one is complete.

    Args:
        path: the checkpoint file.
        fit: the fit, between two pieces of work.
        plan: the plan that the fit began with.
        save: the file that the lens is to be saved to.

    Raises:
        LensError: if the folder cannot be written or the disk is full.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "config": lens_config(fit.model),
        "model": _absolute([fit.model.name])[0] if Path(fit.model.name).is_dir() else fit.model.name,
        "adapter": None if fit.model.adapter is None else from_anywhere(fit.model.adapter.typed),
        "dtype": fit.model.dtype_name,
        "kind": fit.options.kind,
        # The fit's options, unlike the plan's, have the steps of its epochs and blocks that fit the model.
        "options": asdict(fit.options),
        "documents": asdict(plan.documents) | {"paths": _absolute(plan.documents.paths)},
        "held_out": plan.held_out,
        "epochs": plan.epochs,
        "save": None if save is None else str(save.absolute()),
        "text": fit.fingerprint,
        "state": fit.state.state_dict(),
    }
    save_tensors(content, path)


def open_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, without running any code in it.

    Raises:
        LensError: if there is none, it is damaged, or it is of another kind.
    """
    content = load_tensors(path, what="checkpoint")
    check_bytes(path, what="checkpoint")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise LensError(f"{path} is no checkpoint: name a file that lenstui wrote while it fitted a lens.")
    if content.get("version") != VERSION:
        raise LensError(
            f"{path} is a checkpoint of version {content.get('version')}; this lenstui reads {VERSION}."
        )
    if (wrong := _wrong_entry(content)) is not None:
        raise LensError(f"{path} is damaged: its {wrong} is missing or wrong.")
    check_header(path, content["config"])
    kind, documents = _OPTIONS[content["kind"]], content["documents"]
    return Checkpoint(
        config=content["config"],
        model=content["model"],
        dtype=content["dtype"],
        plan=FitPlan(
            options=kind(**_known(kind, content["options"])),
            documents=Documents(**_known(Documents, documents) | {"paths": tuple(documents["paths"])}),
            held_out=content["held_out"],
            epochs=content["epochs"],
        ),
        save=None if content["save"] is None else Path(content["save"]),
        text=content["text"],
        state=content["state"],
        adapter=content.get("adapter"),
    )


@dataclass(frozen=True)
class _Entries:
    """The entries of a checkpoint that are plain values, by their types."""

    model: str
    dtype: str
    held_out: float
    epochs: int | None
    save: str | None
    text: str
    adapter: str | None


def _wrong_entry(content: Mapping[str, Any]) -> str | None:
    """Return the name of the first entry of a checkpoint that is missing or not what it should be."""
    if wrong := wrong_field(_Entries, {"adapter": None, **content}, counts=True):
        return wrong
    for name in ("config", "options", "documents", "state"):
        if not isinstance(content.get(name), Mapping):
            return name
    if not isinstance(content.get("kind"), str) or content["kind"] not in _OPTIONS:
        return "kind"
    if not 0 <= content["held_out"] <= 1:
        return "held_out"
    if wrong := wrong_field(_OPTIONS[content["kind"]], content["options"]):
        return f"{wrong} (options)"
    if wrong := wrong_field(Documents, content["documents"], counts=True):
        return f"{wrong} (documents)"
    return None


def resume(model: Model, checkpoint: Checkpoint, processes: Processes = ALONE) -> AnyFit:
    """Return the fit of a checkpoint, which ends with the same weights as one that was never stopped.

    Args:
        model: from `load`.
        checkpoint: from `open_checkpoint`.
        processes: those that go on with it, as many as at its beginning or not.

    Raises:
        LensError: if the model or the text is not the one that the fit began with.
    """
    shape = (checkpoint.config.get("num_hidden_layers"), checkpoint.config.get("d_model"))
    if shape != (model.num_blocks, model.d_model):
        raise LensError(
            f"The checkpoint is of a fit for {checkpoint.model} ({shape[0]} blocks, width {shape[1]}), "
            f"not for {model.title} ({model.num_blocks} blocks, width {model.d_model})."
        )
    if different := compare_weights(checkpoint.config, model).different:
        raise LensError(
            f"The checkpoint is of a fit for {checkpoint.model}, which had other weights than {model.title} "
            f"has ({spoken(different)}): the fit cannot go on with these."
        )
    fit = begin_fit(model, checkpoint.plan, processes=processes)
    if fit.fingerprint != checkpoint.text:
        raise LensError(
            f"The text has changed since the checkpoint ({', '.join(checkpoint.plan.documents.paths)}): "
            "the fit cannot go on as if it had not. Begin it anew."
        )
    fit.state.load_state_dict(checkpoint.state)
    if isinstance(fit, Fit) and fit.state.blocks_in_step >= fit.blocks_per_step:
        raise LensError("The checkpoint does not fit these options (blocks_in_step).")
    if not processes.is_first:
        fit.state.hold_no_part()
    return fit


def doubt(model: Model, checkpoint: Checkpoint) -> str | None:
    """Return a remark where the weights of `model` could not be compared in full; else None."""
    left_open = unproven(compare_weights(checkpoint.config, model))
    return None if left_open is None else f"The checkpoint {left_open}"


def _absolute(names: Sequence[str]) -> list[str]:
    """Return file names and globs that mean the same from any folder."""
    return [str(Path(name).expanduser().absolute()) for name in names]


def _known(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: values[field.name] for field in fields(kind)}
