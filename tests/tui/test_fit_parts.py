"""The parts of training that need no model: fields, words, shares, bars, and when to read anew."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from lenstui.fitting.options import PRESETS, preset
from lenstui.fitting.progress import FitProgress
from lenstui.jobs.fit_messages import FitStatus, Phase
from lenstui.jobs.fit_share import share_done
from lenstui.model.name import BUNDLED_MODEL
from lenstui.support.duration import duration
from lenstui.support.paths import bundled_text, general_sample
from lenstui.tui.explore.lens_in_training import Repaint
from lenstui.tui.shared.fit_words import PRESETS as PRESET_WORDS
from lenstui.tui.shared.fit_words import glances, outcome
from lenstui.tui.shared.typed_files import file_names
from lenstui.tui.training.fields import FIELDS, FieldError, first_text, make_request
from lenstui.tui.training.loss_curve import LossCurve
from lenstui.tui.training.row_bars import kl_bars

KL = np.array([8.0, 4.0, 2.0], np.float32)


def texts(preset_name: str = "quick", **changes: str) -> dict[str, str]:
    return {field.name: first_text(field.name, PRESETS[preset_name]) for field in FIELDS} | changes


def status(step: int = 27, **changes: Any) -> FitStatus:
    half, quarter = (KL / np.float32(part) for part in (2, 4))
    progress = FitProgress("refining", step / 60, step, 60, 30000, 12.0, 7.4, half, KL, quarter, 0.1, 20, 512)
    return replace(FitStatus(Phase.RUNNING, "quick", Path("/a/b.pt"), 0.45, progress), **changes)


# ── the form's fields ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", PRESETS)
def test_untouched_fields_are_the_preset(name: str) -> None:
    request = make_request("a/b", name, "", texts(name))
    assert request.options == preset(name)
    assert request.documents.paths == (str(general_sample()),)
    of_bundled = make_request(BUNDLED_MODEL, name, "", texts(name))
    assert of_bundled.documents.paths == (str(bundled_text()),)
    assert (request.held_out, request.epochs, request.checkpoint_every) == (0.1, None, 60.0)
    assert set(PRESET_WORDS) == set(PRESETS)


def test_every_field_gets_where_it_belongs() -> None:
    typed = {
        "steps": "7", "tokens_per_step": "64", "seq_len": "32", "optimizer": "adam", "lr": "3e-4",
        "loss": "ce",
        "bias_only": "yes", "products": "float32", "seed": "5", "column": "body", "max_samples": "9",
        "min_chars": "20", "held_out": "0.25", "checkpoint_every": "0",
    }  # fmt: skip
    request = make_request("a/b", "quick", "a.txt b.txt", texts(**typed))
    wanted = preset(
        "quick", steps=7, tokens_per_step=64, seq_len=32, optimizer="adam", lr=3e-4, loss="ce",
        bias_only=True, closed_form_tokens=0, products="float32", seed=5,
    )  # fmt: skip
    assert request.options == wanted
    documents = request.documents
    assert documents.paths == ("a.txt", "b.txt")
    assert (documents.column, documents.max_samples, documents.min_chars) == ("body", 9, 20)
    assert (request.held_out, request.checkpoint_every) == (0.25, 0.0)
    assert make_request("a/b", "quick", "", texts(epochs="2")).epochs == 2


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("steps", ""), ("steps", "-1"), ("steps", "1e3"), ("epochs", "0"), ("tokens_per_step", "1"),
        ("lr", "nan"), ("lr", "inf"), ("lr", ""), ("held_out", "1"), ("held_out", "0"), ("seed", "١"),
        ("max_samples", "0"), ("checkpoint_every", "soon"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_told_of_its_field(field: str, typed: str) -> None:
    with pytest.raises(FieldError) as error:
        make_request("a/b", "quick", "", texts(**{field: typed}))
    assert error.value.field == field


def test_epochs_and_steps_are_not_both_taken() -> None:
    with pytest.raises(FieldError) as error:
        make_request("a/b", "quick", "", texts(epochs="1", steps="5"))
    assert error.value.field == "epochs"


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("a.txt", ("a.txt",)),
        ("a.txt  b*.parquet", ("a.txt", "b*.parquet")),
        ("a.txt, b.txt", ("a.txt", "b.txt")),
        ("'two words.txt' c", ("two words.txt", "c")),
    ],
)
def test_files_are_separated_by_spaces(typed: str, names: tuple[str, ...]) -> None:
    assert file_names(typed) == names


def test_a_single_file_may_have_spaces_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "two words.txt"
    file.touch()
    assert file_names(str(file)) == (str(file),)


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3725, "1:02:05")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_glance_says_less_where_there_is_less_room() -> None:
    full, *others = glances(status())
    assert full == "training 45% · step 27/60 · 0:07 left · KL 1.17"
    assert others[-1] == "training 45%"
    assert [len(line) for line in (full, *others)] == sorted({len(line) for line in (full, *others)})[::-1]
    assert "left" not in glances(status(phase=Phase.PAUSED))[0]
    assert glances(status(phase=Phase.PAUSED, trouble="no"))[-1] == "training failed 45%"


def test_the_outcome_names_before_after_seconds_and_file() -> None:
    text = outcome(status(phase=Phase.KEPT))
    assert text == "Held-out KL 4.667 → 1.167 nats in 12.0 s, 27 steps\n/a/b.pt"
    assert outcome(status(path=None, trouble="Full.")).endswith("It is in no file.\nFull.")


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1)), min_size=2, max_size=30))
def test_the_whole_never_goes_back(pieces: list[tuple[int, float]]) -> None:
    """In the order in which a fit does its stages."""
    options = PRESETS["quick"]
    order = sorted({(stage, share) for stage, share in pieces})
    stages = ("logit lens", "closed form", "refining", "measuring")
    shares = [
        share_done(options, stages[stage], share, 0 if stage < 2 else round(share * 60) if stage == 2 else 60)
        for stage, share in order
    ]
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)
    assert share_done(options, "done", 1.0, 60) == 1.0


# ── bars ─────────────────────────────────────────────────────────────────────────────────────────────────


def lengths(text: str) -> list[int]:
    """How long the tuned part of each bar is, the mean's first."""
    return [len(re.findall("[█▏▎▍▌▋▊▉]", line)) for line in text.splitlines()[1:]]


