"""Fitting: gradients against plain autograd through a head written out by hand, and what a fit must reach."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor

from lenstui.fitting.fit import fitted_lens
from lenstui.fitting.gradient import kept_target, losses_and_gradient, product_head, summed_kl
from lenstui.fitting.loop import fit_steps, measure
from lenstui.fitting.options import PRESETS, FitOptions, preset
from lenstui.fitting.progress import FitProgress
from lenstui.fitting.state import Fit, FitBlocks, FitState
from lenstui.lens import LensError, Model, TunedLens, evaluate, fit, wire
from lenstui.model.residual import residual_stream
from lenstui.texts.blocks import token_blocks
from tests.tiny.families import BLOCKS, FAMILIES, D, random_model

FEW = FitOptions(closed_form_tokens=0, steps=6, tokens_per_step=64, seq_len=32, held_out_tokens=128)
WITH_GRADIENTS = ["GPT-NeoX", "Gemma-2", "Cohere", "Granite", "Phi", "GPT-J", "OPT-350m", "Llama"]

Result = TypeVar("Result")


def blocks(count: int, length: int = 32, seed: int = 0, vocabulary: int = 258) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return list(torch.randint(vocabulary, (count, length), generator=generator))


def begun(model: Model, options: FitOptions, train: Iterable[Tensor], held_out: Iterable[Tensor]) -> Fit:
    return Fit(model, FitBlocks(list(train), list(held_out)), options, FitState.new(model, options))


def run(
    model: Model, options: FitOptions, train: Iterable[Tensor], held_out: Iterable[Tensor]
) -> tuple[TunedLens, list[FitProgress]]:
    running = begun(model, options, train, held_out)
    seen = list(fit_steps(running))
    return fitted_lens(running), seen


def tuned_kl(seen: Sequence[FitProgress]) -> np.ndarray:
    """What the lens reached last on what is held out."""
    kl = seen[-1].held_out_kl
    assert kl is not None
    return kl


def logit_kl(seen: Sequence[FitProgress]) -> np.ndarray:
    """What the logit lens reaches there."""
    kl = seen[-1].logit_lens_kl
    assert kl is not None
    return kl


def result_of(work: Generator[Any, None, Result]) -> Result:
    """What a generator returns when it is driven to its end."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Result = end.value
            return result


# gradients


@dataclass(frozen=True)
class ByHand:
    """Losses and gradients of random translators on a random model, without any of the code under test.

    Attributes:
        model: the model.
        ids: `[blocks, cols]`.
        h: `h_0 … h_L`, `[L + 1, blocks, cols, d]`.
        translators: `A` `[rows, d, d]` and `b` `[rows, d]`.
        sums: of the loss, `[rows]`, nats.
        A: the gradient by all `A`, `[rows, d, d]`.
        b: the gradient by all `b`, `[rows, d]`.
    """

    model: Model
    ids: Tensor
    h: Tensor
    translators: tuple[Tensor, Tensor]
    sums: Tensor
    A: Tensor
    b: Tensor

    def translated(self) -> Tensor:
        return translated(self.h, *self.translators)

    def ours(self, products: Any, loss: Any) -> tuple[Tensor, Tensor, Tensor]:
        """The same three numbers by the code under test."""
        x = self.model.head.norm(self.translated())
        final = self.model.head.norm(self.h[-1]).detach()
        head = product_head(self.model, products, final.flatten(0, 1))
        work = losses_and_gradient(self.model, head, x, final=final, ids=self.ids, loss=loss)
        sums, gradient = result_of(work)
        weight, bias = torch.autograd.grad(x, self.translators, gradient)
        return sums, weight, bias


def translated(h: Tensor, A: Tensor, b: Tensor) -> Tensor:
    return torch.stack([h[i] + h[i] @ A[i].T + b[i] for i in range(BLOCKS)])


def by_hand(name: str, loss: str, tokenizer: Any) -> ByHand:
    family = FAMILIES[name]
    module = random_model(family.config)
    model = wire(name, module, tokenizer)
    ids = torch.stack(blocks(2, 8))
    h = residual_stream(model.module, model.anatomy, ids).clone()
    A = (0.05 * torch.randn(BLOCKS, D, D)).requires_grad_()
    b = (0.05 * torch.randn(BLOCKS, D)).requires_grad_()
    weights = dict(module.named_parameters(remove_duplicate=False))  # tied ones too
    # One graph over the whole vocabulary: `[rows, blocks, cols, vocabulary]`.
    log_probs = family.logits(weights, translated(h, A, b)).log_softmax(-1)
    if loss == "kl":
        final = family.logits(weights, h[-1]).log_softmax(-1)
        sums = (final.exp() * (final - log_probs)).sum((1, 2, 3))
    else:
        following = ids[:, 1:].expand(BLOCKS, -1, -1)
        sums = -log_probs[:, :, :-1].gather(-1, following[..., None]).sum((1, 2, 3))
    gradients = torch.autograd.grad(sums.sum(), (A, b))
    return ByHand(model, ids, h, (A, b), sums.detach(), *gradients)


