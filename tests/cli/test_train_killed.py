"""`lenstui train` killed at random moments: its files can be read, and it ends with the same weights."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
import torch

from lenstui.lens import open_lens
from tests.programs.forked import Forked, Program

KILLS = 20


@pytest.fixture
def words(tiny_folder: Path, tmp_path: Path) -> list[object]:
    """Of a fit that takes a second, most of it refining, and writes fifty checkpoints."""
    pick = random.Random(0)
    text = tmp_path / "text.txt"
    nouns = ("the", "cat", "dog", "sat", "on", "mat", "and", "ran", "sky")
    text.write_text("\n\n".join(" ".join(pick.choices(nouns, k=20)) for _ in range(120)))
    method = ("--steps", "120", "--tokens-per-step", "128", "--checkpoint-every", "0.02")
    return ["train", "--model", tiny_folder, "--data", text, *method]


def test_killed_at_any_moment_it_ends_with_the_same_weights(
    programs: Forked, words: list[object], tmp_path: Path
) -> None:
    program = programs.start(*words, "--save", tmp_path / "undisturbed.pt")
    assert program.status() == 0
    whole = time.monotonic() - program.started
    undisturbed = open_lens(tmp_path / "undisturbed.pt")

    folder = tmp_path / "killed"
    folder.mkdir()
    lens, checkpoint = folder / "lens.pt", folder / "lens.checkpoint"
    pick, killed = random.Random(0), Counter[str]()
    while True:
        begin = [*words, "--save", lens]
        program = programs.start(*(["train", "--resume", checkpoint] if checkpoint.exists() else begin))
        if killed.total() < KILLS:
            # Most of what there is: whatever goes on begins in the middle, and would be done before the end.
            time.sleep(pick.uniform(0, 0.7 * whole))
            program.send(signal.SIGKILL)  # without effect where it has just ended
        status = program.status()
        for file in folder.iterdir():
            if file.suffix in {".pt", ".checkpoint"}:
                assert torch.load(file, weights_only=True)
        if status == -signal.SIGKILL:
            killed[phase(program, folder)] += 1
            for half in folder.glob(".*"):
                half.unlink()
            continue
        assert status == 0, program.err
        ours = open_lens(lens)
        assert ours.weight.equal(undisturbed.weight)
        assert ours.bias.equal(undisturbed.bias)
        for name in ("steps", "tokens", "held_out_kl", "logit_lens_kl"):
            assert ours.fit[name] == undisturbed.fit[name]
        assert list(folder.iterdir()) == [lens]
        if killed.total() == KILLS:
            break
        lens.unlink()  # once more
    print(f"{whole:.2f} s undisturbed; killed {dict(killed)}")
    assert killed["loading"] <= KILLS // 2
    assert killed["refining"] + killed["writing"] > 0


def phase(program: Program, folder: Path) -> str:
    """What a program did when it was killed."""
    if any(half.suffix != ".lock" for half in folder.glob(".*")):
        return "writing"
    if "logit lens" not in program.err:
        return "loading"
    if not (folder / "lens.checkpoint").exists():
        return "before the first checkpoint"
    state = torch.load(folder / "lens.checkpoint", weights_only=True)["state"]
    return "refining" if state["step"] else "closed form"
