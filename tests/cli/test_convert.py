"""`lenstui convert`: from every form to both of ours, what it says of it, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from lenstui.lens import TunedLens, load, open_lens, save_lens
from lenstui.lens.formats.unembed_hash import unembed_hash
from lenstui.opening.opened import open_model
from lenstui.support.errors import PREFIX
from lenstui.support.request import Start
from tests.programs import ROOT
from tests.programs.calls import status
from tests.tiny.folders import neox_in

BLOCKS, D = 2, 32


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What is on stderr, each line as ours are, with nothing on stdout."""
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert lines
    assert all(line.startswith(PREFIX) and len(line) <= 300 for line in lines), captured.err
    return captured.err


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Path:
    """The model of `neox_folder` with other weights."""
    return neox_in(
        tmp_path_factory.mktemp("models") / "other", byte_tokenizer, seed=1, blocks=BLOCKS, heads=2
    )


@pytest.fixture
def own(tmp_path: Path) -> Path:
    torch.manual_seed(2)
    lens = TunedLens(torch.randn(BLOCKS, D, D), torch.randn(BLOCKS, D), {"base_model_name_or_path": "a/b"})
    save_lens(lens, tmp_path / "own.pt")
    return tmp_path / "own.pt"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Full matrices at the blocks' outputs."""
    state = {f"layer_maps.{n}.weight": torch.eye(D) + 0.1 for n in range(BLOCKS)}
    state |= {f"layer_maps.{n}.bias": torch.full((D,), float(n)) for n in range(BLOCKS)}
    torch.save({"state_dict": state, "n_layers": BLOCKS, "d_model": D}, tmp_path / "script.pt")
    return tmp_path / "script.pt"


def same(one: Path, two: Path) -> None:
    first, second = open_lens(one), open_lens(two)
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)


