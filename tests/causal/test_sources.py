"""What attention heads read, against eager attention and values by hand; the pass leaves no trace."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf

import lenstui
from lenstui.causal import components as components_module
from lenstui.causal.components import read_components
from lenstui.causal.eager import WAYS, running
from lenstui.causal.maps import find_maps
from lenstui.edits.edited import edited
from lenstui.lens import LensError, LogitLens, wire
from lenstui.model import transformers_hacks
from lenstui.model.transformers_hacks import eager_attention
from tests.by_hand.attribution import HEADS, ByHand
from tests.causal.test_contributions import TOKEN, against_mean
from tests.tiny.families import BLOCKS, FAMILIES, GROUPED, random_model
from tests.tiny.family_reading import TEXT, wired

WINDOWS: dict[str, dict[str, Any]] = {
    "Gemma-2": {"sliding_window": 5},
    "OLMo-3": {"sliding_window": 5},
    "Mistral": {"sliding_window": 5},
    "GPT-OSS": {"sliding_window": 5},
    "Llama": {},
    "Qwen2": {},
    "Qwen3": {},
}


def fresh(name: str) -> Any:
    """A config that no other test has changed."""
    family = FAMILIES[name]
    return getattr(hf, family.config_class)(**copy.deepcopy(family.options))


@pytest.mark.parametrize("name", WINDOWS)
def test_sources_are_attention_times_values(name: str, byte_tokenizer: Any) -> None:
    """Weights from a model with eager attention of its own, values from its `v_proj`, beyond windows too."""
    config = fresh(name)
    for key, value in WINDOWS[name].items():
        setattr(config, key, value)
    model = wire(name, random_model(config), byte_tokenizer)
    other = random_model(copy.deepcopy(config))  # of the same seed
    other.set_attn_implementation("eager")
    ids = byte_tokenizer(TEXT)["input_ids"]
    column = len(ids) - 2
    found = read_components(model, ids, column)
    values: list[torch.Tensor] = []
    handles = [
        block.self_attn.v_proj.register_forward_hook(lambda _, args, output: values.append(output[0]))
        for block in other.model.layers
    ]
    with torch.no_grad():
        weights = other(torch.tensor([ids]), output_attentions=True).attentions
    for handle in handles:
        handle.remove()
    for block, (each, v) in enumerate(zip(weights, values, strict=True)):
        ours = found.blocks[block].sources
        heads = found.blocks[block].heads
        assert ours is not None and heads is not None, found.blocks[block].no_sources
        torch.testing.assert_close(ours.weights, each[0, :, column, : len(ids)], rtol=1e-4, atol=1e-6)
        width = config.head_dim if getattr(config, "head_dim", None) else 8
        grouped = v.reshape(len(ids), -1, width).transpose(0, 1)  # [groups, cols, width]
        repeated = grouped.repeat_interleave(HEADS // len(grouped), 0)
        read = (ours.weights[:, :, None] * repeated).sum(1).flatten()  # [heads · width]
        torch.testing.assert_close(heads.input[0], read, rtol=1e-3, atol=1e-4 * float(read.abs().max()))
    windows = {int((block.sources.weights > 0).sum(-1).max()) for block in found.blocks if block.sources}
    assert (5 in windows) == ("sliding_window" in WINDOWS[name]), (
        "the window must be narrower than the prompt"
    )


@pytest.mark.parametrize("name", ["Llama", "Qwen2"])
def test_the_share_of_a_source_is_its_product(name: str) -> None:
    model = wired(name)
    found = lenstui.contributions(model, TEXT, token=TOKEN)
    ids = torch.tensor([found.ids])
    hand = ByHand(FAMILIES[name], name, model.module, ids, found.column, BLOCKS, LogitLens(), against_mean)
    for block in range(BLOCKS):
        layer = model.module.model.layers[block]
        read: list[torch.Tensor] = []
        handle = layer.self_attn.v_proj.register_forward_hook(lambda _, args, output: read.append(output[0]))  # noqa: B023
        with torch.no_grad():
            model.module(ids)
        handle.remove()
        weight = layer.self_attn.o_proj.weight.detach().double()
        values = read[0].double().reshape(len(found.ids), -1, 8)
        for head in range(HEADS):
            v = values[:, head * values.shape[1] // HEADS]  # [cols, width]
            written = v @ weight[:, head * 8 : head * 8 + 8].T
            shares = torch.from_numpy(found.weights[block, head]).double() * hand.share(written)
            np.testing.assert_allclose(found.sources[block, head], shares, rtol=0, atol=1e-5)


def implementations(module: Any) -> list[str]:
    return [config._attn_implementation for config in transformers_hacks._configs(module)]


@pytest.mark.parametrize("name", ["Llama", "Falcon", "SmolVLM", "Gemma-3 multimodal"])
def test_the_attention_implementation_is_restored(name: str, byte_tokenizer: Any) -> None:
    module = random_model(fresh(name))
    before = implementations(module)
    assert "sdpa" in before
    with eager_attention(module):
        assert set(implementations(module)) == {"eager"}
    assert implementations(module) == before
    model = wire(name, module, byte_tokenizer)
    clean = lenstui.read(model, TEXT).lenses["logit"].top_logits
    lenstui.contributions(model, TEXT)
    assert implementations(module) == before
    np.testing.assert_array_equal(lenstui.read(model, TEXT).lenses["logit"].top_logits, clean)


def test_it_is_restored_after_an_error_and_no_hook_is_left(byte_tokenizer: Any) -> None:
    module = random_model(fresh("Llama"))
    model = wire("Llama", module, byte_tokenizer)
    find_maps(model)
    before, hooks = implementations(module), count_hooks(module)
    broken = module.model.layers[1].mlp
    forward = broken.forward

    def fails(x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no luck")

    broken.forward = fails
    with pytest.raises(RuntimeError, match="no luck"):
        lenstui.contributions(model, TEXT)
    broken.forward = forward
    assert (implementations(module), count_hooks(module)) == (before, hooks)
    assert lenstui.contributions(model, TEXT).no_sources == (None, None, None)
    assert count_hooks(module) == hooks


def count_hooks(module: Any) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())


class OtherEager(hf.LlamaForCausalLM):
    """Says something else with eager attention."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        attention = self.model.layers[1].self_attn
        forward = attention.q_proj.forward

        def other(x: torch.Tensor) -> torch.Tensor:
            return forward(x) * (1.5 if attention.config._attn_implementation == "eager" else 1)

        attention.q_proj.forward = other


