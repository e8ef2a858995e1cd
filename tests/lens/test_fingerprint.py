"""Fingerprints: a lens knows the weights that it was fitted on, all of them, in any dtype."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lenstui.lens import Model, TunedLens, load, open_lens, save_lens, wire
from lenstui.lens.card import Match
from lenstui.lens.catalog import list_lenses, match
from lenstui.lens.compatibility import compare_weights, fit_warning, lens_config
from lenstui.lens.fingerprint import compare, fingerprint, spoken
from lenstui.lens.tuned import untrained_lens
from lenstui.opening.opened import open_model
from lenstui.support.request import Start
from tests.tiny.families import FAMILIES, random_model

PARTS = ("embedding", "block 0", "block 1", "block 2", "final norm", "head")


def lens_for(model: Model) -> TunedLens:
    return replace(untrained_lens(model.num_blocks, model.d_model), config=lens_config(model), name="mine")


@contextmanager
def changed(tensor: Tensor, factor: float) -> Iterator[None]:
    """A tensor that is, meanwhile, other than it was."""
    with torch.no_grad():
        before = tensor.clone()
        tensor += factor * (tensor.std() if tensor.numel() > 1 and tensor.std() > 0 else 1.0)
        yield
        tensor.copy_(before)


def test_every_part_is_sampled_and_a_model_knows_itself(tiny: Model) -> None:
    found = compare(fingerprint(tiny), tiny)
    assert found is not None
    assert (found.same, found.different, found.unknown, found.is_whole) == (PARTS, (), (), True)


def test_a_change_of_any_one_tensor_is_seen_and_named(tiny: Model) -> None:
    """The sample that there was before saw the head alone."""
    taken, body = fingerprint(tiny), tiny.module.gpt_neox
    tensors = dict(tiny.module.named_parameters())
    assert len(tensors) > 30
    for name, tensor in tensors.items():
        with changed(tensor, 0.05):
            found = compare(taken, tiny)
        assert found is not None
        part = (
            f"block {name.split('.')[2]}" if ".layers." in name
            else "final norm" if "final_layer_norm" in name
            else "embedding" if "embed_in" in name
            else "head"
        )  # fmt: skip
        assert found.different == (part,), name
    assert compare(taken, tiny).is_whole  # type: ignore[union-attr]
    assert body is tiny.module.gpt_neox


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_change_of_dtype_is_no_alarm_and_other_weights_are_one(family: str, byte_tokenizer: Any) -> None:
    try:
        model = wire("it", random_model(FAMILIES[family].config), byte_tokenizer)
        other = wire("other", random_model(FAMILIES[family].config, seed=1), byte_tokenizer)
    except Exception as error:  # what a family needs is not on every machine
        pytest.skip(str(error))
    taken = fingerprint(model)
    assert {f"block {number}" for number in range(model.num_blocks)} <= set(taken["parts"])
    found = compare(taken, other)
    assert found is not None
    assert {f"block {number}" for number in range(model.num_blocks)} <= set(found.different)
    for dtype in (torch.bfloat16, torch.float16):
        model.module.to(dtype)
        found = compare(taken, model)
        assert found is not None
        assert found.is_whole, (dtype, found)


def test_samples_of_a_matrix_are_of_many_rows_and_columns(stories15m: Model) -> None:
    """The older sample of this model is of dimension 0 alone."""
    weight = torch.arange(32000 * 288).reshape(32000, 288)  # each entry is its place
    from lenstui.lens.fingerprint import _places

    places = weight[_places((32000, 288), 16, weight.device)]
    assert len(set((places % 288).tolist())) > 12
    assert len(set((places // 288).tolist())) == 16
    assert int((places // 288).max() - (places // 288).min()) > 25000
    assert stories15m.d_model == 288


@given(st.lists(st.integers(1, 50), min_size=1, max_size=3), st.integers(2, 16))
def test_places_lie_within_and_do_not_repeat(shape: list[int], count: int) -> None:
    from lenstui.lens.fingerprint import _places

    places = list(
        zip(*(index.tolist() for index in _places(tuple(shape), count, torch.device("cpu"))), strict=True)
    )
    assert len(places) == min(count, math.prod(shape))
    assert all(0 <= n < size for place in places for n, size in zip(place, shape, strict=True))
    if math.prod(shape) <= count:
        assert len(set(places)) == math.prod(shape)


def test_it_is_cheap_and_its_file_stays_plain(stories15m: Model, tmp_path: Path) -> None:
    lens = lens_for(stories15m)
    save_lens(lens, tmp_path / "a.pt")
    save_lens(replace(lens, config={**lens.config, "fingerprint": None}), tmp_path / "b.pt")
    assert (tmp_path / "a.pt").stat().st_size - (tmp_path / "b.pt").stat().st_size < 30_000
    back = open_lens(tmp_path / "a.pt")  # weights_only, and through the schema
    assert back.config["fingerprint"] == lens.config["fingerprint"]
    assert fit_warning(back, stories15m) is None


def test_other_blocks_and_final_norm_are_warned_of_by_name(tiny: Model, byte_tokenizer: Any) -> None:
    lens, module = lens_for(tiny), random_model(FAMILIES["GPT-NeoX"].config, seed=7)
    other = wire("other", module, byte_tokenizer)
    with torch.no_grad():  # the very embedding and head, as in most fine-tuned models
        module.gpt_neox.embed_in.weight.copy_(tiny.module.gpt_neox.embed_in.weight)
        module.lm_head.weight.copy_(tiny.module.lm_head.weight)
        module.gpt_neox.final_layer_norm.weight *= 1.3
    warning = fit_warning(lens, other) or ""
    assert (
        "The tuned lens mine was made for other weights (tiny): blocks 0-2 and the final norm differ"
        in warning
    )


def test_such_a_lens_does_not_open_by_itself(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = tmp_path / "lenstui" / "lenses"
    model = load(str(tiny_folder))
    save_lens(lens_for(model), folder / "good.pt")
    with changed(model.anatomy.blocks[1].mlp.down_proj.weight, 0.5):
        save_lens(lens_for(model), folder / "other.pt")
    older = lens_for(model)
    save_lens(
        replace(older, config={k: v for k, v in older.config.items() if k != "fingerprint"}),
        folder / "old.pt",
    )
    for age, name in enumerate(("other", "old", "good")):  # what should not open is the newest
        os.utime(folder / f"{name}.pt", (1.7e9 - age, 1.7e9 - age))
    assert {card.name: match(card, model) for card in list_lenses(folder)} == {
        "other": Match.OTHER_WEIGHTS,
        "old": Match.PARTLY,
        "good": Match.WEIGHTS,
    }
    opened = open_model(Start(model=str(tiny_folder)))
    assert (opened.lens_file, opened.remarks) == (folder / "good.pt", ())
    (folder / "good.pt").unlink()
    opened = open_model(Start(model=str(tiny_folder)))
    assert opened.lens_file == folder / "old.pt"
    assert "The tuned lens old knows its model by the head alone" in opened.remarks[0]
    (folder / "old.pt").unlink()
    assert open_model(Start(model=str(tiny_folder))).fitted == ()
    asked = open_model(Start(model=str(tiny_folder), lenses=(folder / "other.pt",)))
    assert "other weights" in asked.remarks[0]
    assert "block 1 differs" in asked.remarks[0]


def test_what_is_put_away_is_said_and_no_alarm(tiny_folder: Path) -> None:
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    places = {
        "model.embed_tokens": "cpu", "model.layers.0": "disk", "model.layers.1": "cpu", "model.norm": "cpu",
        "model.rotary_emb": "cpu", "lm_head": "cpu",
    }  # fmt: skip
    whole, spread = load(str(tiny_folder)), load(str(tiny_folder), device_map=places)
    for made_for, model in ((whole, spread), (spread, whole)):
        warning = fit_warning(lens_for(made_for), model) or ""
        assert "may be for other weights: block 0 could not be compared in full" in warning
        assert match_of(made_for, model) is Match.PARTLY
    with changed(spread.anatomy.blocks[1].mlp.down_proj.weight, 0.5):
        assert "block 1 differs" in (fit_warning(lens_for(whole), spread) or "")


def match_of(made_for: Model, model: Model) -> Match:
    from lenstui.lens.compatibility import match_weights

    return match_weights(compare_weights(lens_config(made_for), model))


def test_quantised_matrices_are_not_compared(tiny: Model) -> None:
    """What bitsandbytes leaves: whole numbers, in another shape."""
    lens = lens_for(tiny)
    block = tiny.anatomy.blocks[1]
    before = block.mlp.dense_h_to_4h.weight
    block.mlp.dense_h_to_4h.weight = torch.nn.Parameter(
        torch.zeros(before.numel() // 2, 1, dtype=torch.uint8), requires_grad=False
    )
    try:
        assert "block 1 could not be compared in full" in (fit_warning(lens, tiny) or "")
    finally:
        block.mlp.dense_h_to_4h.weight = before


def test_weights_that_were_rounded_are_no_alarm_but_wholly_other_ones_are(tiny: Model) -> None:
    """As of a GGUF file: every matrix rounded to four bits."""
    exact = fingerprint(tiny)
    weight = tiny.anatomy.blocks[0].mlp.dense_h_to_4h.weight
    with torch.no_grad():
        before, step = weight.clone(), weight.abs().max() / 7
        weight.copy_((weight / step).round() * step)
    try:
        gguf = replace(tiny, name="tiny-Q4_0.gguf")
        found = compare(exact, gguf)
        assert found is not None
        assert (found.different, found.unknown) == ((), ("block 0",))
        assert compare(fingerprint(gguf), tiny).is_whole  # type: ignore[union-attr]
        assert compare(exact, tiny).different == ("block 0",)  # type: ignore[union-attr]
        with torch.no_grad():
            weight.copy_(before.flip(0))
        assert compare(exact, gguf).different == ("block 0",)  # type: ignore[union-attr]
    finally:
        with torch.no_grad():
            weight.copy_(before)


def test_an_unknown_scheme_is_as_if_there_were_none(tiny: Model) -> None:
    assert compare({**fingerprint(tiny), "scheme": 2}, tiny) is None
    assert compare(None, tiny) is None
    assert compare([1.0] * 64, tiny) is None


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ((), "nothing"),
        (("block 3",), "block 3"),
        (("block 0", "block 1", "block 2", "block 5", "block 7", "block 8"), "blocks 0-2, 5, 7-8"),
        (("embedding", "head"), "the embedding and the head"),
        (PARTS, "the embedding, blocks 0-2, the final norm and the head"),
    ],
)
def test_parts_in_words(parts: tuple[str, ...], words: str) -> None:
    assert spoken(parts) == words
