"""The Jacobian of a prompt, in every way, is what the definition says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from lenstui.fitting.jacobian import ways
from lenstui.fitting.jacobian.graph import Derivative, Way
from lenstui.fitting.jacobian.prompts import prompt_of
from lenstui.fitting.jacobian.ways import dims_at_once, graph_of, proven_way
from lenstui.lens import LensError, Model, wire
from tests.by_hand.jacobians import naive_jacobians
from tests.tiny.families import FAMILIES, random_model
from tests.tiny.family_reading import wired

FIRST, COLS = 3, 9

KIN_OF_ATTENTION = [
    "GPT-NeoX", "GPT-NeoX sequential", "GPT-2", "GPT-J", "Llama", "Gemma-2", "Gemma-3", "Qwen3", "OPT",
    "Falcon", "BLOOM", "Phi", "OLMo-2", "Mixtral", "Cohere", "GPT-OSS", "DeepSeek-V3",
]  # fmt: skip
BY_PARTS = {
    "GPT-NeoX", "GPT-NeoX sequential", "GPT-2", "GPT-J", "Llama", "Qwen3", "OPT", "Falcon", "Phi", "Cohere",
}  # fmt: skip
OTHERS = ["GPT-1", "Mamba", "RWKV", "Qwen3-Next", "Jamba"]  # no cache, or none that goes on exactly


def some_ids(model: Model, cols: int = COLS) -> Tensor:
    return torch.randint(2, min(258, model.vocabulary), (cols,), generator=torch.Generator().manual_seed(3))


def jacobians(model: Model, ids: Tensor, of: Derivative, way: Way) -> Tensor:
    """All of them, `[rows, d, d]`."""
    graph, d = graph_of(model, ids, of, way), model.d_model
    chunks = [range(start, min(start + graph.chunk, d)) for start in range(0, d, graph.chunk)]
    return torch.cat([graph.jacobian(dims) for dims in chunks], 1)


def assert_close(ours: Tensor, wanted: Tensor, tolerance: float = 1e-5) -> None:
    assert ours.shape == wanted.shape
    for row, (mine, right) in enumerate(zip(ours.double(), wanted.double(), strict=True)):
        assert float((mine - right).norm() / right.norm()) < tolerance, row


@pytest.mark.parametrize("name", KIN_OF_ATTENTION + OTHERS)
def test_it_is_the_sum_over_later_targets_and_the_mean_over_sources(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    family, model = FAMILIES[name], wired(name)
    ids = some_ids(model)
    wanted = naive_jacobians(model.module, ids, family.blocks, family.norm, first=FIRST)
    of = Derivative(range(model.num_blocks), model.num_blocks, FIRST)
    way = proven_way(model, ids, of)
    assert way.parts == (name in BY_PARTS)
    assert_close(jacobians(model, ids, of, way), wanted)
    if way.parts:
        few = graph_of(model, ids, of, way).jacobian(range(3, 6))  # too few for a matrix a column
        assert_close(few, wanted[:, 3:6])
        monkeypatch.setattr(ways, "_can_take_apart", lambda model: False)
        way = proven_way(model, ids, of)
        assert_close(jacobians(model, ids, of, way), wanted)
    assert way.batched
    assert way.prefix == (name in KIN_OF_ATTENTION)


@pytest.mark.parametrize(
    "way", [Way(True, False, 5), Way(False, True, 32), Way(False, False, 1), Way(False, True, 5, parts=True)]
)
def test_all_ways_lead_there(tiny: Model, way: Way) -> None:
    family, ids = FAMILIES["GPT-NeoX"], some_ids(tiny)
    wanted = naive_jacobians(tiny.module, ids, family.blocks, family.norm, first=FIRST)
    assert_close(jacobians(tiny, ids, Derivative(range(3), 3, FIRST), way), wanted)


def test_the_penultimate_target_is_the_input_of_the_last_block(tiny: Model) -> None:
    family, ids = FAMILIES["GPT-NeoX"], some_ids(tiny)
    wanted = naive_jacobians(tiny.module, ids, family.blocks, family.norm, first=FIRST, target=2)
    assert len(wanted) == 2
    assert_close(jacobians(tiny, ids, Derivative(range(2), 2, FIRST), Way(True, True, 8)), wanted)


def test_with_nothing_left_out_at_the_beginning(tiny: Model) -> None:
    family, ids = FAMILIES["GPT-NeoX"], some_ids(tiny)
    wanted = naive_jacobians(tiny.module, ids, family.blocks, family.norm, first=0)
    of = Derivative(range(3), 3, 0)
    assert not proven_way(tiny, ids, of).prefix
    assert_close(jacobians(tiny, ids, of, Way(True, True, 8)), wanted)


def test_of_a_trained_model(stories260k: Model) -> None:
    ids = prompt_of(stories260k.tokenizer, "Once upon a time there was a little cat who saw a bird.", 12)
    assert ids is not None
    wanted = naive_jacobians(stories260k.module, ids, "model.layers", "model.norm", first=4)
    of = Derivative(range(5), 5, 4)
    way = proven_way(stories260k, ids, of)
    assert way == Way(prefix=False, batched=True, chunk=8, parts=True)
    assert_close(jacobians(stories260k, ids, of, way), wanted)


def test_it_is_that_of_the_reference_code(stories260k: Model, shared: Path) -> None:
    """A file that the reference code wrote, float16, of ten texts of 128 tokens, 16 of them skipped."""
    from pyarrow import parquet

    fixture = shared / "lens-fixtures" / "stories260K_jacobian_lens.pt"
    texts = shared / "corpora" / "tinystories-1000.parquet"
    if not fixture.exists() or not texts.exists():
        pytest.skip("the reference code's lens or its text is not here")
    kept = torch.load(fixture, weights_only=True)
    total = torch.zeros(5, 64, 64)
    for text in parquet.read_table(texts)["text"].to_pylist()[:10]:
        ids = prompt_of(stories260k.tokenizer, text, 128)
        assert ids is not None
        total += jacobians(stories260k, ids, Derivative(range(5), 5, 16), Way(True, True, 16))
    for block, wanted in kept["J"].items():
        torch.testing.assert_close((total[block + 1] / 10).half(), wanted, rtol=1e-3, atol=1e-4)


# what cannot be differentiated


class Rounded(torch.autograd.Function):
    """The identity, whose derivative is not known."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        raise RuntimeError("a kernel without a derivative")


