"""Logits that are not finite: no rank, no agreement, no settling, and nothing else is touched by them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lenstui.fitting.loop import fit_steps, measure
from lenstui.fitting.options import FitOptions
from lenstui.fitting.state import Fit, FitBlocks, FitState
from lenstui.lens import (
    Case,
    CaseReadout,
    Cells,
    LensError,
    Model,
    evaluate,
    generate,
    load,
    mean_over,
    read,
    read_set,
    wire,
)
from lenstui.lens.tuned import untrained_lens
from lenstui.model.not_finite import not_numbers_remark
from lenstui.model.rows import Row
from lenstui.model.tokens import encode
from lenstui.readout.cells import NOT_A_NUMBER, NOT_READ, agreement, crystallization_rows
from lenstui.readout.likeliest import top_tokens
from lenstui.readout.ranking import rank_cell
from lenstui.readout.reduction import final_of, reduce_rows, stack
from tests.by_hand import naive
from tests.tiny.families import FAMILIES, random_model
from tests.tiny.overflowing import EARLY, LATE, LOUD, NAN, finite, loud_id, overflowing

COLUMNS, VOCABULARY, PLANTED = 7, 700, 3
PINS = (5, 60, 250)
PROMPT, AT = f"one {LOUD}two", 4  # the column of `~`

AGAINST_FINAL = {"kl", "js", "final_rank"}

Plant = Callable[[Tensor], object]
PLANTS: dict[str, Plant] = {
    "a NaN": lambda logits: logits[11:12].fill_(torch.nan),
    "all NaN": lambda logits: logits.fill_(torch.nan),
    "+inf": lambda logits: logits[11:12].fill_(torch.inf),
    "two of +inf and a NaN": lambda logits: logits.index_copy_(
        0, torch.tensor([5, 11, 400]), torch.tensor([torch.inf, torch.inf, torch.nan])
    ),
    "nothing but -inf": lambda logits: logits.fill_(-torch.inf),
}


def random_logits(seed: int) -> Tensor:
    return 3 * torch.randn(COLUMNS, VOCABULARY, generator=torch.Generator().manual_seed(seed))


def reduced(row: Tensor, final: Tensor, top_k: int = 3) -> Cells:
    """One row, and the last one."""
    against = final_of(final.clone(), torch.arange(COLUMNS - 1))
    return stack(reduce_rows(torch.stack([row, final]), against, top_k, PINS))


def is_blank(cells: Cells, row: int, column: int, *names: str) -> None:
    for field in fields(Cells):
        if not names or field.name in names:
            numbers = getattr(cells, field.name)[row, column]
            none = np.isnan(numbers) if numbers.dtype.kind == "f" else numbers == NOT_A_NUMBER
            assert none.all(), field.name


def same_but_for(ours: Cells, theirs: Cells, cells: np.ndarray, *names: str) -> None:
    """All numbers, or those named, but of some cells `[rows, cols]` are the same."""
    for field in fields(Cells):
        if not names or field.name in names:
            one, other = (getattr(each, field.name)[~cells] for each in (ours, theirs))
            np.testing.assert_array_equal(one, other, field.name)


@pytest.mark.parametrize("plant", PLANTS.values(), ids=PLANTS)
def test_a_cell_that_is_not_finite_is_no_number_and_no_other_cell_minds(plant: Plant) -> None:
    row, final = random_logits(1), random_logits(2)
    clean = reduced(row, final)
    plant(row[PLANTED])
    cells = reduced(row, final)
    planted = np.zeros((2, COLUMNS), bool)
    planted[0, PLANTED] = True
    is_blank(cells, 0, PLANTED)
    same_but_for(cells, clean, planted)
    np.testing.assert_array_equal(cells.not_numbers, planted)


@pytest.mark.parametrize("plant", PLANTS.values(), ids=PLANTS)
def test_without_a_final_distribution_nothing_is_held_against_it(plant: Plant) -> None:
    row, final = random_logits(1), random_logits(2)
    clean = reduced(row, final)
    plant(final[PLANTED])
    cells = reduced(row, final)
    is_blank(cells, 1, PLANTED)
    is_blank(cells, 0, PLANTED, *AGAINST_FINAL)
    column = np.zeros((2, COLUMNS), bool)
    column[:, PLANTED] = True
    above = column.copy()
    above[0] = False
    same_but_for(cells, clean, column, *AGAINST_FINAL)
    same_but_for(cells, clean, above, *({field.name for field in fields(Cells)} - AGAINST_FINAL))
    top1 = cells.top_ids[:, :, 0]
    assert np.isnan(agreement(top1)[:, PLANTED]).all()
    assert np.isfinite(np.delete(agreement(top1), PLANTED, axis=1)).all()
    settled = crystallization_rows(top1)
    assert settled[PLANTED] == -1
    assert (np.delete(settled, PLANTED) >= 0).all()


@pytest.mark.parametrize("top_k", [1, 3, VOCABULARY])
def test_forbidden_tokens_are_as_they_are(top_k: int) -> None:
    """A head may forbid tokens with -inf: here a pin, a token that comes next, and half of all."""
    row, final = random_logits(1), random_logits(2)
    for logits in (row, final):
        logits[:, VOCABULARY // 2 :] = -torch.inf
        logits[:, [1, 5, 250]] = -torch.inf
    cells = reduced(row, final, top_k)
    wanted = naive.numbers(torch.stack([row, final]), range(COLUMNS), PINS, top_k)
    # The token that comes next is counted otherwise there: column t is followed by token t.
    log_probs = torch.stack([row, final]).double().log_softmax(-1).numpy()
    columns = np.arange(COLUMNS - 1)
    wanted["next_logprob"][:, :-1] = log_probs[:, columns, columns]
    z = torch.stack([row, final]).numpy()
    wanted["next_rank"][:, :-1] = (z[:, :-1] > z[:, columns, columns][..., None]).sum(-1)
    assert not cells.not_numbers.any()
    for field in fields(Cells):
        ours = getattr(cells, field.name)
        np.testing.assert_allclose(ours, wanted[field.name], rtol=2e-5, atol=2e-5, err_msg=field.name)
    allowed = VOCABULARY // 2 - 3
    assert (cells.pin_ranks[..., [0, 2]] == allowed).all()  # behind every token that may be said
    assert (cells.pin_logprobs[..., [0, 2]] == -np.inf).all()


def test_what_one_row_alone_forbids_is_endlessly_far_from_the_final_distribution() -> None:
    row, final = random_logits(1), random_logits(2)
    row[PLANTED, int(final[PLANTED].argmax())] = -torch.inf
    cells = reduced(row, final)
    assert cells.kl[0, PLANTED] == np.inf
    assert (np.delete(cells.kl[0], PLANTED) < 100).all()
    assert 0.1 < cells.js[0, PLANTED] <= np.float32(np.log(2))
    assert cells.final_rank[0, PLANTED] == VOCABULARY - 1


def test_top_tokens_of_what_is_not_finite_are_found_without_harm() -> None:
    logits = random_logits(0)
    for plant, column in zip(PLANTS.values(), logits, strict=False):
        plant(column)
    values, ids = top_tokens(logits, 3)
    assert values.shape == ids.shape == (COLUMNS, 3)


# a model that overflows


Opened = Callable[[str, str], Model]


@pytest.fixture(scope="module")
def opened(neox_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """A model in which `~` is too much, by how, in a dtype."""

    @cache
    def folder(kind: str) -> Path:
        return overflowing(neox_folder, tmp_path_factory.mktemp("loud"), kind)

    @cache
    def model(kind: str, dtype: str) -> Model:
        return load(str(folder(kind)), dtype=dtype, device="cpu")

    return model


@pytest.fixture
def loud(opened: Opened) -> Model:
    return opened(LATE, "float16")


@pytest.mark.parametrize(("kind", "dtype"), [(LATE, "float16"), (EARLY, "float16"), (NAN, "float32")])
def test_the_cells_without_a_number_are_those_without_logits(opened: Opened, kind: str, dtype: str) -> None:
    model = opened(kind, dtype)
    readout = read(model, PROMPT, untrained_lens(model.num_blocks, model.d_model), pins=PINS)
    has = finite(Path(model.name), PROMPT, dtype)
    assert has[-1].any() == (kind == LATE)
    assert not has[-1, AT]
    for name, cells in readout.lenses.items():
        known = has.copy()
        if name == "tuned":  # its products overflow where the state is near the end of float16
            known &= ~cells.not_numbers
            assert not known[-1, AT]
        np.testing.assert_array_equal(cells.not_numbers, ~known, name)
        assert cells.has_rows.all()
        for row, column in np.argwhere(~known):
            is_blank(cells, row, column)
        for row, column in np.argwhere(known & ~known[-1]):
            is_blank(cells, row, column, *AGAINST_FINAL)
            assert (cells.top_ids[row, column] >= 0).all()
            assert (cells.pin_ranks[row, column] >= 0).all()
            assert np.isfinite(cells.entropy[row, column])
        for row, column in np.argwhere(known & known[-1]):
            assert np.isfinite(cells.kl[row, column])
            assert cells.final_rank[row, column] >= 0
        settled = readout.crystallization(name)
        assert settled is not None
        np.testing.assert_array_equal(settled >= 0, known[-1])


@pytest.mark.parametrize("kind", [LATE, EARLY])
def test_in_float32_the_same_prompt_is_all_numbers(opened: Opened, kind: str) -> None:
    cells = read(opened(kind, "float32"), PROMPT).lenses["logit"]
    assert not cells.not_numbers.any()
    assert np.isfinite(cells.kl).all()


def test_a_cell_that_is_no_number_ranks_nothing(loud: Model) -> None:
    prompt = encode(loud.tokenizer, PROMPT)
    lens = untrained_lens(loud.num_blocks, loud.d_model)
    for row, column, count in ((2, AT, 0), (0, AT + 1, 4), (2, AT - 1, 4)):
        for ranking in rank_cell(loud, prompt, Row(row), column, lens, count=4).values():
            assert ranking.ids.size == ranking.ranks.size == ranking.cumulative.size == count


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_no_token_follows_from_what_is_no_number(loud: Model, temperature: float) -> None:
    ids = encode(loud.tokenizer, PROMPT[: AT + 1]).ids
    with pytest.raises(LensError, match=r"column 4: its logits are not finite in float16.*float32"):
        next(generate(loud, ids, count=3, temperature=temperature))
    assert list(generate(loud, ids, count=1, row=0, temperature=temperature))  # of the embedding


# a text, and a set of prompts


def test_a_text_is_judged_where_it_has_numbers(loud: Model) -> None:
    lens, blocks = untrained_lens(loud.num_blocks, loud.d_model), spoilt(loud)
    judged = evaluate(loud, blocks, lens)
    for name, quality in judged.items():
        assert quality.tokens == 72
        assert quality.left_out == (2, 2, 2)
        parts = [_columns(loud, block) for block in blocks]
        kl, ce, agrees = (np.concatenate(each, axis=1) for each in zip(*parts, strict=True))
        assert np.isnan(kl).sum() == 3 * 2
        np.testing.assert_allclose(quality.kl, np.nanmean(kl, axis=1), rtol=1e-5, atol=1e-7, err_msg=name)
        np.testing.assert_allclose(quality.ce, np.nanmean(ce, axis=1), rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(quality.top1_agreement, np.nanmean(agrees, axis=1), rtol=1e-6)
        # The spread of all 27 draws of three blocks: they have 23, 24 and 23 positions that count.
        sums = np.stack([np.nansum(each[0], axis=1) for each in parts])
        counts = np.stack([np.isfinite(each[0]).sum(axis=1) for each in parts])
        drawn = [list(places) for places in product(range(3), repeat=3)]
        means = [sums[places].sum(0) / counts[places].sum(0) for places in drawn]
        sem = np.std(means, axis=0) * np.sqrt(3 / 2)
        np.testing.assert_allclose(quality.kl_sem, sem, rtol=0.08, atol=1e-9)
        assert np.isnan(quality.marginal_bias).all()  # a distribution of the model's own is none


def spoilt(model: Model) -> list[Tensor]:
    """Three blocks of 24 tokens, with two in which the model overflows."""
    token = loud_id(Path(model.name))
    ids = torch.randint(2, 90, (3, 24), generator=torch.Generator().manual_seed(3))
    assert not (ids == token).any()
    ids[0, 10] = ids[2, 23] = token
    return list(ids)


def _columns(model: Model, block: Tensor) -> list[np.ndarray]:
    """KL, cross-entropy and agreement of each column, `[rows, cols]`; NaN where the final row has none."""
    module = model.module
    with torch.inference_mode():
        states = module(block[None], output_hidden_states=True).hidden_states
        normed = [*(module.gpt_neox.final_layer_norm(each[0]) for each in states[:-1]), states[-1][0]]
        z = torch.stack([module.get_output_embeddings()(each) for each in normed]).double()
    log_probs = z.log_softmax(-1)
    kl = (log_probs[-1].exp() * (log_probs[-1] - log_probs)).sum(-1)
    ce = -log_probs[:, :-1].gather(2, block[1:][None, :, None].expand(len(z), -1, 1))[..., 0]
    agrees = (z.argmax(-1) == z[-1].argmax(-1)).double()
    lost = ~z[-1].isfinite().all(-1)
    return [each.masked_fill(lost[: each.shape[1]], torch.nan).numpy() for each in (kl, ce, agrees)]


def test_where_no_position_has_a_number_nothing_is_judged(loud: Model) -> None:
    (quality,) = evaluate(loud, [torch.full((8,), loud_id(Path(loud.name)))] * 2).values()
    assert quality.tokens == 16
    assert quality.left_out == (16, 16, 16)
    for numbers in (quality.kl, quality.ce, quality.top1_agreement, quality.kl_sem):
        assert len(numbers) == 3
        assert np.isnan(numbers).all()
    assert np.isnan(quality.mean_kl)


def test_held_out_text_is_measured_where_it_has_numbers(loud: Model) -> None:
    held_out = spoilt(loud)
    options = FitOptions(closed_form_tokens=0, steps=0, seq_len=24)
    fit = Fit(loud, FitBlocks(held_out, held_out), options, FitState.new(loud, options))
    (*_, last) = measure(fit)
    kl = np.concatenate([_columns(loud, block)[0] for block in held_out], axis=1)
    assert last.logit_lens_kl is not None
    assert last.held_out_kl is not None
    np.testing.assert_allclose(last.logit_lens_kl, np.nanmean(kl, axis=1)[:-1], rtol=1e-4)
    np.testing.assert_allclose(last.held_out_kl, last.logit_lens_kl, rtol=1e-4)  # it is not trained


def test_no_lens_is_fitted_to_what_is_no_number(loud: Model) -> None:
    options = FitOptions(closed_form_tokens=0, steps=2, tokens_per_step=24, seq_len=24)
    fit = Fit(loud, FitBlocks(spoilt(loud)[::2], spoilt(loud)), options, FitState.new(loud, options))
    with pytest.raises(LensError, match="logits are not finite on this text in float16"):
        list(fit_steps(fit))
    assert all(torch.isfinite(weight).all() for weight in fit.state.weights)


def test_a_set_is_averaged_over_what_has_numbers(loud: Model) -> None:
    lens = untrained_lens(loud.num_blocks, loud.d_model)
    cases = [Case(i, text, "q") for i, text in enumerate(("one", "two", f"three{LOUD}"), 1)]
    read_cases = [
        each for each in read_set(loud, cases, lens, exact_targets=True) if isinstance(each, CaseReadout)
    ]
    assert len(read_cases) == 3
    *kept, lost = read_cases
    assert lost.not_numbers
    assert lost.final_id is None
    assert lost.final_text is None
    assert np.isnan(lost.final_prob)
    for column in lost.lenses.values():
        assert column.crystallization is None
        assert np.isnan(column.values["kl"]).all()
        assert column.target_rank[-1] == NOT_A_NUMBER
        assert column.values["final_rank"].tolist() == [NOT_A_NUMBER] * 3
        assert np.isnan(column.target_prob[-1])
    assert lost.lenses["logit"].target_rank[0] >= 0
    means = mean_over(read_cases)
    assert (means.n, means.n_target, means.left_out) == (3, 3, 1)
    for name, of_lens in means.lenses.items():
        here = [case.lenses[name] for case in kept]
        for key, values in {
            "kl": [column.values["kl"] for column in here],
            "entropy": [column.values["entropy"] for column in here],
            "target_rank": [column.target_rank for column in here],
            "target_logprob": [column.target_logprob for column in here],
        }.items():
            mean = of_lens.values[key] if key in of_lens.values else getattr(of_lens, key)
            wanted = np.array(values, np.float64)
            rows = slice(None) if key == "kl" else slice(-1, None)  # of the lost case other rows have numbers
            np.testing.assert_allclose(mean.mean[rows], wanted.mean(0)[rows], rtol=1e-6, err_msg=key)
            np.testing.assert_allclose(mean.sem[rows], wanted.std(0, ddof=1)[rows] / 2**0.5, rtol=1e-6)
        assert of_lens.target_median_rank[-1] == np.median([column.target_rank[-1] for column in here])
        assert of_lens.target_top1.mean[-1] in {0.0, 0.5, 1.0}
    three = [case.lenses["logit"].values["entropy"][0] for case in read_cases]
    np.testing.assert_allclose(
        means.lenses["logit"].values["entropy"].mean[0], np.mean(three, dtype=float), rtol=1e-6
    )
    alone = mean_over([lost]).lenses["logit"]
    assert np.isnan(
        [*alone.values["kl"].mean, alone.target_rank.mean[-1], alone.target_median_rank[-1]]
    ).all()


# the wiring check


@contextmanager
def head_row(module: Any, value: float) -> Iterator[None]:
    row = module.get_output_embeddings().weight.data[7]
    before = row.clone()
    row.fill_(value)
    yield
    row.copy_(before)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_model_whose_own_logits_are_not_finite_is_refused(value: float, byte_tokenizer: Any) -> None:
    module = random_model(FAMILIES["GPT-NeoX"].config)
    with (
        head_row(module, value),
        pytest.raises(LensError, match=r"Wiring check failed: .*not finite in float32"),
    ):
        wire("tiny", module, byte_tokenizer)


# what is said


@pytest.mark.parametrize(
    ("columns", "count", "named"),
    [
        ([3], 9, "column 3:"),
        ([3, 4, 5, 8], 9, "columns 3–5, 8:"),
        ([0, 1, 2], 3, "all 3 columns:"),
        ([0], 1, "column 0:"),
        (list(range(0, 40, 2)), 90, "columns 0, 2, 4, 6, 8, 10, 12, 14 and 12 more runs:"),
    ],
)
def test_columns_are_named(columns: list[int], count: int, named: str) -> None:
    said = not_numbers_remark(columns, count, "float16")
    assert named in said
    assert "--dtype" in said
    assert "--dtype" not in not_numbers_remark(columns, count, "float32")


def test_not_read_is_not_the_same_as_no_number(tiny: Model) -> None:
    cells = read(tiny, "abc", naive.random_lens(tiny), sublayers=True).lenses["tuned"]
    assert not cells.has_rows.all()
    assert (cells.top_ids[~cells.has_rows] == NOT_READ).all()
    assert not cells.not_numbers.any()


def test_sublayers_of_a_prompt_that_overflows_are_those_of_its_other_columns(
    tmp_path: Path, neox_folder: Path
) -> None:
    model = load(str(overflowing(neox_folder, tmp_path, LATE)), dtype="float16")
    ours = read(model, PROMPT, sublayers=True)
    sound = [column for column in range(len(ours.prompt.ids)) if column != AT]
    assert ours.left_over is not None
    assert np.isnan(ours.left_over[AT])
    assert (ours.left_over[sound] < 0.05).all()
    parts = [place for place, label in enumerate(ours.rows) if label.endswith(("attn", "mlp"))]
    cells = ours.lenses["logit"]
    assert (cells.top_ids[parts][:, AT] == NOT_A_NUMBER).all()
    assert (cells.top_ids[parts][:, sound] >= 0).all()


def test_a_prompt_without_a_finite_column_is_not_taken_apart(tmp_path: Path, neox_folder: Path) -> None:
    model = load(str(overflowing(neox_folder, tmp_path, NAN)))
    with pytest.raises(LensError, match="nothing to take apart"):
        read(model, LOUD, sublayers=True)