def test_eager_attention_that_says_something_else_shows_no_sources(byte_tokenizer: Any) -> None:
    module = random_model(fresh("Llama"), model_class=OtherEager)
    model = wire("other", module, byte_tokenizer)
    found = lenstui.contributions(model, TEXT, token=TOKEN)
    assert all(reason and "says something else" in reason for reason in found.no_sources)
    readout = lenstui.read(model, TEXT, pins=[TOKEN])
    stream = read_components(model, found.ids, found.column, sources=False).stream
    with torch.no_grad():
        logits = model.head(stream[-1:])
    assert float(logits[0, TOKEN]) == pytest.approx(readout.lenses["logit"].pin_logits[-1, -1, 0], rel=1e-5)
    with pytest.raises(LensError, match="says something else with eager attention"):
        lenstui.attention(model, TEXT, "0.1")


def passes_of(model: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that will have the columns of each pass of a model, whose maps are known already."""
    find_maps(model)
    passes: list[int] = []
    forward = model.module.forward

    @functools.wraps(forward)
    def counted(*args: Any, **kwargs: Any) -> Any:
        passes.append(kwargs["input_ids"].shape[1])
        return forward(*args, **kwargs)

    monkeypatch.setattr(model.module, "forward", counted)
    return passes


def test_what_heads_read_takes_one_pass_and_the_column_alone(
    byte_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = wire("Llama", random_model(fresh("Llama")), byte_tokenizer)
    passes = passes_of(model, monkeypatch)
    for length, column in ((8, 7), (12, 3), (12, 0)):
        passes.clear()
        found = read_components(model, range(3, 3 + length), column)
        assert passes == [length, 1]
        assert all(block.sources is not None for block in found.blocks)


def test_the_proof_of_eager_attention_is_made_once_for_a_length(
    byte_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the cache cannot be cut off, as it has more than keys and values, the whole prompt is run so."""
    model = wire("LFM2", random_model(fresh("LFM2")), byte_tokenizer)
    passes = passes_of(model, monkeypatch)
    counts = []
    for length in (8, 8, 5, 12, 12):
        passes.clear()
        read_components(model, range(3, 3 + length), length - 1)
        assert set(passes) == {length}
        counts.append(len(passes))
    assert counts == [2, 1, 1, 2, 1]


def test_a_model_that_the_column_alone_does_not_show_is_tried_once(
    byte_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = wire("DeepSeek-V2", random_model(fresh("DeepSeek-V2")), byte_tokenizer)
    passes = passes_of(model, monkeypatch)
    for expected in ([8, 1, 8, 8], [8]):
        passes.clear()
        found = read_components(model, range(3, 11), 7)
        assert passes == expected
        assert all("not the values in the cache" in str(block.no_sources) for block in found.blocks)


@pytest.mark.parametrize("edits", [
    ["ablate 0.1"],
    ["ablate 0.mlp", 'patch 1.mlp @3 "It was the worst of days."'],
    ["cut 1.2 9<-4"],
    ["cut 1.2 9<-4", "ablate 0.mlp @2-9"],
])  # fmt: skip
def test_under_edits_heads_read_what_a_whole_pass_with_eager_attention_shows(
    edits: list[str], byte_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = wire("Llama", random_model(fresh("Llama")), byte_tokenizer)
    changed = edited(model, edits, TEXT)
    ids = byte_tokenizer(TEXT)["input_ids"]
    for column in (9, len(ids) - 1):
        ours = read_components(changed, ids, column)
        with monkeypatch.context() as patch:
            patch.setattr(components_module, "_by_query", lambda *_: None)
            whole = read_components(changed, ids, column)
        for a, b in zip(ours.blocks, whole.blocks, strict=True):
            assert a.no_sources == b.no_sources
            if a.sources is None or b.sources is None:  # a head is taken away, behind its weights
                assert a is ours.blocks[0] and edits[0] == "ablate 0.1"
                continue
            torch.testing.assert_close(a.sources.weights, b.sources.weights, rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(a.sources.values, b.sources.values, rtol=1e-4, atol=1e-5)
    if any(edit.startswith("cut") for edit in edits):
        sources = read_components(changed, ids, 9).blocks[1].sources
        assert sources is not None and float(sources.weights[2, 4]) == 0 < float(sources.weights[1, 4])


def test_sources_that_are_not_asked_for_take_no_eager_attention(
    byte_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = wire("Llama", random_model(fresh("Llama")), byte_tokenizer)
    with_sources = lenstui.contributions(model, TEXT, token=TOKEN)

    def refuse(module: Any) -> Any:
        raise AssertionError("eager")

    monkeypatch.setattr("lenstui.causal.eager.eager_attention", refuse)
    monkeypatch.setattr("lenstui.causal.query.eager_attention", refuse)
    found = lenstui.contributions(model, TEXT, token=TOKEN, sources=False)
    assert set(found.no_sources) == {"they were not asked for"}
    assert np.isnan(found.sources).all() and found.no_heads == (None, None, None)
    np.testing.assert_allclose(found.heads, with_sources.heads, rtol=1e-3, atol=1e-5)


def test_attention_of_a_head_over_the_prompt() -> None:
    model = wired("Qwen2")
    found = lenstui.contributions(model, TEXT)
    attention = lenstui.attention(model, TEXT, "1.3")
    assert (attention.name, attention.ids) == ("1.3", found.ids)
    np.testing.assert_allclose(attention.weights[found.column], found.weights[1, 3], rtol=1e-5)
    np.testing.assert_allclose(attention.weights.sum(1), 1, rtol=1e-5)
    assert not np.triu(attention.weights, 1).any()


@pytest.mark.parametrize(("name", "head", "message"), [
    ("Llama", "3.0", "There is no block 3: there are blocks 0 … 2"),
    ("Llama", "1.4", "There is no attention head 1.4: block 1 has heads 0 … 3"),
    ("Llama", "seven", "'seven' is no attention head: give block and head"),
    ("Llama", "1.-1", "is no attention head"),
    ("Mamba", "0.0", "Block 0 has no attention heads to show: it has no attention"),
])  # fmt: skip
def test_a_head_that_is_not_there_is_refused(name: str, head: str, message: str) -> None:
    with pytest.raises(LensError, match=message):
        lenstui.attention(wired(name), TEXT, head)


def test_a_prompt_too_long_for_eager_attention_is_refused_before_it_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lenstui.causal.attention_memory.free_memory", lambda device: 10_000)
    refused = r"Eager attention over 25 tokens takes about .* shorten the prompt"
    with pytest.raises(LensError, match=refused):
        lenstui.attention(wired("Llama"), TEXT, "0.1")
    with pytest.raises(LensError, match=refused):
        lenstui.contributions(wired("LFM2"), TEXT)
    assert lenstui.contributions(wired("Llama"), TEXT).no_sources == (None, None, None)
    assert lenstui.contributions(wired("Llama"), TEXT, sources=False).no_heads == (None, None, None)


def test_memory_that_runs_out_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def runs_out(*args: Any, **options: Any) -> Any:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried …")

    find_maps(wired("Llama"))
    monkeypatch.setattr(components_module, "read_sublayers", runs_out)
    with pytest.raises(LensError, match="Memory ran out in a pass over 25 tokens: shorten the prompt"):
        lenstui.contributions(wired("Llama"), TEXT)


def test_a_model_that_refuses_the_plain_cache_is_run_in_another_way() -> None:
    assert find_maps(wired("LFM2")).way == WAYS[1]
    assert find_maps(wired("xLSTM")).way.cache is None


def test_a_quantised_projection_is_no_linear_map(byte_tokenizer: Any) -> None:
    """Its activations are rounded to eight bits: heads would not add up, and are left out with the reason."""

    class Rounding(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            step = x.abs().amax(-1, keepdim=True) / 15
            return super().forward((x / step.clamp(min=1e-9)).round() * step)

    module = random_model(hf.LlamaConfig(**GROUPED))
    for layer in module.model.layers:
        layer.self_attn.o_proj.__class__ = Rounding
    module.is_loaded_in_8bit = True
    model = wire("quantised", module, byte_tokenizer)
    found = lenstui.contributions(model, TEXT)
    assert all(
        reason == "no linear map puts out what self_attn adds (the blocks are quantised, 8bit)"
        for reason in found.no_heads
    )
    assert found.error < 1e-4


def test_the_cache_is_one_that_keeps_all_columns() -> None:
    model = wired("Mistral")
    with running(model.module, find_maps(model).way) as (options, cache):
        model.stream(torch.tensor([list(range(3, 40))]), options)
    assert cache is not None
    assert [cache.values(block).shape[1] for block in range(BLOCKS)] == [37] * BLOCKS  # type: ignore[union-attr]
