"""Every family is read as its own formula says, and a model that would be misread is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import naive
import numpy as np
import pytest
import torch
import transformers as hf
from families import FAMILIES, GROUPED, SIZES, VOCABULARY, Family, random_model
from torch import Tensor, nn

from lenstui.lens import LensError, Model, read, wire
from lenstui.lens.head import Head, model_head
from lenstui.lens.model import WIRING_TEXT
from lenstui.lens.residual import residual_stream
from lenstui.lens.wiring import check_wiring

TEXT = "It was the best of times."
PINS = range(0, VOCABULARY, 5)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


@pytest.fixture(scope="module")
def model(family: Family, byte_tokenizer: Any) -> Model:
    return wire("tiny", random_model(family.config), byte_tokenizer)


@pytest.fixture(scope="module")
def ids(byte_tokenizer: Any) -> Tensor:
    return torch.tensor([byte_tokenizer(TEXT)["input_ids"]])


def off(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, as a share of the largest value."""
    assert ours.shape == theirs.shape
    return float((ours.double() - theirs.double()).abs().max() / theirs.double().abs().max())


def test_wiring_passes(family: Family, model: Model) -> None:
    names = [check.name for check in model.wiring]
    assert all(check.ok for check in model.wiring)
    assert ("head as one matrix = the model's logits" in names) == (family.head is not None)
    assert (model.num_blocks, model.d_model, model.vocabulary) == (3, 32, VOCABULARY)


def test_residual_stream_is_what_the_model_computes(family: Family, model: Model, ids: Tensor) -> None:
    ours = residual_stream(model.module, model.anatomy, ids)[:, 0]
    assert off(ours, naive.stream(model.module, ids, family.h_last)) == 0


def test_blocks_that_write_over_their_input_are_read_before(byte_tokenizer: Any, ids: Tensor) -> None:
    model = wire("tiny", random_model(hf.LlamaConfig(**SIZES)), byte_tokenizer)
    wanted = residual_stream(model.module, model.anatomy, ids)
    for block in model.anatomy.blocks:

        def careless(h: Tensor, *args: Any, forward: Any = block.forward, **kwargs: Any) -> Any:
            output = forward(h.clone(), *args, **kwargs)
            h.zero_()
            return output

        block.forward = careless
    assert off(residual_stream(model.module, model.anatomy, ids), wanted) == 0


def test_last_row_is_the_models_own_output(model: Model, ids: Tensor) -> None:
    with torch.no_grad():
        logits = model.module(ids).logits[0]
        ours = model.head(residual_stream(model.module, model.anatomy, ids)[-1, 0])
    assert off(ours, logits) < 1e-5


def test_logit_lens_is_the_familys_formula(family: Family, model: Model, ids: Tensor) -> None:
    stream = naive.stream(model.module, ids, family.h_last)
    wanted = family.logits(naive.weights(model.module), stream)  # [rows, cols, vocabulary]
    cells = read(model, TEXT, pins=PINS).lenses["logit"]
    for row in range(model.num_blocks + 1):
        assert off(torch.from_numpy(cells.pin_logits[row]), wanted[row][:, PINS]) < 1e-5


def test_head_is_found_to_be_one_matrix_where_it_is(family: Family, model: Model) -> None:
    linear = model.head.linear
    assert (linear and (linear.scale, linear.softcap)) == family.head
    if linear:
        assert linear.weight is model.module.get_output_embeddings().weight
        assert (linear.bias is None) == (model.module.get_output_embeddings().bias is None)


