"""`lenstui train` in several processes, as `torchrun` starts them: the same lens as by one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from lenstui.lens import JacobianLens, TunedLens, open_lens
from tests.programs import ROOT
from tests.programs.forked import Forked
from tests.programs.several import ended_by_themselves, start_several
from tests.programs.train_calls import text

__all__ = ["text"]

TUNED = ("--steps", 12, "--seq-len", 32, "--tokens-per-step", 512, "--optimizer", "sgd", "--lr", "0.05")
JACOBIAN = ("--kind", "jacobian", "--n-prompts", 9, "--seq-len", 20, "--skip-first", 4)
KINDS = {
    "tuned": TUNED,
    "muon": ("--steps", 6, "--seq-len", 32, "--tokens-per-step", 512),  # two micro-batches a step
    "jacobian": JACOBIAN,
    "control-variate": (*JACOBIAN, "--estimator", "control-variate"),
}
KILLS = int(os.environ.get("LENSTUI_TEST_KILLS", "3"))


def matrices(file: Path) -> dict[str, torch.Tensor]:
    lens = open_lens(file)
    if isinstance(lens, JacobianLens):
        return {str(row): matrix for row, matrix in lens.matrices.items()}
    assert isinstance(lens, TunedLens)
    return {"weight": lens.weight, "bias": lens.bias}


def assert_same(file: Path, expected: Path) -> None:
    ours, theirs = matrices(file), matrices(expected)
    assert ours.keys() == theirs.keys()
    for name, matrix in theirs.items():
        largest = float(matrix.abs().max())
        assert largest > 0.01
        torch.testing.assert_close(ours[name], matrix, atol=1e-5 * largest, rtol=0)
    fits: list[Any] = [open_lens(path).fit for path in (file, expected)]
    for name in ("steps", "tokens", "data", "preset"):
        assert fits[0][name] == fits[1][name]
    for name in ("held_out_kl", "logit_lens_kl", "error"):
        if fits[1].get(name) is not None:
            assert fits[0][name] == pytest.approx(fits[1][name], abs=1e-5, rel=1e-5)


@pytest.fixture(scope="module")
def by_one(
    programs: Forked, tiny_folder: Path, text: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The lenses of a single process."""
    folder = tmp_path_factory.mktemp("by_one")
    files = {}
    for kind, method in KINDS.items():
        files[kind] = folder / f"{kind}.pt"
        words = ("train", "--model", tiny_folder, "--data", text, *method, "--save", files[kind])
        assert programs.start(*words).status() == 0
    return files


@pytest.mark.parametrize(
    ("kind", "count"), [("tuned", 2), ("tuned", 5), ("muon", 2), ("jacobian", 2), ("control-variate", 3)]
)
def test_several_processes_fit_the_lens_that_one_fits(
    programs: Forked,
    by_one: dict[str, Path],
    tiny_folder: Path,
    text: Path,
    tmp_path: Path,
    kind: str,
    count: int,
) -> None:
    words = ("train", "--model", tiny_folder, "--data", text, *KINDS[kind], "--save", tmp_path / "lens.pt")
    processes = start_several(programs, count, *words)
    assert ended_by_themselves(processes) == [0] * count
    assert_same(tmp_path / "lens.pt", by_one[kind])
    assert f"{count} processes fit together." in processes[0].err
    assert "saved" in processes[0].out
    assert all(process.out == process.err == "" for process in processes[1:])
    assert list(tmp_path.iterdir()) == [tmp_path / "lens.pt"]


def test_the_same_processes_write_the_same_bytes(
    programs: Forked, tiny_folder: Path, text: Path, tmp_path: Path
) -> None:
    files = [tmp_path / "1.pt", tmp_path / "2.pt"]
    for file in files:
        words = ("train", "--model", tiny_folder, "--data", text, "--seq-len", 32, "--tokens-per-step", 1024)
        processes = start_several(programs, 3, *words, "--steps", 3, "--save", file)
        assert ended_by_themselves(processes) == [0, 0, 0]
    first, second = (matrices(file) for file in files)
    assert all(first[name].equal(second[name]) for name in first)


