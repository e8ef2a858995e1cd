"""Edited models against plain torch hooks on each family's own modules, named by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lenstui.edits.edited import edited
from lenstui.edits.language import parse_edit
from lenstui.lens import LensError, Model, wire
from lenstui.model.residual import residual_stream
from lenstui.model.tokens import Prompt
from lenstui.readout.generation import generate
from lenstui.readout.tiles import read_tiles
from tests.tiny.families import FAMILIES, random_model

IDS = list(range(3, 15))
PROMPT = Prompt("", tuple(IDS))
# Family → block, and the module in it whose output its code adds as attention, as MLP; the final norm.
NAMED = {
    "GPT-NeoX": ("gpt_neox.layers", "attention", "mlp", "gpt_neox.final_layer_norm"),
    "GPT-2": ("transformer.h", "attn", "mlp", "transformer.ln_f"),
    "Llama": ("model.layers", "self_attn", "mlp", "model.norm"),
    "Gemma-2": ("model.layers", "post_attention_layernorm", "post_feedforward_layernorm", "model.norm"),
    "Granite": ("model.layers", "self_attn", "mlp", "model.norm"),
    "GPT-J": ("transformer.h", "attn", "mlp", "transformer.ln_f"),
}
Hook = Callable[[Tensor], object]


@pytest.fixture(params=NAMED)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(family: str, byte_tokenizer: Any) -> Model:
    return wire(family, random_model(FAMILIES[family].config), byte_tokenizer)


def by_hooks(model: Model, ids: list[int], *hooks: tuple[str, str, Hook]) -> Tensor:
    """The residual stream `[L + 1, cols, d]` with changes in place of what modules take or put out."""

    def before(change: Hook) -> Any:
        def hook(module: Any, args: Any) -> Any:
            changed = args[0].clone()
            change(changed[0])
            return (changed, *args[1:])

        return hook

    def after(change: Hook) -> Any:
        def hook(module: Any, args: Any, output: Any) -> Any:
            is_tuple = isinstance(output, tuple)
            changed = (output[0] if is_tuple else output).clone()
            change(changed[0])
            return (changed, *output[1:]) if is_tuple else changed

        return hook

    handles = []
    for when, name, change in hooks:
        module = model.module.get_submodule(name)
        if when == "in":
            handles.append(module.register_forward_pre_hook(before(change)))
        else:
            handles.append(module.register_forward_hook(after(change)))
    try:
        return residual_stream(model.module, model.anatomy, torch.tensor([ids]))[:, 0]
    finally:
        for handle in handles:
            handle.remove()


def stream(model: Model, *edits: str, prompt: Prompt = PROMPT) -> Tensor:
    """The residual stream of the edited model, `[L + 1, cols, d]`."""
    with_edits = edited(model, [parse_edit(text) for text in edits], prompt)
    return with_edits.stream(torch.tensor([list(prompt.ids)]))[:, 0]


def zero(*columns: int) -> Hook:
    def change(value: Tensor) -> None:
        value[list(columns) if columns else slice(None)] = 0

    return change


def put(values: Tensor, *columns: int) -> Hook:
    def change(value: Tensor) -> None:
        value[list(columns) if columns else slice(None)] = values

    return change


def kept(model: Model, ids: list[int], when: str, name: str) -> Tensor:
    """What a module takes or puts out in the clean run, `[cols, d]`."""
    found: list[Tensor] = []
    by_hooks(model, ids, (when, name, lambda value: found.append(value.clone())))
    return found[-1]


def test_no_edits_change_no_bit(model: Model) -> None:
    clean = model.stream(torch.tensor([IDS]))[:, 0]
    assert torch.equal(stream(model), clean)
    assert edited(model, [], PROMPT).surround is None


def test_ablation_by_zero(model: Model, family: str) -> None:
    blocks, attention, mlp, norm = NAMED[family]
    for text, hook in (
        ("ablate 1.attn", ("out", f"{blocks}.1.{attention}", zero())),
        ("ablate 0.mlp @2-4,last", ("out", f"{blocks}.0.{mlp}", zero(2, 3, 4, 11))),
        ("ablate emb @5", ("in", f"{blocks}.0", zero(5))),
        ("ablate row 0 @1", ("in", f"{blocks}.1", zero(1))),
        (f"ablate row {model.num_blocks - 1} @3", ("in", norm, zero(3))),
    ):
        ours = stream(model, text)
        assert torch.equal(ours, by_hooks(model, IDS, hook)), text
        assert not torch.equal(ours, stream(model)), text


def test_edits_are_done_together(model: Model, family: str) -> None:
    blocks, attention, mlp, _ = NAMED[family]
    ours = stream(model, "ablate 1.mlp @4", "ablate 0.attn @3", "ablate 1.mlp @6")
    wanted = by_hooks(
        model, IDS, ("out", f"{blocks}.0.{attention}", zero(3)), ("out", f"{blocks}.1.{mlp}", zero(4, 6))
    )
    assert torch.equal(ours, wanted)


def test_ablation_by_mean(model: Model, family: str) -> None:
    blocks, attention, _, _ = NAMED[family]
    name = f"{blocks}.1.{attention}"
    clean = kept(model, IDS, "out", name)
    others = clean[[1, 2, 4, *range(6, 12)]].mean(0)
    wanted = by_hooks(model, IDS, ("out", name, put(others, 3, 5)))
    torch.testing.assert_close(stream(model, "ablate 1.attn @3,5 mean"), wanted, rtol=1e-4, atol=1e-5)
    wanted = by_hooks(model, IDS, ("out", name, put(clean[1:].mean(0))))
    torch.testing.assert_close(stream(model, "ablate 1.attn mean"), wanted, rtol=1e-4, atol=1e-5)


def test_a_patch_puts_in_what_was_in_the_other_run(model: Model, family: str) -> None:
    blocks, attention, _, _ = NAMED[family]
    other = "another prompt"
    other_ids = model.tokenizer(other)["input_ids"]
    taken = kept(model, other_ids, "in", f"{blocks}.1")
    wanted = by_hooks(model, IDS, ("in", f"{blocks}.1", put(taken[[4]], 2)))
    assert torch.equal(stream(model, f'patch row 0 @2 "{other}" @4'), wanted)
    wanted = by_hooks(model, IDS, ("in", f"{blocks}.0", put(taken[[7]], 2, 3)))
    assert torch.equal(stream(model, f'patch emb @2-3 "{other}" row 0 @7'), wanted)
    added = kept(model, other_ids, "out", f"{blocks}.1.{attention}")
    wanted = by_hooks(model, IDS, ("out", f"{blocks}.1.{attention}", put(added[[3, 5]], 1, 2)))
    factor = getattr(model.module.config, "residual_multiplier", 1.0)
    if factor == 1:
        assert torch.equal(stream(model, f'patch 1.attn @1-2 "{other}" @3,5'), wanted)
    else:
        ours = stream(model, f'patch 1.attn @1-2 "{other}" @3,5')
        torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-5)


def test_prompts_are_aligned_as_side_by_side(model: Model, family: str) -> None:
    blocks = NAMED[family][0]
    encode = model.tokenizer
    prompt = Prompt("", tuple(encode("the blue sky is")["input_ids"]))
    other = encode("the red sky is")[
        "input_ids"
    ]  # one token shorter: what both begin and end with stands together
    taken = kept(model, other, "in", f"{blocks}.1")
    ours = stream(model, 'patch row 0 "the red sky is"', prompt=prompt)
    short, long = len(other), len(prompt.ids)
    ends = len(" sky is")
    wanted = by_hooks(
        model, list(prompt.ids),
        ("in", f"{blocks}.1", lambda value: value[long - ends :].copy_(taken[short - ends :])),
        ("in", f"{blocks}.1", lambda value: value[: short - ends].copy_(taken[: short - ends])),
    )  # fmt: skip
    assert torch.equal(ours, wanted)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ablate 9.attn", "there is no block 9: this model has blocks 0 … 2"),
        ("ablate row 3", "there is no row 3: this model has rows emb, 0 … 2"),
        ("ablate 0.attn @12", "there is no column 12: the prompt has columns 0 … 11"),
        ("ablate 0.attn @1-11 mean", "no other column"),
        ('patch row 0 @1-3 "another prompt" @1-2', "2 columns cannot be put into 3"),
        ('patch row 0 @1 "another prompt" @99', "there is no column 99"),
        ('patch row 0 @11 "a much longer prompt than it" row 5', "there is no row 5"),
    ],
)
def test_what_is_not_there_is_said(text: str, said: str, byte_tokenizer: Any) -> None:
    model = wire("Llama", random_model(FAMILIES["Llama"].config), byte_tokenizer)
    with pytest.raises(LensError, match=said) as raised:
        stream(model, text)
    assert repr(text) in str(raised.value)


def test_a_block_without_attention_says_so(byte_tokenizer: Any) -> None:
    model = wire("nemotron-h", random_model(FAMILIES["Nemotron-H"].config), byte_tokenizer)
    with pytest.raises(LensError, match="block 2 has no attention"):
        stream(model, "ablate 2.attn")
    with pytest.raises(LensError, match="block 0 has no MLP"):
        stream(model, "ablate 0.mlp")


def test_an_edited_model_reads_and_goes_on(model: Model, family: str) -> None:
    """Readouts, sublayer rows and generation are those of the edited passes."""
    other = edited(model, [parse_edit("ablate 1.mlp"), parse_edit("ablate 0.attn @2")], PROMPT)
    (tile,) = read_tiles(other, PROMPT, sublayers=True)
    h = other.stream(torch.tensor([IDS]))[-1, 0]
    with torch.inference_mode():
        logits = model.head.logits(model.head.norm(h))
    torch.testing.assert_close(
        torch.tensor(tile.lenses["logit"].top_logits[-1, :, 0]), logits.amax(-1), rtol=1e-4, atol=1e-4
    )
    # Token by token, each by running everything again under plain hooks.
    blocks, attention, mlp, _ = NAMED[family]
    read = list(IDS)
    for token in generate(other, IDS, count=4):
        h = by_hooks(
            model, read, ("out", f"{blocks}.1.{mlp}", zero()), ("out", f"{blocks}.0.{attention}", zero(2))
        )[-1, -1:]
        with torch.inference_mode():
            assert token == int(model.head.logits(model.head.norm(h)).argmax())
        read.append(token)
    assert len(read) > len(IDS)
