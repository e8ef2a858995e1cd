"""Every family is read as its own formula says, and a model that would be misread is refused."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from torch import Tensor, nn

from lenstui.lens import LensError, read, wire
from lenstui.model.head import Head, model_head
from lenstui.model.load import WIRING_TEXT
from lenstui.model.residual import residual_stream
from lenstui.model.wiring import check_wiring
from tests.by_hand import naive
from tests.tiny import family_page
from tests.tiny.families import FAMILIES, GROUPED, SIZES, VOCABULARY, random_model
from tests.tiny.family_reading import PINS, TEXT, compare, off, reading, refusal
from tests.tiny.refused_models import REFUSED

PAGE = Path(__file__).parents[2] / "assets" / "families.md"

# Another library multiplies matrices in lenstui's pass through the model, in another order.
ROUNDING = 1e-4


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny models are faster so, and far faster on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def ids(byte_tokenizer: Any) -> Tensor:
    return torch.tensor([byte_tokenizer(TEXT)["input_ids"]])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_read_as_its_own_formula_says(name: str) -> None:
    family = FAMILIES[name]
    if family.is_unknown:
        pytest.skip(f"this transformers has no {family.config_class}")
    found = reading(name)
    model = found.model
    assert found.formula < 1e-5, "the table of families is wrong"
    assert found.stream < ROUNDING
    assert found.head < 1e-5
    assert found.cells < ROUNDING
    assert found.far < 1e-5
    assert (found.mid, found.parts < ROUNDING) == (family.mid, True)
    assert (model.num_blocks, model.d_model, model.vocabulary) == (3, 32, VOCABULARY)
    assert (model.anatomy.final_norm is None) == (family.norm is None)
    linear = model.head.linear
    assert (linear and (linear.scale, linear.softcap)) == family.head
    if linear:
        assert linear.weight is model.module.get_output_embeddings().weight
        assert (linear.bias is not None) == family.bias
    names = [check.name for check in model.wiring]
    assert all(check.ok for check in model.wiring)
    assert ("head as one matrix = the model's logits" in names) == (family.head is not None)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("name", ["Llama", "GPT-2", "GPT-NeoX", "Gemma-2", "OPT", "Qwen2", "Cohere", "Mamba"])
def test_tied_and_untied_heads(name: str, tied: bool, byte_tokenizer: Any) -> None:
    config = copy.deepcopy(FAMILIES[name].config)
    config.tie_word_embeddings = tied
    module = random_model(config)
    assert (module.get_output_embeddings().weight is module.get_input_embeddings().weight) == tied
    found = compare(replace(FAMILIES[name]), wire("tiny", module, byte_tokenizer))
    assert max(found.formula, found.head, found.far) < 1e-5
    assert max(found.stream, found.cells) < ROUNDING


def test_the_page_of_families_is_up_to_date() -> None:
    if any(family.is_unknown for family in FAMILIES.values()):
        pytest.skip("this transformers lacks some of the families")
    told = "python -m tests.tiny.family_page > assets/families.md"
    assert family_page.comparable(PAGE.read_text()) == family_page.comparable(family_page.page()), told


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


class EightBits(nn.Linear):
    """As quantizing libraries have them: a linear layer whose weight is no matrix of numbers."""

    def __init__(self, full: nn.Linear) -> None:
        super().__init__(full.in_features, full.out_features, bias=False)
        self.size = float(full.weight.detach().abs().max()) / 127
        whole = (full.weight.detach() / self.size).round().to(torch.int8)
        self.weight = nn.Parameter(whole, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.to(x.dtype).T * self.size


def test_a_quantized_head_is_run_as_it_is(byte_tokenizer: Any, ids: Tensor) -> None:
    module = random_model(hf.LlamaConfig(**SIZES))
    module.lm_head = EightBits(module.lm_head)
    model = wire("quantized", module, byte_tokenizer)
    assert model.head.linear is None
    rows, logits = naive.handed_on(module, ids, "model.layers")
    with torch.no_grad():
        assert off(model.head(rows[-1]), logits) < 1e-5


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


REASONS = {
    "Gemma-3n": "Gemma3nForCausalLM runs 4 residual streams side by side",
    "DeepSeek-V4": "DeepseekV4ForCausalLM runs 4 residual streams side by side",
    "Qwen4-Exp": "Qwen4ExpForCausalLM runs 4 residual streams side by side",
    "Inkling-2": "Inkling2BlockAttentionResidual reads more than the last hidden state",
    "HRM": "found no list of blocks that are called once each",
    "Reformer": "found no list of blocks that are called once each",
    "XLNet": "found no list of blocks that are called once each",
    "XLM": "Wiring check failed: head(final norm(h_L)) = the model's logits",
    "PaliGemma": "Wiring check failed: no column sees a later one",
    "BERT": "Wiring check failed: no column sees a later one",
    "BERT, masked LM": "Wiring check failed: no column sees a later one",
    "ModernBERT, masked LM": "Wiring check failed: no column sees a later one",
    "T5": "is an encoder-decoder (T5ForConditionalGeneration)",
    "ViT": "it is no language model",
    "Llama, sequence classifier": "there are no next-token logits to read",
    "Llama, no head": "there are no next-token logits to read",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_lens_can_read_is_refused_with_the_reason(name: str) -> None:
    if not hasattr(hf, REFUSED[name][0]):
        pytest.skip(f"this transformers has no {REFUSED[name][0]}")
    message = refusal(name)
    assert REASONS[name] in message
    assert "\n" not in message


def test_what_looks_ahead_is_said_to(byte_tokenizer: Any) -> None:
    module = random_model(hf.BertConfig(**SIZES), model_class=hf.BertForMaskedLM)
    with pytest.raises(LensError, match=r"off by .* BertForMaskedLM looks ahead: it is no causal LM"):
        wire("bert", module, byte_tokenizer)


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
    with pytest.raises(LensError, match="own numbers of a short text are not finite"):
        wire("nan", module, byte_tokenizer)
