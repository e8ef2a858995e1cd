"""`lenstui train`, ended by a signal or left alone, and gone on with."""

from __future__ import annotations

import json
import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.programs import ROOT
from tests.programs.forked import PATIENCE, Forked
from tests.programs.train_calls import text, train

if TYPE_CHECKING:
    from lenstui.lens import TunedLens

__all__ = ["text"]


STEPS, SAMPLES = 150, 60
LONG = ("--steps", STEPS, "--tokens-per-step", 128, "--max-samples", SAMPLES)  # a second on a busy machine


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
    from lenstui.fitting.options import PRESETS
    from lenstui.lens import evaluate, load, open_lens
    from lenstui.texts.blocks import split_blocks
    from lenstui.texts.documents import Documents

    file, checkpoint = tmp_path / "my lens.pt", tmp_path / "my lens.checkpoint"
    words = ["train", "--model", tiny_folder, "--data", text, "--save", file, *LONG, "--format", "json"]
    program = programs.start(*words, "--checkpoint-every", "0")
    program.said("closed form")
    program.send(signal.SIGINT)
    assert program.status() == 0
    result = json.loads(program.out)
    assert 0 <= result["steps"] < STEPS
    assert f"Stopped at step {result['steps']} of {STEPS}: what was learned is saved." in program.err
    assert f"--resume {shlex.quote(str(checkpoint))}" in program.err
    lens = open_lens(file)
    assert lens.fit["steps"] == result["steps"]
    assert lens.weight.any()
    model = load(str(tiny_folder))
    _, held_out = split_blocks(model.tokenizer, Documents((str(text),), max_samples=SAMPLES), 64)
    blocks = list(held_out)[: PRESETS["quick"].held_out_tokens // 64]
    np.testing.assert_allclose(
        evaluate(model, blocks, lens)["tuned"].kl[:-1], result["held_out_kl"], rtol=1e-5
    )

    again = programs.start("train", "--resume", checkpoint, "--format", "json")
    assert again.status() == 0
    assert f"Going on at step {result['steps']} of {STEPS}" in again.err
    assert json.loads(again.out)["path"] == str(file)
    assert_same(file, undisturbed)
    assert list(tmp_path.iterdir()) == [file]  # nothing to go on from is left


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("when", ["logit lens", "closed form", "  step "])
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
    program.said(when)
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
    from lenstui.fitting import loop
    from lenstui.fitting.checkpoint import open_checkpoint

    whole, measure = loop.fit_steps, loop.measure

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

    monkeypatch.setattr("lenstui.fitting.kinds.fit_steps", interrupted)
    monkeypatch.setattr("lenstui.fitting.kinds.measure", interrupted_again)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # `&` leaves it ignored
    try:
        assert train(tiny_folder, text, "--save", str(tmp_path / "lens.pt")) == 130
        assert open_checkpoint(tmp_path / "lens.checkpoint").state["step"] == 2
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


SWALLOWING = """
import signal, time
from lenstui.cli.ending import interrupt_again

class Slow:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # `&` leaves it ignored
interrupt_again()
try:
    slow = Slow()
    del slow
    time.sleep(30)
    print("lost")
except KeyboardInterrupt:
    print("heard")
"""


def test_ctrl_c_within_a_del_is_not_lost() -> None:
    command = [sys.executable, "-c", SWALLOWING]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=25)
    assert (done.stdout, done.stderr) == ("heard\n", "")