def test_a_model_without_a_derivative_is_refused_with_the_reason(byte_tokenizer: object) -> None:
    model = wire("tiny", random_model(FAMILIES["Llama"].config), byte_tokenizer)
    model.anatomy.blocks[1].register_forward_hook(lambda block, args, output: Rounded.apply(output))
    with pytest.raises(LensError, match="LlamaForCausalLM cannot be differentiated: a kernel without"):
        proven_way(model, some_ids(model), Derivative(range(3), 3, FIRST))


def test_a_model_cut_off_from_its_gradients_is_refused(byte_tokenizer: object) -> None:
    model = wire("tiny", random_model(FAMILIES["Llama"].config), byte_tokenizer)
    model.anatomy.blocks[1].register_forward_hook(lambda block, args, output: output.detach())
    with pytest.raises(LensError, match="cannot be differentiated"):
        proven_way(model, some_ids(model), Derivative(range(3), 3, FIRST))


def test_a_cache_that_goes_on_wrongly_is_not_used(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """The prefix's keys are cut off by a column: the values say so, no error does."""
    from lenstui.fitting.jacobian import graph

    monkeypatch.setattr(ways, "_can_take_apart", lambda model: False)
    of, ids = Derivative(range(3), 3, FIRST), some_ids(tiny)
    assert proven_way(tiny, ids, of).prefix
    right = graph._cache

    def wrong(output: object) -> dict[str, object]:
        cache = right(output)
        next(iter(cache.values())).crop(FIRST - 1)
        return cache

    monkeypatch.setattr(graph, "_cache", wrong)
    assert proven_way(tiny, ids, of) == Way(prefix=False, batched=True, chunk=8)


def test_the_parameters_require_gradients_as_before(tiny: Model) -> None:
    before = [parameter.requires_grad for parameter in tiny.module.parameters()]
    graph_of(tiny, some_ids(tiny), Derivative(range(3), 3, FIRST), Way(True, True, 8))
    assert [parameter.requires_grad for parameter in tiny.module.parameters()] == before


def test_fewer_dimensions_at_once_where_memory_is_short(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dims_at_once(tiny, 128) == 8
    widest = 128 * 4 * 128 * 4  # of attention's weights
    monkeypatch.setattr("lenstui.fitting.jacobian.ways.MEMORY", 3 * 8 * widest)
    assert dims_at_once(tiny, 128) == 3
    monkeypatch.setattr("lenstui.fitting.jacobian.ways.MEMORY", 1)
    assert dims_at_once(tiny, 128) == 1


def test_the_dimensions_are_divided_evenly_where_memory_is_short(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, of, way = some_ids(tiny), Derivative(range(3), 3, FIRST), Way(False, True, 8, parts=True)
    assert graph_of(tiny, ids, of, way).chunk == 32
    monkeypatch.setattr("lenstui.fitting.jacobian.ways.COTANGENTS", 31 * 2 * COLS * 32 * 4)
    assert graph_of(tiny, ids, of, way).chunk == 16
    monkeypatch.setattr("lenstui.fitting.jacobian.ways.COTANGENTS", 1)
    assert graph_of(tiny, ids, of, way).chunk == 1


def test_fewer_dimensions_at_once_where_a_backward_pass_takes_long(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = sum(weight.numel() for block in tiny.anatomy.blocks for weight in block.parameters())
    monkeypatch.setattr("lenstui.fitting.jacobian.ways._WORK", 5.5 * 2 * 128 * weights)
    assert dims_at_once(tiny, 128) == 5
    monkeypatch.setattr("lenstui.fitting.jacobian.ways._WORK", 1.0)
    assert dims_at_once(tiny, 128) == 1
