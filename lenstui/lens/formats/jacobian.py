"""File formats of Jacobian lenses: lenstui's own, the reference code's, and that of J++.

The other two key a matrix by the number of the block whose **output** it reads: matrix `k` is that of row
`k`, `h_{k+1}`. They have none for `emb`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lenstui.lens.formats.header import check_header, is_count
from lenstui.lens.formats.plain import header, plain
from lenstui.lens.formats.tensor_file import save_tensors
from lenstui.lens.jacobian import LAST, PENULTIMATE, JacobianLens, least_blocks
from lenstui.lens.names import file_lens_name
from lenstui.model.rows import Row
from lenstui.support.errors import LensError

FORMAT = "lenstui.jacobian_lens"
VERSION = 1
_MOST_ROWS = 1 << 16
_TARGETS = {-1: LAST, -2: PENULTIMATE}  # by J++'s `relative_end_transport_layer`
_OF_J_PLUS_PLUS = {  # entries of its config, by what lenstui calls them
    "method": "lens_type",
    "n_prompts": "num_prompts_trained_on",
    "skip_first": "skip_first_n_positions",
    "rule": "lrp_mode",
}


@dataclass(frozen=True, eq=False)
class JacobianFile:
    """The content of the file of a Jacobian lens, whose numbers need not have been read from the disk.

    Attributes:
        matrices: by the index of the row, 0 for `emb`.
        config: the model that the lens is for.
        fit: how the lens was fitted.
        remarks: remarks for the user.
    """

    matrices: Mapping[int, Tensor]
    config: Mapping[str, Any] = field(default_factory=dict)
    fit: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def lens(self, path: Path) -> JacobianLens:
        """Return the lens, after a look at every number of it.

        Raises:
            LensError: if some are not finite.
        """
        for row, matrix in self.matrices.items():
            least, greatest = torch.aminmax(matrix)  # NaN wins
            if not (isfinite(least) and isfinite(greatest)):
                raise LensError(
                    f"{path} is damaged: its matrix of row {Row(row).label} has numbers that are infinite or "
                    "NaN, as where they were too large for its dtype."
                )
        return JacobianLens(self.matrices, self.config, self.fit, file_lens_name(path), self.remarks)


def jacobian_file(content: Any, path: Path) -> JacobianFile | None:
    """Return the Jacobian lens in a loaded `.pt` file; None if it holds none.

    Args:
        content: the loaded file.
        path: the file, for messages.

    Raises:
        LensError: if it holds one that is damaged, or a fit of the reference code that has not ended.
    """
    if not isinstance(content, Mapping):
        return None
    if content.get("format") == FORMAT:
        return _own(content, path)
    parameters = content.get("parameters")
    if isinstance(parameters, Mapping) and "jacobians" in parameters:
        return _block_outputs(parameters["jacobians"], content, path)
    if "J" in content:
        return _block_outputs(content["J"], content, path)
    if "jacobian_sum" in content:
        raise LensError(f"{path} is the checkpoint of a Jacobian fit, not a lens: let that fit end first.")
    return None


def own_content(lens: JacobianLens) -> dict[str, Any]:
    """Return the content of lenstui's own file of a lens, in the dtype that its matrices have."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "config": plain(lens.config),
        "fit": plain(lens.fit),
        "state_dict": {Row(row).label: _whole(lens.matrices[row]) for row in sorted(lens.matrices)},
    }
    if lens.remarks:
        content["remarks"] = plain(lens.remarks)
    return content


def save_reference(lens: JacobianLens, path: Path) -> None:
    """Write a lens as the reference code does: float16, without `emb`.

    Raises:
        LensError: if there is nothing but `emb`, a number is too large for float16, or the file cannot be
            written.
    """
    rows = sorted(set(lens.matrices) - {0})
    if not rows:
        raise LensError("This lens has a matrix for emb alone, which the reference's form does not have.")
    matrices = {row - 1: lens.matrices[row].detach().cpu().to(torch.float16) for row in rows}
    if wrong := [number for number, matrix in matrices.items() if not matrix.isfinite().all()]:
        raise LensError(f"The matrix of row {wrong[0]} has numbers that are too large for float16.")
    content = {
        "J": {number: _whole(matrix) for number, matrix in matrices.items()},
        "n_prompts": lens.fit.get("n_prompts") or 0,
        "source_layers": list(matrices),
        "d_model": lens.d_model,
    }
    save_tensors(content, path)


