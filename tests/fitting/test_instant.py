"""The instant lens: the closed form on the general sample, as much of it as time and memory allow."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch

from lenstui.fitting import instant
from lenstui.fitting.checkpoint import open_checkpoint, resume, save_checkpoint
from lenstui.fitting.fit import begin, fitted_lens, read_text
from lenstui.fitting.instant import LIMIT, Estimate, estimate, make_instant_lens
from lenstui.fitting.loop import closed_form_steps, fit_steps
from lenstui.fitting.options import preset
from lenstui.fitting.plan import FitPlan
from lenstui.fitting.state import Fit
from lenstui.lens import LensError, Model, TunedLens, evaluate
from lenstui.texts.documents import Documents
from tests.by_hand import naive
from tests.fitting.test_closed_form import FAMILY, regression

PLAN = Estimate(tokens=512, seq_len=64, held_out_tokens=128, seconds=1.0, memory=0).plan
Result = TypeVar("Result")


def result(work: Generator[None, None, Result]) -> Result:
    """What a generator returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: Result = end.value
            return found


def costs(monkeypatch: pytest.MonkeyPatch, model: Model, seconds: float) -> Estimate:
    """The estimate where each piece of work that is timed takes so long."""
    monkeypatch.setattr(instant, "_seconds", lambda device, work: seconds)
    return result(estimate(model))


def made(fit: Fit) -> TunedLens:
    for _ in closed_form_steps(fit):
        pass
    return fitted_lens(fit)


def test_it_is_the_weighted_ridge_regression_on_the_same_tokens(tiny: Model) -> None:
    text = read_text(tiny, PLAN)
    stream = torch.cat(
        [naive.stream(tiny.module, block[None], FAMILY.h_last) for block in text.blocks.train], dim=1
    ).numpy()
    assert stream.shape[1] == 512
    lens = made(begin(tiny, PLAN, text))
    added = []
    for row in range(3):
        weight, bias = regression(stream[row], stream[-1], 1e-4)
        np.testing.assert_allclose(lens.weight[row], weight, rtol=1e-3, atol=1e-4)
        added.append(lens.bias[row].numpy() - bias)
    # Tempering adds to the biases, in one direction; test_tempering says how much.
    assert np.linalg.svd(np.stack(added), compute_uv=False)[1:].max() < 1e-3


def test_it_is_measured_on_text_that_it_was_not_fitted_on(tiny: Model) -> None:
    text = read_text(tiny, PLAN)
    fitted_on = {tuple(block.tolist()) for block in text.blocks.train}
    assert not fitted_on & {tuple(block.tolist()) for block in text.blocks.held_out}
    lens = made(begin(tiny, PLAN, text))
    quality = evaluate(tiny, text.blocks.held_out, lens)
    np.testing.assert_allclose(lens.fit["held_out_kl"], quality["tuned"].kl[:-1], rtol=1e-4)
    np.testing.assert_allclose(lens.fit["logit_lens_kl"], quality["logit"].kl[:-1], rtol=1e-4)
    said = {name: lens.fit[name] for name in ("method", "preset", "steps", "tokens", "data")}
    assert said == {
        "method": "closed form", "preset": "instant", "steps": 0, "tokens": 512,
        "data": ["lenstui's general sample"],
    }  # fmt: skip


def test_all_that_fits_into_the_limit_is_used(monkeypatch: pytest.MonkeyPatch, tiny: Model) -> None:
    fast = costs(monkeypatch, tiny, 1e-6)
    assert (fast.tokens, fast.cost, fast.refusal) == (16_384, "", "")
    # A block of 64 columns is 4 pieces: the forward pass, and each of three rows. Measuring takes about 150.
    slower = costs(monkeypatch, tiny, LIMIT / 700)
    assert (slower.tokens, slower.cost) == (8_192, "")
    assert slower.seconds <= LIMIT


def test_what_takes_longer_is_offered(monkeypatch: pytest.MonkeyPatch, tiny: Model) -> None:
    slow = costs(monkeypatch, tiny, 1.0)
    assert slow.tokens == 4_096
    assert slow.seconds > 4 * 4_096 / 64
    assert slow.cost == f"in about {slow.seconds:.0f} s"


