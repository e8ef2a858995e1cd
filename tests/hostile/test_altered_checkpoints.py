"""Checkpoints that were altered in one place: each is refused in a line, or the fit goes on."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from lenstui.fitting.checkpoint import open_checkpoint, resume, save_checkpoint
from lenstui.fitting.jacobian_options import JacobianOptions
from lenstui.fitting.kinds import AnyFit, begin_fit, steps_of
from lenstui.fitting.options import FitOptions
from lenstui.fitting.plan import AnyOptions, FitPlan
from lenstui.lens import Model
from lenstui.texts.documents import Documents
from tests.hostile.altered import altered
from tests.hostile.refusal import is_read

MUON = FitOptions(
    closed_form_tokens=64, steps=4, tokens_per_step=64, seq_len=32, held_out_tokens=64, lr=5e-3, vocabulary=0
)
SGD = replace(MUON, optimizer="sgd", momentum=0.0, closed_form_tokens=0)
JACOBIAN = JacobianOptions(n_prompts=4, seq_len=16, skip_first=4)
VARIATE = replace(JACOBIAN, estimator="control-variate", n_prompts=10)
SAMPLE = None if os.environ.get("LENSTUI_HOSTILE") == "all" else 300


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "text.txt"
    file.write_text("\n\n".join(f"the cat number {number} sat on the mat of a dog" for number in range(40)))
    return file


@pytest.mark.parametrize(
    ("options", "after"),
    [(MUON, 3), (MUON, 20), (SGD, 20), (JACOBIAN, 4), (VARIATE, 6)],
    ids=["closed form", "muon", "sgd", "jacobian", "control variate"],
)
def test_each_is_refused_in_a_line_or_goes_on(
    tiny: Model, tmp_path: Path, text: Path, options: AnyOptions, after: int
) -> None:
    plan = FitPlan(options, Documents((str(text),)), held_out=0.2)
    fit = begin_fit(tiny, plan)
    for _ in islice(steps_of(fit), after):
        pass
    file = tmp_path / "one.checkpoint"
    save_checkpoint(file, fit, plan)
    gone_on, refused = 0, 0
    for where, content in sampled(torch.load(file, weights_only=True)):
        try:
            torch.save(content, file)
        except (RuntimeError, NotImplementedError, UnicodeEncodeError, TypeError):
            continue  # what torch does not write
        if is_read(partial(going_on, tiny, file), where):
            gone_on += 1
        else:
            refused += 1
    assert gone_on  # where a remark, a name or a time was altered
    assert refused > gone_on


def going_on(model: Model, file: Path) -> AnyFit:
    """Open a checkpoint, and do some steps."""
    fit = resume(model, open_checkpoint(file))
    for _ in islice(steps_of(fit), 6):
        pass
    return fit


def sampled(content: Any) -> Iterator[tuple[str, Any]]:
    """Altered copies; some of them, the same in every run, unless all are asked for."""
    every = list(altered(content))
    yield from every if SAMPLE is None else random.Random(0).sample(every, min(SAMPLE, len(every)))
