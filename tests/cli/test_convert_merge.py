"""`lenstui convert --merge`: the mean weighted by prompts, its card, and what does not merge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lenstui.fitting.jacobian.fitted import fitted_lens
from lenstui.fitting.jacobian.loop import jacobian_steps
from lenstui.fitting.jacobian.prompts import FitPrompts
from lenstui.fitting.jacobian.state import JacobianFit
from lenstui.fitting.jacobian_options import JacobianOptions
from lenstui.lens import JacobianLens, Model, TunedLens, open_lens, save_lens
from lenstui.support.errors import PREFIX, message_line
from tests.by_hand.jacobian import matrices, reference, written
from tests.programs.calls import status

D = 8
CONFIG = {"base_model_name_or_path": "a/b", "d_model": D, "num_hidden_layers": 3}
FIT = {"target": "last", "rule": "none", "skip_first": 16, "seed": 0, "method": "Jacobian", "seq_len": 128}


def lens_at(path: Path, seed: int, prompts: int | None, **changes: Any) -> Path:
    """A lens of rows emb, 0 and 1 with random matrices."""
    fit = {**FIT, "n_prompts": prompts, "data": [f"{path.stem}.txt"], "tokens": 10, **changes.pop("fit", {})}
    of_rows: Mapping[int, Tensor] = changes.pop("rows", dict(enumerate(matrices(3, D, seed=seed).values())))
    save_lens(JacobianLens(of_rows, {**CONFIG, **changes}, fit), path)
    return path


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    return lens_at(tmp_path / "a.pt", 1, 30), lens_at(tmp_path / "b.pt", 2, 70)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert status("convert", "--merge", *map(str, words)) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and len(captured.err.splitlines()) == 1
    return captured.err


def merged_of(path: Path) -> JacobianLens:
    lens = open_lens(path)
    assert isinstance(lens, JacobianLens)
    return lens


def test_it_is_the_weighted_mean(
    two: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    third = lens_at(tmp_path / "c.pt", 3, 1)
    out = tmp_path / "new folder" / "out.pt"
    assert status("convert", "--merge", *map(str, (*two, third, out))) == 0
    said = capsys.readouterr().err
    whole = (
        f"Merged {two[0]}, {two[1]} and {third}, lenses for a/b (3 blocks, width {D}), "
        f"to one of 101 prompts, and wrote {out}, a file of lenstui."
    )
    assert said == f"{PREFIX}{message_line(whole)}\n"
    lens, read = merged_of(out), [merged_of(path) for path in (*two, third)]
    assert sorted(lens.matrices) == [0, 1, 2]
    for row, matrix in lens.matrices.items():
        a, b, c = (each.matrices[row].double() for each in read)
        torch.testing.assert_close(matrix.double(), (30 * a + 70 * b + c) / 101, rtol=1e-6, atol=1e-7)
    assert lens.config["base_model_name_or_path"] == "a/b"
    assert lens.fit["merged"] == ["a (30 prompts)", "b (70 prompts)", "c (1 prompts)"]
    assert (lens.fit["n_prompts"], lens.fit["tokens"], lens.fit["target"]) == (101, 30, "last")
    assert lens.fit["data"] == ["a.txt", "b.txt", "c.txt"]
    assert lens.fit.get("convergence") is None and lens.fit.get("seed") is None
    assert [path.name for path in out.parent.iterdir()] == ["out.pt"]  # nothing is left behind


def test_halves_of_a_fit_merge_to_the_whole(tiny: Model, tmp_path: Path) -> None:
    torch.manual_seed(0)
    prompts = tuple(torch.randint(32, 120, (7, 12)))
    options = JacobianOptions(n_prompts=7, seq_len=12, skip_first=3)

    def fit(some: tuple[Tensor, ...], name: str) -> Path:
        of_some = replace(options, n_prompts=len(some))
        whole = JacobianFit.new(tiny, FitPrompts(some, prompts[:1]), of_some, (f"{name}.txt",))
        for _ in jacobian_steps(whole):
            pass
        save_lens(fitted_lens(whole), tmp_path / f"{name}.pt")
        return tmp_path / f"{name}.pt"

    halves, whole = [fit(prompts[:2], "first"), fit(prompts[2:], "second")], fit(prompts, "whole")
    out = tmp_path / "out.pt"
    assert status("convert", "--merge", *map(str, (*halves, out))) == 0
    ours, wanted = merged_of(out), merged_of(whole)
    for row, matrix in wanted.matrices.items():
        off = (ours.matrices[row] - matrix).norm() / matrix.norm()
        assert off < 1e-6
        assert (merged_of(halves[0]).matrices[row] - matrix).norm() / matrix.norm() > 1e-3
    assert ours.fit["n_prompts"] == 7
    assert ours.config["fingerprint"] == wanted.config["fingerprint"]


def test_files_of_the_reference_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They name neither model, target nor text, and are of half precision; out and in."""
    files = [
        written(tmp_path / f"{seed}.pt", reference(matrices(2, D, seed=seed), n_prompts=prompts))
        for seed, prompts in ((1, 10), (2, 30))
    ]
    out = tmp_path / "out.pt"
    assert status("convert", *map(str, (*files, out)), "--merge", "--format", "reference") == 0
    lens, read = torch.load(out, weights_only=True), [torch.load(file, weights_only=True) for file in files]
    assert lens["n_prompts"] == 40
    for number, matrix in lens["J"].items():
        a, b = (each["J"][number].float() for each in read)
        torch.testing.assert_close(matrix.float(), (10 * a + 30 * b) / 40, rtol=2e-3, atol=1e-4)
    assert "to one of 40 prompts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fit": {"target": "penultimate"}}, "are means of other things: target is last and penultimate."),
        ({"fit": {"rule": "relp"}}, "are means of other things: rule is none and relp."),
        ({"fit": {"skip_first": 4}}, "are means of other things: skip_first is 16 and 4."),
        ({"base_model_name_or_path": "c/d"}, "are for other models: a/b and c/d."),
        ({"num_hidden_layers": 4}, "are for models of other shapes: 3 and 4 blocks."),
        ({"rows": {1: torch.ones(D, D)}}, "have other rows: emb,0,1, and 0."),
        ({"rows": {0: torch.ones(4, 4)}, "d_model": 4}, f"are for models of other shapes: width {D} and 4."),
        ({"fit": {"data": ["a.txt"]}}, "were fitted on the same text (a.txt, seed 0)"),
        ({"fit": {"n_prompts": None}}, "does not say on how many prompts it was fitted"),
        ({"fit": {"n_prompts": 0}}, "does not say on how many prompts it was fitted"),
    ],
)
def test_what_does_not_merge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], reason: str
) -> None:
    one = lens_at(tmp_path / "a.pt", 1, 30)
    other = lens_at(tmp_path / "b.pt", 2, 70, **changes)
    said = refused(capsys, one, other, tmp_path / "out.pt")
    assert reason in said and "b.pt" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pt", "b.pt"]


