"""Lenses whose files are memory-mapped: metadata at once, translators one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lenstui.lens.card import LensCard
from lenstui.lens.formats.header import check_header
from lenstui.lens.formats.jacobian import JacobianFile, jacobian_file
from lenstui.lens.formats.library import CONFIG, PARAMS
from lenstui.lens.formats.others import read_table
from lenstui.lens.formats.own import FORMAT
from lenstui.lens.formats.plain import header
from lenstui.lens.formats.tensor_file import check_regular
from lenstui.lens.jacobian import least_blocks
from lenstui.lens.kinds import JACOBIAN
from lenstui.lens.origin import with_origin
from lenstui.support.errors import LensError

Sized = tuple[int, Tensor, Tensor | None]
"""The index of a row, its matrix and its bias, if any."""


@dataclass(frozen=True, eq=False)
class MappedLens:
    """A lens whose weights stay on the disk.

    Attributes:
        card: the metadata.
        state: `{"0.weight": [d, d], "0.bias": [d], …}`, read from the disk on use; for a Jacobian lens
            `{"0.weight": [d, d], …}` of the rows that it has.
    """

    card: LensCard
    state: Mapping[str, Tensor]

    def translators(self) -> Iterator[Sized]:
        """Yield row by row the translators `A` and `b`, or the matrices of a Jacobian lens."""
        for row in self.card.own_rows:
            weight = self.state[f"{row}.weight"]
            no_bias = None if self.card.kind == JACOBIAN else weight.new_zeros(len(weight))
            yield row, weight, self.state.get(f"{row}.bias", no_bias)


def map_lens(path: Path) -> MappedLens | None:
    """Return the lens in a `.pt` file or in a folder of the `tuned-lens` library.

    Args:
        path: the folder, or a file of lenstui's or of bare translators.

    Returns:
        The lens; None where there is none or it is damaged.
    """
    try:
        config: object
        fit: object = {}
        remarks: object = None
        file = path / PARAMS if path.is_dir() else path
        check_regular(file)
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        status = file.stat()
        if path.is_dir():
            config, state = read_table(path / CONFIG), content
        elif "0.weight" in content:  # translators alone
            config, state = {}, content
        elif (found := jacobian_file(content, path)) is not None:
            return _mapped_jacobian(found, path)
        elif content["format"] == FORMAT:
            (config, fit, remarks), state = header(content), content["state_dict"]
        else:
            return None
        check_header(path, config, fit, remarks)
        blocks, d_model = _shape(state)
    except Exception:  # on damaged bytes torch raises nearly every kind
        return None
    if not isinstance(config, Mapping) or not isinstance(fit, dict):
        return None
    place = (status.st_size, status.st_mtime)
    return MappedLens(LensCard(path, config, with_origin(fit, path), blocks, d_model, *place), state)


def card_in(path: Path) -> LensCard:
    """Return the card of the lens in a file or folder.

    Raises:
        LensError: if there is no lens in it, or its file has no card, as those of other programs.
    """
    if (mapped := map_lens(path)) is not None:
        return mapped.card
    from lenstui.lens.formats.own import open_lens

    open_lens(path)  # says what is wrong with it
    raise LensError(f"{path} has no card, which says how a lens was fitted: it is no file of lenstui's.")


def _mapped_jacobian(found: JacobianFile, path: Path) -> MappedLens:
    status = path.stat()
    rows = tuple(found.matrices)
    blocks = found.config.get("num_hidden_layers") or least_blocks(found.matrices)
    d_model = len(found.matrices[rows[0]])
    place = (status.st_size, status.st_mtime)
    card = LensCard(
        path, found.config, with_origin(found.fit, path), blocks, d_model, *place, kind=JACOBIAN, rows=rows
    )
    return MappedLens(card, {f"{row}.weight": matrix for row, matrix in found.matrices.items()})


def _shape(state: Mapping[str, Tensor]) -> tuple[int, int]:
    """Return the number of translators and their width."""
    weights = [name for name in state if name.endswith("weight")]
    d_model = len(state["0.weight"])
    if any(state[f"{row}.weight"].shape != (d_model, d_model) for row in range(len(weights))):
        raise LensError("unequal shapes")
    return len(weights), d_model
