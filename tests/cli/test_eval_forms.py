"""`lenstui eval` on a text: its tables, its files, and what it leaves when it is stopped."""

from __future__ import annotations

import csv
import json
import os
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from lenstui.lens import JacobianLens, save_lens
from lenstui.readout import tiles
from tests.by_hand import drawn
from tests.programs.calls import status
from tests.programs.eval_calls import judged, text

__all__ = ["judged", "text"]


@pytest.mark.parametrize(("width", "tables"), [(120, 1), (80, 2), (40, 6)])
def test_a_table_fits_its_line(
    neox_folder: Path,
    text: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    tables: int,
) -> None:
    """The lenses beside each other, one below the other, or each in parts that all name it."""
    monkeypatch.setenv("COLUMNS", str(width))
    lens = str(neox_folder.parent / "mine.pt")
    words = ("--data", text, "--model", str(neox_folder), "--device", "cpu", "--lens", lens)
    assert status("eval", *words, "--max-tokens", "200") == 0
    *shown, captions = capsys.readouterr().out.split("\n\n")
    assert max(len(line) for line in "\n".join(shown).splitlines()) <= width
    assert len(shown) == tables
    assert captions.startswith("mean KL")
    if tables == 6:
        heads = [table.splitlines()[0].split() for table in shown]
        assert heads[0] == ["row", "logit", "KL", "logit", "CE"]
        assert heads[4] == ["row", "tuned", "top-1", "tuned", "ECE"]


