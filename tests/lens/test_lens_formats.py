"""Lenses of other programs: bare translators, full matrices, hostile and damaged files."""

from __future__ import annotations

import json
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from lenstui.lens import LensError, Model, open_lens, read, save_lens
from lenstui.model.residual import residual_stream
from tests.by_hand.other_lenses import (
    BLOCKS,
    D,
    bias,
    folder,
    mlxterp,
    refuses,
    same,
    script,
    script_content,
    state,
    weight,
)

__all__ = ["bias", "folder", "mlxterp", "script", "state", "weight"]


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
    torch.testing.assert_close(lens.transport(h[0], 0), embedded, rtol=0, atol=0)
    for n in range(BLOCKS - 1):
        wanted = torch.nn.functional.linear(outputs[n], weight[n] + torch.eye(D), bias[n])
        torch.testing.assert_close(lens.transport(h[n + 1], n + 1), wanted, rtol=1e-5, atol=1e-5)
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


def test_remarks_go_with_our_file(script: Path, tmp_path: Path) -> None:
    lens = open_lens(script)
    save_lens(lens, tmp_path / "own.pt")
    back = open_lens(tmp_path / "own.pt")
    same(back, lens.weight, lens.bias)
    assert back.remarks == lens.remarks != ()
    assert back.to(torch.device("cpu")).remarks == lens.remarks


# Other contents


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
