"""What a GPU reads, fits, edits, traces and explains is what the processor does, up to rounding.

float32 holds to about 1e-4 nats from one processor or library to another (`assets/manual/numbers.md`), which
sum in other orders; a tensor on the wrong device, or of the wrong values, is off by more than ten times that.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lenstui import (
    JacobianOptions,
    TraceOptions,
    attention,
    contributions,
    edited,
    encode,
    evaluate,
    fit,
    fit_jacobian,
    generate,
    trace,
)
from lenstui.fitting.options import preset
from lenstui.lens import Cells, Lens, LogitLens, Model, Readout, open_lens, read, save_lens
from lenstui.model.wiring import check_wiring

NATS = 1e-3
PROMPT, OTHER = "Hello, you", "Hullo, you"
TEXTS = [f"one two three {number} four five six seven eight nine ten " * 8 for number in range(12)]
Pair = tuple[Model, Model]


def assert_same(one: Cells, other: Cells, tolerance: float = NATS) -> None:
    for name in ("entropy", "kl", "js", "top_logits", "next_logprob", "pin_logprobs"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=tolerance, err_msg=name)
    # Where two tokens are as likely, either may be first.
    close = np.abs(np.diff(other.top_logits, axis=2)).min(axis=2) < 2 * tolerance
    np.testing.assert_array_equal(one.top_ids[~close], other.top_ids[~close])


def assert_same_readout(one: Readout, other: Readout, tolerance: float = NATS) -> None:
    assert one.rows == other.rows and one.lenses.keys() == other.lenses.keys()
    for key in other.lenses:
        assert_same(one.lenses[key], other.lenses[key], tolerance)


def test_the_wiring_is_checked_there(pair: Pair) -> None:
    there, _ = pair
    ids = torch.tensor([encode(there.tokenizer, PROMPT).ids], device=there.device)
    assert all(check.ok for check in check_wiring(there.module, there.head, ids))
    assert there.head.linear is not None and there.head.linear.weight.device.type == "cuda"


def test_a_readout_is_the_same(pair: Pair) -> None:
    assert_same_readout(*(read(model, PROMPT, pins=[5, 6], sublayers=True) for model in pair))
    one, other = (read(model, PROMPT, words=["you there"], words_only=True).words for model in pair)
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(ours.logprobs["logit"], theirs.logprobs["logit"], atol=NATS)


def test_half_precision_is_read(folder: Path, pair: Pair) -> None:
    from lenstui.lens import load

    there, here = pair
    rounded = load(str(folder), device=str(there.device), dtype="bfloat16")
    ours, exact = (read(model, PROMPT).lenses["logit"] for model in (rounded, here))
    off = np.abs(ours.kl - exact.kl)
    assert 0 < off.max() < 1  # 8 bits of logits of up to 20, twice


def test_what_is_generated_is_the_same(pair: Pair) -> None:
    one, other = ([*generate(model, encode(model.tokenizer, PROMPT).ids, count=6)] for model in pair)
    assert one == other and len(one) == 6


def test_a_tuned_lens_is_as_good(pair: Pair, tmp_path: Path) -> None:
    options = preset(
        "quick",
        steps=4, seq_len=32, tokens_per_step=128, held_out_tokens=64, closed_form_tokens=1024,
        products="float32",
    )  # fmt: skip
    lenses: list[Lens] = []
    for number, model in enumerate(pair):
        save_lens(fit(model, TEXTS, options), tmp_path / f"{number}.pt")
        lenses.append(open_lens(tmp_path / f"{number}.pt"))  # from a file, it is on the processor
    there, here = pair
    fitted = [read(here, PROMPT, lens).lenses["tuned"].kl.mean() for lens in lenses]
    # Steps are orthogonalized in half precision, so that the weights differ more than the readings.
    assert fitted[0] == pytest.approx(fitted[1], rel=2e-2)
    assert fitted[0] < read(here, PROMPT).lenses["logit"].kl.mean()
    assert_same_readout(*(read(model, PROMPT, lenses[0]) for model in (there, here)))


@pytest.mark.parametrize("changes", [{}, {"estimator": "control-variate"}, {"rule": "relp"}], ids=str)
def test_a_jacobian_lens_is_the_same(pair: Pair, changes: dict[str, str]) -> None:
    options = JacobianOptions(n_prompts=3, seq_len=24, skip_first=4, **changes)  # type: ignore[arg-type]
    one, other = (fit_jacobian(model, TEXTS, options) for model in pair)
    assert one.matrices.keys() == other.matrices.keys()
    for row, matrix in other.matrices.items():
        off = (one.matrices[row].cpu() - matrix).norm() / matrix.norm()
        assert float(off) < 1e-4, row
    assert_same_readout(*(read(model, PROMPT, one) for model in pair))


@pytest.mark.parametrize(
    "edit",
    [
        "ablate 0.attn",
        "ablate 1.0 @2",
        "ablate 1.mlp @3 mean",
        "ablate 0.mlp.3",
        'patch row 0 "Hullo, you"',
        "steer a rows 0-1 by 2",
        "swap a b @3 rows 0-1",
        "cut 0.1 3<-1",
    ],
)
def test_an_edit_does_the_same(pair: Pair, edit: str) -> None:
    one, other = (read(edited(model, [edit], PROMPT), PROMPT) for model in pair)
    assert_same_readout(one, other)
    assert (
        np.abs(other.lenses["logit"].top_logits - read(pair[1], PROMPT).lenses["logit"].top_logits).max()
        > NATS
    )


@pytest.mark.parametrize("approximate", [False, True], ids=["exact", "approximate"])
def test_a_trace_is_the_same(pair: Pair, approximate: bool) -> None:
    options = TraceOptions(approximate=approximate)
    clean, corrupted = (encode(pair[0].tokenizer, text) for text in (PROMPT, OTHER))
    one, other = (trace(model, clean, corrupted, options) for model in pair)
    # Shares of the metric's difference, which is some nats.
    np.testing.assert_allclose(one.recovered, other.recovered, atol=NATS)


def test_why_says_the_same(pair: Pair) -> None:
    one, other = (contributions(model, PROMPT, column=5, row=2) for model in pair)
    for ours, theirs in zip(one.components, other.components, strict=True):
        assert ours.contribution == pytest.approx(theirs.contribution, abs=NATS)
    mine, wanted = (attention(model, PROMPT, "1.0").weights for model in pair)
    np.testing.assert_allclose(mine, wanted, atol=1e-5)


def test_an_evaluation_says_the_same(pair: Pair) -> None:
    blocks = [torch.arange(20), torch.arange(20) + 5]
    one, other = (evaluate(model, blocks, [LogitLens()])["logit"] for model in pair)
    for measure in ("kl", "ce", "entropy", "marginal_bias"):
        np.testing.assert_allclose(one.of(measure), other.of(measure), atol=NATS, err_msg=measure)
