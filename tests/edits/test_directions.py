"""Attention heads, neurons, steering, swaps and cuts against what each family's own modules do, by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lenstui.edits.edited import edited
from lenstui.edits.language import parse_edit
from lenstui.lens import JacobianLens, LensError, Model, TunedLens, wire
from lenstui.lens.lens import Lens
from lenstui.model.tokens import Prompt
from tests.edits.test_edited import IDS, NAMED, by_hooks, kept, stream
from tests.tiny.families import FAMILIES, random_model

# Family → the projections of attention and MLP within a block.
PROJECTIONS = {
    "GPT-NeoX": ("attention.dense", "mlp.dense_4h_to_h"),
    "GPT-2": ("attn.c_proj", "mlp.c_proj"),
    "Llama": ("self_attn.o_proj", "mlp.down_proj"),
    "Gemma-2": ("self_attn.o_proj", "mlp.down_proj"),
    "Granite": ("self_attn.o_proj", "mlp.down_proj"),
    "GPT-J": ("attn.out_proj", "mlp.fc_out"),
}


def model_of(family: str, tokenizer: Any) -> Model:
    return wire(family, random_model(FAMILIES[family].config), tokenizer)


def direction_by_hand(model: Model, token: int, transport: Tensor) -> Tensor:
    """`Lᵀ P (gain ⊙ W_U[w])`, of length 1, of a Llama (RMSNorm) or a GPT-NeoX (LayerNorm)."""
    module = model.module
    weight = module.get_output_embeddings().weight[token]
    norm = module.model.norm if hasattr(module, "model") else module.gpt_neox.final_layer_norm
    v = norm.weight * weight
    if norm.__class__.__name__ == "LayerNorm":
        v = v - v.mean()
    v = transport.T @ v
    return (v / v.norm()).detach()


@pytest.mark.parametrize("family", PROJECTIONS)
def test_an_attention_head_is_a_slice_of_the_projections_input(family: str, byte_tokenizer: Any) -> None:
    model = model_of(family, byte_tokenizer)
    name = f"{NAMED[family][0]}.1.{PROJECTIONS[family][0]}"
    heads = model.module.config.num_attention_heads
    z = kept(model, IDS, "in", name)
    width = z.shape[1] // heads
    part = slice((heads - 1) * width, heads * width)

    def zero(value: Tensor) -> None:
        value[2:5, part] = 0

    assert torch.equal(stream(model, f"ablate 1.{heads - 1} @2-4"), by_hooks(model, IDS, ("in", name, zero)))

    other = "another prompt"
    taken = kept(model, model.tokenizer(other)["input_ids"], "in", name)

    def patch(value: Tensor) -> None:
        value[3, part] = taken[5, part]

    ours = stream(model, f'patch 1.{heads - 1} @3 "{other}" @5')
    assert torch.equal(ours, by_hooks(model, IDS, ("in", name, patch)))


@pytest.mark.parametrize("family", PROJECTIONS)
def test_a_neuron_is_an_input_of_the_mlps_last_map(family: str, byte_tokenizer: Any) -> None:
    model = model_of(family, byte_tokenizer)
    name = f"{NAMED[family][0]}.0.{PROJECTIONS[family][1]}"

    def zero(value: Tensor) -> None:
        value[:, 3] = 0

    def mean(value: Tensor) -> None:
        value[7, 3] = value[[*range(1, 7), *range(8, 12)], 3].mean()

    assert torch.equal(stream(model, "ablate 0.mlp.3"), by_hooks(model, IDS, ("in", name, zero)))
    wanted = by_hooks(model, IDS, ("in", name, mean))
    torch.testing.assert_close(stream(model, "ablate 0.mlp.3 @7 mean"), wanted, rtol=1e-5, atol=1e-6)


def lenses(model: Model) -> dict[str, tuple[Lens | None, Tensor]]:
    """Lenses, each with the linear part of its transport in row 0."""
    generator = torch.Generator().manual_seed(0)
    d, L = model.d_model, model.num_blocks
    a, j = (0.1 * torch.randn(d, d, generator=generator) for _ in range(2))
    eye = torch.eye(d)
    tuned = TunedLens(torch.stack([a] * L), torch.ones(L, d))
    jacobian = JacobianLens({1: eye + j}, name="made up")
    return {"logit": (None, eye), "tuned": (tuned, eye + a), "jacobian": (jacobian, eye + j)}


@pytest.mark.parametrize("lens", ["logit", "tuned", "jacobian"])
@pytest.mark.parametrize("family", ["Llama", "GPT-NeoX"])
def test_steering_adds_the_direction_in_median_norms(family: str, lens: str, byte_tokenizer: Any) -> None:
    model = model_of(family, byte_tokenizer)
    through, transport = lenses(model)[lens]
    prompt = Prompt("abc", tuple(IDS))
    (token,) = model.tokenizer("z", add_special_tokens=False)["input_ids"]
    v = direction_by_hand(model, token, transport)
    h = model.stream(torch.tensor([IDS]))[1, 0]
    size = sorted(float(state.norm()) for state in h[1:])[5]  # the median of 11

    def add(value: Tensor) -> None:
        value[2:] += -1.5 * size * v

    wanted = by_hooks(model, IDS, ("in", f"{NAMED[family][0]}.1", add))
    edits = [parse_edit("steer z @2-last row 0 by -1.5")]
    ours = edited(model, edits, prompt, lens=through).stream(torch.tensor([IDS]))[:, 0]
    torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-5)


def test_steering_between_two_prompts(byte_tokenizer: Any) -> None:
    model = model_of("Llama", byte_tokenizer)
    ends = [
        model.stream(torch.tensor([model.tokenizer(text)["input_ids"]]))[:, 0, -1] for text in ("bad", "good")
    ]
    h = model.stream(torch.tensor([IDS]))[:, 0]

    def adding(row: int) -> Any:
        v = ends[1][row] - ends[0][row]

        def add(value: Tensor) -> None:
            value += 2 * h[row, 1:].norm(dim=-1).median() * v / v.norm()

        return add

    wanted = by_hooks(model, IDS, ("in", "model.layers.1", adding(1)), ("in", "model.layers.2", adding(2)))
    ours = stream(model, 'steer "bad" -> "good" rows 0-1 by 2')
    torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-5)


def test_a_swap_exchanges_coordinates_and_takes_them_from_the_clean_run(byte_tokenizer: Any) -> None:
    model = model_of("Llama", byte_tokenizer)
    clean = model.stream(torch.tensor([IDS]))[:, 0]
    eye = torch.eye(model.d_model)
    tokens = [model.tokenizer(letter, add_special_tokens=False)["input_ids"][0] for letter in "qz"]
    a, b = (direction_by_hand(model, token, eye) for token in tokens)

    def coordinates(states: Tensor) -> Tensor:
        solved: Tensor = torch.linalg.lstsq(torch.stack([a, b], 1), states.T).solution  # [2, cols]
        return solved

    def swapping(row: int) -> Any:
        def swap(value: Tensor) -> None:
            wanted = coordinates(clean[row])[[1, 0]]
            value += torch.stack([a, b], 1).mm(wanted - coordinates(value)).T

        return swap

    wanted = by_hooks(
        model, IDS, ("in", "model.layers.1", swapping(1)), ("in", "model.layers.2", swapping(2))
    )
    ours = stream(model, "swap q z rows 0-1", prompt=Prompt("abc", tuple(IDS)))
    torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-4)
    # In both rows the coordinates are the clean ones, exchanged: they were not exchanged back.
    for row in (1, 2):
        torch.testing.assert_close(
            coordinates(ours[row]), coordinates(clean[row])[[1, 0]], rtol=1e-3, atol=1e-3
        )


@pytest.mark.parametrize("text", ["cut 1.2 9<-2,4", "cut 1.attn 5-7<-0"])
def test_a_cut_leaves_the_rest_of_the_attention(text: str, byte_tokenizer: Any) -> None:
    """What a cut head reads is the weighted mean of the other values, its weights scaled up to 1."""
    model = model_of("Llama", byte_tokenizer)
    config = model.module.config
    heads, groups = config.num_attention_heads, config.num_key_value_heads
    readers, sources = ([9], [2, 4]) if "9" in text else ([5, 6, 7], [0])
    cut = [2] if "1.2" in text else range(heads)
    attention = model.module.model.layers[1].self_attn
    found: dict[str, Tensor] = {}
    handles = [
        attention.v_proj.register_forward_hook(lambda m, a, o: found.update(v=o[0])),
        attention.register_forward_hook(lambda m, a, o: found.update(weights=o[1][0])),
        attention.o_proj.register_forward_pre_hook(lambda m, a: found.update(z=a[0][0])),
    ]
    before = config._attn_implementation  # models of a family share their config
    model.module.set_attn_implementation("eager")
    try:
        model.stream(torch.tensor([IDS]))
        z, weights, values = found["z"].clone(), found["weights"].clone(), found["v"].clone()
        stream(model, text)
        ours = found["z"]
    finally:
        model.module.set_attn_implementation(before)
        for handle in handles:
            handle.remove()
    width = z.shape[1] // heads
    wanted = z.clone()
    for head in cut:
        group = head // (heads // groups)
        v = values[:, group * width : (group + 1) * width]
        for reader in readers:
            left = weights[head, reader].clone()
            left[sources] = 0
            wanted[reader, head * width : (head + 1) * width] = (left / left.sum()) @ v
    assert (wanted - z).abs().max() > 1e-3
    torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", NAMED)
def test_cuts_are_taken_by_every_family(family: str, byte_tokenizer: Any) -> None:
    model = model_of(family, byte_tokenizer)
    clean = stream(model)
    ours = stream(model, "cut 1.attn 9<-0-8")
    torch.testing.assert_close(ours[:2], clean[:2], rtol=1e-4, atol=1e-5)  # below, but for eager attention
    assert (ours[2, 9] - clean[2, 9]).abs().max() > 1e-4
    torch.testing.assert_close(ours[2, :9], clean[2, :9], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ablate 1.99", "there is no attention head 99: block 1 has attention heads 0 … "),
        ("ablate 1.mlp.9999", "there is no neuron 9999: block 1 has neurons 0 … "),
        ("steer z rows 0-9 by 1", "there is no row 9"),
        ("steer zebra row 0 by 1", "No token is 'zebra'"),
        ("swap q q row 0", "both words have the same direction"),
        ('steer "a" -> "a" row 0 by 1', "the two prompts end in the same state in row 0"),
        ("cut 1.0 0<-0", "column 0 would have nothing left to read"),
        ("cut 1.0 3<-5", "no column reads column 5, which comes after it"),
        ("cut 1.0 30<-5", "there is no column 30"),
        ("cut 1.99 3<-1", "there is no attention head 99"),
    ],
)
def test_what_cannot_be_done_is_said(text: str, said: str, byte_tokenizer: Any) -> None:
    model = model_of("Llama", byte_tokenizer)
    with pytest.raises(LensError, match=said):
        stream(model, text, prompt=Prompt("abc", tuple(IDS)))


def test_a_lens_without_the_row_says_so(byte_tokenizer: Any) -> None:
    model = model_of("Llama", byte_tokenizer)
    lens = JacobianLens({1: torch.eye(model.d_model)}, name="made up")
    with pytest.raises(LensError, match="No Jacobian lens is fitted for row 1"):
        edited(model, [parse_edit("steer z row 1 by 1")], Prompt("abc", tuple(IDS)), lens=lens)


def test_no_attention_no_heads(byte_tokenizer: Any) -> None:
    model = model_of("Mamba", byte_tokenizer)
    for text in ("ablate 0.0", "cut 0.0 3<-1"):
        with pytest.raises(LensError, match="no attention"):
            stream(model, text)


def test_steering_in_bfloat16(byte_tokenizer: Any) -> None:
    model = wire("Llama", random_model(FAMILIES["Llama"].config).bfloat16(), byte_tokenizer)
    (token,) = model.tokenizer("z", add_special_tokens=False)["input_ids"]
    v = direction_by_hand(model, token, torch.eye(model.d_model, dtype=torch.bfloat16)).float()
    h = model.stream(torch.tensor([IDS]))[1, 0].float()
    size = sorted(float(state.norm()) for state in h[1:])[5]
    ours = edited(model, [parse_edit("steer z row 0 by 2")], Prompt("abc", tuple(IDS)))
    found = ours.stream(torch.tensor([IDS]))[1, 0].float()
    torch.testing.assert_close(found, h + 2 * size * v, rtol=2e-2, atol=5e-2)
