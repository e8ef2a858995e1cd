"""Lenses of other programs: files made by hand in each program's own layout, read and written."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from lenstui.lens import LensError, Model, TunedLens, open_lens, read, save_lens
from lenstui.lens.compatibility import lens_config
from lenstui.lens.library_folder import save_library_folder
from lenstui.lens.residual import residual_stream
from lenstui.lens.unembed_hash import hash_warning, matrix_hash, unembed_hash

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
    return layers.state_dict()


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
    arrays = {}
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
        ({"d_model": "wide"}, ("width wide", "width 32")),
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


# Bare state dicts


def test_a_bare_state_dict(
    state: OrderedDict[str, Tensor], weight: Tensor, bias: Tensor, tmp_path: Path
) -> None:
    torch.save(state, tmp_path / "bare.pt")
    lens = open_lens(tmp_path / "bare.pt")
    same(lens, weight, bias)
    assert (lens.name, lens.remarks, lens.config["num_hidden_layers"]) == ("bare", (), BLOCKS)


def test_translators_without_biases(weight: Tensor, tmp_path: Path) -> None:
    torch.save({f"{row}.weight": weight[row].clone() for row in range(BLOCKS)}, tmp_path / "bare.pt")
    same(open_lens(tmp_path / "bare.pt"), weight, torch.zeros(BLOCKS, D))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"1.weight": torch.zeros(D, D + 1)}, r"\[32, 32\].*\[32, 33\]"),
        ({"1.bias": torch.zeros(D + 1)}, r"\[32\].*\[33\]"),
        ({"4.weight": torch.zeros(D, D), "4.bias": torch.zeros(D)}, "misses some"),
        ({"optimizer": {"lr": 1.0}}, "misses some"),
        ({"0.weight": torch.zeros(())}, "unequal shapes"),
        ({"0.weight": "a string"}, "unequal shapes"),
        ({f"{row}.weight": torch.zeros(D, 7) for row in range(3)}, r"\(32, 7\) with biases of 32"),
        ({f"{row}.weight": torch.zeros(()) for row in range(3)}, r"\(\) with biases of 32"),
    ],
)
def test_translators_that_do_not_fit_together(
    state: OrderedDict[str, Tensor], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    torch.save({**state, **change}, tmp_path / "bare.pt")
    with pytest.raises(LensError, match=message):
        open_lens(tmp_path / "bare.pt")


# Full matrices at the blocks' outputs


@pytest.mark.parametrize("kind", ["script", "script, state dict alone", "mlxterp", "mlxterp, its json"])
def test_full_matrices_read_the_outputs_of_blocks(
    script: Path, mlxterp: Path, weight: Tensor, bias: Tensor, tiny: Model, kind: str
) -> None:
    """The lens reads as such a program does it: its own matrix on the output that a block's hook sees."""
    path = script if kind.startswith("script") else mlxterp
    if kind == "script, state dict alone":
        torch.save(script_content(weight, bias)["state_dict"], script)
    lens = open_lens(path.with_suffix(".json") if kind == "mlxterp, its json" else path)
    outputs: list[Tensor] = []
    hooks = [
        block.register_forward_hook(lambda _, __, out: outputs.append(out.reshape(4, D)))
        for block in tiny.module.gpt_neox.layers
    ]
    ids = torch.tensor([[5, 80, 200, 7]])
    with torch.inference_mode():
        embedded = tiny.module(ids, output_hidden_states=True).hidden_states[0][0]
        h = residual_stream(tiny.module, tiny.anatomy, ids)[:, 0]
    for hook in hooks:
        hook.remove()
    torch.testing.assert_close(h[0], embedded)
    torch.testing.assert_close(lens.translate(h[0], 0), embedded, rtol=0, atol=0)
    for n in range(BLOCKS - 1):
        wanted = torch.nn.functional.linear(outputs[n], weight[n] + torch.eye(D), bias[n])
        torch.testing.assert_close(lens.translate(h[n + 1], n + 1), wanted, rtol=1e-5, atol=1e-5)
    assert len(lens.weight) == BLOCKS
    assert "row emb stays the logit lens" in lens.remarks[0]
    assert "translator 2 has no row here" in lens.remarks[0]
    emb = read(tiny, "A story", lens).lenses
    assert (emb["tuned"].top_logits[0] == emb["logit"].top_logits[0]).all()


