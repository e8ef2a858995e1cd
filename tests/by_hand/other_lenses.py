"""Lenses of other programs, made by hand in each program's own layout."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lenstui.lens import LensError, TunedLens, open_lens

BLOCKS, D = 3, 32  # as the tiny model's
HASH = "c" * 64
LIBRARY_CONFIG = {
    "base_model_name_or_path": "EleutherAI/pythia-14m",
    "d_model": D,
    "num_hidden_layers": BLOCKS,
    "bias": True,
    "base_model_revision": "main",
    "unembed_hash": HASH,
    "lens_type": "linear_tuned_lens",
}


@pytest.fixture
def weight() -> Tensor:
    return torch.randn(BLOCKS, D, D, generator=torch.Generator().manual_seed(0)) / 8


@pytest.fixture
def bias() -> Tensor:
    return torch.randn(BLOCKS, D, generator=torch.Generator().manual_seed(1)) / 8


@pytest.fixture
def state(weight: Tensor, bias: Tensor) -> OrderedDict[str, Tensor]:
    """As the library's `layer_translators.state_dict()`."""
    layers = torch.nn.ModuleList([torch.nn.Linear(D, D) for _ in range(BLOCKS)])
    for row, layer in enumerate(layers):
        layer.weight.data, layer.bias.data = weight[row].clone(), bias[row].clone()
    return OrderedDict(layers.state_dict())


@pytest.fixture
def folder(state: OrderedDict[str, Tensor], tmp_path: Path) -> Path:
    """A folder as the library leaves it."""
    folder = tmp_path / "my-lens"
    folder.mkdir()
    torch.save(state, folder / "params.pt")
    write_config(folder, LIBRARY_CONFIG)
    return folder


@pytest.fixture
def script(weight: Tensor, bias: Tensor, tmp_path: Path) -> Path:
    """A script's file: full matrices at the blocks' outputs."""
    torch.save(script_content(weight, bias), tmp_path / "script.pt")
    return tmp_path / "script.pt"


@pytest.fixture
def mlxterp(weight: Tensor, bias: Tensor, tmp_path: Path) -> Path:
    """mlxterp's two files, with the same translators as `script`."""
    arrays: dict[str, Any] = {}
    for n in range(BLOCKS):
        arrays[f"translators_{n}_weight"] = (weight[n] + torch.eye(D)).numpy()
        arrays[f"translators_{n}_bias"] = bias[n].numpy()
    np.savez(tmp_path / "mlx.npz", **arrays)
    (tmp_path / "mlx.json").write_text(json.dumps({"num_layers": BLOCKS, "hidden_dim": D}, indent=2))
    return tmp_path / "mlx.npz"


def script_content(weight: Tensor, bias: Tensor) -> dict[str, Any]:
    state = {}
    for n in range(len(weight)):
        state[f"layer_maps.{n}.weight"] = weight[n] + torch.eye(D)
        state[f"layer_maps.{n}.bias"] = bias[n].clone()
    return {"state_dict": state, "n_layers": len(weight), "d_model": D}


def write_config(folder: Path, config: dict[str, Any]) -> None:
    (folder / "config.json").write_text(json.dumps(config))


def same(lens: TunedLens, weight: Tensor, bias: Tensor) -> None:
    """Bit for bit."""
    assert lens.weight.dtype == lens.bias.dtype == torch.float32
    assert lens.weight.numpy().tobytes() == weight.numpy().tobytes()
    assert lens.bias.numpy().tobytes() == bias.numpy().tobytes()


def refuses(path: Path) -> str:
    """The one line with which `path` is refused."""
    with pytest.raises(LensError) as caught:
        open_lens(path)
    message = str(caught.value)
    assert "\n" not in message
    return message
