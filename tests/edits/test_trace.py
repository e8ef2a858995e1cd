"""Causal traces against single patches by plain hooks, one forward pass each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lenstui.edits import trace as module
from lenstui.edits.edit import Columns
from lenstui.edits.trace import NOISE, Trace, trace, trace_passes, trace_steps
from lenstui.edits.trace_options import TraceOptions
from lenstui.lens import LensError, Model, wire
from lenstui.model.tokens import Prompt
from tests.edits.test_directions import PROJECTIONS
from tests.edits.test_edited import NAMED, by_hooks, kept
from tests.tiny.families import FAMILIES, random_model

FAMILY = ["GPT-NeoX", "Llama", "Gemma-2"]
CLEAN, CORRUPTED = Prompt("", tuple(range(3, 12))), Prompt("", (3, 4, 40, 41, 7, 8, 9, 60, 11))


@pytest.fixture(params=FAMILY)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(family: str, byte_tokenizer: Any) -> Model:
    return wire(family, random_model(FAMILIES[family].config), byte_tokenizer)


def last_logits(model: Model, ids: tuple[int, ...], *hooks: Any) -> Tensor:
    h = by_hooks(model, list(ids), *hooks)[-1, -1:]
    with torch.inference_mode():
        return model.head.logits(model.head.norm(h))[0]


def difference(model: Model, found: Trace, logits: Tensor) -> float:
    assert found.options.token is not None and found.options.minus is not None
    return float(logits[found.options.token] - logits[found.options.minus])


def putting(values: Tensor, columns: list[int], part: slice = slice(None)) -> Any:
    def put(value: Tensor) -> None:
        for column in columns:
            value[column, part] = values[column, part]

    return put


def test_the_stream_patched_by_row_and_column(model: Model, family: str) -> None:
    clean, corrupted = (last_logits(model, prompt.ids) for prompt in (CLEAN, CORRUPTED))
    token, minus = int((clean - corrupted).argmax()), int((clean - corrupted).argmin())
    found = trace(model, CLEAN, CORRUPTED, TraceOptions(token=token, minus=minus))
    m_clean, m_corrupted = difference(model, found, clean), difference(model, found, corrupted)
    assert (found.clean, found.corrupted) == pytest.approx((m_clean, m_corrupted), rel=1e-4, abs=1e-4)
    blocks, *_, norm = NAMED[family]
    for row, label in enumerate(found.rows):
        place = f"{blocks}.{row}" if row < model.num_blocks else norm
        values = kept(model, list(CLEAN.ids), "in", place)
        for column in (0, 2, 3, 8):
            logits = last_logits(model, CORRUPTED.ids, ("in", place, putting(values, [column])))
            wanted = (difference(model, found, logits) - m_corrupted) / (m_clean - m_corrupted)
            assert found.recovered[row, column] == pytest.approx(wanted, abs=1e-4), (label, column)
    assert found.recovered[-1, -1] == pytest.approx(1, abs=1e-4)  # the whole last state
    np.testing.assert_allclose(found.recovered[:, 0], 0, atol=1e-4)  # both begin alike
    assert found.stderr is None


@pytest.mark.parametrize("what", ["attn", "mlp"])
def test_windows_of_what_blocks_add(model: Model, family: str, what: Any) -> None:
    token = int((last_logits(model, CLEAN.ids) - last_logits(model, CORRUPTED.ids)).argmax())
    found = trace(model, CLEAN, CORRUPTED, TraceOptions(what=what, window=2, metric="logprob", token=token))
    blocks, attention, mlp, _ = NAMED[family]
    name = attention if what == "attn" else mlp
    assert found.rows == tuple(str(block) for block in range(model.num_blocks))
    for block in range(model.num_blocks):
        hooks = []
        for each in range(block, min(block + 2, model.num_blocks)):
            values = kept(model, list(CLEAN.ids), "out", f"{blocks}.{each}.{name}")
            hooks.append(("out", f"{blocks}.{each}.{name}", putting(values, [3])))
        wanted = float(last_logits(model, CORRUPTED.ids, *hooks).log_softmax(-1)[token])
        assert found.raw[block, 3] == pytest.approx(wanted, abs=1e-4)


def test_attention_heads(model: Model, family: str) -> None:
    found = trace(model, CLEAN, CORRUPTED, TraceOptions(what="head", metric="kl"))
    at = trace(model, CLEAN, CORRUPTED, TraceOptions(what="head", metric="kl", column=5))
    heads = model.module.config.num_attention_heads
    assert found.raw.shape == (model.num_blocks, heads)
    assert found.clean == 0
    clean = last_logits(model, CLEAN.ids).log_softmax(-1)
    name = f"{NAMED[family][0]}.1.{PROJECTIONS[family][0]}"
    values = kept(model, list(CLEAN.ids), "in", name)
    width = values.shape[1] // heads
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        for columns, ours in ((list(range(9)), found), ([5], at)):
            logits = last_logits(model, CORRUPTED.ids, ("in", name, putting(values, columns, part)))
            kl = float((clean.exp() * (clean - logits.log_softmax(-1))).sum())
            assert ours.raw[1, head] == pytest.approx(-kl, abs=1e-4)


def test_noise_is_the_same_in_every_cell(model: Model, family: str) -> None:
    options = TraceOptions(metric="logprob", noise=Columns(((1, 2),)), samples=3, seed=7)
    found = trace(model, CLEAN, None, options)
    ids = torch.arange(0, model.known_ids, max(1, model.known_ids // 1000))
    sigma = NOISE * torch.stack([model.stream(token.reshape(1, 1))[0, 0, 0] for token in ids]).std()
    assert found.sigma == pytest.approx(float(sigma), rel=1e-4)
    generator = torch.Generator().manual_seed(7)
    noises = [sigma * torch.randn(2, model.d_model, generator=generator) for _ in range(3)]
    first = f"{NAMED[family][0]}.0"
    values = kept(model, list(CLEAN.ids), "in", f"{NAMED[family][0]}.1")

    def noising(noise: Tensor) -> Any:
        def add(value: Tensor) -> None:
            value[1:3] += noise

        return add

    def measured(*hooks: Any) -> list[float]:
        runs = (last_logits(model, CLEAN.ids, ("in", first, noising(noise)), *hooks) for noise in noises)
        return [float(logits.log_softmax(-1)[found.options.token]) for logits in runs]

    corrupted = measured()
    patched = measured(("in", f"{NAMED[family][0]}.1", putting(values, [2])))
    assert found.corrupted == pytest.approx(np.mean(corrupted), abs=1e-4)
    assert found.raw[1, 2] == pytest.approx(np.mean(patched), abs=1e-4)
    assert found.stderr is not None
    # The delta method for a ratio of means, draw by draw.
    gains = [after - before for after, before in zip(patched, corrupted, strict=True)]
    losses = [found.clean - before for before in corrupted]
    share = np.mean(gains) / np.mean(losses)
    off = [gain - share * loss for gain, loss in zip(gains, losses, strict=True)]
    se = np.std(off, ddof=1) / np.sqrt(3) / abs(np.mean(losses))
    np.testing.assert_allclose(found.stderr[:, 0], 0, atol=1e-5)  # where no draw changes anything
    assert found.stderr[-1, -1] == pytest.approx(0, abs=1e-5)  # where each draw is restored
    assert found.stderr[1, 2] == pytest.approx(se, rel=1e-2, abs=1e-5)


def test_prompts_of_unlike_length_are_aligned(byte_tokenizer: Any) -> None:
    model = wire("Llama", random_model(FAMILIES["Llama"].config), byte_tokenizer)
    longer = Prompt("", (3, 4, 40, 41, 42, 7, 8, 9, 60, 11))
    found = trace(model, CLEAN, longer, TraceOptions(metric="logprob"))
    assert found.recovered.shape[1] == 10
    missing = np.isnan(found.recovered).all(0)
    assert missing.sum() == 1  # the column that the clean prompt lacks
    values = kept(model, list(CLEAN.ids), "in", "model.layers.1")

    def put(value: Tensor) -> None:
        value[9] = values[8]

    logits = last_logits(model, longer.ids, ("in", "model.layers.1", put))
    wanted = float(logits.log_softmax(-1)[found.options.token])
    assert found.raw[1, 9] == pytest.approx(wanted, abs=1e-4)


def test_the_tokens_are_the_likeliest_of_both_runs(byte_tokenizer: Any) -> None:
    model = wire("Llama", random_model(FAMILIES["Llama"].config), byte_tokenizer)
    found = trace(model, CLEAN, CORRUPTED)
    tokens = [int(last_logits(model, prompt.ids).argmax()) for prompt in (CLEAN, CORRUPTED)]
    assert [found.options.token, found.options.minus] == tokens


def test_rows_come_one_by_one(byte_tokenizer: Any) -> None:
    model = wire("Llama", random_model(FAMILIES["Llama"].config), byte_tokenizer)
    steps = list(trace_steps(model, CLEAN, CORRUPTED, TraceOptions()))
    assert [step.done for step in steps] == [1, 2, 3, 4]
    assert np.isnan(steps[0].recovered[1:]).all() and not np.isnan(steps[-1].recovered).any()


@pytest.mark.parametrize(
    ("options", "corrupted", "said"),
    [
        (TraceOptions(), None, "into a second prompt, or into the same one under noise"),
        (TraceOptions(), CLEAN, "Both runs say"),
        (TraceOptions(metric="logprob"), CLEAN, "nothing to restore"),
        (TraceOptions(window=3), CORRUPTED, "A window is of attention or MLPs"),
        (TraceOptions(column=3), CORRUPTED, "for attention heads alone"),
        (TraceOptions(what="head", column=30), CORRUPTED, "no column 30"),
        (TraceOptions(noise=Columns(((20, 20),))), None, "no column 20"),
        (TraceOptions(samples=0), CORRUPTED, "from 1 on"),
    ],
)
def test_what_cannot_be_traced_is_said(
    options: TraceOptions, corrupted: Prompt | None, said: str, byte_tokenizer: Any
) -> None:
    model = wire("Llama", random_model(FAMILIES["Llama"].config), byte_tokenizer)
    with pytest.raises(LensError, match=said):
        trace(model, CLEAN, corrupted, options)


def test_a_model_without_attention_has_no_heads_to_trace(byte_tokenizer: Any) -> None:
    model = wire("Mamba", random_model(FAMILIES["Mamba"].config), byte_tokenizer)
    with pytest.raises(LensError, match="no attention heads"):
        trace(model, CLEAN, CORRUPTED, TraceOptions(what="head"))


def test_between_passes_the_model_is_as_it_was(byte_tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that others may be answered meanwhile, and the count of passes says how long it takes."""
    monkeypatch.setattr(module, "_BATCH_COLUMNS", 2 * len(CORRUPTED.ids))
    model = wire("Llama", random_model(FAMILIES["Llama"].config), byte_tokenizer)
    clean, seen = last_logits(model, CLEAN.ids), []
    for progress in trace_passes(model, CLEAN, CORRUPTED, TraceOptions(what="mlp", metric="kl")):
        assert torch.equal(last_logits(model, CLEAN.ids), clean)
        known = int((~np.isnan(progress.trace.raw)).sum())
        seen.append((progress.done, progress.trace.done, known))
    rows, passes, cols = model.num_blocks, 5, len(CORRUPTED.ids)  # nine columns, two in a pass
    assert progress.passes == rows * passes
    assert seen[0] == (0, 0, 0)
    for row in range(rows):
        *within, after = seen[1 + row * (passes + 1) :][: passes + 1]
        pairs = enumerate((2, 4, 6, 8, cols), 1)
        assert within == [(row * passes + i, row, row * cols + known) for i, known in pairs]
        assert after == ((row + 1) * passes, row + 1, (row + 1) * cols)
