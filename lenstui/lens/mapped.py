"""A lens whose file is mapped, not read: what it says at once, its translators one at a time."""

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
    """A lens on the disk.

    Attributes:
        card: what it says.
        state: `{"0.weight": [d, d], "0.bias": [d], …}`, read when it is used.
    """

    card: LensCard
    state: Mapping[str, Tensor]

    def translators(self) -> Iterator[tuple[Tensor, Tensor]]:
        """`A` and `b`, row by row."""
        for row in range(self.card.blocks):
            weight = self.state[f"{row}.weight"]
            yield weight, self.state.get(f"{row}.bias", weight.new_zeros(len(weight)))


def map_lens(path: Path) -> MappedLens | None:
    """The lens in a file of ours or of bare translators, or in a folder of the `tuned-lens` library.

    Returns:
        None where there is none.
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
    """How many translators there are, and how wide."""
    weights = [name for name in state if name.endswith("weight")]
    d_model = len(state["0.weight"])
    if any(state[f"{row}.weight"].shape != (d_model, d_model) for row in range(len(weights))):
        raise LensError("unequal shapes")
    return len(weights), d_model