def test_bars_shrink_with_the_kl() -> None:
    plain = (Style(), Style(), Style())
    full, half = (kl_bars(KL, tuned, 60, plain).plain for tuned in (None, KL / np.float32(2)))
    room = 60 - 5 - 8 - 8 - 2
    assert lengths(full) == [room] * 4
    assert lengths(half) == [-(-room // 2)] * 4
    assert [line.split()[0] for line in half.splitlines()] == ["row", "mean", "1", "0", "emb"]
    assert half.splitlines()[1].split()[1:3] == ["2.333", "4.667"]
    assert full.splitlines()[2].split()[1] == "–"
    assert {len(line) for line in half.splitlines()[1:]} == {60}


def test_a_lens_that_is_worse_than_none_fills_its_bar() -> None:
    text = kl_bars(KL, KL * 3, 40, (Style(), Style(), Style())).plain
    assert lengths(text) == [40 - 23] * 4


def test_without_room_there_are_numbers_alone() -> None:
    assert lengths(kl_bars(KL, KL, 24, (Style(), Style(), Style())).plain) == [0] * 4


# ── the curve ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_long_curve_is_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LossCurve, "_draw", lambda self: None)
    monkeypatch.setattr(LossCurve, "set_xlimits", lambda self, *limits: None)
    curve = LossCurve()
    for step in range(1, 5001):
        curve.add(status(step))
        curve.add(status(step))
    steps = [step for step, _ in curve.losses]
    assert len(steps) <= 2000
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (1, 5000)
    ((step, kl),) = curve.measured
    assert step == 20
    assert kl == pytest.approx(7 / 6)


# ── when the columns are read anew ───────────────────────────────────────────────────────────────────────


def test_reading_anew_takes_a_tenth_of_the_time_at_most() -> None:
    now = 0.0
    repaint = Repaint(lambda: now)
    assert not repaint.is_due()  # nothing has changed
    repaint.changed(1)
    assert repaint.is_due()
    repaint.changed(2)
    now = 50.0
    assert not repaint.is_due()  # one is being read
    repaint.answered(0.5)
    now = 54.9
    assert not repaint.is_due()
    now = 55.1
    assert repaint.is_due()
    repaint.answered(0.001)
    now = 55.9
    repaint.changed(3)
    assert not repaint.is_due()  # no more than once a second
    now = 56.2
    assert repaint.is_due()
    repaint.answered(0.001)
    now = 99.0
    assert not repaint.is_due()  # nothing has changed since
