"""`lenstui train`, on a tiny model and on a real one."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lenstui.cli import main
from lenstui.cli.fit_display import _measurements
from tests.programs.train_calls import text, train

__all__ = ["text"]


def test_json_is_the_contract_and_the_file_is_what_it_says(
    tiny_folder: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lenstui.fitting.options import PRESETS
    from lenstui.lens import evaluate, load, open_lens
    from lenstui.texts.blocks import split_blocks
    from lenstui.texts.documents import Documents

    file = tmp_path / "mine.pt"
    assert train(tiny_folder, text, "--save", str(file), "--format", "json") == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == [
        *("version", "path", "preset", "tokens", "steps", "seconds", "held_out_kl"),
        *("held_out_error", "logit_lens_kl", "convergence", "n_prompts", "kind"),
    ]
    assert (result["version"], result["path"], result["preset"], result["steps"]) == (
        1,
        str(file),
        "quick",
        4,
    )
    assert (result["kind"], result["convergence"], result["n_prompts"]) == ("tuned", None, None)
    assert len(result["held_out_kl"]) == len(result["logit_lens_kl"]) == 2
    assert np.mean(result["held_out_kl"]) < np.mean(result["logit_lens_kl"])

    model, lens = load(str(tiny_folder)), open_lens(file)
    assert lens.config["d_model"] == 16
    assert lens.fit["held_out_kl"] == result["held_out_kl"]
    _, held_out = split_blocks(model.tokenizer, Documents((str(text),)), 64)
    blocks = list(held_out)[: PRESETS["quick"].held_out_tokens // 64]
    np.testing.assert_allclose(
        evaluate(model, blocks, lens)["tuned"].kl[:-1], result["held_out_kl"], rtol=1e-5
    )


def test_the_same_call_gives_the_same_lens_bit_for_bit(tiny_folder: Path, text: Path, tmp_path: Path) -> None:
    from lenstui.lens import open_lens

    files = [tmp_path / name for name in ("a.pt", "b.pt")]
    for file in files:
        assert train(tiny_folder, text, "--save", str(file)) == 0
    first, second = (open_lens(file) for file in files)
    assert first.weight.equal(second.weight)
    assert first.bias.equal(second.bias)


def test_without_save_it_goes_to_the_lenses_folder_under_a_free_name(
    tiny_folder: Path,
    text: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    for number in (1, 2):
        assert train(tiny_folder, text) == 0
        assert f"tiny-quick-{number}.pt" in capsys.readouterr().out
    assert len(list(tmp_path.rglob("tiny-quick-*.pt"))) == 2


@pytest.mark.parametrize("preset", ["standard", "adam", "paper"])
def test_every_preset_runs(tiny_folder: Path, text: Path, tmp_path: Path, preset: str) -> None:
    from lenstui.lens import open_lens

    file = tmp_path / "lens.pt"
    assert train(tiny_folder, text, "--preset", preset, "--save", str(file)) == 0
    assert open_lens(file).fit["preset"] == preset


# gone on with


def test_resume_takes_nothing_that_was_decided(
    tiny_folder: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option, *value in (
        *(("--steps", "3"), ("--epochs", "1"), ("--preset", "quick"), ("--tokens-per-step", "64")),
        *(("--seq-len", "32"), ("--optimizer", "adam"), ("--lr", "0.1"), ("--momentum", "0.5")),
        *(("--weight-decay", "0"), ("--clip", "1"), ("--loss", "ce"), ("--bias-only",), ("--seed", "0")),
        *(("--products", "auto"), ("--data", str(text)), ("--text-column", "text"), ("--held-out", "0.1")),
        *(("--max-samples", "5"), ("--min-chars", "1"), ("--kind", "jacobian"), ("--n-prompts", "3")),
        *(("--skip-first", "2"), ("--target", "last"), ("--rule", "none"), ("--estimator", "exact")),
    ):
        with pytest.raises(SystemExit) as leaving:
            main(["train", "--resume", str(tmp_path / "none"), option, *value])
        assert leaving.value.code == 2
        assert f"leave {option} out" in capsys.readouterr().err


def test_resume_of_no_checkpoint(
    tiny_folder: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lens, checkpoint = tmp_path / "lens.pt", tmp_path / "lens.checkpoint"
    assert train(tiny_folder, text, "--save", str(lens), "--checkpoint-every", "0.001") == 0
    assert list(tmp_path.iterdir()) == [lens]  # it is finished
    for file, said in (
        (checkpoint, "There is no checkpoint"),
        (lens, "is no checkpoint"),
        (text, "no check"),
    ):
        capsys.readouterr()
        assert main(["train", "--resume", str(file)]) == 1
        err = capsys.readouterr().err
        assert said in err
        assert str(file) in err
        assert len(err.splitlines()) == 1


def test_a_fit_that_was_not_finished_is_not_lost_to_another(
    tiny_folder: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.checkpoint"
    other.write_bytes(b"of another fit")
    assert train(tiny_folder, text, "--save", str(tmp_path / "other.pt")) == 1
    assert "--resume goes on with it" in capsys.readouterr().err
    unfinished(tiny_folder, text, tmp_path / "lens.pt")
    resume = ["train", "--resume", str(tmp_path / "lens.checkpoint")]
    assert main([*resume, "--save", str(tmp_path / "other.pt")]) == 1
    assert "--resume goes on with it" in capsys.readouterr().err
    assert main(resume) == 0
    assert other.read_bytes() == b"of another fit"


def unfinished(model: Path, text: Path, lens: Path) -> None:
    """Leave the checkpoint of a fit to go to `lens`."""
    from lenstui.fitting.checkpoint import save_checkpoint
    from lenstui.fitting.fit import begin
    from lenstui.fitting.loop import fit_steps
    from lenstui.fitting.plan import FitPlan
    from lenstui.lens import load, preset
    from lenstui.texts.documents import Documents

    plan = FitPlan(preset("quick", steps=4, tokens_per_step=128), Documents((str(text),)))
    fit = begin(load(str(model)), plan)
    next(now for now in fit_steps(fit) if now.step == 2)
    save_checkpoint(lens.with_suffix(".checkpoint"), fit, plan, save=lens)


def test_epochs_decide_the_steps(
    tiny_folder: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lenstui.lens import load
    from lenstui.texts.blocks import split_blocks
    from lenstui.texts.documents import Documents

    whole = sum(1 for _ in split_blocks(load(str(tiny_folder)).tokenizer, Documents((str(text),)), 64)[0])
    words = ["train", "--model", str(tiny_folder), "--data", str(text), "--tokens-per-step", "192"]
    words += ["--epochs", "2", "--save", str(tmp_path / "lens.pt"), "--format", "json"]
    assert main(words) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["steps"] == 2 * whole // 3
    assert f"{64 * whole} tokens to fit on, 2 times in {2 * whole // 3} steps" in captured.err
    with pytest.raises(SystemExit) as leaving:
        main([*words, "--steps", "3"])
    assert leaving.value.code == 2
    assert "leave --steps out" in capsys.readouterr().err


@pytest.mark.parametrize(("every", "some"), [("0", False), ("0.001", True), ("1000", False)])
def test_checkpoint_every(
    tiny_folder: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: str, some: bool
) -> None:
    from lenstui.fitting.checkpoint import save_checkpoint

    written: list[Path] = []

    def counted(path: Path, *arguments: Any, **more: Any) -> None:
        written.append(path)
        save_checkpoint(path, *arguments, **more)

    monkeypatch.setattr("lenstui.fitting.driver.save_checkpoint", counted)
    assert train(tiny_folder, text, "--save", str(tmp_path / "lens.pt"), "--checkpoint-every", every) == 0
    assert set(written) == ({tmp_path / "lens.checkpoint"} if some else set())
    assert list(tmp_path.iterdir()) == [tmp_path / "lens.pt"]


# where nothing can be written


def failing(monkeypatch: pytest.MonkeyPatch, fails: Callable[[Any, Path], bool]) -> None:
    """Let the disk be full for some files."""
    import torch

    save = torch.save

    def full(content: Any, file: Any) -> None:
        if fails(content, Path(file.name)):
            file.write(b"half of it")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(content, file)

    monkeypatch.setattr(torch, "save", full)


def test_a_checkpoint_that_cannot_be_written_is_told_once_and_stops_nothing(
    tiny_folder: Path,
    text: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing(monkeypatch, lambda content, file: content["format"] == "lenstui.checkpoint")
    file = tmp_path / "lens.pt"
    assert train(tiny_folder, text, "--save", str(file), "--checkpoint-every", "0.001") == 0
    captured = capsys.readouterr()
    assert captured.err.count("No checkpoint: ") == 1
    assert f"{tmp_path / 'lens.checkpoint'} cannot be written: No space left" in captured.err
    assert f"saved {file}" in captured.out
    assert list(tmp_path.iterdir()) == [file]


def test_a_lens_that_cannot_be_written_goes_elsewhere(
    tiny_folder: Path,
    text: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lenstui.lens import open_lens

    (tmp_path / "full").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    failing(
        monkeypatch,
        lambda content, file: file.parent.name == "full" and content["format"] != "lenstui.checkpoint",
    )
    file = tmp_path / "full" / "lens.pt"
    words = ["--save", str(file), "--checkpoint-every", "0.001", "--format", "json"]
    assert train(tiny_folder, text, *words) == 1
    captured = capsys.readouterr()
    place = Path(json.loads(captured.out)["path"])
    assert place.is_relative_to(tmp_path / "temporary")
    assert open_lens(place).fit["steps"] == 4
    assert f"{file} cannot be written: No space left" in captured.err
    assert not file.exists()
    # What is in a temporary folder is not kept for long: the fit can be ended once more.
    monkeypatch.undo()
    assert main(["train", "--resume", str(tmp_path / "full" / "lens.checkpoint")]) == 0
    assert open_lens(file).weight.equal(open_lens(place).weight)


def test_a_loss_that_is_not_finite_leaves_a_checkpoint(
    tiny_folder: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lenstui.fitting.checkpoint import open_checkpoint

    words = ["--optimizer", "sgd", "--lr", "1e38", "--clip", "1e30", "--save", str(tmp_path / "lens.pt")]
    assert train(tiny_folder, text, *words) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "lower learning rate" in captured.err
    assert f"--resume {tmp_path / 'lens.checkpoint'}" in captured.err
    open_checkpoint(tmp_path / "lens.checkpoint")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--lr", "-1"], 2, "--lr"),
        (["--held-out", "1"], 2, "between 0 and 1"),
        (["--preset", "fast"], 2, "--preset"),
        (["--lens", "x.pt"], 2, "--lens"),
        (["--save", "/no/such/folder/x.pt"], 1, "/no/such/folder"),
        (["--text-column", "body", "--min-chars", "100000"], 1, "lenstui:"),
        (["--optimizer", "sgd", "--lr", "1e38", "--clip", "1e30"], 1, "lower learning rate"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tiny_folder: Path,
    text: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    status: int,
    said: str,
) -> None:
    try:
        result = train(tiny_folder, text, *words)
    except SystemExit as error:
        result = int(str(error.code))
    assert result == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert "Traceback" not in captured.err


def test_in_memory_texts_for_notebooks(tiny_folder: Path, text: Path) -> None:
    from lenstui.fitting.options import preset
    from lenstui.fitting.progress import FitProgress
    from lenstui.lens import fit, load

    seen: list[FitProgress] = []
    options = preset("quick", steps=3, tokens_per_step=128)
    lens = fit(load(str(tiny_folder)), text.read_text().split("\n\n"), options, on_progress=seen.append)
    assert seen[-1].stage == "done"
    assert np.mean(lens.fit["held_out_kl"]) < np.mean(lens.fit["logit_lens_kl"])


def test_the_lens_is_there_by_itself_next_time(
    tiny_folder: Path,
    text: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    read = ["read", "a cat", "--model", str(tiny_folder), "--format", "json"]
    assert main(read) == 0
    assert json.loads(capsys.readouterr().out)["lenses"]["tuned"] is None
    assert train(tiny_folder, text) == 0
    capsys.readouterr()
    assert main(read) == 0
    readout = json.loads(capsys.readouterr().out)
    assert readout["lens"] == "tiny-quick-1.pt"
    assert readout["lenses"]["tuned"] is not None


@pytest.mark.parametrize(
    ("model", "said", "named"),
    [
        ("tiny", "lenstui's general sample: prose, dialogue, code", "lenstui's general sample"),
        ("demo", "the simple stories that come with lenstui", "lenstui's stories"),
    ],
)
def test_without_data_the_text_goes_with_the_model_and_that_is_said(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str, said: str, named: str
) -> None:
    from lenstui.lens import open_lens

    which = ["--demo"] if model == "demo" else ["--model", str(tiny_folder)]
    few = ["--steps", "1", "--tokens-per-step", "64", "--bias-only", "--seq-len", "64", "--max-samples", "60"]
    assert main(["train", *which, *few, "--save", str(tmp_path / "lens.pt")]) == 0
    assert f"The text: {said}." in capsys.readouterr().err
    assert open_lens(tmp_path / "lens.pt").fit["data"] == [named]


def test_every_measurement_has_a_name_of_its_own() -> None:
    from lenstui.fitting.progress import FitProgress

    kl = np.array([2.0, 1.0], np.float32)
    start = FitProgress(
        stage="logit lens", share=1, step=0, steps=0, tokens=0, seconds=1, eta=None, loss=None,
        logit_lens_kl=kl, held_out_kl=None, measured_step=-1, measured_tokens=0,
    )  # fmt: skip
    closed = replace(start, stage="measuring", held_out_kl=kl, measured_step=0, measured_tokens=64)
    refined = replace(closed, stage="refining", measured_step=30)
    lines = _measurements()
    stages = (start, closed, refined, replace(refined, stage="done"), replace(closed, stage="done"))
    names = [[line[11:22].strip() for line in lines(now)] for now in stages]
    assert names == [["logit lens"], ["closed form"], ["step   30"], ["in the end"], ["in the end"]]