def test_the_measures_of_a_table_can_be_chosen(
    neox_folder: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("eval", "--data", text, "--model", str(neox_folder), "--device", "cpu", "--max-tokens", "200")
    assert status(*words, "--measures", "bits_per_byte,perplexity,kl") == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["row", "logit", "bits/B", "ppl", "KL"]
    assert lines[0].count("±") == 1
    assert status(*words, "--measures", "all", "--errors") == 0
    head, first, *_ = capsys.readouterr().out.splitlines()
    heads = ["KL", "CE", "ppl", "bits/B", "top-1", "entropy", "ECE", "bias"]
    assert head.split() == ["row", "logit", *heads]
    assert first.count("±") == 8


def test_marginal_bias_is_measured_where_it_is_shown(
    neox_folder: Path, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And where its sums take too much memory that is said, and all else measured."""
    monkeypatch.setattr("lenstui.evaluation.marginal_bias._MEMORY", 1)
    words = ("eval", "--data", text, "--model", str(neox_folder), "--device", "cpu", "--max-tokens", "200")
    assert status(*words, "--measures", "kl") == 0
    assert capsys.readouterr().err == ""
    assert status(*words) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("lenstui: No marginal bias: its sums would take 0.0 GB")
    assert captured.out.splitlines()[0].split() == ["row", "logit", "KL", "CE", "top-1", "ECE"]
    assert status(*words, "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["logit"]["marginal_bias"] is content["logit"]["marginal_bias_sem"] is None


def test_every_form_has_the_same_numbers(neox_folder: Path, text: str, tmp_path: Path) -> None:
    lens = str(neox_folder.parent / "mine.pt")
    words = ("--data", text, "--model", str(neox_folder), "--device", "cpu", "--lens", lens)
    for form in ("json", "csv", "parquet", "md"):
        assert status("eval", *words, "--max-tokens", "300", "-o", str(tmp_path / f"out.{form}")) == 0
    content = json.loads((tmp_path / "out.json").read_text())
    stored = pq.read_table(tmp_path / "out.parquet")
    with (tmp_path / "out.csv").open() as file:
        lines = list(csv.DictReader(file))
    places = [(name, row) for name in ("logit", "tuned") for row in range(3)]
    assert len(lines) == stored.num_rows == len(places)
    for line, observation, (name, row) in zip(lines, stored.to_pylist(), places, strict=True):
        assert (line["lens"], line["row"]) == (name, ["emb", "0", "1"][row])
        assert (observation["lens"], observation["row_index"]) == (name, row)
        for measure in content["final"] | content["logit"]:
            number = content[name][measure][row]
            assert float(line[measure]) == observation[measure] == number
    assert lines[0]["data"] == text
    assert json.loads(stored.schema.metadata[b"lenstui"])["data"] == [text]
    markdown = (tmp_path / "out.md").read_text(encoding="utf-8")
    assert f"| 0 | {content['tuned']['kl'][1]:.3f} ± {content['tuned']['kl_sem'][1]:.3f} |" in markdown
    assert "**tuned lens**" in markdown


def test_a_figure_plots_each_measure_by_row(neox_folder: Path, text: str, tmp_path: Path) -> None:
    """Lines go through the values, but not through the rows that a lens lacks."""
    matrices = {1: torch.eye(32)}
    save_lens(JacobianLens(matrices, {"d_model": 32, "num_hidden_layers": 2}), tmp_path / "row-0.pt")
    lenses = ("--lens", str(neox_folder.parent / "mine.pt"), "--lens", str(tmp_path / "row-0.pt"))
    words = ("eval", "--data", text, "--model", str(neox_folder), "--device", "cpu", "--max-tokens", "300")
    assert status(*words, *lenses, "--measures", "top1_agreement,kl", "-o", str(tmp_path / "a.svg")) == 0
    assert status(*words, *lenses, "-o", str(tmp_path / "a.json")) == 0
    content = json.loads((tmp_path / "a.json").read_text())
    svg = (tmp_path / "a.svg").read_bytes()
    said = drawn.said(svg)
    assert said[:3] == ["logit lens", "tuned lens", "Jacobian lens"]
    titles = [place for place, text in enumerate(said) if text.startswith(("top-1: how often", "KL: from"))]
    assert said[titles[0]] == "top-1: how often it is the final top-1" and len(titles) == 2
    assert {"top-1, %", "KL, nats", "row", "emb"} <= set(said)
    assert "--measures top1_agreement,kl" in drawn.description(svg)
    lines = drawn.lines(svg, "axes_2")  # the first plot, that of agreement
    assert [len(points) for points in lines] == [3, 3, 2]
    shares = [
        [share for share in content[name]["top1_agreement"] if share is not None]
        for name in ("logit", "tuned", "jacobian")
    ]
    heights = [y for points in lines for _, y in points]
    flat = np.concatenate(shares)
    slope, base = np.polyfit(flat, heights, 1)  # all on one axis, 100 % the highest
    assert slope < -50
    np.testing.assert_allclose(base + slope * flat, heights, atol=0.06)


def test_the_command_in_markdown_makes_it_again(
    neox_folder: Path, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lens = str(neox_folder.parent / "mine.pt")
    words = ("--data", text, "--model", str(neox_folder), "--device", "cpu", "--lens", lens)
    file = tmp_path / "out.md"
    choice = ("--min-chars", "30", "--max-samples", "30", "--max-tokens", "300", "--measures", "kl,ece")
    assert status("eval", *words, *choice, "-o", str(file)) == 0
    first = file.read_text(encoding="utf-8")
    command = first.partition("```sh\n")[2].partition("\n```")[0]
    file.unlink()
    monkeypatch.chdir(tmp_path)
    assert status(*shlex.split(command)[1:]) == 0
    assert file.read_text(encoding="utf-8") == first


def test_some_kinds_of_lens_alone(neox_folder: Path, text: str, judged: Callable[..., Any]) -> None:
    lens = ("--lens", str(neox_folder.parent / "mine.pt"))
    of_text = ("--data", text, "--max-tokens", "200")
    both, one = judged(*of_text, *lens), judged(*of_text, *lens, "--lenses", "tuned")
    assert one["tuned"] == both["tuned"]
    assert one["logit"] is None is not both["logit"]


def test_a_lens_of_no_use_is_refused(
    neox_folder: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("eval", "--model", str(neox_folder), "--lens", "mine.pt", "--lenses", "logit")
    assert status(*words, "--data", text) == 2
    assert "--lens is of no use with --lenses logit" in capsys.readouterr().err
    assert status("eval", "--words", text, "--lenses", "logit") == 2
    assert "--lenses does not go with --words" in capsys.readouterr().err


def test_what_changes_nothing_is_said(
    neox_folder: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--data", text, "--model", str(neox_folder), "--device", "cpu", "--max-tokens", "200")
    assert status("eval", *words, "--format", "csv", "--measures", "kl", "--errors") == 0
    assert capsys.readouterr().err == (
        "lenstui: csv holds every measure: --measures changes nothing in it.\n"
        "lenstui: csv holds every standard error: --errors changes nothing in it.\n"
    )


# Stopped.


def after_tiles(monkeypatch: pytest.MonkeyPatch, count: int, number: signal.Signals) -> None:
    """Have the program receive a signal after some tiles were read, which are blocks here."""
    read = 0

    def read_tiles(*words: Any, **options: Any) -> Any:
        nonlocal read
        for tile in tiles.read_tiles(*words, **options):
            read += 1
            if read == count:
                os.kill(os.getpid(), number)
            yield tile

    monkeypatch.setattr("lenstui.evaluation.evaluate.read_tiles", read_tiles)


@contextmanager
def heard(number: signal.Signals) -> Iterator[None]:
    """Have a signal do its work, which is ignored under nohup and in the background of a script."""
    default = signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, default)
    try:
        yield
    finally:
        signal.signal(number, before)


def test_ctrl_c_keeps_what_was_measured(
    neox_folder: Path,
    text: str,
    judged: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    two = judged("--data", text, "--max-tokens", "192")
    after_tiles(monkeypatch, 2, signal.SIGINT)
    words = ("--model", str(neox_folder), "--device", "cpu", "--format", "json")
    with heard(signal.SIGINT):
        assert status("eval", "--data", text, *words) == 0
    captured = capsys.readouterr()
    assert captured.err == "lenstui: Stopped at 192 tokens, which are what was measured.\n"
    stopped = json.loads(captured.out)
    assert (stopped["tokens"], stopped["stopped"]) == (192, True)
    assert stopped["logit"] == two["logit"]


@pytest.mark.parametrize(
    ("number", "count"), [(signal.SIGINT, 1), (signal.SIGTERM, 3), (signal.SIGHUP, 3)], ids=str
)
def test_a_signal_that_leaves_nothing(
    neox_folder: Path,
    text: str,
    number: signal.Signals,
    count: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ctrl+C within the first block, or an end that was asked for by another signal."""
    after_tiles(monkeypatch, count, number)
    if number is signal.SIGINT:  # two tiles a block
        monkeypatch.setattr("lenstui.readout.tiles._tile_width", lambda model: 50)
    words = ("--model", str(neox_folder), "--device", "cpu")
    with heard(number):
        assert status("eval", "--data", text, *words) == 128 + number
    assert capsys.readouterr() == ("", "lenstui: Stopped: nothing is kept.\n")