def written_at(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def is_further(file: Path, checkpoint: Path, written: int) -> bool:
    return file.exists() or written_at(checkpoint) > written


@pytest.mark.parametrize(("kind", "before", "after"), [("tuned", 2, 1), ("tuned", 1, 3), ("jacobian", 3, 2)])
def test_stopped_anywhere_another_number_of_processes_goes_on(
    programs: Forked,
    by_one: dict[str, Path],
    tiny_folder: Path,
    text: Path,
    tmp_path: Path,
    kind: str,
    before: int,
    after: int,
) -> None:
    file, checkpoint = tmp_path / "lens.pt", tmp_path / "lens.checkpoint"
    begin = ("train", "--model", tiny_folder, "--data", text, *KINDS[kind], "--save", file)
    for stops, count in enumerate((before, after, before)):
        words = ("train", "--resume", checkpoint) if stops else begin
        written = written_at(checkpoint)
        processes = start_several(programs, count, *words, "--checkpoint-every", "0.001")
        if stops < 2:
            processes[0].until(partial(is_further, file, checkpoint, written), "a checkpoint")
            processes[-1].send(signal.SIGTERM)  # whichever hears it, all stop
        statuses = ended_by_themselves(processes)
        if file.exists():
            break
        assert statuses == [128 + signal.SIGTERM] * count
        assert "To go on: lenstui train --resume" in processes[0].err
    assert statuses == [0] * count
    assert stops
    assert_same(file, by_one[kind])


def test_ctrl_c_keeps_what_was_learned(
    programs: Forked, tiny_folder: Path, text: Path, tmp_path: Path
) -> None:
    words = ("train", "--model", tiny_folder, "--data", text, "--seq-len", 32, "--steps", 5000)
    processes = start_several(programs, 2, *words, "--save", tmp_path / "lens.pt")
    processes[0].said("closed form")
    for process in processes:
        process.send(signal.SIGINT)
    assert ended_by_themselves(processes) == [0, 0]
    assert "what was learned is saved" in processes[0].err
    lens = open_lens(tmp_path / "lens.pt")
    assert isinstance(lens, TunedLens)
    assert 0 <= lens.fit["steps"] < 5000
    assert (tmp_path / "lens.checkpoint").exists()


def test_killed_processes_lose_nothing(
    programs: Forked, by_one: dict[str, Path], tiny_folder: Path, text: Path, tmp_path: Path
) -> None:
    file, checkpoint, pick = tmp_path / "lens.pt", tmp_path / "lens.checkpoint", random.Random(0)
    begin = ("train", "--model", tiny_folder, "--data", text, *TUNED, "--save", file)
    kills = 0
    while not file.exists():
        words = ("train", "--resume", checkpoint) if checkpoint.exists() else begin
        processes = start_several(programs, 2, *words, "--checkpoint-every", "0.02")
        if kills < KILLS:
            processes[0].said("fit together" if words is begin else "Going on at")
            time.sleep(pick.uniform(0, 0.4))
            killed = pick.randrange(2)
            processes[killed].send(signal.SIGKILL)
            kills += 1
        statuses = ended_by_themselves(processes, within=30)
        if checkpoint.exists():
            assert torch.load(checkpoint, weights_only=True)
        if statuses != [0, 0]:
            assert statuses[killed] == -signal.SIGKILL
            said = processes[1 - killed].err.splitlines()
            assert statuses[1 - killed] == 0 or (statuses[1 - killed] == 1 and "Another process" in said[-1])
            assert "Traceback" not in processes[1 - killed].err
    assert kills
    assert_same(file, by_one["tuned"])


@pytest.mark.parametrize("what", ["text", "option"])
def test_processes_that_differ_are_refused(
    programs: Forked, tiny_folder: Path, text: Path, tmp_path: Path, what: str
) -> None:
    other = tmp_path / "other.txt"
    other.write_text("\n\n".join(reversed(text.read_text().split("\n\n"))))
    words = ("train", "--model", tiny_folder, "--save", tmp_path / "lens.pt")
    texts = [f"--data={text}", f"--data={text}", f"--data={other if what == 'text' else text}"]
    rate = ["--lr=0.01", "--lr=0.01", "--lr=0.02" if what == "option" else "--lr=0.01"]
    processes = start_several(programs, 3, *words, each=list(zip(texts, rate, strict=True)))
    assert ended_by_themselves(processes) == [1, 1, 1]
    assert f"Process 2 of 3 has another {what} than process 0" in processes[0].err.splitlines()[-1]
    assert processes[1].err == processes[2].err == ""
    assert list(tmp_path.iterdir()) == [other]


def test_what_fails_in_one_process_is_said_once(
    programs: Forked, tiny_folder: Path, text: Path, tmp_path: Path
) -> None:
    words = ("train", "--model", tiny_folder, "--save", tmp_path / "lens.pt", "--data")
    processes = start_several(programs, 2, *words, each=[(text,), (tmp_path / "missing.txt",)])
    assert ended_by_themselves(processes) == [1, 1]
    assert "Process 1 of 2: " in processes[0].err
    assert "missing.txt" in processes[0].err
    assert processes[1].err == ""


def test_a_loss_that_is_not_finite_ends_all_of_them_with_a_checkpoint(
    programs: Forked, tiny_folder: Path, text: Path, tmp_path: Path
) -> None:
    rate = ("--lr", "1e38", "--clip", "1e30")
    words = ("train", "--model", tiny_folder, "--data", text, *TUNED, *rate)
    processes = start_several(programs, 2, *words, "--save", tmp_path / "lens.pt")
    assert ended_by_themselves(processes) == [1, 1]
    last = processes[0].err.splitlines()[-1]
    assert "try a lower learning rate. To go on: lenstui train --resume" in last
    assert processes[1].err == ""
    assert list(tmp_path.iterdir()) == [tmp_path / "lens.checkpoint"]


def test_torchrun_itself(tiny_folder: Path, text: Path, by_one: dict[str, Path], tmp_path: Path) -> None:
    words = ["train", "--model", tiny_folder, "--data", text, *TUNED, "--save", tmp_path / "lens.pt"]
    run = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2, "-m", "lenstui", *words]
    command = [sys.executable, *map(str, run)]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("held-out KL") == 1
    assert_same(tmp_path / "lens.pt", by_one["tuned"])
