"""Where the figures of a side's lens are from: its last evaluation, its card, or that of another lens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lenstui.lens import JacobianLens, TunedLens, load, save_lens
from lenstui.lens.compatibility import lens_config
from lenstui.lens.fingerprint import fingerprint_digest
from lenstui.lens.formats.own import open_lens
from lenstui.lens.kinds import JACOBIAN, LOGIT, TUNED
from lenstui.lens.last_evaluation import LastEvaluation, keep_evaluations
from lenstui.lens.trust import Trust
from lenstui.model.load import Model
from lenstui.opening.opened import Opened
from lenstui.opening.sides import Side
from lenstui.opening.trust import trust_of
from tests.tiny.folders import neox_in

FIT = {"held_out_kl": [3.0, 2.0, 1.0], "logit_lens_kl": [9.0, 5.0, 2.5]}
LABELS = ("emb", "0", "1")


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Model:
    return load(str(neox_in(tmp_path_factory.mktemp("model"), byte_tokenizer)))


@pytest.fixture
def opened(model: Model, tmp_path: Path) -> Opened:
    lens = TunedLens(torch.zeros(3, 32, 32), torch.zeros(3, 32), lens_config(model), FIT)
    save_lens(lens, tmp_path / "ours.pt")
    return Opened(model, (open_lens(tmp_path / "ours.pt"),))


def by_row(*figures: float) -> dict[str, float]:
    return dict(zip(LABELS, figures, strict=True))


def reached(model: str, *kl: float) -> LastEvaluation:
    return LastEvaluation(model, ("texts/a.txt",), 4096, "2026-11-30T12:00:00+00:00", sum(kl) / 3, kl)


def test_by_the_card_of_the_tuned_lens_both_have_figures(opened: Opened) -> None:
    assert trust_of(Side(opened, TUNED)) == Trust(by_row(3.0, 2.0, 1.0), "held out in its fit")
    of_logit_lens = Trust(by_row(9.0, 5.0, 2.5), "held out in the fit of ours")
    assert trust_of(Side(opened, LOGIT)) == of_logit_lens
    assert trust_of(Side(opened, JACOBIAN)) is None


def test_the_last_evaluation_on_this_model_comes_first(opened: Opened) -> None:
    file, name = opened.fitted[0].file, opened.model.name
    assert file is not None
    digest = fingerprint_digest(opened.model)
    keep_evaluations({file: reached(name, 0.5, 0.25, 0.125)}, {digest: reached(name, 6.0, 5.0, 4.0)})
    source = "eval on a.txt, 4,096 tokens"
    assert trust_of(Side(opened, TUNED)) == Trust(by_row(0.5, 0.25, 0.125), source)
    assert trust_of(Side(opened, LOGIT)) == Trust(by_row(6.0, 5.0, 4.0), source)
    keep_evaluations(
        {file: reached("another", 7.0, 7.0, 7.0)}, {"another": reached("another", 7.0, 7.0, 7.0)}
    )
    trust = trust_of(Side(opened, TUNED))
    assert trust is not None
    assert trust.source == "held out in its fit"
    assert trust_of(Side(opened, LOGIT)) == Trust(by_row(6.0, 5.0, 4.0), source)


def test_a_fit_for_other_weights_says_nothing(opened: Opened, tmp_path: Path, byte_tokenizer: Any) -> None:
    other = load(str(neox_in(tmp_path / "other", byte_tokenizer, seed=1)))
    there = replace(opened, model=other)
    assert trust_of(Side(there, TUNED)) is None
    assert trust_of(Side(there, LOGIT)) is None


def test_a_jacobian_lens_has_its_convergence_in_the_rows_that_it_has(opened: Opened) -> None:
    matrices = {row: torch.eye(32) for row in (1, 2)}
    lens = JacobianLens(matrices, fit={"convergence": [0.25, 0.75]})
    there = replace(opened, fitted=(*opened.fitted, lens))
    wanted = Trust({"0": 0.25, "1": 0.75}, "measured in its fit", is_convergence=True)
    assert trust_of(Side(there, JACOBIAN)) == wanted
