"""A model of which accelerate brings some in: from the disk to the CPU, from the CPU to a GPU.

`tests/cuda/test_spread.py` has parts that stay where they are, and hidden states on two devices.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lenstui.fitting.options import preset
from lenstui.lens import fit, load, read
from lenstui.support.errors import LensError
from tests.cuda.devices import GPU, gpu

pytest.importorskip("accelerate", reason="accelerate is not installed")

PLACES = {
    "model.embed_tokens": "cpu",
    "model.layers.0": "disk",
    "model.layers.1": "cpu",
    "model.norm": "cpu",
    "model.rotary_emb": "cpu",
    "lm_head": "cpu",
}


ON_GPU = {part: "cpu" if place == "disk" else 0 for part, place in PLACES.items()}


@pytest.fixture(params=[GPU, "disk"])
def places(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "disk":
        return dict(PLACES)
    gpu()
    return dict(ON_GPU)


@pytest.fixture(params=[GPU, "cpu"])
def device(request: pytest.FixtureRequest) -> str:
    return gpu().name if request.param == "gpu" else "cpu"


def test_it_is_read_as_if_it_were_in_one_place(tiny_folder: Path, places: dict[str, Any]) -> None:
    whole = load(str(tiny_folder), device="cpu")
    spread = load(str(tiny_folder), device_map=places, dtype="float32")
    there = "cuda" if 0 in places.values() else "cpu"
    types = {p.device.type for p in spread.module.parameters()}
    assert there in types and len(types) == 2
    assert (spread.device.type, spread.dtype) == (there, whole.dtype)
    one, other = read(whole, "Hello, you").lenses["logit"], read(spread, "Hello, you").lenses["logit"]
    np.testing.assert_array_equal(one.top_ids, other.top_ids)
    np.testing.assert_allclose(one.top_logits, other.top_logits, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(one.kl, other.kl, atol=1e-4)


def test_a_lens_is_fitted_to_it(tiny_folder: Path, places: dict[str, Any]) -> None:
    texts = ["one two three four five six seven eight nine ten " * 8] * 12
    options = preset(
        "quick", steps=2, seq_len=32, tokens_per_step=64, held_out_tokens=64, closed_form_tokens=512,
        products="float32",
    )  # fmt: skip
    spread = load(str(tiny_folder), device_map=places, dtype="float32")
    lenses = [fit(model, texts, options) for model in (load(str(tiny_folder), device="cpu"), spread)]
    # Steps are orthogonalized in half precision, in which a GPU rounds otherwise.
    tolerance = 1e-4 if spread.device.type == "cpu" else 0.05
    np.testing.assert_allclose(lenses[0].weight, lenses[1].weight.cpu(), atol=tolerance)


def test_auto_is_the_one_place_that_there_is(tiny_folder: Path) -> None:
    model = load(str(tiny_folder), device_map="auto")
    assert all(not parameter.is_meta for parameter in model.module.parameters())


def test_a_head_on_the_disk_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(LensError, match=r"The head of .* finds no room"):
        load(str(tiny_folder), device_map={**PLACES, "lm_head": "disk"})


def test_without_accelerate(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lenstui.model.placement.find_spec", lambda name: None)
    with pytest.raises(LensError, match="pip install accelerate"):
        load(str(tiny_folder), device_map="auto")


@pytest.mark.parametrize("quantize", ["8bit", "4bit"])
def test_a_quantised_model_is_read_nearly_as_it_was(
    tmp_path: Path, byte_tokenizer: Any, quantize: str, device: str
) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=258,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        initializer_range=0.1,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    byte_tokenizer.save_pretrained(tmp_path)
    model = load(str(tmp_path), quantize=quantize, device=device)
    assert model.quantized == quantize
    assert model.head.linear is not None
    ours, plain = (
        read(each, "Hello, you").lenses["logit"] for each in (model, load(str(tmp_path), device="cpu"))
    )
    assert 0 < np.abs(ours.entropy - plain.entropy)[1:].max() < 0.5  # quantised, and yet the same model
    ids = torch.tensor([[*read(model, "Hello, you").prompt.ids]], device=model.device)
    with torch.inference_mode():
        logits = model.module(ids).logits[0].float().cpu()
    np.testing.assert_allclose(ours.top_logits[-1], logits.topk(3).values, rtol=1e-2, atol=1e-2)


def test_what_4_bits_cannot_hold_is_said_in_its_own_words(
    tmp_path: Path, byte_tokenizer: Any, device: str
) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    config = LlamaConfig(
        vocab_size=258, hidden_size=96, num_hidden_layers=1, num_attention_heads=2, intermediate_size=128
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    byte_tokenizer.save_pretrained(tmp_path)
    try:
        load(str(tmp_path), quantize="4bit", device=device)
    except LensError as error:
        assert "a matrix is 96 wide, which is no multiple of 64. Use --quantize 8bit" in str(error)
    else:
        pytest.skip("this device can run such widths")


def test_8_bits_are_not_announced_at_every_matrix(
    tmp_path: Path, byte_tokenizer: Any, caplog: pytest.LogCaptureFixture, device: str
) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    config = LlamaConfig(
        vocab_size=258, hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=128
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    byte_tokenizer.save_pretrained(tmp_path)
    load(str(tmp_path), quantize="8bit", device=device)
    logger = logging.getLogger("bitsandbytes.autograd._functions")
    logger.warning("something else")
    assert [record.message for record in caplog.records if record.name == logger.name] == ["something else"]


def test_without_bitsandbytes(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lenstui.model.placement.find_spec", lambda name: None)
    with pytest.raises(LensError, match="Loading in 8bit needs bitsandbytes: pip install bitsandbytes"):
        load(str(tiny_folder), quantize="8bit")
    with pytest.raises(LensError, match="Unknown quantisation '2bit': 8bit, 4bit"):
        load(str(tiny_folder), quantize="2bit")