def test_help_is_instant_and_lists_it() -> None:
    code = (
        "import sys\n"
        "from lenstui.cli import main\n"
        "for words in (['--help'], ['convert', '--help'], ['convert', 'a.pt', 'b.txt']):\n"
        "    try: main(words)\n"
        "    except SystemExit: pass\n"
        "print(sorted({'torch', 'textual', 'transformers', 'numpy', 'rich'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    assert "lenstui convert IN OUT" in done.stdout
    assert "usage: lenstui convert IN OUT" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "the following arguments are required: IN, OUT"),
        (["own.pt"], "the following arguments are required: OUT"),
        (["own.pt", "a.npz"], "OUT must end in .pt"),
        (["own.pt", "pythia-1.4b"], "OUT must end in .pt"),
        (["own.pt", "lens/params.pt"], "name the folder as OUT"),
        (["", "a.pt"], "argument IN: the name is empty"),
        (["own.pt", ""], "argument OUT: the name is empty"),
        (["own.pt", "a.pt", "--revision", "main"], "--revision needs --model"),
        (["own.pt", "a.pt", "b.pt"], "give one IN and one OUT, or --merge"),
    ],
)
def test_a_wrong_call(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("convert", *words) == 2
    assert complaint in said(capsys)


@pytest.mark.parametrize("out", ["lens", "pythia-1.4b/", "deep/er/lens"])
def test_to_the_librarys_folder_and_back(
    own: Path, tmp_path: Path, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("convert", own, f"{tmp_path}/{out}") == 0
    line = said(capsys)
    assert f"Read {own}, a lens for a/b (2 blocks, width 32), and wrote {tmp_path}" in line
    assert "a folder of the tuned-lens library.\nlenstui: The folder has no unembed_hash" in line
    assert sorted(file.name for file in (tmp_path / out).iterdir()) == ["config.json", "params.pt"]
    assert status("convert", tmp_path / out / "config.json", tmp_path / "back.pt") == 0
    assert "a file of lenstui." in said(capsys)
    same(own, tmp_path / out)
    same(own, tmp_path / "back.pt")


def test_a_folder_that_is_there_is_a_folder(own: Path, tmp_path: Path) -> None:
    (tmp_path / "pythia-1.4b").mkdir()
    assert status("convert", own, tmp_path / "pythia-1.4b") == 0
    same(own, tmp_path / "pythia-1.4b")


def test_a_tilde_is_the_home_folder(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    assert status("convert", "~/../own.pt", "~/deep/er.pt") == 0
    same(own, tmp_path / "home" / "deep" / "er.pt")
    assert status("convert", "~/deep/er.pt", "~/new/") == 0
    assert status("convert", "~/deep/er.pt", "~") == 0
    for folder in (tmp_path / "home", tmp_path / "home" / "new"):
        same(own, folder)
    assert status("convert", "~/deep/er.pt", "./~") == 0
    same(own, tmp_path / "~")


def test_a_scripts_file_and_what_is_said_of_it(
    script: Path, neox_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("convert", script, tmp_path / "own.pt") == 0
    line = said(capsys)
    assert "row emb stays the logit lens" in line
    assert "translator 1 has no row here" in line
    same(script, tmp_path / "own.pt")
    for lens in (script, tmp_path / "own.pt"):  # when it is used, both the terminal and the screen say it
        assert status("read", "A story", "--model", neox_folder, "--lens", lens) == 0
        assert "row emb stays the logit lens" in capsys.readouterr().err
        (remark, *_) = open_model(Start(model=str(neox_folder), lenses=(lens,))).remarks
        assert "row emb stays the logit lens" in remark


def test_the_model_is_written_down(
    script: Path, neox_folder: Path, other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("convert", script, tmp_path / "lens", "--model", neox_folder) == 0
    line = said(capsys)
    assert f"a lens for {neox_folder}" in line
    assert "unembed_hash" not in line
    config = json.loads((tmp_path / "lens" / "config.json").read_text())
    assert config["unembed_hash"] == unembed_hash(load(str(neox_folder), device="cpu"))
    assert config["base_model_name_or_path"] == str(neox_folder)
    assert len(config) == 7

    assert status("convert", script, tmp_path / "own.pt", "--model", neox_folder) == 0
    assert len(open_lens(tmp_path / "own.pt").config["unembed_sample"]) == 64
    capsys.readouterr()
    (warning,) = open_model(Start(model=str(neox_folder), lenses=(tmp_path / "lens",))).warnings.values()
    assert "by the head alone" in warning
    assert open_model(Start(model=str(neox_folder), lenses=(tmp_path / "own.pt",))).warnings == {}
    for lens in (tmp_path / "lens", tmp_path / "own.pt"):
        (warning,) = open_model(Start(model=str(other), lenses=(lens,))).warnings.values()
        assert "made for other weights" in warning


@pytest.mark.parametrize("between", ["lens", "own.pt"])
def test_a_lens_for_other_weights_keeps_its_own_mark(
    script: Path,
    neox_folder: Path,
    other: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    between: str,
) -> None:
    assert status("convert", script, tmp_path / between, "--model", neox_folder) == 0
    capsys.readouterr()
    assert status("convert", tmp_path / between, tmp_path / "second.pt", "--model", other) == 0
    line = said(capsys)
    assert "was made for other weights" in line
    assert "what it says of its own model was kept" in line
    assert open_lens(tmp_path / "second.pt").config == open_lens(tmp_path / between).config


def test_a_model_of_another_shape(own: Path, shared: Path, tmp_path: Path, capsys: Any) -> None:
    model = shared / "models" / "stories260K"
    assert status("convert", own, tmp_path / "a.pt", "--model", model) == 1
    line = said(capsys)
    assert "2 blocks and width 32" in line
    assert "5 blocks and width 64" in line
    assert not (tmp_path / "a.pt").exists()


def test_what_cannot_be_done(
    own: Path, neox_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = own.read_bytes()
    assert status("convert", own, own) == 1
    assert "are the same" in said(capsys)
    assert status("convert", tmp_path / "none.pt", tmp_path / "a.pt") == 1
    assert "There is no lens file" in said(capsys)
    assert status("convert", own, neox_folder) == 1
    assert "already holds the config.json of something else" in said(capsys)
    assert status("convert", neox_folder, tmp_path / "a.pt") == 1
    assert "there is no params.pt in it" in said(capsys)
    (tmp_path / "torn.pt").write_bytes(before[: len(before) // 2])
    assert status("convert", tmp_path / "torn.pt", tmp_path / "a.pt") == 1
    assert "damaged" in said(capsys)
    (tmp_path / "file").write_text("in the way")
    assert status("convert", own, tmp_path / "file" / "lens") == 1
    assert own.read_bytes() == before
    assert not (tmp_path / "a.pt").exists()


def test_a_folder_into_itself(own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("convert", own, tmp_path / "lens") == 0
    capsys.readouterr()
    for source in ("lens", "lens/params.pt"):
        assert status("convert", tmp_path / source, f"{tmp_path}/lens/") == 1
        assert "are the same" in said(capsys)
    same(own, tmp_path / "lens")
