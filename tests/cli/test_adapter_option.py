"""`--adapter` on the command line: what is read, what is said of it, and the commands that do it again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.programs.calls import status
from tests.tiny.adapters import adapter_in, merged

pytest.importorskip("peft", reason="adapters need peft: pip install 'lenstui[adapters]'")

PROMPT = ("read", "the cat sat")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    return adapter_in(tmp_path_factory.mktemp("adapters") / "lora", tiny_folder)


def read(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    assert status(*PROMPT, *words, "--format", "json") == 0
    return json.loads(capsys.readouterr().out)


def test_json_names_the_adapter_and_has_its_numbers(
    adapter: Path, tiny_folder: Path, tmp_path: Path, byte_tokenizer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    found = read(capsys, "--model", tiny_folder, "--adapter", adapter)
    assert found["model"] == str(tiny_folder)
    assert found["adapter"] == {"name": str(adapter), "kind": "LoRA", "hash": found["adapter"]["hash"]}
    assert len(found["adapter"]["hash"]) == 32
    merged(adapter, tiny_folder).save_pretrained(tmp_path / "merged")
    byte_tokenizer.save_pretrained(tmp_path / "merged")
    wanted, clean = (read(capsys, "--model", folder) for folder in (tmp_path / "merged", tiny_folder))
    assert wanted["adapter"] is None
    ours, theirs, others = (np.array(each["lenses"]["logit"]["entropy"]) for each in (found, wanted, clean))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert np.abs(ours - others).max() > 0.1
    assert read(capsys, "--model", adapter) == found  # an adapter opens its base


@pytest.mark.parametrize("form", ["md", "html", "csv"])
def test_files_name_it_and_the_command_reads_it_again(
    form: str, adapter: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(*PROMPT, "--adapter", adapter, "--format", form) == 0
    shown = capsys.readouterr().out
    assert str(adapter) in shown
    if form == "md":
        assert f"`{tiny_folder} + {adapter}`" in shown
        command = shown.split("```sh\n")[1].split("\n```")[0]
        assert f"--model {tiny_folder} --adapter {adapter}" in command
        assert status(*shlex.split(command)[1:]) == 0
        assert capsys.readouterr().out == shown


def test_a_lens_fitted_under_an_adapter_names_it(
    adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(f"the cat number {number} sat on the mat" for number in range(80)))
    lens = tmp_path / "mine.pt"
    words = ("train", "--model", adapter, "--data", text, "--save", lens, "--preset", "quick")
    assert status(*words, "--steps", "3") == 0
    capsys.readouterr()
    assert status("lenses", "--model", adapter, "--format", "json") == 0
    capsys.readouterr()
    assert status(*PROMPT, "--adapter", adapter, "--lens", lens, "--format", "json") == 0
    shown = capsys.readouterr()
    assert "other weights" not in shown.err
    card = json.loads(shown.out)["lens_files"]["tuned"]
    assert (card["of_base"], card["card"]["adapter"]) == (False, str(adapter))


def test_the_lens_of_the_base_is_called_that(
    adapter: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(f"the cat number {number} sat on the mat" for number in range(80)))
    words = ("train", "--model", tiny_folder, "--data", text, "--save", tmp_path / "base.pt", "--steps", "3")
    assert status(*words) == 0
    capsys.readouterr()
    assert status(*PROMPT, "--adapter", adapter, "--lens", tmp_path / "base.pt") == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1].endswith("tuned lens base.pt of the base")
    assert f"is of the base ({tiny_folder}), fitted without the adapter {adapter}" in shown.err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("lenses", "--adapter", "x"), "--adapter needs --model"),
        (("convert", "a.pt", "b.pt", "--adapter", "x"), "--adapter needs --model"),
        (("read", "a", "--adapter", "nowhere/at/all"), "No such folder: nowhere/at/all"),
        (("read", "a", "--demo", "--adapter", "."), ". is no adapter: the folder of an adapter has an"),
    ],
)
def test_a_wrong_call_is_one_line(
    words: tuple[str, ...],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert status(*words) in {1, 2}
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1
