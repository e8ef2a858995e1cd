"""In every family, how far Why goes; heads against forwards without them, through modules named by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lenstui.causal.components import read_components
from tests.tiny.causal_levels import NO_HEADS, NO_SOURCES, NOTHING, PROJECTIONS, level
from tests.tiny.families import FAMILIES
from tests.tiny.family_reading import TEXT, wired


def test_every_family_is_accounted_for() -> None:
    assert set(PROJECTIONS) | NO_HEADS | NOTHING == set(FAMILIES)
    assert not set(PROJECTIONS) & NO_HEADS and not set(PROJECTIONS) & NOTHING
    assert len(set(PROJECTIONS) - NO_SOURCES) >= 30


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_its_level(name: str) -> None:
    if FAMILIES[name].is_unknown:
        pytest.skip(f"this transformers has no {FAMILIES[name].config_class}")
    found = level(name).found
    assert (found is None) == (name in NOTHING), level(name).refusal
    if found is None:
        return
    near = 1e-4 * level(name).largest
    total = sum(component.contribution for component in found.components)
    assert abs(total - found.logit) < near
    has_heads = [reason is None for reason in found.no_heads]
    has_sources = [reason is None for reason in found.no_sources]
    assert any(has_heads) == (name in PROJECTIONS), found.no_heads
    # Where there are heads, all have sources, or none.
    assert has_sources == (has_heads if name not in NO_SOURCES else [False] * len(has_heads)), (
        found.no_sources
    )
    for block, there in enumerate(has_heads):
        if there:
            whole = found.heads[block].sum() + found.attention_bias[block]
            assert abs(whole - found.attention[block]) < near
        if has_sources[block]:
            np.testing.assert_allclose(found.sources[block].sum(-1), found.heads[block], rtol=0, atol=near)
            assert (found.weights[block] >= 0).all() and (found.weights[block].sum(-1) < 1 + 1e-5).all()


@pytest.mark.parametrize("name", PROJECTIONS)
def test_a_head_is_what_its_projection_lacks_without_it(name: str) -> None:
    """Against a forward in which the head's slice of the projection's input, named by hand, is zero."""
    if FAMILIES[name].is_unknown:
        pytest.skip(f"this transformers has no {FAMILIES[name].config_class}")
    model = wired(name)
    ids = model.tokenizer(TEXT)["input_ids"]
    column = len(ids) - 1
    components = read_components(model, ids, column, sources=False)
    for number, block in enumerate(components.blocks):
        if block.heads is None:
            continue
        projection = model.anatomy.blocks[number].get_submodule(PROJECTIONS[name])
        assert projection is block.heads.projection.module
        if block.heads.projection.norm is not None:
            continue  # by hand in test_contributions.py
        whole = _put_out(model.module, projection, ids)[column]
        vectors = block.heads.vectors
        width = block.heads.input.shape[1] // len(vectors)
        for head in range(len(vectors)):
            without = _put_out(model.module, projection, ids, slice(head * width, (head + 1) * width))[column]
            wanted = block.heads.projection.factor * (whole - without)
            size = float(vectors.abs().max())
            torch.testing.assert_close(vectors[head], wanted.reshape(-1), rtol=0, atol=1e-4 * size)


def _put_out(module: Any, projection: Any, ids: list[int], without: slice | None = None) -> torch.Tensor:
    """What the projection puts out, `[cols, d]`, in a forward with a slice of its input set to zero."""
    kept: list[torch.Tensor] = []

    def cut(_: Any, args: Any) -> Any:
        x = args[0].clone()
        if without is not None:
            x[..., without] = 0
        return (x, *args[1:])

    handles = [
        projection.register_forward_pre_hook(cut),
        projection.register_forward_hook(lambda _, args, output: kept.append(output.detach().clone())),
    ]
    with torch.no_grad():
        module(input_ids=torch.tensor([ids]), use_cache=False)
    for handle in handles:
        handle.remove()
    return kept[0].reshape(len(ids), -1)


@pytest.mark.parametrize(("name", "reason"), [
    ("Mamba", "it has no attention"),
    ("xLSTM", "it has no attention"),
    ("JetMoE", "no linear map puts out what self_attention adds"),
    ("Zamba2", "whose output it adds, is not attention's"),
    ("DeepSeek-V2", "is not the values in the cache, weighted by attention"),
    ("Qwen3-Next", "is not the values in the cache, weighted by attention"),
    ("Falcon sequential", "with eager attention, which alone shows it, the model says something else"),
])  # fmt: skip
def test_what_is_missing_has_its_reason(name: str, reason: str) -> None:
    assert any(reason in said for said in level(name).reasons), level(name).reasons
