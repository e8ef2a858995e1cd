"""Figures of every command: made again by that in their caption, byte for byte, at the chosen width."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.by_hand import drawn
from tests.programs.calls import status
from tests.tiny.folders import neox_in

TEXT = "Hello you"
SETS = [
    {"prompt": "One two ", "target": "three", "foil": "x", "group": "numbers"},
    {"prompt": "Two three ", "target": "four", "foil": "y", "group": "numbers"},
    {"prompt": "Red blue ", "target": "green", "foil": "z", "group": "colours"},
]
PAIRS = [
    {"prompt": "One two ", "corrupted": "Two two ", "target": "x", "minus": "y", "group": "a"},
    {"prompt": "One six ", "corrupted": "Two six ", "target": "x", "minus": "y", "group": "b"},
]


def words_of(kind: str, folder: Path, tmp_path: Path) -> list[str]:
    """The command for a kind of figure, without where it goes."""
    lens = ["--lens", str(folder.parent / "mine.pt")]
    other = ["--against-model", str(folder.parent / "deeper")]
    files = {"set": SETS, "pairs": PAIRS}
    for name, cases in files.items():
        lines = "".join(f"{json.dumps(case)}\n" for case in cases)
        (tmp_path / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "text.txt").write_text("One two three, and so on. " * 40, encoding="utf-8")
    words = {
        "grid": ["read", TEXT, *lens, "--value", "kl"],
        "difference": ["read", TEXT, *lens, "--diff"],
        "pins": ["read", TEXT, *lens, "--figure", "pins", "--column", "3", "--pin", "o", "y"],
        "set": ["read", "--prompts", str(tmp_path / "set.jsonl"), *lens],
        "effect": [
            "read",
            "--prompts",
            str(tmp_path / "set.jsonl"),
            "--exact-targets",
            *lens,
            "--edit",
            "ablate 0.1",
        ],
        "foil": ["read", "--prompts", str(tmp_path / "set.jsonl"), *lens, "--value", "foil-diff"],
        "sides": [
            *("read", "--prompts", str(tmp_path / "set.jsonl"), "--lenses", "logit"),
            *("--against-lens", str(folder.parent / "mine.pt")),
        ],
        "models": ["read", TEXT, *lens, *other, "--value", "entropy"],
        "models-difference": ["read", TEXT, *other, "--diff", "--lenses", "logit"],
        "models-pins": ["read", TEXT, *other, "--figure", "pins", "--pin", "o", "--rows", "emb,1"],
        "why": ["why", TEXT],
        "attention": ["why", TEXT, "--head", "1.0"],
        "trace": ["trace", "--metric", "logprob", "--pin", "x", "One two", "Two two"],
        "heads": ["trace", "--metric", "kl", "--what", "head", "One two", "Two two"],
        "traces": ["trace", "--prompts", str(tmp_path / "pairs.jsonl")],
        "evaluation": ["eval", "--data", str(tmp_path / "text.txt"), *lens, "--max-tokens", "300"],
    }[kind]
    return [*words, "--model", str(folder), "--device", "cpu"]


KINDS = (
    *(
        "grid",
        "difference",
        "pins",
        "set",
        "effect",
        "foil",
        "sides",
        "models",
        "models-difference",
        "models-pins",
        "why",
        "attention",
        "trace",
        "heads",
        "traces",
    ),
    "evaluation",
)


@pytest.fixture(scope="module", autouse=True)
def deeper(neox_folder: Path, byte_tokenizer: Any) -> None:
    """A deeper model beside the other one."""
    neox_in(neox_folder.parent / "deeper", byte_tokenizer, seed=1, blocks=4, context=90)


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_in_the_caption_makes_the_same_file(
    kind: str, neox_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form, style = ("svg", ["--width", "150"]) if KINDS.index(kind) % 2 else ("pdf", ["--greyscale"])
    (tmp_path / "first").mkdir()
    (tmp_path / "again").mkdir()
    first = tmp_path / "first" / f"figure.{form}"
    assert status(*words_of(kind, neox_folder, tmp_path), *style, "-o", str(first)) == 0
    caption = Path(f"{first}.txt").read_text("utf-8")
    *_, made_by = caption.splitlines()
    assert made_by.startswith("Made by: lenstui ")
    monkeypatch.chdir(tmp_path / "again")
    assert status(*shlex.split(made_by.removeprefix("Made by: lenstui "))) == 0
    assert (tmp_path / "again" / f"figure.{form}").read_bytes() == first.read_bytes()
    assert (tmp_path / "again" / f"figure.{form}.txt").read_text("utf-8") == caption
    for said in (
        f"Model: {neox_folder} · revision none named · float32",
        "Versions: lenstui ",
        ", matplotlib ",
    ):
        assert said in caption
    assert (
        ("Prompt: " in caption) or ("rompts: " in caption) or ("prompt: " in caption) or "Text: " in caption
    )
    if form == "svg":
        assert drawn.size_mm(first.read_bytes())[0] == pytest.approx(150, abs=1e-3)
        assert drawn.description(first.read_bytes()) == caption.rstrip("\n")


def test_what_is_drawn_of_pins_are_their_numbers(neox_folder: Path, tmp_path: Path) -> None:
    words = words_of("pins", neox_folder, tmp_path)
    assert status(*words, "-o", str(tmp_path / "a.svg")) == 0
    read = [word for word in words if word not in {"--figure", "pins", "--column", "3"}]
    assert status(*read, "-o", str(tmp_path / "a.json")) == 0
    content = json.loads((tmp_path / "a.json").read_text())
    svg = (tmp_path / "a.svg").read_bytes()
    pins = content["pins"]
    names = [f"{pin['word']} · {lens} lens" for lens in ("logit", "tuned") for pin in pins]
    assert drawn.said(svg)[: len(names)] == names
    assert {"probability, %", "log-probability, nats", "rank (log scale)"} <= set(drawn.said(svg))
    curves = drawn.lines(svg, "axes_3")  # of log-probabilities
    values = [[row[3] for row in pin[lens]["logprob"]] for lens in ("logit", "tuned") for pin in pins]
    assert len(curves) == len(values)
    heights = [y for points in curves for _, y in points]
    flat = np.concatenate(values)
    slope, base = np.polyfit(flat, heights, 1)
    assert slope < 0
    np.testing.assert_allclose(base + slope * flat, heights, atol=0.06)


def test_what_is_drawn_of_a_set_are_its_means(neox_folder: Path, tmp_path: Path) -> None:
    words = [*words_of("effect", neox_folder, tmp_path), "--value", "prob"]
    assert status(*words, "-o", str(tmp_path / "a.svg")) == 0
    as_json = [word for word in words if word not in {"--value", "prob"}]
    assert status(*as_json, "-o", str(tmp_path / "a.json")) == 0
    content = json.loads((tmp_path / "a.json").read_text())
    svg = (tmp_path / "a.svg").read_bytes()
    said = drawn.said(svg)
    assert said[:3] == ["numbers (2)", "colours (1)", "all (3)"]
    titles = [f"{lens} lens, {run}" for lens in ("logit", "tuned") for run in ("clean", "edited", "effect")]
    assert [text for text in said if " lens, " in text] == titles
    edited = [content["groups"]["numbers"], content["groups"]["colours"], content["means"]]
    of_all = [means["lenses"]["tuned"]["target_prob"]["mean"] for means in edited]
    curves = drawn.lines(svg, "axes_6")  # behind the page and four others: edited, tuned
    assert len(curves) == 3
    flat, heights = np.concatenate(of_all), [y for points in curves for _, y in points]
    slope, base = np.polyfit(flat, heights, 1)
    assert slope < 0
    np.testing.assert_allclose(base + slope * flat, heights, atol=0.06)


@pytest.mark.parametrize("kind", KINDS)
def test_a_width_that_is_too_small_writes_nothing(
    kind: str, neox_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figure.pdf"
    file.write_bytes(b"old")
    assert status(*words_of(kind, neox_folder, tmp_path), "--width", "10", "-o", str(file)) == 1
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "too narrow" in line]
    assert said.startswith("lenstui: 10 mm are too narrow for this figure: it takes at least ")
    assert file.read_bytes() == b"old" and not Path(f"{file}.txt").exists()
    least = said.removesuffix(" mm.").rpartition(" ")[2]
    assert status(*words_of(kind, neox_folder, tmp_path), "--width", least, "-o", str(file)) == 0
    assert drawn.pdf_size_mm(file.read_bytes())[0] == pytest.approx(float(least), abs=0.01)


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--width", "80"], "--width is of a figure: add --format svg or pdf"),
        (["--greyscale", "-o", "x.html"], "--greyscale is of a figure"),
        (["--width", "0", "-o", "x.svg"], "'0' is no width in millimetres"),
        (["--width", "nan", "-o", "x.svg"], "'nan' is no width in millimetres"),
        (["--width", "wide", "-o", "x.svg"], "'wide' is no width in millimetres"),
        (["--figure", "pins", "-o", "x.svg"], "--figure pins is of words: name them with --pin"),
        (
            ["--figure", "pins", "-o", "x.csv", "--pin", "a"],
            "--figure is of one prompt, with --format svg or pdf",
        ),
        (["--column", "1", "-o", "x.svg"], "--column is of --figure pins"),
        (["--figure", "pins", "-o", "x.svg", "--value", "kl", "--pin", "a"], "--value is of no use with"),
        (["--figure", "pins", "-o", "x.svg", "--diff", "--pin", "a"], "--diff is of no use with"),
    ],
)
def test_what_makes_no_sense_is_refused(
    more: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("read", "x", *more) == 2
    out, err = capsys.readouterr()
    assert out == "" and complaint in err and err.count("\n") == 1


def test_a_column_that_there_is_not(
    neox_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("read", "hi", "--model", neox_folder, "--pin", "h", "--figure", "pins", "--column", "7")
    assert status(*words, "-o", tmp_path / "x.svg") == 1
    assert capsys.readouterr().err.endswith("There is no column 7: the prompt has columns 0 to 1.\n")
    assert list(tmp_path.glob("x.svg*")) == []


def test_through_a_pipe_come_the_same_bytes(
    neox_folder: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    for form in ("svg", "pdf"):
        words = ("read", "hi", "--model", neox_folder, "--lenses", "logit", "--format", form)
        capsysbinary.readouterr()
        assert status(*words) == 0
        first = capsysbinary.readouterr().out
        assert first.startswith(b"%PDF-" if form == "pdf" else b"<?xml")
        assert status(*words) == 0
        assert capsysbinary.readouterr().out == first


def test_without_the_library_it_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], out_of_use: Callable[[str], None]
) -> None:
    out_of_use("matplotlib")
    assert status("read", "x", "--model", "nowhere", "-o", "x.svg") == 1
    assert "pip install 'lenstui[figures]'" in capsys.readouterr().err


@pytest.fixture
def out_of_use(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Takes a library away, as if it were not installed."""
    import sys

    return lambda name: monkeypatch.setitem(sys.modules, name, None)
