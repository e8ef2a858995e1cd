"""The Jacobian lens of the bundled model: opened where it is asked for, small, and read as its file says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lenstui.lens.jacobian import JacobianLens
from lenstui.opening.opened import BUNDLED_JACOBIAN_LENS, open_model
from lenstui.support.paths import bundled_model
from lenstui.support.request import Start
from tests.by_hand.jacobian import logits, written

TEXT = "The trees are green and the sky is"
FILE = bundled_model() / BUNDLED_JACOBIAN_LENS


@pytest.fixture(autouse=True)
def no_lenses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


def test_it_is_opened_where_it_is_asked_for_and_no_other_is_named(tmp_path: Path) -> None:
    usual, asked = (open_model(Start(demo=True, jacobian=jacobian)) for jacobian in (False, True))
    assert [lens.kind for lens in usual.lenses] == ["logit", "tuned"]
    assert [lens.kind for lens in asked.lenses] == ["logit", "tuned", "jacobian"]
    assert asked.fitted[-1].file == FILE
    assert asked.remarks == ()
    content = torch.load(FILE, weights_only=True)
    own = written(tmp_path / "own.pt", content)
    named = open_model(Start(demo=True, jacobian=True, lenses=(own,)))
    assert [lens.file for lens in named.lenses_of("jacobian")] == [own]


def test_it_is_small_and_well_converged() -> None:
    content = torch.load(FILE, weights_only=True)
    assert {matrix.dtype for matrix in content["state_dict"].values()} == {torch.float16}
    assert list(content["state_dict"]) == ["emb", "0", "1", "2", "3", "4"]
    assert min(content["fit"]["convergence"]) > 0.9
    assert content["fit"]["n_prompts"] == 100
    card = (bundled_model() / "README.md").read_text(encoding="utf-8")
    assert f"| emb | {content['fit']['convergence'][0]:.3f} |" in card
    assert sum(file.stat().st_size for file in bundled_model().iterdir()) <= 13_000_000


def test_it_reads_as_its_matrices_say() -> None:
    opened = open_model(Start(demo=True, jacobian=True))
    lens = opened.lens("jacobian")
    assert isinstance(lens, JacobianLens)
    from lenstui import read

    cells = read(opened.model, TEXT, lens).lenses["jacobian"]
    matrices = torch.load(FILE, weights_only=True)["state_dict"].values()
    by_row = {row: matrix.float() for row, matrix in enumerate(matrices)}
    for row, wanted in logits(opened.model, TEXT, by_row, "gpt_neox.final_layer_norm").items():
        probs = wanted.softmax(-1).numpy()
        np.testing.assert_allclose(cells.top_probs[row, :, 0], probs.max(-1), atol=1e-4)
