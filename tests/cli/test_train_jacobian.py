"""`lenstui train --kind jacobian`."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch

from lenstui.cli import main
from tests.programs.forked import Forked
from tests.programs.train_calls import text

__all__ = ["text"]


def fit(model: Path, text: Path, *words: str) -> int:
    few = ["--n-prompts", "4", "--seq-len", "20", "--skip-first", "4"]
    return main(["train", "--kind", "jacobian", "--model", str(model), "--data", str(text), *few, *words])


def test_json_is_the_contract_and_the_file_is_what_it_says(
    tiny_folder: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lenstui.lens import JacobianLens, open_lens

    file = tmp_path / "mine.pt"
    assert fit(tiny_folder, text, "--save", str(file), "--format", "json") == 0
    result = json.loads(capsys.readouterr().out)
    lens = open_lens(file)
    assert isinstance(lens, JacobianLens)
    assert sorted(lens.matrices) == [0, 1]
    assert {key: result[key] for key in ("version", "path", "kind", "preset", "n_prompts", "steps")} == {
        **{"version": 1, "path": str(file), "kind": "jacobian", "preset": "jacobian"},
        **{"n_prompts": 4, "steps": 4},
    }
    assert result["tokens"] == 80
    assert result["held_out_kl"] is result["logit_lens_kl"] is None
    assert result["convergence"] == lens.fit["convergence"]
    assert len(result["convergence"]) == 2
    assert lens.config["d_model"] == 16


def test_the_table_has_the_convergence_by_row(
    tiny_folder: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.pt"
    assert fit(tiny_folder, text, "--save", str(file)) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == "4 prompts"
    assert lines[1].startswith("convergence: share of the top 10 tokens")
    assert [line.split()[0] for line in lines[2:]] == ["row", "emb", "0", "saved"]
    assert "4 prompts of 20 tokens to fit on, 8 held out" in said.err
    assert "4 prompts  convergence by row" in said.err


def test_the_same_call_gives_the_same_lens_bit_for_bit(tiny_folder: Path, text: Path, tmp_path: Path) -> None:
    from lenstui.lens import JacobianLens, open_lens

    found = []
    for name in ("a.pt", "b.pt"):
        assert fit(tiny_folder, text, "--save", str(tmp_path / name)) == 0
        lens = open_lens(tmp_path / name)
        assert isinstance(lens, JacobianLens)
        found.append(lens.matrices)
    assert all(torch.equal(found[0][row], found[1][row]) for row in (0, 1))


def test_without_save_it_goes_to_the_lenses_folder(
    tiny_folder: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert fit(tiny_folder, text) == 0
    assert [file.name for file in tmp_path.rglob("*.pt")] == ["tiny-jacobian-1.pt"]


def test_options_of_the_other_kind_are_wrong_calls(capsys: pytest.CaptureFixture[str]) -> None:
    for kind, *words in (
        *(("tuned", "--n-prompts", "3"), ("tuned", "--skip-first", "3"), ("tuned", "--target", "last")),
        *(("tuned", "--rule", "relp"), ("tuned", "--estimator", "exact"), ("jacobian", "--steps", "3")),
        *(("jacobian", "--preset", "quick"), ("jacobian", "--lr", "1"), ("jacobian", "--epochs", "1")),
        *(("jacobian", "--bias-only"), ("jacobian", "--optimizer", "adam"), ("jacobian", "--clip", "1")),
    ):
        with pytest.raises(SystemExit) as leaving:
            main(["train", "--kind", kind, *words])
        assert leaving.value.code == 2
        said = capsys.readouterr().err
        assert f"{words[0]} is for --kind" in said
        assert len(said.splitlines()) == 1


def test_options_that_leave_nothing_are_refused_in_one_line(
    tiny_folder: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tiny_folder, text, "--skip-first", "19", "--save", str(tmp_path / "lens.pt")) == 1
    said = capsys.readouterr().err
    assert "seq_len must be at least 21" in said
    assert len(said.splitlines()) == 1


def test_stopped_by_ctrl_c_it_is_kept_and_gone_on_with(
    programs: Forked, tiny_folder: Path, text: Path, tmp_path: Path
) -> None:
    from lenstui.lens import open_lens

    words = ["train", "--kind", "jacobian", "--model", tiny_folder, "--data", text, "--seq-len", 40]
    whole, file = tmp_path / "whole.pt", tmp_path / "mine.pt"
    undisturbed = programs.start(*words, "--save", whole, "--format", "json")
    assert undisturbed.status() == 0
    program = programs.start(*words, "--save", file, "--format", "json", "--checkpoint-every", "0")
    program.said("2 prompts  convergence")
    program.send(signal.SIGINT)
    assert program.status() == 0
    result = json.loads(program.out)
    assert 2 <= result["n_prompts"] < 100
    assert f"Stopped at prompt {result['n_prompts']} of 100: what was learned is saved." in program.err
    assert open_lens(file).fit["n_prompts"] == result["n_prompts"]

    resumed = programs.start("train", "--resume", tmp_path / "mine.checkpoint", "--format", "json")
    assert resumed.status() == 0
    assert f"Going on at prompt {result['n_prompts']} of 100." in resumed.err
    assert json.loads(resumed.out)["convergence"] == json.loads(undisturbed.out)["convergence"]
    ours, theirs = open_lens(file), open_lens(whole)
    assert all(torch.equal(ours.matrices[row], theirs.matrices[row]) for row in (0, 1))
    assert not (tmp_path / "mine.checkpoint").exists()
