"""Sublayers: against the modules that each family's own code adds, named by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lenstui.lens import LensError, wire
from lenstui.model.residual import residual_stream
from lenstui.model.rows import ATTENTION, MLP
from lenstui.model.sublayers import parts_of, read_sublayers
from tests.tiny.families import FAMILIES, random_model

IDS = list(range(3, 15))

# Family → the modules of a block whose outputs its code adds, and whether they run side by side.
ADDED = {
    "GPT-NeoX": ("attention", "mlp", True),
    "GPT-2": ("attn", "mlp", False),
    "Llama": ("self_attn", "mlp", False),
    "Gemma-2": ("post_attention_layernorm", "post_feedforward_layernorm", False),
    "Granite": ("self_attn", "mlp", False),
    "Phi": ("self_attn", "mlp", True),
    "GPT-J": ("attn", "mlp", True),
    "Cohere": ("self_attn", "mlp", True),
}


def outputs(module: Any, blocks: Any, names: tuple[str, str]) -> list[list[Tensor]]:
    """What the named modules of every block put out, `[L][2]`, each `[cols, d]`."""
    kept: list[list[Tensor]] = [[] for _ in blocks]
    handles = []
    for number, block in enumerate(blocks):
        for name in names:

            def keep(_: Any, args: Any, output: Any, number: int = number) -> None:
                hidden = output[0] if isinstance(output, tuple) else output
                kept[number].append(hidden.detach().clone().reshape(len(IDS), -1))

            handles.append(block.get_submodule(name).register_forward_hook(keep))
    with torch.no_grad():
        module(torch.tensor([IDS]))
    for handle in handles:
        handle.remove()
    return kept


@pytest.mark.parametrize("family", ADDED)
def test_parts_are_what_the_familys_code_adds(family: str, byte_tokenizer: Any) -> None:
    module = random_model(FAMILIES[family].config)
    model = wire(family, module, byte_tokenizer)
    *names, parallel = ADDED[family]
    parts = read_sublayers(model, IDS)
    h = residual_stream(module, model.anatomy, torch.tensor([IDS]))[:, 0]
    factor = getattr(module.config, "residual_multiplier", 1.0)
    for number, (attention, mlp) in enumerate(outputs(module, model.anatomy.blocks, tuple(names))):  # type: ignore[arg-type]
        torch.testing.assert_close(parts.attention[number], factor * attention, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(parts.mlp[number], factor * mlp, rtol=1e-4, atol=1e-5)
        both = parts.attention[number] + parts.mlp[number]
        torch.testing.assert_close(both, h[number + 1] - h[number], rtol=1e-4, atol=1e-4)
        if parts.mid is not None:
            torch.testing.assert_close(
                parts.mid[number], h[number] + factor * attention, rtol=1e-4, atol=1e-5
            )
    assert (parts.mid is None) == parallel


def test_a_block_of_one_part_is_named_for_what_it_is(byte_tokenizer: Any) -> None:
    module = random_model(FAMILIES["Nemotron-H"].config)
    model = wire("nemotron-h", module, byte_tokenizer)
    parts = read_sublayers(model, IDS)
    assert [kind == "mlp" for kind in module.config.layers_block_type] == [False, False, True]
    assert parts_of(model) == ((ATTENTION,), (ATTENTION,), (MLP,))
    h = residual_stream(module, model.anatomy, torch.tensor([IDS]))[:, 0]
    torch.testing.assert_close(parts.attention + parts.mlp, h[1:] - h[:-1], rtol=1e-4, atol=1e-4)


# That in every family the two add up, or are refused: test_families.py.


def test_parallel_residual_is_a_matter_of_the_config(byte_tokenizer: Any) -> None:
    import copy

    for parallel in (True, False):
        config = copy.deepcopy(FAMILIES["GPT-NeoX"].config)
        config.use_parallel_residual = parallel
        model = wire("neox", random_model(config), byte_tokenizer)
        assert (read_sublayers(model, IDS).mid is None) == parallel


def test_a_block_that_does_more_is_refused(byte_tokenizer: Any) -> None:
    module = random_model(FAMILIES["Llama"].config)
    model = wire("Llama", module, byte_tokenizer)
    block = model.anatomy.blocks[1]

    def more(_: Any, args: Any, output: Any) -> Any:
        return (output[0] + 0.1, *output[1:]) if isinstance(output, tuple) else output + 0.1

    handle = block.register_forward_hook(more)
    try:
        with pytest.raises(LensError, match="block 1"):
            read_sublayers(model, IDS)
    finally:
        handle.remove()
