"""Contributions against formulas and products written by hand, and against forwards without a part."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import lenstui
from lenstui.causal.contributions import Contributions
from lenstui.causal.shares import LIMITS
from lenstui.lens import JacobianLens, Lens, LensError, LogitLens, Model, TunedLens, wire
from tests.by_hand.attribution import HEADS, NAMES, ByHand
from tests.tiny.families import BLOCKS, FAMILIES, D, random_model
from tests.tiny.family_reading import TEXT, wired

REAL = 258  # ids of the byte tokenizer, of a vocabulary of 272
TOKEN, OTHER = 77, 201
LENSES = ("logit", "tuned", "jacobian")


def lens_of(kind: str) -> Lens:
    generator = torch.Generator().manual_seed(5)
    weight = torch.randn(BLOCKS, D, D, generator=generator) / 8
    if kind == "tuned":
        return TunedLens(weight, torch.randn(BLOCKS, D, generator=generator))
    if kind == "jacobian":
        return JacobianLens({row: torch.eye(D) + weight[row] for row in range(BLOCKS)})
    return LogitLens()


def against_mean(logits: Tensor) -> Tensor:
    return logits[..., TOKEN] - logits[..., :REAL].mean(-1)


def against_other(logits: Tensor) -> Tensor:
    return logits[..., TOKEN] - logits[..., OTHER]


def by_hand(name: str, row: int, lens: Lens, minus: int | None) -> ByHand:
    model = wired(name)
    ids = torch.tensor([model.tokenizer(TEXT)["input_ids"]])
    target = against_mean if minus is None else against_other
    return ByHand(FAMILIES[name], name, model.module, ids, ids.numel() - 1, row, lens, target)


def near(ours: object, wanted: object, size: float) -> None:
    np.testing.assert_allclose(np.asarray(ours), np.asarray(wanted), rtol=0, atol=1e-4 * size)


def largest(found: Contributions) -> float:
    return max(abs(component.contribution) for component in found.components)


@pytest.mark.parametrize("minus", [None, OTHER], ids=["mean", "other"])
@pytest.mark.parametrize("kind", LENSES)
@pytest.mark.parametrize("name", NAMES)
def test_every_component_is_what_its_formula_says(name: str, kind: str, minus: int | None) -> None:
    lens = lens_of(kind)
    for row in range(BLOCKS + 1):
        found = lenstui.contributions(wired(name), TEXT, lens, row=row, token=TOKEN, minus=minus)
        hand = by_hand(name, row, lens, minus)
        size = largest(found)
        near(found.logit, hand.whole(), size)
        near(found.embedding, hand.share(hand.stream[0]), size)
        near(found.bias, hand.bias(), size)
        additions = hand.additions()[:row]
        for block, (attention, mlp) in enumerate(additions):
            near(found.attention[block], hand.share(attention), size)
            near(found.mlp[block], hand.share(mlp), size)
        assert [component.name for component in found.components] == [
            "emb",
            *(f"{block}.{part}" for block in range(row) for part in ("attn", "mlp")),
            "bias",
        ]
        total = sum(component.contribution for component in found.components)
        assert abs(total - found.logit) == pytest.approx(found.error, abs=1e-5)
        assert found.error < 1e-5 * size
        assert found.rounding == 0


@pytest.mark.parametrize("name", NAMES)
def test_every_attention_head_is_its_product(name: str) -> None:
    lens = lens_of("tuned")
    for row in (1, BLOCKS):
        found = lenstui.contributions(wired(name), TEXT, lens, row=row, token=TOKEN)
        hand = by_hand(name, row, lens, None)
        size = largest(found)
        assert found.heads.shape == (row, HEADS)
        near(found.heads, hand.share(hand.heads()[:row]), size)
        near(found.heads.sum(1) + found.attention_bias, found.attention, size)


class HeldNorm(torch.nn.Module):
    """A final norm whose scale is that of one clean column, and which a part can be taken from."""

    def __init__(self, norm: Any, h: Tensor, *, layer: bool) -> None:
        super().__init__()
        self.norm, self.layer = norm, layer
        eps = getattr(norm, "eps", None) or norm.variance_epsilon
        centred = h - h.mean() if layer else h
        self.scale = (centred.square().mean() + eps).sqrt()
        self.without: Tensor = torch.zeros_like(h)

    def forward(self, h: Tensor) -> Tensor:
        h = h - self.without
        centred = h - h.mean(-1, keepdim=True) if self.layer else h
        bias = getattr(self.norm, "bias", None)
        return centred / self.scale * self.norm.weight + (0 if bias is None else bias)


@pytest.mark.parametrize(("name", "owner", "attribute"), [
    ("Llama", "model", "norm"),
    ("GPT-NeoX", "gpt_neox", "final_layer_norm"),
    ("GPT-2", "transformer", "ln_f"),
    ("Cohere", "model", "norm"),
    ("Granite", "model", "norm"),
])  # fmt: skip
def test_a_forward_without_a_component_lacks_its_contribution(
    name: str, owner: str, attribute: str, byte_tokenizer: Any
) -> None:
    module = random_model(FAMILIES[name].config)
    found = lenstui.contributions(wire(name, module, byte_tokenizer), TEXT, token=TOKEN)
    size = largest(found)
    hand = replace(by_hand(name, BLOCKS, LogitLens(), None), module=module)
    parts = [hand.stream[0], *(part for block in hand.additions() for part in block)]
    heads = hand.heads().flatten(0, 1)
    body = module.get_submodule(owner)
    layer = FAMILIES[name].kind.startswith("layer")
    held = HeldNorm(getattr(body, attribute), hand.stream[-1].float(), layer=layer)
    setattr(body, attribute, held)

    def said(without: Tensor) -> float:
        held.without = without.float()
        with torch.no_grad():
            return float(against_mean(module(hand.ids).logits[0, -1].double()))

    clean = said(torch.zeros_like(held.without))
    near(clean, found.logit, size)
    shares = [component.contribution for component in found.components[:-1]]
    near([clean - said(part) for part in parts], shares, size)
    near([clean - said(part) for part in heads], found.heads.ravel(), size)


@pytest.mark.parametrize("kind", LENSES)
def test_how_the_logit_grew(kind: str) -> None:
    lens = lens_of(kind)
    row = 2
    found = lenstui.contributions(wired("Gemma-2"), TEXT, lens, row=row, token=TOKEN, all_rows=True)
    assert found.growth is not None
    assert found.growth.rows == ("emb", "0", "1")
    size = largest(found)
    near(found.growth.logits, [by_hand("Gemma-2", i, lens, None).whole() for i in range(row + 1)], size)
    hand = by_hand("Gemma-2", row, lens, None)
    near(found.growth.sums, hand.share(hand.stream[: row + 1]) + hand.bias(), size)
    assert found.growth.sums[-1] == pytest.approx(found.logit, abs=1e-4 * size)


def test_rows_that_the_lens_does_not_read_have_no_logit() -> None:
    lens = JacobianLens({1: torch.eye(D)})
    found = lenstui.contributions(wired("Llama"), TEXT, lens, row=BLOCKS, token=TOKEN, all_rows=True)
    assert found.growth is not None
    assert np.isnan(found.growth.logits).tolist() == [True, False, True, False]
    with pytest.raises(LensError, match="No Jacobian lens is fitted for row 1"):
        lenstui.contributions(wired("Llama"), TEXT, lens, row=2)


def test_neurons_add_up_to_the_mlp() -> None:
    found = lenstui.contributions(wired("Llama"), TEXT, token=TOKEN, neurons=True)
    hand = by_hand("Llama", BLOCKS, LogitLens(), None)
    blocks = hand.module.get_submodule("model.layers")
    for block, (a,) in enumerate(hand.caught(["mlp.down_proj"], inputs=True)):
        weight = blocks[block].mlp.down_proj.weight.detach().double()  # [d, neurons]
        near(found.neurons[block], hand.share((weight * a).T), largest(found))
    names = [neuron.name for neuron in found.named_neurons]
    assert names[:2] == ["0.mlp.0", "0.mlp.1"]
    assert len(names) == BLOCKS * len(a)


def test_experts_have_no_neurons_with_a_reason() -> None:
    found = lenstui.contributions(wired("Mixtral"), TEXT, token=TOKEN, neurons=True)
    assert found.neurons == (None, None, None)
    assert all(reason and "no linear map" in reason for reason in found.no_neurons)


def test_without_the_final_norm_nothing_is_scaled() -> None:
    model = wired("Llama")
    lens = LogitLens(final_norm=False)
    found = lenstui.contributions(model, TEXT, lens, row=1, token=TOKEN, minus=OTHER)
    unembedding = model.module.lm_head.weight.detach().double()
    u = unembedding[TOKEN] - unembedding[OTHER]
    hand = by_hand("Llama", 1, lens, OTHER)
    near(found.embedding, hand.stream[0] @ u, largest(found))
    near(found.logit, hand.stream[1] @ u, largest(found))
    assert found.bias == 0


def test_the_default_cell_is_the_last_with_its_likeliest_token() -> None:
    model = wired("Llama")
    found = lenstui.contributions(model, TEXT)
    readout = lenstui.read(model, TEXT)
    assert (found.row, found.column) == ("2", len(readout.prompt.ids) - 1)
    assert found.token == readout.lenses["logit"].top_ids[-1, -1, 0]
    assert (found.minus, found.lens) == (None, "logit")


def test_a_word_is_the_likelier_of_its_tokens(stories15m: Model) -> None:
    text = "Once upon a time there was a little girl named Lily. She"
    spaced, bare = (
        pin.id
        for pin in lenstui.find_pins(
            stories15m.tokenizer, stories15m.texts, ["was"], prompt=text, vocabulary=stories15m.vocabulary
        )
    )
    readout = lenstui.read(stories15m, text, pins=[spaced, bare])
    logits = readout.lenses["logit"].pin_logits[-1, -1]
    wanted = (spaced, bare)[int(logits.argmax())]
    assert lenstui.contributions(stories15m, text, token="was").token == wanted


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_answers_with_its_rounding(dtype: torch.dtype, stories15m: Model) -> None:
    import copy

    module = copy.deepcopy(stories15m.module).to(dtype)
    model = wire("half", module, stories15m.tokenizer)
    text = "Once upon a time there was a little girl named Lily. She"
    for row in range(model.num_blocks + 1):
        found = lenstui.contributions(model, text, row=row)
        size = largest(found)
        assert found.error <= LIMITS[dtype] * size
        assert (found.rounding > 0) == (row > 0)
        assert found.rounding <= found.rounding_limit == pytest.approx(LIMITS[dtype] * size)
    exact = lenstui.contributions(stories15m, text, token=found.token)
    names = [head.name for head in found.named_heads]
    strongest = max(exact.named_heads, key=lambda head: abs(head.contribution)).name
    assert strongest == max(found.named_heads, key=lambda head: abs(head.contribution)).name
    assert len(names) == 36
    # Steps of the stream as it was, in float64: they telescope, whatever was rounded.
    np.testing.assert_allclose(found.heads, exact.heads, atol=5 * LIMITS[dtype] * largest(exact), rtol=0)


def test_what_does_not_add_up_is_refused() -> None:
    components = lenstui.read_components(wired("Llama"), (5, 9, 33), 2)
    wrong = replace(components, mlp=components.mlp + 0.1)
    with pytest.raises(LensError, match=r"do not add up to the lens's logit: off by .* in float32"):
        lenstui.explain(wrong, LogitLens(), row=BLOCKS, token=TOKEN)


def test_rounding_beyond_its_limit_can_be_told() -> None:
    components = lenstui.read_components(wired("Llama"), (5, 9, 33), 2)
    noisy = replace(components, off=components.off + 0.1)
    found = lenstui.explain(noisy, LogitLens(), row=BLOCKS, token=TOKEN)
    assert found.rounding > found.rounding_limit
    assert found.rounding_limit == pytest.approx(LIMITS[torch.float32] * largest(found))


@pytest.mark.parametrize(("options", "message"), [
    ({"row": 4}, "There is no row 3: this model has rows emb, 0 … 2"),
    ({"row": -1}, "There is no row -2"),
    ({"column": 25}, "There is no column 25: this prompt has columns 0 … 24"),
    ({"column": -1}, "There is no column -1"),
    ({"token": 272}, "There is no token 272: the vocabulary has ids 0 … 271"),
    ({"token": ""}, "The word is empty"),
    ({"token": 5, "minus": 5}, "less itself is nothing"),
])  # fmt: skip
def test_what_is_not_there_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(LensError, match=message):
        lenstui.contributions(wired("Llama"), TEXT, **options)


def test_a_head_that_is_not_linear_is_refused() -> None:
    with pytest.raises(LensError, match="head of ModernBertDecoderForCausalLM is not linear"):
        lenstui.contributions(wired("ModernBERT decoder"), TEXT)


def test_blocks_that_cannot_be_taken_apart_are_refused() -> None:
    with pytest.raises(LensError, match="cannot be told apart"):
        lenstui.contributions(wired("RWKV"), TEXT)
