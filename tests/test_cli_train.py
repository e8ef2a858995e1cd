"""`lenstui train`, on a tiny model and on a real one."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lenstui.cli import main


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Path:
    """A random Llama with one token per byte, 64 columns."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("models") / "tiny"
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=258,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.5,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    byte_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def text(tmp_path: Path) -> Path:
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
    file = tmp_path / "text.txt"
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
    blocks = list(held_out)[: 4096 // 64]
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


def test_ctrl_c_keeps_what_was_learned(
    tiny_folder: Path,
    text: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lenstui.lens import fitting, open_lens

    whole = fitting.fit_steps

    def interrupted(*arguments: Any) -> Any:
        for progress in whole(*arguments):
            yield progress
            if progress.step == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "fit_steps", interrupted)
    file = tmp_path / "lens.pt"
    assert train(tiny_folder, text, "--save", str(file)) == 0
    assert "Stopped at step 2 of 4" in capsys.readouterr().err
    lens = open_lens(file)
    assert lens.fit["steps"] == 2
    assert len(lens.fit["held_out_kl"]) == 2
    assert lens.weight.any()


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