def test_both_programs_give_the_same_lens(script: Path, mlxterp: Path) -> None:
    lens = open_lens(script)
    same(open_lens(mlxterp), lens.weight, lens.bias)


def test_identities_are_the_logit_lens(tmp_path: Path) -> None:
    zeros = torch.zeros(BLOCKS, D, D)
    torch.save(script_content(zeros, zeros[:, 0]), tmp_path / "a.pt")
    same(open_lens(tmp_path / "a.pt"), zeros, zeros[:, 0])


@pytest.mark.parametrize(("key", "value"), [("n_layers", 12), ("d_model", 768)])
def test_a_script_that_tells_another_size(
    script: Path, weight: Tensor, bias: Tensor, key: str, value: int
) -> None:
    torch.save(script_content(weight, bias) | {key: value}, script)
    message = refuses(script)
    assert str(value) in message
    assert "3 translators of width 32" in message


def test_mlxterp_whose_two_files_do_not_agree(mlxterp: Path) -> None:
    mlxterp.with_suffix(".json").write_text(json.dumps({"num_layers": 32, "hidden_dim": D}))
    assert "32 blocks" in refuses(mlxterp)
    mlxterp.with_suffix(".json").write_text("{")
    assert "mlx.json is damaged" in refuses(mlxterp)
    mlxterp.with_suffix(".json").unlink()
    assert len(open_lens(mlxterp).weight) == BLOCKS


def test_mlxterp_without_its_arrays(mlxterp: Path) -> None:
    mlxterp.unlink()
    assert "There is no lens file" in refuses(mlxterp)


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"a": np.zeros(3)},
        {"translators_0_weight": np.zeros((D, D)), "translators_1_bias": np.zeros(D)},
        {"translators_0_weight": np.zeros((D, 7)), "translators_0_bias": np.zeros(D)},
        {"translators_0_weight": np.array(["a"]), "translators_0_bias": np.zeros(D)},
    ],
)
def test_other_arrays(tmp_path: Path, arrays: dict[str, Any]) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    assert str(tmp_path / "a.npz") in refuses(tmp_path / "a.npz")


# Hostile and damaged files


