"""`lenstui train`, on a tiny model and on a real one."""

from __future__ import annotations

import errno
import json
import os
import pty
import random
import select
import shlex
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lenstui.cli import main
from lenstui.cli.fit_display import _measurements

from .forked import PATIENCE, Forked

if TYPE_CHECKING:
    from lenstui.lens import TunedLens


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hundred short documents, one after the other."""
    words = [
        "the",
        "a",
        "cat",
        "dog",
        "sat",
        "on",
        "mat",
        "and",
        "ran",
        "to",
        "see",
        "sky",
        "blue",
        "green",
        "tree",
    ]
    pick = random.Random(0)
    file = tmp_path_factory.mktemp("text") / "text.txt"
    file.write_text("\n\n".join(" ".join(pick.choices(words, k=20)) for _ in range(200)))
    return file


def train(model: Path, text: Path, *words: str) -> int:
    few = ["--steps", "4", "--tokens-per-step", "128"]
    return main(["train", "--model", str(model), "--data", str(text), *few, *words])


def test_json_is_the_contract_and_the_file_is_what_it_says(
    tiny_folder: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lenstui.lens import evaluate, load, open_lens
    from lenstui.lens.documents import Documents
    from lenstui.lens.fit_options import PRESETS
    from lenstui.lens.text_blocks import split_blocks

    file = tmp_path / "mine.pt"
    assert train(tiny_folder, text, "--save", str(file), "--format", "json") == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == [
        *("version", "path", "preset", "tokens", "steps", "seconds", "held_out_kl", "logit_lens_kl")
    ]
    assert (result["version"], result["path"], result["preset"], result["steps"]) == (
        1,
        str(file),
        "quick",
        4,
    )
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


# ended by a signal, and gone on with


LONG = ("--steps", "500", "--tokens-per-step", "128")  # a second or two


@pytest.fixture(scope="module")
def undisturbed(
    programs: Forked, tiny_folder: Path, text: Path, tmp_path_factory: pytest.TempPathFactory
) -> TunedLens:
    """What a fit of that length ends with when it is left alone."""
    from lenstui.lens import open_lens

    file = tmp_path_factory.mktemp("undisturbed") / "lens.pt"
    program = programs.start("train", "--model", tiny_folder, "--data", text, "--save", file, *LONG)
    assert program.status() == 0
    return open_lens(file)


def assert_same(file: Path, undisturbed: TunedLens) -> None:
    from lenstui.lens import open_lens

    lens = open_lens(file)
    assert lens.weight.equal(undisturbed.weight)
    assert lens.bias.equal(undisturbed.bias)
    for name in ("steps", "tokens", "held_out_kl", "logit_lens_kl", "preset", "data"):
        assert lens.fit[name] == undisturbed.fit[name]


def test_ctrl_c_keeps_what_was_learned(
    programs: Forked, undisturbed: TunedLens, tiny_folder: Path, text: Path, tmp_path: Path
) -> None:
    from lenstui.lens import evaluate, load, open_lens
    from lenstui.lens.documents import Documents
    from lenstui.lens.fit_options import PRESETS
    from lenstui.lens.text_blocks import split_blocks

    file, checkpoint = tmp_path / "my lens.pt", tmp_path / "my lens.checkpoint"
    words = ["train", "--model", tiny_folder, "--data", text, "--save", file, *LONG, "--format", "json"]
    program = programs.start(*words, "--checkpoint-every", "0")
    program.said("closed form")
    program.send(signal.SIGINT)
    assert program.status() == 0
    result = json.loads(program.out)
    assert 0 <= result["steps"] < 500
    assert f"Stopped at step {result['steps']} of 500: what was learned is saved." in program.err
    assert f"--resume {shlex.quote(str(checkpoint))}" in program.err
    lens = open_lens(file)
    assert lens.fit["steps"] == result["steps"]
    assert lens.weight.any()
    model = load(str(tiny_folder))
    _, held_out = split_blocks(model.tokenizer, Documents((str(text),)), 64)
    blocks = list(held_out)[: PRESETS["quick"].held_out_tokens // 64]
    np.testing.assert_allclose(
        evaluate(model, blocks, lens)["tuned"].kl[:-1], result["held_out_kl"], rtol=1e-5
    )

    again = programs.start("train", "--resume", checkpoint, "--format", "json")
    assert again.status() == 0
    assert f"Going on at step {result['steps']} of 500" in again.err
    assert json.loads(again.out)["path"] == str(file)
    assert_same(file, undisturbed)
    assert list(tmp_path.iterdir()) == [file]  # nothing to go on from is left


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("when", ["logit lens", "closed form", "later"])
def test_a_signal_that_ends_it_leaves_a_checkpoint(
    programs: Forked,
    undisturbed: TunedLens,
    tiny_folder: Path,
    text: Path,
    tmp_path: Path,
    name: str,
    when: str,
) -> None:
    # Names as they are typed in one folder, and gone on with from another.
    (tmp_path / "text.txt").symlink_to(text)
    (tmp_path / "tiny").symlink_to(tiny_folder)
    words = ["--model", "./tiny", "--data", "t*.txt", "--save", "lens.pt", *LONG]
    program = programs.start("train", *words, cwd=tmp_path)
    program.said("closed form" if when == "later" else when)
    time.sleep(0.3 if when == "later" else 0)
    number = getattr(signal, name)
    program.send(number)
    assert program.status() == 128 + number
    assert program.out == ""
    assert "Traceback" not in program.err
    assert program.err.splitlines()[-1].endswith("To go on: lenstui train --resume lens.checkpoint")
    assert not (tmp_path / "lens.pt").exists()
    again = programs.start("train", "--resume", tmp_path / "lens.checkpoint")
    assert again.status() == 0
    assert_same(tmp_path / "lens.pt", undisturbed)


def test_what_nohup_ignores_stays_ignored(
    programs: Forked, undisturbed: TunedLens, tiny_folder: Path, text: Path, tmp_path: Path
) -> None:
    file = tmp_path / "lens.pt"
    words = ["train", "--model", tiny_folder, "--data", text, "--save", file, *LONG]
    program = programs.start(*words, ignored=["SIGHUP"])
    program.said("closed form")
    program.send(signal.SIGHUP)
    assert program.status() == 0
    assert_same(file, undisturbed)


def read_until(stream: int, words: bytes) -> None:
    """Read what a program says until it has said this."""
    seen, end = b"", time.monotonic() + PATIENCE
    while words not in seen:
        assert time.monotonic() < end, seen
        if select.select([stream], [], [], 0.05)[0]:
            new = os.read(stream, 4096)
            seen += new
            time.sleep(0 if new else 0.01)  # nobody has opened the other end yet


def test_a_line_that_hangs_up_leaves_a_checkpoint(
    programs: Forked, undisturbed: TunedLens, tiny_folder: Path, text: Path, tmp_path: Path
) -> None:
    file = tmp_path / "lens.pt"
    ours, theirs = pty.openpty()
    words = ["train", "--model", tiny_folder, "--data", text, "--save", file, *LONG]
    program = programs.start(*words, terminal=os.ttyname(theirs))
    read_until(ours, b"closed form")
    os.close(theirs)
    os.close(ours)  # as sshd does it: every write is an error from here on, and SIGHUP comes
    assert program.status() == 128 + signal.SIGHUP
    assert programs.start("train", "--resume", tmp_path / "lens.checkpoint").status() == 0
    assert_same(file, undisturbed)


def test_it_goes_on_where_nobody_reads_what_it_says(
    programs: Forked, undisturbed: TunedLens, tiny_folder: Path, text: Path, tmp_path: Path
) -> None:
    pipe, file = tmp_path / "pipe", tmp_path / "lens.pt"
    os.mkfifo(pipe)
    ours = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    words = ["train", "--model", tiny_folder, "--data", text, "--save", file, *LONG]
    program = programs.start(*words, terminal=str(pipe))
    read_until(ours, b"closed form")
    os.close(ours)
    program.status()  # stdout is gone as well: whatever it is
    assert_same(file, undisturbed)


@pytest.mark.parametrize(
    ("name", "status"), [("SIGINT", 130), ("SIGTERM", -signal.SIGTERM), ("SIGHUP", -signal.SIGHUP)]
)
def test_a_signal_while_the_model_is_loaded_ends_it_without_a_word(
    programs: Forked, tiny_folder: Path, text: Path, tmp_path: Path, name: str, status: int
) -> None:
    caught = 0
    for delay in (0.005, 0.02, 0.04, 0.06):
        words = ["train", "--model", tiny_folder, "--data", text, "--save", tmp_path / "lens.pt"]
        program = programs.start(*words, "--steps", "100000")
        program.until((program.folder / "started").exists, "the start")
        time.sleep(delay)
        program.send(getattr(signal, name))
        ended = program.status()
        assert "Traceback" not in program.err
        assert "ignored in" not in program.err
        if "held out" not in program.err:  # else it had begun to fit by then
            caught += 1
            assert ended == status
            assert program.err == program.out == ""
            assert not list(tmp_path.iterdir())
    assert caught


def test_ctrl_c_twice_keeps_a_checkpoint_and_does_not_measure(
    tiny_folder: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lenstui.lens import fitting
    from lenstui.lens.checkpoint import open_checkpoint

    whole, measure = fitting.fit_steps, fitting.measure

    def interrupted(fit: Any) -> Any:
        for progress in whole(fit):
            if progress.step == 2:
                os.kill(os.getpid(), signal.SIGINT)
            yield progress

    def interrupted_again(fit: Any) -> Any:
        for progress in measure(fit):
            os.kill(os.getpid(), signal.SIGINT)
            yield progress
        pytest.fail("it was measured to the end")

    monkeypatch.setattr(fitting, "fit_steps", interrupted)
    monkeypatch.setattr(fitting, "measure", interrupted_again)
    assert train(tiny_folder, text, "--save", str(tmp_path / "lens.pt")) == 130
    assert open_checkpoint(tmp_path / "lens.checkpoint").state["step"] == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_resume_takes_nothing_that_was_decided(
    tiny_folder: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option, *value in (
        *(("--steps", "3"), ("--epochs", "1"), ("--preset", "quick"), ("--tokens-per-step", "64")),
        *(("--seq-len", "32"), ("--optimizer", "adam"), ("--lr", "0.1"), ("--momentum", "0.5")),
        *(("--weight-decay", "0"), ("--clip", "1"), ("--loss", "ce"), ("--bias-only",), ("--seed", "0")),
        *(("--products", "auto"), ("--data", str(text)), ("--text-column", "text"), ("--held-out", "0.1")),
        *(("--max-samples", "5"), ("--min-chars", "1")),
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
    from lenstui.lens import load, preset
    from lenstui.lens.checkpoint import save_checkpoint
    from lenstui.lens.documents import Documents
    from lenstui.lens.fitting import fit_steps
    from lenstui.lens.lens_fit import FitPlan, begin

    plan = FitPlan(preset("quick", steps=4, tokens_per_step=128), Documents((str(text),)))
    fit = begin(load(str(model)), plan)
    next(now for now in fit_steps(fit) if now.step == 2)
    save_checkpoint(lens.with_suffix(".checkpoint"), fit, plan, save=lens)


def test_epochs_decide_the_steps(
    tiny_folder: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lenstui.lens import load
    from lenstui.lens.documents import Documents
    from lenstui.lens.text_blocks import split_blocks

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
    from lenstui.lens import checkpoint

    save, written = checkpoint.save_checkpoint, []

    def counted(path: Path, *arguments: Any, **more: Any) -> None:
        written.append(path)
        save(path, *arguments, **more)

    monkeypatch.setattr(checkpoint, "save_checkpoint", counted)
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
    assert captured.err.count("No checkpoint: Could not write") == 1
    assert "No space left" in captured.err
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
    assert f"Could not write {file}" in captured.err
    assert not file.exists()
    # What is in a temporary folder is not kept for long: the fit can be ended once more.
    monkeypatch.undo()
    assert main(["train", "--resume", str(tmp_path / "full" / "lens.checkpoint")]) == 0
    assert open_lens(file).weight.equal(open_lens(place).weight)


def test_a_loss_that_is_not_finite_leaves_a_checkpoint(
    tiny_folder: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lenstui.lens.checkpoint import open_checkpoint

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
    from lenstui.lens import fit, load
    from lenstui.lens.fit_options import preset

    seen = []
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


def test_every_measurement_has_a_name_of_its_own() -> None:
    from lenstui.lens.fitting import FitProgress

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
