"""Why names the induction head of a model made by hand, and the column that it read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lenstui.causal.attention import read_attention
from lenstui.causal.attribution import explain
from lenstui.causal.components import read_components
from lenstui.lens import LogitLens, wire
from tests.by_hand.induction import induction_model

SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
def test_why_names_the_head_and_its_source(seed: int, byte_tokenizer: Any) -> None:
    made = induction_model(seed)
    model = wire("by hand", made.module, byte_tokenizer)
    column = len(made.ids) - 1
    components = read_components(model, made.ids, column)
    found = explain(components, LogitLens(), row=model.num_blocks, token=made.token)
    name, decoy = f"{made.block}.{made.head}", f"{made.block}.{made.decoy}"
    by_name = {head.name: head.contribution for head in found.named_heads}
    strongest = max(by_name, key=lambda each: by_name[each])
    assert strongest == name
    others = [share for each, share in by_name.items() if each != name]
    assert by_name[name] > 10 * max(map(abs, others))
    sources = found.sources[made.block, made.head]
    assert sources.argmax() == made.source
    assert sources[made.source] > 0.9 * found.logit
    # The decoy reads the same column, and says another token.
    attention = read_attention(model, made.ids, made.block, made.decoy).weights
    assert attention[column].argmax() == made.source
    said = explain(components, LogitLens(), row=model.num_blocks, token=made.shift[made.token])
    shares = {head.name: head.contribution for head in said.named_heads}
    assert max(shares, key=lambda each: shares[each]) == decoy
    assert int(np.nanargmax(said.sources[made.block, made.decoy])) == made.source


@pytest.mark.parametrize("seed", SEEDS)
def test_without_that_head_the_copy_is_gone(seed: int) -> None:
    """What Why says of the model is true of the model."""
    made = induction_model(seed)
    ids = torch.tensor([made.ids])
    width = made.module.config.head_dim

    def cut(module: Any, args: Any) -> Any:
        x = args[0].clone()
        x[..., made.head * width :][..., :width] = 0
        return (x,)

    with torch.no_grad():
        clean = made.module(ids).logits[0, -1]
        handle = made.module.model.layers[made.block].self_attn.o_proj.register_forward_pre_hook(cut)
        edited = made.module(ids).logits[0, -1]
        handle.remove()
    assert clean[made.token] > 0.5
    assert abs(float(edited[made.token])) < 0.01
