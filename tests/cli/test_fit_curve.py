"""The curve of a fit: kept while a lens is fitted, and shown by `lenstui lenses --curve`."""

from __future__ import annotations

import csv
import io
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lenstui.lens.fit_history import MOST_POINTS, FitPoint, history_of, with_point
from lenstui.lens.formats.own import open_lens, save_lens
from lenstui.lens.tuned import TunedLens
from lenstui.support.errors import LensError
from tests.by_hand import drawn
from tests.programs.calls import status
from tests.tiny.folders import neox_in

STEPS = 24


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("text") / "walks.txt"
    file.write_text("\n\n".join(f"Number {i} went for a walk with {i * i} dogs." for i in range(120)))
    return file


@pytest.fixture(scope="module")
def lens(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any, text: Path) -> Path:
    """The file of a lens that was fitted by the command."""
    folder = neox_in(tmp_path_factory.mktemp("fit") / "model", byte_tokenizer)
    file = folder / "mine.pt"
    sizes = ("--steps", STEPS, "--tokens-per-step", 64, "--seq-len", 32, "--held-out", "0.2")
    words = ("--model", folder, "--device", "cpu", "--data", text, *sizes, "--save", file)
    assert status("train", *words) == 0
    return file


def test_a_lens_keeps_what_was_measured(lens: Path) -> None:
    fit = open_lens(lens).fit
    points = history_of(fit)
    steps = [point.step for point in points]  # how many there are on the way is a matter of time
    assert steps[0] == 0 and steps[-1] == STEPS and steps == sorted({*steps})
    assert list(points[-1].held_out_kl) == fit["held_out_kl"]
    assert points[-1].tokens == fit["tokens"] and points[0].tokens < points[-1].tokens
    assert points[-1].columns >= 4 * points[0].columns - 32  # a fourth of them on the way
    assert np.mean(points[0].held_out_kl) > np.mean(points[-1].held_out_kl)


