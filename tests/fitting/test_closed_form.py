"""The closed form against one large regression, and evaluate() against plain means."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from lenstui.fitting.closed_form import RIDGE, NormalEquations
from lenstui.lens import LensError, Model, TunedLens, evaluate, fit, preset, read, wire
from lenstui.lens.tuned import untrained_lens
from lenstui.model.residual import residual_stream
from lenstui.texts.blocks import token_blocks
from tests.by_hand import naive
from tests.tiny.families import FAMILIES, random_model

FAMILY = FAMILIES["GPT-NeoX"]


@pytest.fixture(scope="module")
def blocks() -> list[Tensor]:
    """Six blocks of other lengths, more columns in all than a hidden state has entries."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(272, (length,), generator=generator) for length in (8, 16, 16, 5, 40, 1)]


def solved(model: Model, blocks: Iterable[Tensor], ridge: float = RIDGE) -> TunedLens:
    """The closed form for every row, all of them at once."""
    normal = NormalEquations.new(0, model.num_blocks, model.d_model, model.device)
    for block in blocks:
        normal.add(residual_stream(model.module, model.anatomy, block[None])[:, 0])
    weights, biases = zip(*(normal.solve(row, ridge) for row in normal.rows), strict=True)
    return TunedLens(torch.stack(weights), torch.stack(biases))


def regression(h: np.ndarray, target: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray]:
    """`A` and `b` of one row, from all its hidden states `[positions, d]` at once."""
    positions, d = h.shape
    root = 1 / np.sqrt((target**2).mean(axis=1, keepdims=True))  # of the weight 1 / mean(h_L²)
    x = np.hstack([h, np.ones((positions, 1))]) * root
    y = (target - h) * root
    pull = np.sqrt(ridge * (x[:, :d] ** 2).sum(axis=0).mean())
    x = np.vstack([x, np.hstack([pull * np.eye(d), np.zeros((d, 1))])])  # the bias is not pulled
    solution = np.linalg.lstsq(x, np.vstack([y, np.zeros((d, d))]), rcond=None)[0]
    return solution[:d].T, solution[d]


