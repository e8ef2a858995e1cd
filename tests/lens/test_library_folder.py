"""The tuned lens library's folder, read and written, and its hash."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lenstui.lens import LensError, Model, TunedLens, open_lens, save_lens
from lenstui.lens.compatibility import fit_warning, lens_config
from lenstui.lens.formats.library import save_library_folder
from lenstui.lens.formats.unembed_hash import matrix_hash, unembed_hash
from tests.by_hand.other_lenses import (
    BLOCKS,
    HASH,
    LIBRARY_CONFIG,
    D,
    bias,
    folder,
    refuses,
    same,
    state,
    weight,
    write_config,
)

__all__ = ["bias", "folder", "state", "weight"]


# The library's folder, read


@pytest.mark.parametrize("picked", [".", "params.pt", "config.json"])
def test_a_folder_of_the_library(folder: Path, weight: Tensor, bias: Tensor, picked: str) -> None:
    lens = open_lens(folder / picked)
    same(lens, weight, bias)
    assert lens.config == LIBRARY_CONFIG
    assert (lens.name, lens.remarks) == ("my-lens", ())


def test_a_folder_named_from_inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert open_lens(Path()).name == open_lens(Path("params.pt")).name == "my-lens"


def test_half_precision_parameters_are_widened(folder: Path, weight: Tensor, bias: Tensor) -> None:
    torch.save({k: v.half() for k, v in torch.load(folder / "params.pt").items()}, folder / "params.pt")
    same(open_lens(folder), weight.half().float(), bias.half().float())


@pytest.mark.parametrize(
    ("config", "known_hash"),
    [
        ({k: v for k, v in LIBRARY_CONFIG.items() if k != "unembed_hash"}, None),
        (LIBRARY_CONFIG | {"unembed_hash": None}, None),
        ({k: v for k, v in LIBRARY_CONFIG.items() if k != "unembed_hash"} | {"unemebd_hash": HASH}, HASH),
        (LIBRARY_CONFIG | {"unemebd_hash": None, "orthogonal": False, "rank": {"a": []}}, HASH),
        ({"d_model": D}, None),
        ({}, None),
    ],
)
def test_configs_in_the_wild(
    folder: Path, weight: Tensor, bias: Tensor, config: dict[str, Any], known_hash: str | None
) -> None:
    write_config(folder, config)
    lens = open_lens(folder)
    same(lens, weight, bias)
    assert lens.config["unembed_hash"] == known_hash
    assert set(lens.config) == set(LIBRARY_CONFIG)


def test_a_folder_without_config_says_so(folder: Path, weight: Tensor, bias: Tensor) -> None:
    (folder / "config.json").unlink()
    lens = open_lens(folder)
    same(lens, weight, bias)
    assert "no config.json" in lens.remarks[0]


def test_a_folder_without_parameters(folder: Path) -> None:
    (folder / "params.pt").unlink()
    for picked in (folder, folder / "config.json"):
        assert "there is no params.pt in it" in refuses(picked)
    assert "there is no params.pt in it" in refuses(folder / "params.pt")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"num_hidden_layers": 6}, ("6 blocks", "3 translators")),
        ({"d_model": 128}, ("width 128", "width 32")),
        ({"d_model": "wide"}, ("d_model is not what it should be",)),
        ({"lens_type": "mlp"}, ("type mlp", "linear_tuned_lens")),
    ],
)
def test_a_config_of_another_lens(folder: Path, change: dict[str, Any], named: tuple[str, str]) -> None:
    write_config(folder, LIBRARY_CONFIG | change)
    message = refuses(folder)
    assert all(part in message for part in (*named, "config.json"))


@pytest.mark.parametrize("text", [b"", b"{", b"[1, 2]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_config(folder: Path, text: bytes) -> None:
    (folder / "config.json").write_bytes(text)
    assert "config.json is damaged or no lens file" in refuses(folder)


# The library's folder, written


def test_a_written_folder_is_as_the_library_has_it(
    weight: Tensor, bias: Tensor, state: OrderedDict[str, Tensor], tmp_path: Path
) -> None:
    config = {"base_model_name_or_path": "a/b", "unembed_sample": [0.5], "unembed_hash": HASH}
    folder = tmp_path / "deep" / "lens"
    save_library_folder(TunedLens(weight, bias, config, {"steps": 3}), folder)
    written = torch.load(folder / "params.pt", weights_only=True)
    assert list(written) == list(state)
    assert all(torch.equal(written[key], state[key]) for key in state)
    assert json.loads((folder / "config.json").read_text()) == LIBRARY_CONFIG | {
        "base_model_name_or_path": "a/b",
        "base_model_revision": None,
    }
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "params.pt"]
    torch.nn.ModuleList([torch.nn.Linear(D, D) for _ in range(BLOCKS)]).load_state_dict(written)


def test_a_folder_goes_through_our_file_and_comes_back(folder: Path, tmp_path: Path) -> None:
    save_lens(open_lens(folder), tmp_path / "own.pt")
    save_library_folder(open_lens(tmp_path / "own.pt"), tmp_path / "back")
    first, last = open_lens(folder), open_lens(tmp_path / "back")
    same(last, first.weight, first.bias)
    assert last.config == first.config == LIBRARY_CONFIG


def test_another_programs_config_is_not_overwritten(weight: Tensor, bias: Tensor, tmp_path: Path) -> None:
    """A model's folder holds a config.json too."""
    write_config(tmp_path, {"architectures": ["GPTNeoXForCausalLM"]})
    with pytest.raises(LensError, match=r"already holds the config\.json of something else"):
        save_library_folder(TunedLens(weight, bias), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["config.json"]


def test_a_full_disk_leaves_the_old_lens_whole(
    folder: Path, weight: Tensor, bias: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    for where in ("torch.save", "os.fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(where, full)
            with pytest.raises(LensError, match=r"params\.pt cannot be written: No space"):
                save_library_folder(TunedLens(-weight, bias), folder)
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_failed_write_never_leaves_a_config_beside_other_parameters(
    folder: Path, weight: Tensor, bias: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def fails(part: Path, target: Path) -> Path:
        if target.name == "config.json":
            raise OSError(5, "Input/output error")
        return replace(part, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fails)
        with pytest.raises(LensError, match=r"config\.json cannot be written: Input/output error"):
            save_library_folder(TunedLens(-weight, bias), folder)
    assert [file.name for file in folder.iterdir()] == ["params.pt"]
    same(open_lens(folder), -weight, bias)
    save_library_folder(TunedLens(weight, bias), folder)
    same(open_lens(folder), weight, bias)


def test_a_folder_that_cannot_be(weight: Tensor, bias: Tensor, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LensError, match="cannot be written: Not a directory"):
        save_library_folder(TunedLens(weight, bias), tmp_path / "file")


# The library's hash


@pytest.mark.parametrize(
    "shape", [(2, 3), (6, 6), (7, 7), (40, 25), (1001, 1), (3, 400), (500, 6), (7, 143), (99, 99)]
)
@pytest.mark.parametrize("scale", [1e-6, 0.02, 1.0, 3e4])
def test_the_hash_is_the_librarys(shape: tuple[int, int], scale: float) -> None:
    """Of the whole matrix, as the library computes it."""
    matrix = scale * torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))
    for kind in (matrix, matrix.bfloat16(), matrix.T):
        wanted = hashlib.sha256(str.encode(np.array_str(kind.float().numpy(), precision=1))).hexdigest()
        assert matrix_hash(kind) == wanted
        with np.printoptions(edgeitems=1, threshold=5, linewidth=200, suppress=True):
            assert matrix_hash(kind) == wanted


def test_a_lens_with_the_hash_of_another_unembedding_is_warned_of(tiny: Model, folder: Path) -> None:
    lens = open_lens(folder)
    warning = fit_warning(lens, tiny) or ""
    assert "was made for other weights" in warning
    assert "EleutherAI/pythia-14m" in warning
    own = replace(lens, config=lens.config | {"unembed_hash": unembed_hash(tiny)})
    assert "knows its model by the head alone" in (fit_warning(own, tiny) or "")
    sample = {"unembed_sample": lens_config(tiny)["unembed_sample"]}  # it tolerates a change of dtype
    sampled = replace(lens, config=lens.config | sample)
    assert "knows its model by the head alone" in (fit_warning(sampled, tiny) or "")
    assert fit_warning(replace(lens, config={}), tiny) is None
