"""Where the lens of a fit goes: no two fits take one name, and no checkpoint says what is replaced."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch

from lenstui.cli import main
from lenstui.fitting.names import claim, claim_new
from lenstui.lens import LensError, open_lens
from lenstui.lens.catalog import lens_paths
from tests.programs.forked import Forked, Program
from tests.programs.train_calls import text, train

__all__ = ["text"]

LONG = ("--steps", "100000", "--tokens-per-step", "128", "--max-samples", "60", "--format", "json")


@pytest.fixture
def lenses(tmp_path: Path) -> Path:
    """The lenses folder of a program that is started with `environment`."""
    return tmp_path / "data" / "lenstui" / "lenses"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"XDG_DATA_HOME": str(tmp_path / "data")}


def stopped(program: Program) -> str:
    """Stop a fit by Ctrl+C; the name of the lens that it says it saved."""
    program.send(signal.SIGINT)
    assert program.status() == 0, program.err
    path = Path(json.loads(program.out)["path"])
    assert open_lens(path).weight.any()
    return path.name


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_two_at_once_have_two_names(
    programs: Forked, tiny_folder: Path, text: Path, lenses: Path, environment: dict[str, str]
) -> None:
    words = ("train", "--model", tiny_folder, "--data", text, *LONG)
    both = [programs.start(*words, environment=environment) for _ in range(2)]
    for program in both:
        program.said("closed form")
    assert sorted(map(stopped, both)) == ["tiny-quick-1.pt", "tiny-quick-2.pt"]
    assert names(lenses) == [f"tiny-quick-{n}.{end}" for n in (1, 2) for end in ("checkpoint", "pt")]


def test_a_killed_one_blocks_nobody_and_is_no_lens(
    programs: Forked, tiny_folder: Path, text: Path, lenses: Path, environment: dict[str, str]
) -> None:
    words = ("train", "--model", tiny_folder, "--data", text, "--checkpoint-every", "0", *LONG)
    program = programs.start(*words, environment=environment)
    program.said("closed form")
    program.send(signal.SIGKILL)
    assert program.status() == -signal.SIGKILL
    # How far it came is still to be seen.
    assert names(lenses) == [".tiny-quick-1.checkpoint.lock", "tiny-quick-1.progress"]
    assert lens_paths(lenses) == [] == list(lenses.glob("*.checkpoint"))
    again = programs.start(*words, environment=environment)
    again.said("closed form")
    assert stopped(again) == "tiny-quick-1.pt"
    assert names(lenses) == ["tiny-quick-1.checkpoint", "tiny-quick-1.pt"]


def test_one_name_that_was_typed_is_for_one(
    programs: Forked, tiny_folder: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    file, link = folder / "lens.pt", tmp_path / "link.pt"
    link.symlink_to(file)
    words = ("train", "--model", tiny_folder, "--data", text, "--save", file, "--checkpoint-every", "0.01")
    program = programs.start(*words, *LONG)
    program.said("closed form")
    program.until((folder / "lens.checkpoint").exists, "a checkpoint")
    assert train(tiny_folder, text, "--save", str(link)) == 1
    assert "is under way already" in capsys.readouterr().err
    assert main(["train", "--resume", str(folder / "lens.checkpoint")]) == 1
    assert "is under way already" in capsys.readouterr().err
    assert stopped(program) == "lens.pt"
    assert names(folder) == ["lens.checkpoint", "lens.pt"]


def test_a_claim_ends_with_whoever_has_it(tmp_path: Path) -> None:
    file = tmp_path / "lens.pt"
    held = claim(file)
    with pytest.raises(LensError, match="under way already"):
        claim(file)
    with pytest.raises(LensError, match="under way already"):
        claim(tmp_path / "lens")  # whose checkpoint has the same name
    del held  # forgotten, as a fit is that never began
    held = claim(file)
    held.release()
    held.release()
    assert names(tmp_path) == []
    again = claim(file)
    held.release()  # not what is held by then
    with pytest.raises(LensError, match="under way already"):
        claim(file)
    again.release()


def test_a_new_name_passes_over_all_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = tmp_path / "lenstui" / "lenses"
    folder.mkdir(parents=True)
    (folder / "m-quick-1.pt").touch()
    (folder / "m-quick-2.checkpoint").touch()
    (folder / "m-quick-3.pt").symlink_to("nowhere")
    held = claim(folder / "m-quick-4.pt")
    assert claim_new("some/m", "quick").lens == folder / "m-quick-5.pt"
    assert held.lens.name == "m-quick-4.pt"


def evil(checkpoint: Path, save: Path) -> None:
    """Have a checkpoint say that its lens is to go there."""
    content = torch.load(checkpoint, weights_only=True)
    torch.save({**content, "save": str(save)}, checkpoint)


@pytest.fixture
def checkpoint(programs: Forked, tiny_folder: Path, text: Path, tmp_path: Path) -> Path:
    """Of a fit that was stopped, in a folder of its own, with nothing else in it."""
    folder = tmp_path / "got"
    folder.mkdir()
    few = ("--steps", "4", "--tokens-per-step", "128", "--max-samples", "60")
    words = ("train", "--model", tiny_folder, "--data", text, "--save", folder / "lens.pt", *few)
    program = programs.start(*words)
    program.said("closed form")
    program.send(signal.SIGTERM)
    assert program.status() == 128 + signal.SIGTERM
    assert names(folder) == ["lens.checkpoint"]
    return folder / "lens.checkpoint"


def test_a_checkpoint_does_not_say_what_is_replaced(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = tmp_path / "thesis.tex"
    victim.write_text("precious")
    evil(checkpoint, victim)
    assert main(["train", "--resume", str(checkpoint)]) == 0
    assert victim.read_text() == "precious"
    assert not (tmp_path / "thesis.tex.checkpoint").exists()
    assert names(checkpoint.parent) == ["lens.pt"]
    said = f"The lens will go to {checkpoint.with_name('lens.pt')}, beside its checkpoint; --save {victim}"
    assert said in capsys.readouterr().err


def test_the_user_may_have_it_where_it_was_to_go(checkpoint: Path, tmp_path: Path) -> None:
    evil(checkpoint, tmp_path / "lens.bin")
    assert main(["train", "--resume", str(checkpoint), "--save", str(tmp_path / "lens.bin")]) == 0
    assert open_lens(tmp_path / "lens.bin").weight.any()
    assert names(checkpoint.parent) == ["lens.checkpoint"]


def test_how_to_go_on_leads_to_the_same_lens(
    programs: Forked, tiny_folder: Path, text: Path, tmp_path: Path
) -> None:
    words = ("train", "--model", tiny_folder, "--data", text, "--save", "my lens", *LONG)
    program = programs.start(*words, cwd=tmp_path)
    program.said("closed form")
    program.send(signal.SIGTERM)
    assert program.status() == 128 + signal.SIGTERM
    line = program.err.splitlines()[-1]
    assert line.endswith("To go on: lenstui train --resume 'my lens.checkpoint' --save 'my lens'")