@pytest.mark.parametrize("ridge", [1e-4, 0.1, 10.0])
def test_it_is_the_weighted_ridge_regression(tiny: Model, blocks: list[Tensor], ridge: float) -> None:
    stream = torch.cat(
        [naive.stream(tiny.module, block[None], FAMILY.h_last) for block in blocks], dim=1
    ).numpy()
    lens = solved(tiny, blocks, ridge)
    assert lens.weight.shape == (3, 32, 32)
    assert lens.weight.dtype == lens.bias.dtype == torch.float32
    for row in range(3):
        weight, bias = regression(stream[row], stream[-1], ridge)
        np.testing.assert_allclose(lens.weight[row], weight, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(lens.bias[row], bias, rtol=1e-4, atol=1e-5)


def test_much_ridge_leaves_the_logit_lens(tiny: Model, blocks: list[Tensor]) -> None:
    assert solved(tiny, blocks, ridge=1e9).weight.abs().max() < 1e-6


def test_how_the_text_is_cut_does_not_matter_where_no_column_looks_back(byte_tokenizer: Any) -> None:
    module = random_model(FAMILY.config)
    for layer in module.gpt_neox.layers:
        torch.nn.init.zeros_(layer.attention.dense.weight)
    model = wire("no attention", module, byte_tokenizer)
    ids = torch.randint(272, (60,), generator=torch.Generator().manual_seed(0))
    whole, parts = solved(model, [ids]), solved(model, ids.split(7))
    torch.testing.assert_close(whole.weight, parts.weight)
    torch.testing.assert_close(whole.bias, parts.bias)


def test_rows_solved_in_groups_are_those_solved_at_once(
    tiny: Model, blocks: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = solved(tiny, blocks)
    monkeypatch.setattr("lenstui.fitting.closed_form._MEMORY", 2 * 8 * 33 * (33 + 32))  # two rows, float64
    groups = [NormalEquations.new(first, 3, 32, tiny.device) for first in (0, 2)]
    assert [list(group.rows) for group in groups] == [[0, 1], [2]]
    for group in groups:
        for block in blocks:
            group.add(residual_stream(tiny.module, tiny.anatomy, block[None])[:, 0])
        for row in group.rows:
            weight, bias = group.solve(row)
            assert torch.equal(weight, at_once.weight[row])
            assert torch.equal(bias, at_once.bias[row])


def test_a_row_that_alone_is_too_large_is_still_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lenstui.fitting.closed_form._MEMORY", 0)
    assert list(NormalEquations.new(1, 3, 32, torch.device("cpu")).rows) == [1]


def test_zero_translators_read_as_the_logit_lens(stories260k: Model) -> None:
    zero = untrained_lens(stories260k.num_blocks, stories260k.d_model)
    lenses = read(stories260k, "Once upon a time", zero).lenses
    np.testing.assert_array_equal(lenses["logit"].top_logits, lenses["tuned"].top_logits)
    np.testing.assert_array_equal(lenses["logit"].kl, lenses["tuned"].kl)


def texts(folder: Path, name: str, count: int) -> list[str]:
    file = pq.ParquetFile(folder / "corpora" / f"{name}.parquet")
    return next(file.iter_batches(count, columns=["text"]))["text"].to_pylist()


def test_it_predicts_better_than_the_logit_lens_on_text_it_has_not_seen(
    stories260k: Model, shared: Path
) -> None:
    tokenizer = stories260k.tokenizer
    lens = solved(stories260k, token_blocks(tokenizer, texts(shared, "stories", 10), 128))
    unseen = list(token_blocks(tokenizer, texts(shared, "tinystories-1000", 4), 128))
    quality = evaluate(stories260k, unseen, lens)
    for row in range(stories260k.num_blocks):
        assert quality["tuned"].kl[row] < 0.9 * quality["logit"].kl[row]
        assert quality["tuned"].ce[row] < quality["logit"].ce[row]
        assert quality["tuned"].top1_agreement[row] > quality["logit"].top1_agreement[row]
    assert quality["tuned"].mean_kl < 0.5 * quality["logit"].mean_kl


# evaluate


def test_evaluate_is_plain_means(tiny: Model, blocks: list[Tensor]) -> None:
    lens, weights = naive.random_lens(tiny), naive.weights(tiny.module)
    quality = evaluate(tiny, iter(blocks), lens)
    for name in ("logit", "tuned"):
        kl, ce, agreement = [], [], []
        for block in blocks:
            h = naive.stream(tiny.module, block[None], FAMILY.h_last)
            logits = FAMILY.logits(weights, naive.translated(h, lens) if name == "tuned" else h)
            cells = naive.numbers(logits, block.tolist(), top_k=1)
            kl.append(cells["kl"])
            ce.append(-cells["next_logprob"][:, :-1])
            agreement.append(cells["top_ids"][..., 0] == cells["top_ids"][-1, :, 0])
        ours = quality[name]
        np.testing.assert_allclose(ours.kl, np.hstack(kl).mean(1), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ours.ce, np.hstack(ce).mean(1), rtol=1e-5)
        np.testing.assert_allclose(ours.top1_agreement, np.hstack(agreement).mean(1))
        assert ours.mean_kl == pytest.approx(np.hstack(kl)[:-1].mean(), rel=1e-5)
        assert ours.top1_agreement[-1] == 1
        assert all(type(value) is float for value in (*ours.kl, *ours.ce, *ours.top1_agreement))


def test_evaluate_without_a_lens(tiny: Model, blocks: list[Tensor]) -> None:
    assert set(evaluate(tiny, blocks)) == {"logit"}


def test_evaluate_refuses_a_lens_of_another_shape(tiny: Model, blocks: list[Tensor]) -> None:
    with pytest.raises(LensError, match="the open model has 3 blocks and width 32"):
        evaluate(tiny, blocks, TunedLens(torch.zeros(2, 32, 32), torch.zeros(2, 32)))


# Too little of it, or no numbers


def test_too_little_text(tiny: Model, byte_tokenizer: Any) -> None:
    with pytest.raises(LensError, match="too little text"):
        fit(tiny, ["short"], preset("quick", steps=0))
    with pytest.raises(LensError, match="too little text"):
        evaluate(tiny, token_blocks(byte_tokenizer, ["short"], 128))


def test_hidden_states_that_are_no_numbers(byte_tokenizer: Any) -> None:
    model = wire("tiny", random_model(FAMILY.config), byte_tokenizer)
    with torch.no_grad():
        model.module.gpt_neox.embed_in.weight[7] = float("inf")
    with pytest.raises(LensError, match="not finite"):
        solved(model, [torch.arange(20)])


# token_blocks


def test_blocks_are_documents_joined_by_eos(byte_tokenizer: Any) -> None:
    blocks = list(token_blocks(byte_tokenizer, ["abc", "", "defgh", "ij"], 4))
    joined = torch.cat(blocks).tolist()
    a = byte_tokenizer("a")["input_ids"][0]
    assert joined == [
        a,
        a + 1,
        a + 2,
        1,
        1,
        a + 3,
        a + 4,
        a + 5,
        a + 6,
        a + 7,
        1,
        a + 8,
    ]  # "j" fills no block
    assert {(block.shape, block.dtype) for block in blocks} == {((4,), torch.int64)}


def test_every_block_begins_as_a_prompt_does(stories260k: Model) -> None:
    tokenizer = stories260k.tokenizer
    story = "Once upon a time there was a dog."
    blocks = list(token_blocks(tokenizer, [story] * 3, 8))
    wanted = [*tokenizer(story, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id] * 3
    assert all(block[0] == tokenizer.bos_token_id for block in blocks)
    assert torch.cat([block[1:] for block in blocks]).tolist() == wanted[: 7 * len(blocks)]
    assert len(blocks) == len(wanted) // 7


def test_a_block_that_holds_no_text_is_refused(stories260k: Model) -> None:
    with pytest.raises(LensError, match="at least 2"):
        next(token_blocks(stories260k.tokenizer, ["Once upon a time"], 1))


def test_a_tokenizer_with_nothing_to_join_documents_by_is_refused(byte_tokenizer: Any) -> None:
    plain = type(byte_tokenizer)(tokenizer_object=byte_tokenizer.backend_tokenizer)
    with pytest.raises(LensError, match="neither an EOS nor a BOS"):
        next(token_blocks(plain, ["abc"], 2))
