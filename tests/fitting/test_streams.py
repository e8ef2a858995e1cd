"""The hidden states of the closed form's blocks: kept for the last steps, or those are of new blocks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lenstui.fitting.loop import fit_steps
from lenstui.fitting.options import FitOptions
from lenstui.fitting.state import Fit, FitBlocks, FitState
from lenstui.lens import Model

OPTIONS = FitOptions(closed_form_tokens=4 * 32, steps=7, tokens_per_step=32, seq_len=32, held_out_tokens=64)


def finished(model: Model, options: FitOptions, monkeypatch: pytest.MonkeyPatch) -> tuple[Fit, list[Tensor]]:
    """A fit that is done, and the blocks of its own text that the model ran alone, in their order."""
    generator = torch.Generator().manual_seed(0)
    blocks = list(torch.randint(258, (30, 32), generator=generator))
    fit = Fit(model, FitBlocks(blocks[2:], blocks[:2]), options, FitState.new(model, options))
    ran: list[Tensor] = []
    before = Model.stream

    def stream(self: Model, ids: Tensor) -> Tensor:
        if len(ids) == 1 and not any(torch.equal(ids[0], held) for held in blocks[:2]):
            ran.append(ids[0])
        return before(self, ids)

    monkeypatch.setattr(Model, "stream", stream)
    for _ in fit_steps(fit):
        pass
    return fit, ran


def distinct(blocks: list[Tensor]) -> int:
    return len({tuple(block.tolist()) for block in blocks})


def test_the_last_steps_see_the_closed_forms_blocks_again_and_run_none(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit, ran = finished(tiny, OPTIONS, monkeypatch)
    assert len(ran) == distinct(ran) == 4 + 3  # of 7 steps, 4 are on the blocks of the closed form
    assert fit.state.tokens == (4 + 7) * 32
    assert not fit.streams  # no step needs them any more


def test_states_that_take_too_much_are_not_kept_and_every_step_sees_a_new_block(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "lenstui.fitting.streams._MOST_KEPT", 4 * 32 * (tiny.num_blocks + 1) * tiny.d_model * 4 - 1
    )
    fit, ran = finished(tiny, OPTIONS, monkeypatch)
    assert len(ran) == distinct(ran) == 4 + 7
    assert not fit.streams


def test_with_fewer_steps_than_blocks_the_last_ones_come_again(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ran = finished(tiny, replace(OPTIONS, steps=2), monkeypatch)
    assert len(ran) == distinct(ran) == 4


def test_without_steps_nothing_is_kept(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    fit, ran = finished(tiny, replace(OPTIONS, steps=0), monkeypatch)
    assert len(ran) == 4
    assert not fit.streams
