"""Attribution patching against small patches by plain hooks: the slope is what a little of a patch does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lenstui.edits.edit import Columns
from lenstui.edits.trace import trace, trace_steps
from lenstui.edits.trace_options import TraceOptions
from lenstui.lens import Model, wire
from tests.edits.test_directions import PROJECTIONS
from tests.edits.test_edited import NAMED, kept
from tests.edits.test_trace import CLEAN, CORRUPTED, last_logits
from tests.tiny.families import FAMILIES, random_model

PART = 0.02  # of a patch: little enough for its slope, enough for float32


@pytest.fixture(params=["GPT-NeoX", "Llama", "Gemma-2"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(family: str, byte_tokenizer: Any) -> Model:
    return wire(family, random_model(FAMILIES[family].config), byte_tokenizer)


def moving(values: Tensor, columns: list[int], by: float, part: slice = slice(None)) -> Any:
    """Go a part of the way to other values, forth or back."""

    def move(value: Tensor) -> None:
        for column in columns:
            value[column, part] += by * (values[column, part] - value[column, part])

    return move


def slope(
    model: Model, token: int, way: str, place: str, values: Tensor, columns: list[int], *part: slice
) -> float:
    """The difference quotient of a log-probability, from either side."""
    forth, back = (
        float(
            last_logits(model, CORRUPTED.ids, (way, place, moving(values, columns, by, *part)))
            .double()
            .log_softmax(-1)[token]
        )
        for by in (PART, -PART)
    )
    return (forth - back) / (2 * PART)


def test_the_stream_and_what_blocks_add(model: Model, family: str) -> None:
    token = int((last_logits(model, CLEAN.ids) - last_logits(model, CORRUPTED.ids)).argmax())
    blocks, attention, mlp, norm = NAMED[family]
    for what in ("resid", "attn", "mlp"):
        options = TraceOptions(what=what, metric="logprob", token=token, approximate=True)
        found = trace(model, CLEAN, CORRUPTED, options)
        assert found.done == len(found.rows)
        changes = found.raw - found.corrupted
        largest = float(np.nanmax(abs(changes)))
        for row in (0, 1, len(found.rows) - 1):
            if what == "resid":
                way, place = "in", f"{blocks}.{row}" if row < model.num_blocks else norm
            else:
                way, place = "out", f"{blocks}.{row}.{attention if what == 'attn' else mlp}"
            values = kept(model, list(CLEAN.ids), way, place)
            for column in (2, 8):
                wanted = slope(model, token, way, place, values, [column])
                assert changes[row, column] == pytest.approx(wanted, abs=0.01 * largest), (what, row, column)


def test_attention_heads_and_windows(model: Model, family: str) -> None:
    token = int((last_logits(model, CLEAN.ids) - last_logits(model, CORRUPTED.ids)).argmax())
    options = TraceOptions(what="head", metric="logprob", token=token, approximate=True)
    found = trace(model, CLEAN, CORRUPTED, options)
    changes, heads = found.raw - found.corrupted, model.module.config.num_attention_heads
    name = f"{NAMED[family][0]}.1.{PROJECTIONS[family][0]}"
    values = kept(model, list(CLEAN.ids), "in", name)
    width = values.shape[1] // heads
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        wanted = slope(model, token, "in", name, values, list(range(9)), part)
        assert changes[1, head] == pytest.approx(wanted, abs=0.01 * float(abs(changes).max()))
    one, two = (
        trace(
            model, CLEAN, CORRUPTED,
            TraceOptions(what="mlp", metric="logprob", token=token, window=window, approximate=True),
        )
        for window in (1, 2)
    )  # fmt: skip
    together = (one.raw - one.corrupted)[0] + (one.raw - one.corrupted)[1]
    np.testing.assert_allclose((two.raw - two.corrupted)[0], together, atol=1e-5)


def test_it_is_exact_where_the_metric_is_linear(byte_tokenizer: Any) -> None:
    """Without a final norm, the last state goes straight into the logits."""
    model = wire("GPT-1", random_model(FAMILIES["GPT-1"].config), byte_tokenizer)
    patched, estimated = (
        trace(model, CLEAN, CORRUPTED, TraceOptions(token=1, minus=8, approximate=approximate))
        for approximate in (False, True)
    )
    assert patched.recovered[-1, -1] == pytest.approx(1, abs=1e-4)
    assert estimated.recovered[-1, -1] == pytest.approx(1, abs=1e-4)


def test_noise_and_divergence(model: Model) -> None:
    """The divergence from the clean run is flat at its top, and noise has a slope for each draw."""
    options = TraceOptions(metric="kl", noise=Columns(((1, 2),)), samples=3, approximate=True)
    (found,) = trace_steps(model, CLEAN, None, options)
    assert found.clean == 0 and found.stderr is not None
    assert np.isfinite(found.raw).all() and np.isfinite(found.stderr).all()
    np.testing.assert_allclose(found.recovered[:, 0], 0, atol=1e-5)  # nothing is corrupted before column 1
    assert abs(found.recovered[0, 1:3]).max() > 0
    assert not any(parameter.grad is not None for parameter in model.module.parameters())
    with torch.inference_mode():
        assert last_logits(model, CLEAN.ids).isfinite().all()
