"""Fitting: gradients against plain autograd through a head written out by hand, and what a fit must reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from families import BLOCKS, FAMILIES, D, random_model
from torch import Tensor

from lenstui.lens import LensError, Model, evaluate, wire
from lenstui.lens.fit_gradient import losses_and_gradient
from lenstui.lens.fit_options import PRESETS, FitOptions, preset
from lenstui.lens.fitting import FitProgress, fit_steps
from lenstui.lens.residual import residual_stream
from lenstui.lens.text_blocks import token_blocks

FEW = FitOptions(closed_form_tokens=0, steps=6, tokens_per_step=64, seq_len=32, held_out_tokens=64)


def blocks(count: int, length: int = 32, seed: int = 0, vocabulary: int = 258) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return list(torch.randint(vocabulary, (count, length), generator=generator))


def run(
    model: Model, options: FitOptions, train: Sequence[Tensor], held_out: Sequence[Tensor]
) -> list[FitProgress]:
    return list(fit_steps(model, train, held_out, options))


@pytest.mark.parametrize("loss", ["kl", "ce"])
@pytest.mark.parametrize(
    "name", ["GPT-NeoX", "Gemma-2", "Cohere", "Granite", "Phi", "GPT-J", "OPT-350m", "Llama"]
)
def test_gradient_equals_autograd_through_the_whole_head(name: str, loss: str, byte_tokenizer: Any) -> None:
    family = FAMILIES[name]
    module = random_model(family.config)
    model = wire(name, module, byte_tokenizer)
    ids = torch.stack(blocks(2, 8))
    h = residual_stream(model.module, model.anatomy, ids).clone()
    A = (0.05 * torch.randn(BLOCKS, D, D)).requires_grad_()
    b = (0.05 * torch.randn(BLOCKS, D)).requires_grad_()

    def translated() -> Tensor:
        return torch.stack([h[i] + h[i] @ A[i].T + b[i] for i in range(BLOCKS)])

    # By hand, in one graph over the whole vocabulary.
    weights = dict(module.named_parameters(remove_duplicate=False))  # tied ones too
    log_probs = family.logits(weights, translated()).log_softmax(-1)  # [rows, blocks, cols, vocabulary]
    if loss == "kl":
        final = family.logits(weights, h[-1]).log_softmax(-1)
        wanted = (final.exp() * (final - log_probs)).sum((1, 2, 3))
    else:
        following = ids[:, 1:].expand(BLOCKS, -1, -1)
        wanted = -log_probs[:, :, :-1].gather(-1, following[..., None]).sum((1, 2, 3))
    wanted_A, wanted_b = torch.autograd.grad(wanted.sum(), (A, b))

    x = model.head.norm(translated())
    sums, gradient = losses_and_gradient(model, x, model.head.norm(h[-1]), ids, loss)  # type: ignore[arg-type]
    ours_A, ours_b = torch.autograd.grad(x, (A, b), gradient)
    torch.testing.assert_close(sums, wanted, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(ours_A, wanted_A, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(ours_b, wanted_b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("optimizer", ["muon", "adam", "sgd"])
def test_every_optimizer_lowers_the_held_out_kl(tiny: Model, optimizer: Any) -> None:
    rate = {"muon": 2e-2, "adam": 1e-2, "sgd": 0.1}[optimizer]
    options = replace(FEW, steps=40, optimizer=optimizer, lr=rate, momentum=0.9)
    steps = run(tiny, options, blocks(64), blocks(4, seed=1))
    assert (steps[-1].held_out_kl < 0.9 * steps[-1].logit_lens_kl).all()


def test_held_out_kl_is_what_evaluate_says(tiny: Model) -> None:
    held_out = blocks(4, seed=1)
    last = run(tiny, FEW, blocks(8), held_out)[-1]
    assert last.held_out_kl is not None
    quality = evaluate(tiny, held_out, last.lens)
    np.testing.assert_allclose(last.held_out_kl, quality["tuned"].kl[:-1], rtol=1e-4)
    np.testing.assert_allclose(last.logit_lens_kl, quality["logit"].kl[:-1], rtol=1e-4)


def test_the_same_seed_gives_the_same_lens_and_another_seed_another(tiny: Model) -> None:
    train, held_out = blocks(8), blocks(2, seed=1)
    first, again = (run(tiny, FEW, train, held_out)[-1].lens for _ in range(2))
    assert torch.equal(first.weight, again.weight)
    assert torch.equal(first.bias, again.bias)
    other = run(tiny, replace(FEW, seed=1), train, held_out)[-1].lens
    assert not torch.equal(first.weight, other.weight)


def test_a_step_does_not_depend_on_its_micro_batches(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    options = replace(FEW, optimizer="sgd", lr=0.1)  # Muon's bfloat16 iterations would magnify rounding
    train, held_out = blocks(8), blocks(2, seed=1)
    whole = run(tiny, options, train, held_out)
    monkeypatch.setattr("lenstui.lens.fitting.MICRO_TOKENS", 32)
    parts = run(tiny, options, train, held_out)
    assert len(parts) > len(whole)  # it hands over more often
    torch.testing.assert_close(whole[-1].lens.weight, parts[-1].lens.weight, rtol=1e-3, atol=1e-5)


def test_closed_form_first_then_steps_improve_on_it(tiny: Model) -> None:
    options = replace(FEW, closed_form_tokens=1024, steps=30, lr=1e-2)
    stages = run(tiny, options, blocks(64), blocks(4, seed=1))
    solved = next(p for p in stages if p.stage == "closed form" and p.tokens)
    assert solved.held_out_kl is not None
    assert stages[-1].held_out_kl is not None
    assert solved.held_out_kl.mean() < solved.logit_lens_kl.mean()
    assert stages[-1].held_out_kl.mean() < solved.held_out_kl.mean()
    assert stages[-1].tokens == 1024 + 30 * 64


def test_bias_only_leaves_the_matrices_at_zero(tiny: Model) -> None:
    last = run(tiny, replace(FEW, bias_only=True), blocks(8), blocks(2, seed=1))[-1]
    assert not last.lens.weight.any()
    assert last.lens.bias.any()


def test_a_rate_that_explodes_is_told(tiny: Model) -> None:
    with pytest.raises(LensError, match="lower learning rate"):
        run(tiny, replace(FEW, optimizer="sgd", lr=1e38, clip=None), blocks(8), blocks(2, seed=1))


def test_too_little_text_is_told(tiny: Model) -> None:
    with pytest.raises(LensError, match="too little text"):
        run(tiny, FEW, [], blocks(2))


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
    last = run(stories260k, replace(preset("quick"), steps=15), all_blocks[2:], all_blocks[:2])[-1]
    assert last.held_out_kl is not None
    assert last.held_out_kl.mean() < 0.35 * last.logit_lens_kl.mean()
