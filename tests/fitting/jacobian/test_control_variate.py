"""The mean field of a block is what its definition says, and a control variate changes no expectation."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lenstui.fitting.checkpoint import open_checkpoint, resume, save_checkpoint
from lenstui.fitting.jacobian.dissection import BlockParts, dissected
from lenstui.fitting.jacobian.fitted import begin, current_lens, fitted_lens
from lenstui.fitting.jacobian.graph import Derivative, Way, build_graph
from lenstui.fitting.jacobian.loop import jacobian_steps
from lenstui.fitting.jacobian.mean_field import attention_jacobian, mean_field, mlp_jacobian
from lenstui.fitting.jacobian.state import JacobianFit
from lenstui.fitting.jacobian_options import JacobianOptions
from lenstui.fitting.plan import FitPlan
from lenstui.lens import LensError, Model
from lenstui.texts.documents import Documents
from tests.tiny.family_reading import wired

FIRST, COLS = 3, 9
OPTIONS = JacobianOptions(n_prompts=8, seq_len=12, skip_first=FIRST, estimator="control-variate")


def some_ids() -> Tensor:
    return torch.randint(2, 258, (COLS,), generator=torch.Generator().manual_seed(3))


def naive(part: Callable[[Tensor], Tensor], h: Tensor) -> Tensor:
    """The mean over sources of the sum over later targets, one gradient each, `[d, d]`."""
    h = h.detach().requires_grad_()
    y, columns = part(h), range(FIRST, COLS - 1)
    found = torch.zeros(h.shape[-1], h.shape[-1])
    for dim in range(h.shape[-1]):
        for column in columns:
            (gradient,) = torch.autograd.grad(y[0, column, dim], h, retain_graph=True)
            found[dim] += sum(gradient[0, source] for source in columns if source <= column) / len(columns)
    return found


def llama(block: Any, rotary: Any) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], bool]:
    causal = torch.full((COLS - 1, COLS - 1), -torch.inf).triu(1)[None, None]

    def attention(h: Tensor) -> Tensor:
        turns = rotary(h, torch.arange(COLS - 1)[None])
        normed = block.input_layernorm(h)
        output: Tensor = block.self_attn(normed, position_embeddings=turns, attention_mask=causal)[0]
        return output

    return attention, lambda h: block.mlp(block.post_attention_layernorm(h)), False


def neox(block: Any, rotary: Any) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], bool]:
    causal = torch.full((COLS - 1, COLS - 1), -torch.inf).triu(1)[None, None]

    def attention(h: Tensor) -> Tensor:
        turns = rotary(h, torch.arange(COLS - 1)[None])
        normed = block.input_layernorm(h)
        output: Tensor = block.attention(normed, attention_mask=causal, position_embeddings=turns)[0]
        return output

    return attention, lambda h: block.mlp(block.post_attention_layernorm(h)), block.use_parallel_residual


@pytest.mark.parametrize(
    ("name", "body", "by_hand"),
    [
        ("Llama", "model", llama),
        ("Qwen3", "model", llama),
        ("GPT-NeoX", "gpt_neox", neox),
        ("GPT-NeoX sequential", "gpt_neox", neox),
    ],
)
def test_its_factors_are_the_mean_jacobians_of_attention_and_mlp(name: str, body: str, by_hand: Any) -> None:
    model, ids = wired(name), some_ids()
    of = Derivative(range(model.num_blocks), model.num_blocks, FIRST)
    parts: list[BlockParts] = []
    dissected(model, ids, of, parts.append)
    h = model.stream(ids[None, :-1]).clone()
    rotary = getattr(model.module, body).rotary_emb
    product = torch.eye(model.d_model)
    found = mean_field(model, ids, of)
    for number in reversed(range(model.num_blocks)):
        attention, mlp, is_parallel = by_hand(model.anatomy.blocks[number], rotary)
        of_attention = naive(attention, h[number])
        of_mlp = naive(mlp, h[number] if is_parallel else (h[number] + attention(h[number])))
        for ours, wanted in (
            (attention_jacobian(parts[number].attention), of_attention),
            (mlp_jacobian(parts[number].mlp), of_mlp),
        ):
            assert float((ours - wanted).norm() / wanted.norm()) < 1e-5
        eye = torch.eye(model.d_model)
        if is_parallel:
            product = product @ (eye + of_attention + of_mlp)
        else:
            product = product @ (eye + of_mlp) @ (eye + of_attention)
        assert float((found[number] - product).norm() / product.norm()) < 1e-5


# the fit


@pytest.fixture(autouse=True)
def one_in_three(monkeypatch: pytest.MonkeyPatch) -> None:
    """One prompt in three is exact, in three pieces of work."""
    monkeypatch.setattr("lenstui.fitting.jacobian_options.EXACT_EVERY", 3)
    monkeypatch.setattr("lenstui.fitting.jacobian.ways._AT_ONCE", 13)


def plan_of(folder: Path, options: JacobianOptions = OPTIONS) -> FitPlan:
    pick, file = random.Random(0), folder / "text.txt"
    words = ("the", "cat", "dog", "sat", "on", "a", "mat", "and", "ran", "to", "see")
    file.write_text("\n\n".join(" ".join(pick.choices(words, k=8)) for _ in range(24)))
    return FitPlan(options, Documents((str(file),)), held_out=0.2)


def of_prompts(fit: JacobianFit) -> tuple[Tensor, Tensor]:
    """The exact Jacobians and the mean fields of all prompts, `[prompts, rows, d, d]` each."""
    model, of, prompts = fit.model, fit.derivative, fit.prompts.train
    way, whole = Way(True, True, model.d_model), range(model.d_model)
    exact = [build_graph(model, ids, of, way).jacobian(whole) for ids in prompts]
    return torch.stack(exact), torch.stack([mean_field(model, ids, of) for ids in prompts])


def matrices_of(fit: JacobianFit) -> Tensor:
    matrices = current_lens(fit).matrices
    return torch.stack([matrices[row] for row in sorted(matrices)])


def test_it_is_the_mean_field_of_all_prompts_and_the_rest_of_some(tiny: Model, tmp_path: Path) -> None:
    fit = begin(tiny, plan_of(tmp_path))
    list(jacobian_steps(fit))
    exact, field = of_prompts(fit)
    wanted = field.mean(0) + (exact - field)[::3].mean(0)
    torch.testing.assert_close(matrices_of(fit), wanted, rtol=1e-4, atol=1e-5)
    card = fitted_lens(fit).fit
    assert (card["estimator"], card["n_prompts"], card["n_exact"]) == ("control-variate", 8, 3)
    assert len(card["convergence"]) == 3
    rest = (exact - field)[::3].flatten(2)
    centred, others = rest - rest.mean(0), field.flatten(2)
    variance = centred.square().sum((0, 2)) / (2 * 3) + (others - others.mean(0)).square().sum((0, 2)) / 56
    variance += 2 * (rest * (others[::3] - others.mean(0))).sum((0, 2)) / 3 / 8
    found = torch.tensor(card["error"])
    torch.testing.assert_close(found, variance.sqrt() / wanted.flatten(1).norm(dim=1), rtol=1e-3, atol=0)


def test_the_error_of_an_exact_fit_is_the_standard_error_of_the_mean(tiny: Model, tmp_path: Path) -> None:
    fit = begin(tiny, plan_of(tmp_path, replace(OPTIONS, estimator="exact")))
    list(jacobian_steps(fit))
    exact, _ = of_prompts(fit)
    wanted = exact.var(0).sum((1, 2)).div(8).sqrt() / exact.mean(0).flatten(1).norm(dim=1)
    torch.testing.assert_close(torch.tensor(fitted_lens(fit).fit["error"]), wanted, rtol=1e-3, atol=0)


def test_with_all_prompts_exact_it_is_the_exact_fit(
    tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lenstui.fitting.jacobian_options.EXACT_EVERY", 1)
    fit = begin(tiny, plan_of(tmp_path))
    list(jacobian_steps(fit))
    torch.testing.assert_close(matrices_of(fit), of_prompts(fit)[0].mean(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(2))
def test_stopped_many_times_it_ends_with_the_same_matrices(tiny: Model, tmp_path: Path, seed: int) -> None:
    plan = plan_of(tmp_path)
    undisturbed = begin(tiny, plan)
    list(jacobian_steps(undisturbed))
    file, pick, stage = tmp_path / "fit.checkpoint", random.Random(seed), ""
    fit: Any = None
    save_checkpoint(file, begin(tiny, plan), plan)
    while stage != "done":
        fit = resume(tiny, open_checkpoint(file))
        for now in islice(jacobian_steps(fit), pick.randint(1, 4)):
            stage = now.stage
        save_checkpoint(file, fit, plan)
    assert isinstance(fit, JacobianFit)
    assert torch.equal(matrices_of(fit), matrices_of(undisturbed))
    ours, theirs = fitted_lens(fit).fit, fitted_lens(undisturbed).fit
    assert {**ours, "seconds": 0, "time": ""} == {**theirs, "seconds": 0, "time": ""}


def test_a_model_that_cannot_be_taken_apart_is_refused_with_the_reason(tmp_path: Path) -> None:
    fit = begin(wired("Mixtral"), plan_of(tmp_path))
    with pytest.raises(LensError, match=r"no control variate for MixtralForCausalLM: it has .* linear maps"):
        list(jacobian_steps(fit))


def test_with_the_rules_of_an_r_lens_it_is_refused() -> None:
    with pytest.raises(LensError, match="no control variate with --rule relp"):
        replace(OPTIONS, rule="relp").check()
