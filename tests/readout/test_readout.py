"""Every number of a readout against the naive computation, and what tiles must keep to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from lenstui.lens import Cells, LensError, Model, encode, read, read_tiles, wire
from lenstui.lens.logit import LogitLens
from lenstui.lens.tuned import untrained_lens
from lenstui.model.residual import residual_stream
from lenstui.readout import tiles as readout
from lenstui.readout import vocabulary_sums
from lenstui.readout.cells import crystallization_rows, row_labels
from lenstui.readout.likeliest import top_tokens
from tests.by_hand import naive
from tests.by_hand.checked_cells import PINS, assert_cells
from tests.by_hand.widest import Widest
from tests.tiny.families import FAMILIES, random_model, rms_norm

TEXT = "Call me Ishmael. Some years ago"
STORY = "Once upon a time there was a little girl named"
NORM = FAMILIES["GPT-NeoX"].h_last

Formula = Callable[[Tensor], Tensor]

same_model = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def tiny_formula(tiny: Model) -> Formula:
    weights = naive.weights(tiny.module)
    return lambda h: FAMILIES["GPT-NeoX"].logits(weights, h)


@pytest.mark.parametrize("lens_name", ["logit", "tuned"])
def test_every_number_of_a_tiny_model(tiny: Model, tiny_formula: Formula, lens_name: str) -> None:
    ids, lens = naive.ids_of(tiny, TEXT), naive.random_lens(tiny)
    h = naive.stream(tiny.module, ids, NORM)
    logits = tiny_formula(naive.translated(h, lens) if lens_name == "tuned" else h)
    ours = read(tiny, TEXT, lens, pins=PINS, top_k=5)
    assert_cells(ours.lenses[lens_name], logits, ids[0].tolist(), top_k=5)
    assert ours.prompt.ids == tuple(ids[0].tolist())
    assert ours.rows == ("emb", "0", "1", "2")
    assert ours.pins == PINS


@pytest.mark.parametrize("lens_name", ["logit", "tuned"])
def test_every_number_of_a_real_model(stories15m: Model, lens_name: str) -> None:
    llama, ids = stories15m.module, naive.ids_of(stories15m, STORY)
    lens = naive.random_lens(stories15m, size=0.01)
    h = naive.stream(llama, ids, "model.norm")
    if lens_name == "tuned":
        h = naive.translated(h, lens)
    weights = naive.weights(llama)
    normed = rms_norm(h, weights["model.norm.weight"], llama.config.rms_norm_eps)
    logits = normed @ weights["lm_head.weight"].T
    cells = read(stories15m, STORY, lens, pins=PINS).lenses[lens_name]
    assert_cells(cells, logits, ids[0].tolist(), tolerance=1e-4)


def test_the_real_model_says_what_it_is_known_to_say(stories15m: Model) -> None:
    cells = read(stories15m, STORY).lenses["logit"]
    assert stories15m.texts[int(cells.top_ids[-1, -1, 0])] == "·Lucy"
    assert stories15m.texts[int(cells.top_ids[-1, 3, 0])] == "·time"  # <s> Once upon a


def test_last_row_is_the_models_own_distribution(stories15m: Model) -> None:
    ids = naive.ids_of(stories15m, STORY)
    lens = naive.random_lens(stories15m)
    with torch.no_grad():
        log_probs = stories15m.module(ids).logits[0].double().log_softmax(-1)
    ours = read(stories15m, STORY, lens, pins=range(0, 32000, 1000))
    for cells in ours.lenses.values():
        np.testing.assert_allclose(cells.pin_logprobs[-1], log_probs[:, ::1000], atol=2e-5)
        np.testing.assert_allclose(
            # Two float32 products of two libraries.
            cells.top_probs[-1],
            log_probs.exp().sort(-1, descending=True)[0][:, :3],
            rtol=1e-5,
            atol=1e-6,
        )
        assert (cells.kl[-1] < 1e-5).all()
        assert (cells.js[-1] == 0).all()
        assert (cells.final_rank[-1] == 0).all()


def test_crystallization_is_of_the_lens_that_is_named(tiny: Model) -> None:
    ours = read(tiny, TEXT, naive.random_lens(tiny))
    for name, cells in ours.lenses.items():
        np.testing.assert_array_equal(ours.crystallization(name), crystallization_rows(cells.top_ids[..., 0]))


def test_columns_of_the_prompts_end_have_no_next_token(tiny: Model) -> None:
    cells = read(tiny, TEXT).lenses["logit"]
    assert np.isnan(cells.next_logprob[:, -1]).all()
    assert (cells.next_rank[:, -1] == -1).all()
    assert np.isfinite(cells.next_logprob[:, :-1]).all()
    one_token = read(tiny, "a").lenses["logit"]
    assert one_token.columns == 1
    assert np.isnan(one_token.next_logprob).all()


def test_untrained_tuned_lens_is_the_logit_lens(tiny: Model) -> None:
    ours = read(tiny, TEXT, untrained_lens(tiny.num_blocks, tiny.d_model), pins=PINS)
    for field in fields(Cells):
        np.testing.assert_array_equal(
            getattr(ours.lenses["logit"], field.name), getattr(ours.lenses["tuned"], field.name)
        )


def test_a_tuned_lens_does_not_touch_the_last_row(tiny: Model) -> None:
    ours = read(tiny, TEXT, naive.random_lens(tiny, size=5.0))
    logit, tuned = ours.lenses["logit"], ours.lenses["tuned"]
    assert (logit.kl[:-1] != tuned.kl[:-1]).all()
    np.testing.assert_array_equal(logit.top_logits[-1], tuned.top_logits[-1])


@pytest.mark.parametrize("lens_name", ["logit", "tuned"])
def test_one_lens_alone_reads_as_with_the_other(tiny: Model, lens_name: str) -> None:
    prompt, lens = encode(tiny.tokenizer, TEXT), naive.random_lens(tiny)
    (both,) = read_tiles(tiny, prompt, lens)
    (alone,) = read_tiles(tiny, prompt, [lens if lens_name == "tuned" else LogitLens()])
    assert list(alone.lenses) == [lens_name]
    for field in fields(Cells):
        ours, theirs = (getattr(tile.lenses[lens_name], field.name) for tile in (alone, both))
        np.testing.assert_array_equal(ours, theirs)


def test_without_the_final_norm_the_logit_lens_is_the_head_alone(tiny: Model) -> None:
    lens, prompt = naive.random_lens(tiny), encode(tiny.tokenizer, TEXT)
    h = naive.stream(tiny.module, naive.ids_of(tiny, TEXT), NORM)
    weights = naive.weights(tiny.module)
    logits = h @ tiny.module.get_output_embeddings().weight.detach().double().T
    normed = FAMILIES["GPT-NeoX"].logits(weights, h)
    (bare,) = read_tiles(tiny, prompt, lens, pins=PINS, final_norm=False)
    assert_cells(bare.lenses["logit"], torch.cat([logits[:-1], normed[-1:]]), prompt.ids)
    (whole,) = read_tiles(tiny, prompt, lens, pins=PINS)
    np.testing.assert_array_equal(bare.lenses["tuned"].kl, whole.lenses["tuned"].kl)


def test_a_lens_of_another_shape_is_refused(tiny: Model) -> None:
    with pytest.raises(LensError, match="6 blocks and width 288; the open model has 3 blocks and width 32"):
        read(tiny, TEXT, untrained_lens(6, 288))


# Rows


@pytest.mark.parametrize(
    ("asked", "read_rows"), [((0, 2), (0, 2, 3)), ((2, 0, 2), (0, 2, 3)), ((), (3,)), ((3,), (3,))]
)
def test_some_rows_are_those_of_the_whole(
    tiny: Model, asked: tuple[int, ...], read_rows: tuple[int, ...]
) -> None:
    lens = naive.random_lens(tiny)
    whole, some = read(tiny, TEXT, lens, pins=PINS), read(tiny, TEXT, lens, pins=PINS, rows=asked)
    assert some.rows == tuple(row_labels(3)[row] for row in read_rows)
    for name in ("logit", "tuned"):
        for field in fields(Cells):
            np.testing.assert_array_equal(
                getattr(some.lenses[name], field.name),
                getattr(whole.lenses[name], field.name)[list(read_rows)],
            )


@pytest.mark.parametrize("row", [-1, 4])
def test_a_row_that_is_not_there_is_refused(tiny: Model, row: int) -> None:
    with pytest.raises(LensError, match="rows emb, 0 … 2"):
        read(tiny, TEXT, rows=[row])


@settings(deadline=None)
@given(top1=st.lists(st.lists(st.integers(0, 2), min_size=4, max_size=4), min_size=1, max_size=6))
def test_crystallization_row_is_where_the_top1_settles(top1: list[list[int]]) -> None:
    rows = crystallization_rows(np.array(top1, dtype=np.int32))
    for column, row in enumerate(rows):
        tops = [line[column] for line in top1]
        assert set(tops[row:]) == {tops[-1]}
        assert row == 0 or tops[row - 1] != tops[-1]


# Tiles


@same_model
@given(
    width=st.integers(1, 40),
    run=st.integers(1, 40),
    cells=st.integers(1, 100),
    slice_width=st.integers(1, 40),
    first=st.none() | st.builds(range, st.integers(-3, 40), st.integers(-3, 40)),
)
def test_tiles_of_any_width_and_order_make_the_same_readout(
    tiny: Model, width: int, run: int, cells: int, slice_width: int, first: range | None
) -> None:
    lens = naive.random_lens(tiny)
    prompt = encode(tiny.tokenizer, TEXT)
    columns = len(prompt.ids)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readout, "_tile_width", lambda model: width)
        patch.setattr(readout, "_run_width", lambda model: run)
        patch.setattr(readout, "_cells_at_once", lambda model: cells)
        patch.setattr(vocabulary_sums, "_SLICE_BYTES", slice_width * 4 * tiny.vocabulary)
        tiles = list(read_tiles(tiny, prompt, lens, pins=PINS, first=first))
    covered = [column for tile in tiles for column in range(tile.start, tile.stop)]
    assert sorted(covered) == list(range(columns))
    assert all(0 < tile.stop - tile.start <= width for tile in tiles)
    visible = [] if first is None else [column for column in first if 0 <= column < columns]
    assert covered[: len(visible)] == visible
    if not visible:
        assert covered == list(range(columns))

    tiles.sort(key=lambda tile: tile.start)
    whole = read(tiny, TEXT, lens, pins=PINS)
    for name, cells in whole.lenses.items():
        joined = Cells.join(tile.lenses[name] for tile in tiles)
        for field in fields(Cells):  # products of other widths round differently
            np.testing.assert_allclose(
                getattr(joined, field.name), getattr(cells, field.name), rtol=1e-5, atol=1e-5
            )


def test_no_more_logits_than_there_may_be_at_once(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = encode(tiny.tokenizer, TEXT * 2)
    assert len(prompt.ids) > 5 * 10
    stream = residual_stream(tiny.module, tiny.anatomy, torch.tensor([prompt.ids]))
    # The model's own is another matter.
    monkeypatch.setattr("lenstui.model.load.residual_stream", lambda *_: stream)
    monkeypatch.setattr(readout, "_cells_at_once", lambda model: 10)
    with Widest(tiny.vocabulary) as widest:
        list(read_tiles(tiny, prompt, naive.random_lens(tiny)))
    assert 0 < widest.logits <= 10 * tiny.vocabulary
    assert widest.any <= stream.numel()


def test_tile_widths_are_sensible(tiny: Model) -> None:
    for vocabulary in (16, 272, 50304, 262144):
        facts = {"device": tiny.device, "dtype": tiny.dtype, "vocabulary": vocabulary}
        width = readout._tile_width(type("M", (), facts)())
        assert 8 <= width <= 256


def test_the_readers_own_work_is_not_in_inference_mode(tiny: Model) -> None:
    """A fit may run between two tiles, and needs gradients."""
    for _ in read_tiles(tiny, encode(tiny.tokenizer, TEXT)):
        assert not torch.is_inference_mode_enabled()
        (torch.ones(1, requires_grad=True) * 2).backward()


def test_reading_leaves_the_model_as_it_was(tiny: Model) -> None:
    def patched() -> list[tuple[int, int, bool]]:
        return [
            (len(part._forward_pre_hooks), len(part._forward_hooks), "forward" in vars(part))
            for part in tiny.module.modules()
        ]

    before = patched()
    tiles = read_tiles(tiny, encode(tiny.tokenizer, TEXT))
    next(tiles)
    tiles.close()
    assert patched() == before


# Ties


def stable_top(logits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    values, ids = logits.sort(dim=-1, descending=True, stable=True)
    return values[:, :k], ids[:, :k]


@settings(deadline=None)
@given(
    vocabulary=st.sampled_from([1, 2, 63, 64, 65, 700, 1281, 2000]),
    k=st.integers(1, 12),
    distinct=st.integers(1, 40),
    forbidden=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_top_tokens_is_a_stable_sort(
    vocabulary: int, k: int, distinct: int, forbidden: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randint(distinct, (3, vocabulary), generator=generator).float()
    if forbidden:
        logits[logits == 0] = float("-inf")
    # Few tokens far above the rest: the tie, if any, is among them.
    peaks = torch.randint(vocabulary, (3, k + 1), generator=generator)
    logits.scatter_(1, peaks, 100 + torch.randint(3, (3, k + 1), generator=generator).float())
    before = logits.clone()
    values, ids = top_tokens(logits, k)
    wanted_values, wanted_ids = stable_top(before, k)
    assert torch.equal(ids, wanted_ids)
    assert torch.equal(values, wanted_values)
    assert torch.equal(logits, before)


@pytest.mark.parametrize("tied", [(63, 64), (0, 1279), (5, 1280), (1280, 1281), (64, 128, 640), range(1282)])
def test_among_equals_the_lowest_id_is_first_across_blocks(tied: tuple[int, ...]) -> None:
    logits = torch.linspace(-1, -2, 1282)[None].clone()
    logits[0, list(tied)] = 3.0
    for k in (1, 2, 3):
        assert top_tokens(logits, k)[1][0].tolist()[: len(tied)] == sorted(tied)[:k]


def test_ranks_count_strictly_greater_logits(byte_tokenizer: Any) -> None:
    """A head of pairs of equal tokens: both of a pair have the same, even rank."""
    module = random_model(FAMILIES["GPT-NeoX"].config)
    with torch.no_grad():
        module.lm_head.weight[1::2] = module.lm_head.weight[::2]
    model = wire("pairs", module, byte_tokenizer)
    cells = read(model, TEXT, pins=range(272), top_k=6).lenses["logit"]
    assert (cells.pin_ranks % 2 == 0).all()
    np.testing.assert_array_equal(cells.pin_ranks[..., ::2], cells.pin_ranks[..., 1::2])
    assert (np.sort(cells.pin_ranks[..., ::2], axis=-1) == np.arange(0, 272, 2)).all()
    assert (cells.top_ids[..., ::2] % 2 == 0).all()
    np.testing.assert_array_equal(cells.top_ids[..., 1::2], cells.top_ids[..., ::2] + 1)
    assert (cells.final_rank % 2 == 0).all()


# Other numbers than float32's


def test_bfloat16_agrees_up_to_near_ties(byte_tokenizer: Any) -> None:
    module = random_model(FAMILIES["GPT-NeoX"].config).bfloat16()
    model = wire("bf16", module, byte_tokenizer)
    assert model.dtype_name == "bfloat16"
    ids = naive.ids_of(model, TEXT)
    h = naive.stream(module, ids, NORM)
    logits = FAMILIES["GPT-NeoX"].logits(naive.weights(module), h)
    cells = read(model, TEXT).lenses["logit"]
    slack = 0.02 * float(logits.abs().max())
    best = logits.sort(-1, descending=True)[0][..., :3].numpy()
    # The token that is named may be another, but it is as good up to rounding, and so is its logit.
    np.testing.assert_allclose(cells.top_logits, best, atol=slack)
    np.testing.assert_allclose(np.take_along_axis(logits.numpy(), cells.top_ids, -1), best, atol=2 * slack)
    np.testing.assert_allclose(
        cells.top_probs.sum(-1), np.exp(best - logits.logsumexp(-1, keepdim=True).numpy()).sum(-1), atol=0.05
    )
    assert (np.diff(cells.top_logits) <= 0).all()


def test_forbidden_tokens_make_no_nan(tiny: Model, tiny_formula: Formula) -> None:
    """Every second token at -inf, in the final distribution and in the lens's."""
    linear = tiny.head.linear
    assert linear is not None
    bias = torch.zeros(272)
    bias[::2] = float("-inf")
    masked = replace(tiny, head=replace(tiny.head, linear=replace(linear, bias=bias)))
    lens, ids = naive.random_lens(tiny), naive.ids_of(tiny, TEXT)
    h = naive.translated(naive.stream(tiny.module, ids, NORM), lens)
    cells = read(masked, TEXT, lens, pins=PINS).lenses["tuned"]
    assert_cells(cells, tiny_formula(h) + bias, ids[0].tolist())
    assert (cells.pin_logprobs[..., PINS.index(270)] == -np.inf).all()
    assert not np.isnan(cells.next_logprob[:, :-1]).any()


@pytest.mark.parametrize("wrong", [{"top_k": 0}, {"pins": [272]}, {"pins": [-1]}])
def test_what_cannot_be_read_is_told(tiny: Model, wrong: dict[str, Any]) -> None:
    with pytest.raises(LensError):
        read(tiny, "Hello", **wrong)
