"""Single-file lenses of other programs, converted to residual form, row by row.

There are two conventions. The `tuned-lens` library has a residual translator for the input of each block,
like lenstui. Small scripts and mlxterp have a full matrix, `I + A`, for the **output** of each block: their
translator `N` reads `h_{N+1}`. They have none for `h_0`, and one more for `h_L`, which lenstui reads as the
model itself does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lenstui.lens.formats.header import is_count
from lenstui.lens.formats.tensor_file import check_archive, check_regular, damaged
from lenstui.lens.tuned import TunedLens
from lenstui.support.errors import LensError, first_line
from lenstui.support.small_file import read_json

LENS_TYPE = "linear_tuned_lens"
_LARGEST_TABLE = 1 << 24  # bytes


def other_lens(content: Any, path: Path) -> TunedLens | None:
    """Return the lens in another program's `.pt` file; None if its format is unknown.

    Args:
        content: the loaded file: `{"0.weight", "0.bias", …}`, or a script's
            `{"state_dict": {"layer_maps.0.weight", …}, "n_layers", "d_model"}`, or that `state_dict` alone.
        path: the file.

    Raises:
        LensError: if the translators are damaged, or differ in number or width from what the file says.
    """
    if not isinstance(content, dict):
        return None
    if "0.weight" in content:
        weight, bias = stack(content, path)
        return TunedLens(weight, bias, shape_config(weight), name=path.stem)
    state = content.get("state_dict", content)
    if isinstance(state, dict) and "layer_maps.0.weight" in state:
        weight, bias = stack(state, path, "layer_maps.{row}.{part}")
        check_size(weight, content.get("n_layers"), content.get("d_model"), path)
        return _from_block_outputs(weight, bias, path.stem)
    return None


def read_mlxterp(path: Path) -> TunedLens:
    """Read mlxterp's pair of files.

    Args:
        path: the `.npz` with the translators; the `.json` beside it holds their number and width.

    Raises:
        LensError: if one is damaged, or the two do not agree.
    """
    check_regular(path)
    check_archive(path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            state = {key: torch.from_numpy(arrays[key].astype(np.float32)) for key in arrays.files}
    except Exception as error:  # on damaged bytes NumPy raises nearly every kind
        raise damaged(path, error) from error
    weight, bias = stack(state, path, "translators_{row}_{part}")
    table = path.with_suffix(".json")
    size = read_table(table) if table.is_file() else {}
    check_size(weight, size.get("num_layers"), size.get("hidden_dim"), table)
    return _from_block_outputs(weight, bias, path.stem)


def stack(state: Any, path: Path, key: str = "{row}.{part}") -> tuple[Tensor, Tensor]:
    """Stack the translators of a file to `[L, d, d]` and `[L, d]`, float32.

    Args:
        state: a weight and a bias per row, or weights alone.
        path: the file, for messages.
        key: the pattern of their names.

    Raises:
        LensError: if some are missing or do not fit together.
    """
    if not isinstance(state, dict) or not state:
        raise LensError(f"{path} holds no translators.")
    biased = any(str(name).endswith("bias") for name in state)
    rows = (len(state) + 1) // 2 if biased else len(state)  # rounded up, so that a lone weight is missed
    try:
        weight = torch.stack([state[key.format(row=row, part="weight")].float() for row in range(rows)])
        bias = weight.new_zeros(rows, weight.shape[-1])
        if biased:
            bias = torch.stack([state[key.format(row=row, part="bias")].float() for row in range(rows)])
    except (AttributeError, IndexError, KeyError, RuntimeError) as error:
        raise LensError(
            f"{path} holds translators of unequal shapes or misses some: {first_line(error)}"
        ) from error
    d = bias.shape[-1]
    if bias.ndim != 2 or weight.shape != (rows, d, d):
        raise LensError(f"{path} holds translators of shape {tuple(weight.shape[1:])} with biases of {d}.")
    return weight, bias


def unstack(lens: TunedLens) -> dict[str, Tensor]:
    """Return the translators as a state dict to be written: `{"0.weight", "0.bias", …}`, float32."""
    state = {}
    for row in range(len(lens.weight)):  # cloned: of a slice, torch.save would write the whole tensor
        state[f"{row}.weight"] = lens.weight[row].detach().cpu().float().clone()
        state[f"{row}.bias"] = lens.bias[row].detach().cpu().float().clone()
    return state


def check_size(weight: Tensor, blocks: Any, width: Any, told_by: Path) -> None:
    """Refuse translators that differ in number or width from what the file `told_by` says, where it does.

    Raises:
        LensError: if they differ; the message names both sizes.
    """
    if not all(size is None or is_count(size) for size in (blocks, width)):
        raise LensError(f"{told_by} is damaged: its number of blocks or its width is no whole number.")
    rows, d = weight.shape[:2]
    if (rows if blocks is None else blocks, d if width is None else width) != (rows, d):
        raise LensError(
            f"{told_by} tells of {blocks} blocks and width {width}, but there are {rows} translators of "
            f"width {d}: these do not belong together."
        )


def shape_config(weight: Tensor) -> dict[str, Any]:
    """Return the part of a lens's config that follows from its translators."""
    rows, d = weight.shape[:2]
    return {"d_model": d, "num_hidden_layers": rows, "bias": True, "lens_type": LENS_TYPE}


def read_table(path: Path) -> Mapping[str, Any]:
    """Return the JSON object in a file.

    Raises:
        LensError: if the file holds anything else.
    """
    check_regular(path)
    if path.exists() and path.stat().st_size > _LARGEST_TABLE:
        raise LensError(f"{path} is damaged or no lens file: it is far too large.")
    try:
        table = read_json(path)
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error
    if not isinstance(table, dict):
        raise LensError(f"{path} is damaged or no lens file: it holds no table.")
    return table


def _from_block_outputs(weight: Tensor, bias: Tensor, name: str) -> TunedLens:
    """Return a lens from full matrices at block outputs: matrix `N` reads `h_{N+1}`, the last is dropped."""
    rows, d = bias.shape
    residual = torch.zeros_like(weight)
    residual[1:] = weight[:-1] - torch.eye(d)
    shifted = torch.zeros_like(bias)
    shifted[1:] = bias[:-1]
    remark = (
        "The tuned lens was made for the outputs of blocks: row emb stays the logit lens, and its translator "
        f"{rows - 1} has no row here, since the last row is the model's own output"
    )
    return TunedLens(residual, shifted, shape_config(weight), name=name, remarks=(remark,))
