"""Lenses whose files are memory-mapped: metadata at once, translators one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lenstui.lens.card import LensCard
from lenstui.lens.formats.header import check_header
from lenstui.lens.formats.library import CONFIG, PARAMS
from lenstui.lens.formats.others import read_table
from lenstui.lens.formats.own import FORMAT, header
from lenstui.lens.formats.tensor_file import check_regular
from lenstui.support.errors import LensError


@dataclass(frozen=True, eq=False)
class MappedLens:
    """A lens whose weights stay on the disk.

    Attributes:
        card: the metadata.
        state: `{"0.weight": [d, d], "0.bias": [d], …}`, read from the disk on use.
    """

    card: LensCard
    state: Mapping[str, Tensor]

    def translators(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the translators `A` and `b`, row by row."""
        for row in range(self.card.blocks):
            weight = self.state[f"{row}.weight"]
            yield weight, self.state.get(f"{row}.bias", weight.new_zeros(len(weight)))


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
    return MappedLens(LensCard(path, config, fit, blocks, d_model, status.st_size, status.st_mtime), state)


def _shape(state: Mapping[str, Tensor]) -> tuple[int, int]:
    """Return the number of translators and their width."""
    weights = [name for name in state if name.endswith("weight")]
    d_model = len(state["0.weight"])
    if any(state[f"{row}.weight"].shape != (d_model, d_model) for row in range(len(weights))):
        raise LensError("unequal shapes")
    return len(weights), d_model