def test_the_same_lens_twice_and_a_tuned_lens(
    two: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy.pt"
    copy.write_bytes(two[0].read_bytes())
    out = tmp_path / "out.pt"
    assert "have the same matrices: leave one out." in refused(capsys, two[0], copy, out)
    save_lens(TunedLens(torch.zeros(3, D, D), torch.zeros(3, D), CONFIG), tmp_path / "tuned.pt")
    assert "tuned.pt is a tuned lens: only Jacobian lenses merge." in refused(
        capsys, two[0], tmp_path / "tuned.pt", out
    )
    assert "are the same: write to another place." in refused(capsys, *two, two[1])
    assert "There is no lens file" in refused(capsys, two[0], tmp_path / "none.pt", out)
    assert not out.exists()


def test_what_the_cards_leave_open_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same name of a text under another seed may be another file; an unknown target is unknown."""
    one = lens_at(tmp_path / "a.pt", 1, 30)
    other = lens_at(tmp_path / "b.pt", 2, 70, fit={"data": ["a.txt"], "seed": 5, "target": None})
    assert status("convert", "--merge", str(one), str(other), str(tmp_path / "out.pt")) == 0
    said = capsys.readouterr().err
    assert "a and b were both fitted on a.txt: where that is one file, they share prompts." in said
    assert "b does not say its target." in said
    assert merged_of(tmp_path / "out.pt").fit.get("target") is None


def test_other_weights_of_a_model_with_the_same_name(
    tiny: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lenstui.lens.compatibility import jacobian_config

    config = jacobian_config(tiny)
    parts = {**config["fingerprint"]["parts"]}
    name, tensors = next(iter(parts.items()))
    parts[name] = {key: {**of, "samples": [x + 1 for x in of["samples"]]} for key, of in tensors.items()}
    other = {**config, "fingerprint": {**config["fingerprint"], "parts": parts}}
    rows = dict(enumerate(matrices(3, tiny.d_model, seed=1).values()))
    paths = []
    for number, of_model in enumerate((config, other, {**config, "base_model_name_or_path": "/elsewhere"})):
        fit = {**FIT, "n_prompts": 3, "data": [f"{number}.txt"]}
        some = {row: matrix + number for row, matrix in rows.items()}
        paths.append(tmp_path / f"{number}.pt")
        save_lens(JacobianLens(some, of_model, fit), paths[-1])
    assert "are for other models" in refused(capsys, paths[0], paths[1], tmp_path / "out.pt")
    # The same weights from another folder are the same model.
    assert status("convert", "--merge", str(paths[0]), str(paths[2]), str(tmp_path / "out.pt")) == 0


def test_wrong_calls(two: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("convert", "--merge", str(two[0]), str(tmp_path / "out.pt")) == 2
    assert "--merge takes two lenses or more, and OUT behind them" in capsys.readouterr().err
    assert status("convert", *map(str, two), str(tmp_path / "out.pt")) == 2
    assert "give one IN and one OUT, or --merge" in capsys.readouterr().err
    assert status("convert", "--merge", *map(str, two), str(tmp_path / "folder") + "/") == 1
    assert "has no Jacobian lenses" in capsys.readouterr().err