def test_blocks_are_shorter_where_one_takes_long(monkeypatch: pytest.MonkeyPatch, stories260k: Model) -> None:
    assert costs(monkeypatch, stories260k, 0.04).seq_len == 256
    assert costs(monkeypatch, stories260k, 0.09).seq_len == 128
    assert costs(monkeypatch, stories260k, 0.3).seq_len == 64


def test_what_takes_much_memory_is_offered(monkeypatch: pytest.MonkeyPatch, tiny: Model) -> None:
    needed = costs(monkeypatch, tiny, 1e-6).memory
    assert needed >= 3 * 8 * 33 * (33 + 32)  # the normal equations of three rows
    monkeypatch.setattr(instant, "free_memory", lambda device: 2 * needed)
    assert result(estimate(tiny)).cost == ""
    monkeypatch.setattr(instant, "free_memory", lambda device: 2 * needed - 2)
    assert "GB of memory" in result(estimate(tiny)).cost
    monkeypatch.setattr(instant, "free_memory", lambda device: None)
    monkeypatch.setattr("lenstui.fitting.closed_form._MEMORY", 2 * 8 * 33 * (33 + 32))  # of two rows
    assert "GB of memory" in result(estimate(tiny)).cost


def test_what_takes_more_memory_than_there_is_is_refused(
    monkeypatch: pytest.MonkeyPatch, tiny: Model
) -> None:
    monkeypatch.setattr(instant, "free_memory", lambda device: 1000)
    with pytest.raises(LensError, match=r"takes about 0\.0 GB of memory, and 0\.0 GB are free"):
        make_instant_lens(tiny, lambda cost: None, lambda progress: None)


def test_a_fit_that_was_stopped_between_two_rows_goes_on_to_the_same_lens(
    monkeypatch: pytest.MonkeyPatch, tiny: Model
) -> None:
    monkeypatch.setattr("lenstui.fitting.closed_form._MEMORY", 2 * 8 * 33 * (33 + 32))  # of two rows
    text = read_text(tiny, PLAN)
    whole = begin(tiny, PLAN, text)
    lens = made(whole)
    for stop_at in (1, 2, 3):
        first, second = begin(tiny, PLAN, text), begin(tiny, PLAN, text)
        next(progress for progress in closed_form_steps(first) if first.state.solved_rows == stop_at)
        for row in range(stop_at, 3):
            assert not first.state.weights[row].any()
        second.state.load_state_dict(first.state.state_dict())
        assert torch.equal(made(second).weight, lens.weight)
        assert (second.state.position, second.state.normal) == (whole.state.position, None)


def stories(tmp_path: Path) -> Documents:
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join(f"the cat number {number} sat on the mat" for number in range(60)))
    return Documents((str(path),))


def test_a_fit_starts_from_it(tmp_path: Path, tiny: Model) -> None:
    lens = made(begin(tiny, PLAN))
    options = preset(
        "quick", closed_form_tokens=0, starts_from="instant lens (x)", steps=2, tokens_per_step=64
    )
    plan = FitPlan(options, stories(tmp_path))
    text = read_text(tiny, plan)
    fit = begin(tiny, plan, text, lens)
    assert torch.equal(fit.state.lens().weight, lens.weight)
    measured: Callable[..., Any] = lambda fit: [p for p in fit_steps(fit) if p.held_out_kl is not None]  # noqa: E731
    first, *_ = measured(fit)
    assert (first.step, first.measured_step) == (0, 0)
    assert fitted_lens(fit).fit["method"] == "instant lens (x), then KL"
    save_checkpoint(tmp_path / "x.checkpoint", begin(tiny, plan, text, lens), plan)
    resumed = resume(tiny, open_checkpoint(tmp_path / "x.checkpoint"))
    assert isinstance(resumed, Fit)
    measured(resumed)
    assert torch.equal(resumed.state.lens().weight, fit.state.lens().weight)
    assert fitted_lens(resumed).fit["method"] == "instant lens (x), then KL"


def test_a_fit_starts_from_a_lens_or_from_a_closed_form() -> None:
    with pytest.raises(LensError, match="starts from a lens has no closed form"):
        preset("quick", starts_from="instant lens (x)")