@pytest.mark.parametrize("loss", ["kl", "ce"])
@pytest.mark.parametrize("name", WITH_GRADIENTS)
def test_gradient_equals_autograd_through_the_whole_head(name: str, loss: str, byte_tokenizer: Any) -> None:
    wanted = by_hand(name, loss, byte_tokenizer)
    sums, A, b = wanted.ours("float32", loss)
    torch.testing.assert_close(sums, wanted.sums, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(A, wanted.A, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(b, wanted.b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("loss", ["kl", "ce"])
@pytest.mark.parametrize("name", WITH_GRADIENTS)
def test_gradient_with_bfloat16_products_is_off_by_rounding_alone(
    name: str, loss: str, byte_tokenizer: Any
) -> None:
    wanted = by_hand(name, loss, byte_tokenizer)
    sums, A, b = wanted.ours("bfloat16", loss)
    assert ((sums - wanted.sums).abs() <= 0.01 * wanted.sums).all()
    assert max(relative(A, wanted.A)) < 0.015
    assert max(relative(b, wanted.b)) < 0.015


def relative(ours: Tensor, wanted: Tensor) -> list[float]:
    """The norm of the difference, as a share of the norm, of every row."""
    return ((ours - wanted).flatten(1).norm(dim=1) / wanted.flatten(1).norm(dim=1)).tolist()


@pytest.mark.parametrize("name", ["Phi", "Gemma-2"])  # a linear head with a bias, and one with a softcap
def test_gradient_does_not_depend_on_how_many_columns_go_at_a_time(
    name: str, byte_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = by_hand(name, "kl", byte_tokenizer)
    monkeypatch.setattr("lenstui.fitting.gradient._LOGITS_BYTES", {"cpu": 3 * 4 * 272})  # three columns
    sums, A, b = wanted.ours("float32", "kl")
    torch.testing.assert_close(sums, wanted.sums, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(A, wanted.A, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(b, wanted.b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", WITH_GRADIENTS)
def test_mean_kl_is_the_loss_a_column(name: str, byte_tokenizer: Any) -> None:
    wanted = by_hand(name, "kl", byte_tokenizer)
    with torch.inference_mode():
        x = wanted.model.head.norm(wanted.translated()).flatten(1, 2)
        sums, counts = result_of(summed_kl(wanted.model, wanted.h[-1].flatten(0, 1), x))
    assert (counts == wanted.ids.numel()).all()
    torch.testing.assert_close(sums / counts, wanted.sums / wanted.ids.numel(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["GPT-NeoX", "Phi", "Gemma-2"])  # a softcap keeps no target
def test_kl_of_some_columns_by_a_kept_target(name: str, byte_tokenizer: Any) -> None:
    wanted = by_hand(name, "kl", byte_tokenizer)
    h, some = wanted.h[-1].flatten(0, 1), slice(1, None, 3)
    with torch.inference_mode():
        x = wanted.model.head.norm(wanted.translated()).flatten(1, 2)
        target = result_of(kept_target(wanted.model, h))
        assert (target is None) == (name == "Gemma-2")
        kept = None if target is None else target[some]
        sums, _ = result_of(summed_kl(wanted.model, h[some], x[:, some], kept))
        final = wanted.model.head(h[some]).double().log_softmax(-1)
        rows = [wanted.model.head.logits(row[some]).double().log_softmax(-1) for row in x]
    by_definition = torch.stack([(final.exp() * (final - row)).sum() for row in rows])
    torch.testing.assert_close(sums.double(), by_definition, rtol=1e-5, atol=1e-5)


def test_columns_that_are_not_finite_count_in_no_kl(tiny: Model) -> None:
    h = tiny.stream(torch.arange(40, 48)[None])[:, 0]  # [L+1, 8, d]
    with torch.inference_mode():
        x = tiny.head.norm(h[:-1]).clone()
        x[0, 2], x[1, 3, 0] = math.nan, math.inf
        sums, counts = result_of(summed_kl(tiny, h[-1], x))
    assert counts.tolist() == [7, 7, *[8] * (len(x) - 2)]
    assert sums.isfinite().all()


# what a fit reaches


@pytest.mark.parametrize("optimizer", ["muon", "adam", "sgd"])
def test_every_optimizer_lowers_the_held_out_kl(tiny: Model, optimizer: Any) -> None:
    rate = {"muon": 2e-2, "adam": 1e-2, "sgd": 0.1}[optimizer]
    options = replace(FEW, steps=40, optimizer=optimizer, lr=rate, momentum=0.9)
    _, seen = run(tiny, options, blocks(64), blocks(4, seed=1))
    assert (tuned_kl(seen) < 0.9 * logit_kl(seen)).all()


def test_held_out_kl_is_what_evaluate_says(tiny: Model) -> None:
    held_out = blocks(4, seed=1)
    lens, seen = run(tiny, FEW, blocks(8), held_out)
    quality = evaluate(tiny, held_out, lens)
    np.testing.assert_allclose(tuned_kl(seen), quality["tuned"].kl[:-1], rtol=1e-4)
    np.testing.assert_allclose(logit_kl(seen), quality["logit"].kl[:-1], rtol=1e-4)
    each = [np.mean(evaluate(tiny, [block], lens)["tuned"].kl[:-1]) for block in held_out]
    assert lens.fit["held_out_error"] == pytest.approx(np.std(each, ddof=1) / 2, rel=1e-3)
    assert lens.fit["held_out_kl"] == tuned_kl(seen).tolist()
    assert lens.fit["logit_lens_kl"] == logit_kl(seen).tolist()


def kl_of_some_columns(model: Model, held_out: Sequence[Tensor], lens: TunedLens) -> np.ndarray:
    """Mean KL by row of every fourth column, beginning one later in each block."""
    found = []
    for number, block in enumerate(held_out):
        h = residual_stream(model.module, model.anatomy, block[None])[:, 0]
        final = model.head(h[-1]).double().log_softmax(-1)
        rows = [model.head(lens.transport(h[row], row)).double().log_softmax(-1) for row in range(len(h) - 1)]
        kl = torch.stack([(final.exp() * (final - row)).sum(-1) for row in rows])  # [rows, cols]
        found.append(kl[:, [column for column in range(len(block)) if column % 4 == number % 4]])
    return torch.cat(found, dim=1).mean(1).detach().numpy()


def test_on_the_way_a_fourth_of_the_held_out_columns_is_looked_at(tiny: Model) -> None:
    held_out = blocks(8, seed=1)
    running = begun(tiny, replace(FEW, closed_form_tokens=512), blocks(16), held_out)
    checked = 0
    for now in fit_steps(running):
        if now.stage == "refining" and not checked:
            wanted = kl_of_some_columns(tiny, held_out, running.state.lens())
            np.testing.assert_allclose(tuned_kl([now]), wanted, rtol=1e-4)
            assert now.measured_tokens == 8 * 32 // 4
            checked += 1
        if now.stage == "done":
            quality = evaluate(tiny, held_out, running.state.lens())
            np.testing.assert_allclose(tuned_kl([now]), quality["tuned"].kl[:-1], rtol=1e-4)
            checked += 1
    assert checked == 2


def test_a_fit_that_is_stopped_can_be_measured(tiny: Model) -> None:
    held_out = blocks(4, seed=1)
    running = begun(tiny, FEW, blocks(8), held_out)
    next(now for now in fit_steps(running) if now.step == 3)
    *_, last = measure(running)
    assert (last.stage, last.step, last.measured_step) == ("done", 3, 3)
    quality = evaluate(tiny, held_out, fitted_lens(running))
    np.testing.assert_allclose(tuned_kl([last]), quality["tuned"].kl[:-1], rtol=1e-4)
    assert len(list(measure(running))) == 1  # it is known by now


def test_the_same_seed_gives_the_same_lens_and_another_seed_another(tiny: Model) -> None:
    train, held_out = blocks(8), blocks(2, seed=1)
    first, again = (run(tiny, FEW, train, held_out)[0] for _ in range(2))
    assert torch.equal(first.weight, again.weight)
    assert torch.equal(first.bias, again.bias)
    other, _ = run(tiny, replace(FEW, seed=1), train, held_out)
    assert not torch.equal(first.weight, other.weight)


def test_a_step_does_not_depend_on_its_micro_batches(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    options = replace(FEW, optimizer="sgd", lr=0.1)  # Muon's bfloat16 iterations would magnify rounding
    options = replace(options, products="float32")
    train, held_out = blocks(8), blocks(2, seed=1)
    whole, few = run(tiny, options, train, held_out)
    monkeypatch.setattr("lenstui.fitting.steps.MICRO_TOKENS", 32)
    parts, more = run(tiny, options, train, held_out)
    assert len(more) > len(few)  # it hands over more often
    torch.testing.assert_close(whole.weight, parts.weight, rtol=1e-3, atol=1e-5)


def test_closed_form_first_then_steps_improve_on_it(tiny: Model) -> None:
    options = replace(FEW, closed_form_tokens=1024, steps=0)
    train, held_out = blocks(64), blocks(4, seed=1)
    _, solved = run(tiny, options, train, held_out)
    _, refined = run(tiny, replace(options, steps=30, lr=1e-2), train, held_out)
    assert tuned_kl(solved).mean() < logit_kl(solved).mean()
    assert tuned_kl(refined).mean() < tuned_kl(solved).mean()
    assert (solved[-1].tokens, refined[-1].tokens) == (1024, 1024 + 30 * 64)


def test_bias_only_leaves_the_matrices_at_zero(tiny: Model) -> None:
    lens, _ = run(tiny, replace(FEW, bias_only=True), blocks(8), blocks(2, seed=1))
    assert not lens.weight.any()
    assert lens.bias.any()


def test_progress_goes_on_and_never_back(tiny: Model) -> None:
    _, seen = run(tiny, replace(FEW, closed_form_tokens=256), blocks(8), blocks(4, seed=1))
    stages = list(dict.fromkeys(now.stage for now in seen))
    assert stages == ["logit lens", "closed form", "measuring", "refining", "done"]
    for name in ("step", "tokens", "seconds", "measured_step"):
        values = [getattr(now, name) for now in seen]
        assert values == sorted(values), name
    for stage in stages[:-1]:
        shares = [now.share for now in seen if now.stage == stage]
        if stage != "measuring":  # there are two of them
            assert shares == sorted(shares), stage
        assert 0 <= min(shares) <= max(shares) <= 1


def test_a_fit_ends_where_the_wanted_kl_is_reached(tiny: Model) -> None:
    options = replace(FEW, steps=40, closed_form_tokens=1024, lr=1e-2)
    train, held_out = blocks(64), blocks(4, seed=1)
    _, whole = run(tiny, options, train, held_out)
    _, begun = run(tiny, replace(options, steps=0), train, held_out)
    wanted = float(0.5 * (tuned_kl(begun).mean() + tuned_kl(whole).mean()))
    lens, seen = run(tiny, replace(options, until_kl=wanted), train, held_out)
    assert 0 < seen[-1].step < 40
    assert seen[-1].stage == "done"
    assert np.mean(evaluate(tiny, held_out, lens)["tuned"].kl[:-1]) <= wanted
    assert seen[-1].measured_tokens == 4 * 32  # on all that is held out, not on what hinted at it
    # One that is reached by the closed form needs no step, one that never is ends as without it.
    assert run(tiny, replace(options, until_kl=100.0), train, held_out)[1][-1].step == 0
    never, _ = run(tiny, replace(options, until_kl=1e-9), train, held_out)
    assert torch.equal(never.weight, run(tiny, options, train, held_out)[0].weight)


# what cannot be


def test_a_rate_that_explodes_is_told(tiny: Model) -> None:
    with pytest.raises(LensError, match="lower learning rate"):
        run(tiny, replace(FEW, optimizer="sgd", lr=1e38, clip=None), blocks(8), blocks(2, seed=1))


def test_too_little_text_is_told(tiny: Model) -> None:
    with pytest.raises(LensError, match="too little text"):
        run(tiny, FEW, [], blocks(2))
    with pytest.raises(LensError, match="too little text"):
        fit(tiny, ["short"])


@pytest.mark.parametrize("name", PRESETS)
def test_presets_make_sense(name: str) -> None:
    assert preset(name).preset == name


def test_the_papers_recipe() -> None:
    paper = preset("paper")
    assert (paper.optimizer, paper.momentum, paper.weight_decay) == ("sgd", 0.9, 1e-3)
    assert paper.lr == pytest.approx(0.1)
    assert (paper.steps, paper.tokens_per_step, paper.seq_len) == (250, 262144, 2048)
    assert paper.clip_together


@pytest.mark.parametrize(
    "changes",
    [{"steps": -1}, {"seq_len": 1}, {"bias_only": True}, {"steps": 0, "closed_form_tokens": 0}, {"lr": -1.0}],
)
def test_options_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(LensError):
        preset("quick", **changes)


def test_an_unknown_preset_names_the_ones_there_are() -> None:
    with pytest.raises(LensError, match="quick, standard, paper, adam"):
        preset("fast")


def test_on_a_real_model_quick_beats_the_closed_form(stories260k: Model, shared: Any) -> None:
    import pyarrow.parquet as pq

    texts = pq.read_table(shared / "corpora" / "stories.parquet").column("text").to_pylist()[:400]
    all_blocks = list(token_blocks(stories260k.tokenizer, texts, 256))[:130]
    _, seen = run(stories260k, replace(preset("quick"), steps=15), all_blocks[2:], all_blocks[:2])
    assert tuned_kl(seen).mean() < 0.35 * logit_kl(seen).mean()