@pytest.mark.parametrize("size", [0.01, 1.0, 30.0])
def test_one_matrix_is_the_models_head_far_from_the_wiring_text(model: Model, size: float) -> None:
    x = size * torch.randn(7, model.d_model, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert off(model.head.logits(x), model_head(model.module, model.anatomy, x)) < 1e-5


@pytest.mark.parametrize("cap", [5.0, 30.0, 1000.0])
def test_softcap_is_found_though_the_logits_are_small(byte_tokenizer: Any, cap: float) -> None:
    config = hf.Gemma2Config(**GROUPED, final_logit_softcapping=cap)
    module = random_model(config)
    with torch.no_grad():
        module.model.norm.weight.fill_(-0.999)  # 1 + w: next to nothing is left of the logits
    model = wire("tiny", module, byte_tokenizer)
    x = 10 * torch.randn(7, model.d_model, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert off(model.head.logits(x), model_head(module, model.anatomy, x)) < 1e-5


class BentHead(hf.LlamaForCausalLM):
    """Its logits are no linear map of the hidden state, with or without a softcap."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = super().forward(*args, **kwargs)
        output.logits = output.logits + 0.1 * output.logits.square()
        return output


def test_head_that_is_no_matrix_is_run_as_it_is(byte_tokenizer: Any, ids: Tensor) -> None:
    model = wire("bent", random_model(hf.LlamaConfig(**SIZES), model_class=BentHead), byte_tokenizer)
    assert model.head.linear is None
    plain = FAMILIES["Llama"].logits(
        naive.weights(model.module), naive.stream(model.module, ids, FAMILIES["Llama"].h_last)
    )
    cells = read(model, TEXT, pins=PINS).lenses["logit"]
    assert off(torch.from_numpy(cells.pin_logits), (plain + 0.1 * plain.square())[..., PINS]) < 1e-5


class MaskedHead(hf.LlamaForCausalLM):
    """Forbids the even tokens, as some multimodal models forbid image tokens."""

    forbidden = float("-inf")

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = super().forward(*args, **kwargs)
        output.logits = output.logits.clone()
        output.logits[..., ::2] = self.forbidden
        return output


@pytest.mark.parametrize("forbidden", [float("-inf"), torch.finfo(torch.float32).min])
def test_head_that_forbids_tokens_is_read(
    byte_tokenizer: Any, monkeypatch: pytest.MonkeyPatch, forbidden: float
) -> None:
    monkeypatch.setattr(MaskedHead, "forbidden", forbidden)
    model = wire("masked", random_model(hf.LlamaConfig(**SIZES), model_class=MaskedHead), byte_tokenizer)
    assert model.head.linear is None
    assert not (read(model, TEXT).lenses["logit"].top_ids % 2 == 0).any()


@pytest.mark.parametrize("forbidden", [float("-inf"), torch.finfo(torch.float32).min])
def test_forbidden_tokens_hide_no_difference(
    byte_tokenizer: Any, monkeypatch: pytest.MonkeyPatch, forbidden: float
) -> None:
    class Sly(MaskedHead):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            output = super().forward(*args, **kwargs)
            output.logits += kwargs["input_ids"][..., None] / 100
            return output

    monkeypatch.setattr(Sly, "forbidden", forbidden)
    with pytest.raises(LensError, match=r"Wiring check failed: head\(final norm\(h_L\)\)"):
        wire("sly", random_model(hf.LlamaConfig(**SIZES), model_class=Sly), byte_tokenizer)


# What must be refused


def test_several_residual_streams_are_refused_with_the_reason(byte_tokenizer: Any) -> None:
    config = hf.Gemma3nTextConfig(
        **{**GROUPED, "intermediate_size": [48] * 3},
        hidden_size_per_layer_input=8,
        vocab_size_per_layer_input=VOCABULARY,
        laurel_rank=4,
        num_kv_shared_layers=0,
        activation_sparsity_pattern=[0.0] * 3,
        layer_types=["full_attention"] * 3,
    )
    with pytest.raises(LensError, match="4 residual streams side by side"):
        wire("gemma-3n", random_model(config), byte_tokenizer)


@pytest.mark.parametrize("model_class", [hf.BertLMHeadModel, hf.BertForMaskedLM])
def test_an_encoder_is_refused(byte_tokenizer: Any, model_class: Any) -> None:
    module = random_model(hf.BertConfig(**SIZES), model_class=model_class)
    with pytest.raises(LensError, match="Wiring check failed: no column sees a later one: off by"):
        wire("bert", module, byte_tokenizer)


@pytest.mark.parametrize("model_class", [hf.BertModel, hf.LlamaModel, hf.GPT2ForSequenceClassification])
def test_a_model_without_next_token_logits_is_refused(byte_tokenizer: Any, model_class: Any) -> None:
    config = {**SIZES, "pad_token_id": 1}
    module = random_model(model_class.config_class(**config), model_class=model_class)
    with pytest.raises(LensError, match="next-token logits"):
        wire("headless", module, byte_tokenizer)


def test_a_causal_lm_without_its_mask_is_refused(
    byte_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_mask(*args: Any, **kwargs: Any) -> Tensor:
        return torch.zeros(1, 1, 1, 1)

    module = random_model(hf.LlamaConfig(**SIZES))
    wire("masked", module, byte_tokenizer)
    monkeypatch.setattr("transformers.models.llama.modeling_llama.create_causal_mask", no_mask)
    with pytest.raises(LensError, match="Wiring check failed: no column sees a later one: off by"):
        wire("unmasked", module, byte_tokenizer)


class Meddler(hf.LlamaForCausalLM):
    """Adds to the logits something that no hidden state knows."""

    def __init__(self, config: hf.LlamaConfig) -> None:
        super().__init__(config)
        self.bigrams = nn.Embedding(config.vocab_size, config.vocab_size)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = super().forward(*args, **kwargs)
        output.logits = output.logits + self.bigrams(kwargs["input_ids"])
        return output


def test_logits_that_do_not_come_from_the_residual_stream_are_noticed(byte_tokenizer: Any) -> None:
    module = random_model(hf.LlamaConfig(**SIZES), model_class=Meddler)
    wiring_ids = torch.tensor([byte_tokenizer(WIRING_TEXT)["input_ids"][:32]])
    with torch.no_grad():
        module.bigrams.weight.zero_()
        module.bigrams.weight[wiring_ids.unique()] = 1.0
        largest = float(module(input_ids=wiring_ids).logits.abs().max())
    with pytest.raises(LensError) as caught:
        wire("meddled", module, byte_tokenizer)
    message = str(caught.value)
    assert message.startswith("Wiring check failed: head(final norm(h_L)) = the model's logits: off by")
    assert "\n" not in message
    assert float(re.findall(r"off by ([\d.]+)", message)[0]) == pytest.approx(1 / largest, rel=0.05)


def test_a_norm_that_was_swapped_after_the_model_was_taken_apart_is_noticed(
    byte_tokenizer: Any, ids: Tensor
) -> None:
    model = wire("tiny", random_model(hf.LlamaConfig(**SIZES)), byte_tokenizer)
    model.module.model.norm = type(model.module.model.norm)(32)
    with pytest.raises(LensError, match="Wiring check failed: 3 rows of residual stream for 3 blocks"):
        check_wiring(model.module, model.head, ids)


@pytest.mark.parametrize(
    "wrong", [{"softcap": None}, {"softcap": 4.0}, {"scale": 1.01}, {"bias": torch.full((VOCABULARY,), 0.1)}]
)
def test_a_wrong_matrix_is_noticed(byte_tokenizer: Any, ids: Tensor, wrong: dict[str, Any]) -> None:
    model = wire("gemma-2", random_model(FAMILIES["Gemma-2"].config), byte_tokenizer)
    assert model.head.linear is not None
    head = Head(model.module, model.anatomy, replace(model.head.linear, **wrong))
    with pytest.raises(LensError, match="head as one matrix = the model's logits: off by"):
        check_wiring(model.module, head, ids)


def test_a_misplaced_final_norm_is_noticed(byte_tokenizer: Any, ids: Tensor) -> None:
    model = wire("tiny", random_model(hf.LlamaConfig(**SIZES)), byte_tokenizer)
    elsewhere = replace(model.anatomy, final_norm=model.anatomy.blocks[-1].input_layernorm)
    with pytest.raises(LensError, match=r"Wiring check failed: head\(final norm\(h_L\)\)"):
        check_wiring(model.module, Head(model.module, elsewhere), ids)


def test_numbers_that_are_no_numbers_fail_the_check(byte_tokenizer: Any) -> None:
    module = random_model(hf.LlamaConfig(**SIZES))
    with torch.no_grad():
        module.lm_head.weight[5, 5] = np.nan
    with pytest.raises(LensError, match="off by nan"):
        wire("nan", module, byte_tokenizer)