def test_every_form_has_the_same_numbers(lens: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = history_of(open_lens(lens).fit)
    capsys.readouterr()
    assert status("lenses", "--curve", lens, "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["rows"] == ["emb", "0", "1"]
    assert [point["held_out_kl"] for point in content["history"]] == [list(p.held_out_kl) for p in points]
    assert status("lenses", "--curve", lens, "--format", "csv") == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(line["held_out_kl"]) for line in lines] == [kl for p in points for kl in p.held_out_kl]
    assert [int(line["step"]) for line in lines] == [p.step for p in points for _ in p.held_out_kl]
    assert status("lenses", "--curve", lens) == 0
    shown = capsys.readouterr().out.splitlines()
    means = [float(line.split()[1]) for line in shown[1 : 1 + len(points)]]
    np.testing.assert_allclose(means, [np.mean(p.held_out_kl) for p in points], atol=0.006)
    assert any(line.startswith("the logit lens on the same text: ") for line in shown)


@pytest.mark.parametrize("form", ["svg", "pdf"])
def test_the_command_in_the_caption_makes_the_same_figure(
    lens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    first = tmp_path / "first" / f"curve.{form}"
    first.parent.mkdir()
    assert status("lenses", "--curve", lens, "--width", 140, "--greyscale", "-o", first) == 0
    caption = Path(f"{first}.txt").read_text("utf-8")
    assert (
        f"Model: {lens.parent} · revision none named\n" in caption and "Lens: tuned lens mine.pt" in caption
    )
    assert "held-out columns, the fewer on the way" in caption
    (tmp_path / "again").mkdir()
    monkeypatch.chdir(tmp_path / "again")
    made_by = caption.splitlines()[-1].removeprefix("Made by: lenstui ")
    assert status(*shlex.split(made_by)) == 0
    assert Path(first.name).read_bytes() == first.read_bytes()
    assert Path(f"{first.name}.txt").read_text("utf-8") == caption


def test_what_is_drawn_are_the_points(lens: Path, tmp_path: Path) -> None:
    assert status("lenses", "--curve", lens, "-o", tmp_path / "a.svg") == 0
    svg = (tmp_path / "a.svg").read_bytes()
    assert {"mean of all rows", "row emb", "row 0", "row 1"} <= set(drawn.said(svg))
    points = history_of(open_lens(lens).fit)
    (mean,) = drawn.lines(svg, "axes_2")
    steps, kls = [p.step for p in points], [np.mean(p.held_out_kl) for p in points]
    for values, places in ((steps, [x for x, _ in mean]), (kls, [y for _, y in mean])):
        slope, base = np.polyfit(values, places, 1)
        np.testing.assert_allclose(base + slope * np.array(values), places, atol=0.06)
    assert len(drawn.lines(svg, "axes_3")) == 3


def test_a_lens_without_a_history_says_so(
    lens: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, once = tmp_path / "old.pt", tmp_path / "once.pt"
    made = open_lens(lens)
    weights = (made.weight, made.bias) if isinstance(made, TunedLens) else None
    assert weights is not None
    save_lens(TunedLens(*weights, fit={"steps": 3}), old)
    save_lens(TunedLens(*weights, fit={"history": [FitPoint(0, 5, 5, (1.0, 2.0, 3.0)).plain]}), once)
    for file, reason in (
        (old, "old keeps no history of its fit"),
        (once, "once was measured once, at step 0"),
    ):
        assert status("lenses", "--curve", file, "-o", tmp_path / "x.svg") == 1
        assert reason in capsys.readouterr().err
        assert not (tmp_path / "x.svg").exists()
    assert status("lenses", "--curve", tmp_path / "none.pt") == 1


@pytest.mark.parametrize(
    "history",
    [
        3,
        [3],
        [{"step": 1}],
        [{"step": -1, "tokens": 1, "columns": 1, "held_out_kl": [1.0]}],
        [{"step": 1, "tokens": 1, "columns": 1, "held_out_kl": []}],
        [{"step": n, "tokens": 1, "columns": 1, "held_out_kl": [1.0] * (n + 1)} for n in range(2)],
        [{"step": n, "tokens": 1, "columns": 1, "held_out_kl": [1.0]} for n in range(MOST_POINTS + 2)],
        [{"step": 1, "tokens": 1, "columns": 1, "held_out_kl": ["x"]}],
    ],
)
def test_a_damaged_history_is_refused(
    history: Any, lens: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = torch.load(lens, weights_only=True)
    content["fit"]["history"] = history
    torch.save(content, tmp_path / "bad.pt")
    assert status("lenses", "--curve", tmp_path / "bad.pt") == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "history" in err


def test_a_row_without_a_number_is_empty(
    lens: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = torch.load(lens, weights_only=True)
    kls = [[float("nan"), 2.0, 1.0], [float("inf"), 1.0, 0.5]]
    points = [FitPoint(n, n, 1, tuple(kl)).plain for n, kl in enumerate(kls)]
    content["fit"]["history"] = points
    torch.save(content, tmp_path / "bad.pt")
    assert status("lenses", "--curve", tmp_path / "bad.pt", "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)["history"]
    assert [point["held_out_kl"] for point in found] == [[None, 2.0, 1.0], [None, 1.0, 0.5]]
    assert status("lenses", "--curve", tmp_path / "bad.pt", "--format", "csv") == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [line["held_out_kl"] for line in lines] == ["", "2.0", "1.0", "", "1.0", "0.5"]
    assert status("lenses", "--curve", tmp_path / "bad.pt", "-o", tmp_path / "x.svg") == 0


def test_a_checkpoint_has_the_history(lens: Path) -> None:
    from lenstui.fitting.options import PRESETS
    from lenstui.fitting.state import FitState
    from lenstui.model.load import load

    model = load(str(lens.parent))
    one, other = (FitState.new(model, PRESETS["quick"]) for _ in range(2))
    one.history = [FitPoint(3, 5, 7, (1.0, 2.0, 3.0)).plain]
    kept = one.state_dict()
    other.load_state_dict(kept)
    assert other.history == one.history
    with pytest.raises(LensError, match="does not fit"):
        other.load_state_dict({**kept, "history": [{"step": 1}]})


def test_a_long_history_is_thinned_and_ends_with_the_last_point() -> None:
    history: list[Any] = []
    for step in range(10 * MOST_POINTS):
        history = with_point(history, FitPoint(step, step, 1, (1.0,)))
        assert len(history) <= MOST_POINTS and history[-1]["step"] == step
    steps = [point["step"] for point in history]
    assert steps == sorted(set(steps)) and steps[0] == 0
    again = with_point(history, FitPoint(steps[-1], 7, 2, (2.0,)))
    assert [point["step"] for point in again] == steps and again[-1]["held_out_kl"] == [2.0]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--curve", "x.pt", "--hub"), "--hub is not for --curve"),
        (("--width", "80"), "-o, --width and --greyscale are of --curve"),
        (("--format", "svg"), "--format svg is of --curve"),
        (("--curve", "x.pt", "--width", "80"), "--width is of a figure"),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("lenses", *words) == 2
    assert reason in capsys.readouterr().err