def _whole(matrix: Tensor) -> Tensor:
    """Return a matrix on the CPU that shares no storage: of a slice, torch.save would write the whole."""
    matrix = matrix.detach().cpu()
    return matrix if matrix.untyped_storage().nbytes() == matrix.nbytes else matrix.clone()


def _own(content: Mapping[str, Any], path: Path) -> JacobianFile:
    version = content.get("version")
    if version != VERSION:
        raise LensError(f"{path} has format version {version}; this lenstui reads {VERSION}. Update it.")
    config, fit, remarks = header(content)
    check_header(path, config, fit, remarks)
    state = content.get("state_dict")
    if not isinstance(state, Mapping) or not state:
        raise _no_matrices(path)
    matrices = {_row(label, path): matrix for label, matrix in state.items()}
    _check(matrices, config.get("d_model"), path)
    blocks = config.get("num_hidden_layers")
    if blocks is not None and blocks < least_blocks(matrices):
        raise LensError(
            f"{path} is damaged: it is for a model of {blocks} blocks, and has a matrix for row "
            f"{Row(max(matrices)).label}, which is the last or beyond."
        )
    if fit.get("target") not in {None, *_TARGETS.values()}:
        raise LensError(f"{path} leads to {fit['target']}: this lenstui knows {LAST} and {PENULTIMATE}.")
    return JacobianFile(dict(sorted(matrices.items())), config, fit, tuple(remarks))


def _row(label: object, path: Path) -> int:
    """Return the index of the row with a label: 0 for `emb`."""
    if isinstance(label, str) and (label == "emb" or (label.isdecimal() and int(label) < _MOST_ROWS)):
        return Row.of(label).h
    raise LensError(f"{path} is damaged: {str(label)[:20]!r} is no row of a lens.")


def _block_outputs(found: Any, content: Mapping[str, Any], path: Path) -> JacobianFile:
    """Return the lens in a file with a matrix by the number of the block whose output it reads."""
    if not isinstance(found, Mapping) or not found:
        raise _no_matrices(path)
    matrices: dict[int, Tensor] = {}
    for number, matrix in found.items():
        if not is_count(number) or number >= _MOST_ROWS:
            raise LensError(f"{path} is damaged: {str(number)[:20]!r} is no number of a block.")
        matrices[number + 1] = matrix
    theirs = content.get("config")
    theirs = theirs if isinstance(theirs, Mapping) else {}
    # A lens in training has a width of 0 there.
    _check(matrices, content.get("d_model") or theirs.get("d_model") or None, path)
    listed = content.get("source_layers")
    if isinstance(listed, list) and (
        missing := [row for row in listed if not is_count(row) or row not in found]
    ):
        raise LensError(f"{path} is damaged: it lists row {str(missing[0])[:20]}, and has no matrix for it.")
    config: dict[str, Any] = {"d_model": len(next(iter(matrices.values())))}
    fit: dict[str, Any] = {}
    if is_count(content.get("n_prompts")):
        fit["n_prompts"] = content["n_prompts"]
    if theirs:
        fit |= {ours: theirs[name] for ours, name in _OF_J_PLUS_PLUS.items() if theirs.get(name) is not None}
        config["base_model_name_or_path"] = theirs.get("hf_model_name")
        end = theirs.get("relative_end_transport_layer")
        if end is not None and end not in _TARGETS:
            raise LensError(
                f"{path} leads to the output of block L{str(end)[:20]}: lenstui reads lenses to the last "
                "block's output (-1) or to that of the one before (-2)."
            )
        fit |= {} if end is None else {"target": _TARGETS[end]}
    check_header(path, config, fit)
    return JacobianFile(dict(sorted(matrices.items())), config, fit)


def _check(matrices: Mapping[int, Any], width: Any, path: Path) -> None:
    """Refuse what are no square matrices of one width, or of another than the file says."""
    wide = width
    for row, matrix in matrices.items():
        label = Row(row).label
        if not isinstance(matrix, Tensor) or not matrix.is_floating_point():
            raise LensError(f"{path} is damaged: what it has for row {label} is no matrix of numbers.")
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
            raise LensError(f"{path} is damaged: its matrix of row {label} is {list(matrix.shape)}.")
        wide = len(matrix) if wide is None else wide
        if len(matrix) != wide:
            raise LensError(
                f"{path} is damaged: its matrix of row {label} is {list(matrix.shape)}, not of width {wide}."
            )


def _no_matrices(path: Path) -> LensError:
    return LensError(f"{path} holds no matrices.")