class Hostile:
    """Runs code when it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.sentinel,)


@pytest.mark.parametrize("kind", ["folder", "bare", "script", "npz", "pickle named npz"])
def test_hostile_code_does_not_run(
    folder: Path, state: OrderedDict[str, Tensor], weight: Tensor, bias: Tensor, tmp_path: Path, kind: str
) -> None:
    sentinel = tmp_path / "sentinel"
    path = tmp_path / "a.pt"
    if kind == "folder":
        path = folder
        torch.save({**state, "0.weight": Hostile(sentinel)}, folder / "params.pt")
    elif kind == "bare":
        torch.save({**state, "more": Hostile(sentinel)}, path)
    elif kind == "script":
        torch.save(script_content(weight, bias) | {"n_layers": Hostile(sentinel)}, path)
    else:
        path = tmp_path / "a.npz"
        np.savez(path, translators_0_weight=np.array([Hostile(sentinel)], dtype=object))
        if kind == "pickle named npz":
            with zipfile.ZipFile(path) as archive:
                data = archive.read("translators_0_weight.npy")
            path.write_bytes(data[data.index(b"\n") + 1 :])
    message = refuses(path)
    assert "no lens file" in message
    assert not sentinel.exists()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_truncated_or_damaged_files_are_refused_or_read_but_never_a_crash(
    folder: Path, mlxterp: Path, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from([folder / "params.pt", mlxterp]))
    good = path.read_bytes()
    try:
        path.write_bytes(good[: data.draw(st.integers(0, len(good) - 1), label="cut at")])
        assert path.name in refuses(path)
        flipped = bytearray(good)
        for _ in range(data.draw(st.integers(1, 4), label="flips")):
            flipped[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(flipped)
        try:
            open_lens(path)
        except LensError as error:
            assert path.name in str(error)
    finally:
        path.write_bytes(good)


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


def test_remarks_go_with_our_file(script: Path, tmp_path: Path) -> None:
    lens = open_lens(script)
    save_lens(lens, tmp_path / "own.pt")
    back = open_lens(tmp_path / "own.pt")
    same(back, lens.weight, lens.bias)
    assert back.remarks == lens.remarks != ()
    assert back.to(torch.device("cpu")).remarks == lens.remarks


def test_another_programs_config_is_not_overwritten(weight: Tensor, bias: Tensor, tmp_path: Path) -> None:
    """A model's folder holds a config.json too."""
    write_config(tmp_path, {"architectures": ["GPTNeoXForCausalLM"]})
    with pytest.raises(LensError, match=r"already holds the config\.json of something else"):
        save_library_folder(TunedLens(weight, bias), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["config.json"]


def test_a_failed_write_never_leaves_a_config_beside_other_parameters(
    folder: Path, weight: Tensor, bias: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("torch.save", full)
        with pytest.raises(LensError, match=r"Could not write .*params\.pt"):
            save_library_folder(TunedLens(-weight, bias), folder)
    assert [file.name for file in folder.iterdir()] == ["params.pt"]
    same(open_lens(folder), weight, bias)
    save_library_folder(TunedLens(-weight, bias), folder)
    same(open_lens(folder), -weight, bias)


def test_a_folder_that_cannot_be(weight: Tensor, bias: Tensor, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LensError, match="Choose another folder"):
        save_library_folder(TunedLens(weight, bias), tmp_path / "file")


# The library's hash


@pytest.mark.parametrize(
    "shape", [(2, 3), (6, 6), (7, 7), (40, 25), (1001, 1), (3, 400), (500, 6), (7, 143), (99, 99)]
)
@pytest.mark.parametrize("scale", [1e-6, 0.02, 1.0, 3e4])
def test_the_hash_is_the_librarys(shape: tuple[int, int], scale: float) -> None:
    """Of the whole matrix, as the library computes it."""
    matrix = scale * torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))
    for weight in (matrix, matrix.bfloat16(), matrix.T):
        wanted = hashlib.sha256(str.encode(np.array_str(weight.float().numpy(), precision=1))).hexdigest()
        assert matrix_hash(weight) == wanted
        with np.printoptions(edgeitems=1, threshold=5, linewidth=200, suppress=True):
            assert matrix_hash(weight) == wanted


def test_a_lens_with_the_hash_of_another_unembedding_is_warned_of(tiny: Model, folder: Path) -> None:
    lens = open_lens(folder)
    assert "was made for other weights" in (hash_warning(lens, tiny) or "")
    assert "EleutherAI/pythia-14m" in (hash_warning(lens, tiny) or "")
    own = replace(lens, config=lens.config | {"unembed_hash": unembed_hash(tiny)})
    assert hash_warning(own, tiny) is None
    sampled = replace(lens, config=lens.config | {"unembed_sample": lens_config(tiny)["unembed_sample"]})
    assert hash_warning(sampled, tiny) is None
    assert hash_warning(replace(lens, config={}), tiny) is None


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": {"layers.0.weight": torch.zeros(D, D)}},
        {"state_dict": {"0.weight": torch.zeros(D, D), "0.bias": torch.zeros(D)}},
        {"state_dict": None},
        {"state_dict": [1]},
        {1: 2},
        {},
        [torch.zeros(D, D)],
        "text",
    ],
)
def test_other_contents(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "a.pt")
    assert "nor of another kind" in refuses(tmp_path / "a.pt")
