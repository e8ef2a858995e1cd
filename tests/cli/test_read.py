"""`lenstui read` as a table: what is read, how it is aligned, and what is said when it cannot be."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len

from lenstui.readout.values import all_values
from tests.programs.calls import run, status
from tests.tiny.folders import CONTEXT

HOSTILE = "\x1b[31m[bold]red[/]\n\t\r😀👩\u200d👧 日本語 שלום\u202e e\u0301 \x9b2J"


def test_a_hostile_prompt_through_a_pipe_is_a_plain_aligned_table(neox_folder: Path) -> None:
    done = run(HOSTILE, "--model", str(neox_folder))  # no subcommand: stdout is no terminal
    assert (done.returncode, done.stderr) == (0, b"")
    shown = done.stdout.decode()
    assert all(line.isprintable() and cell_len(line) <= 100 for line in shown.splitlines()[:-1])
    assert "\\x1b" in shown
    for group in shown.split("\n\n")[:-1]:
        body = [line for line in group.splitlines() if re.match(r"    (emb|  \d)  ", line)]
        assert len(body) == 3
        ends = {tuple(cell_len(line[: m.end()]) for m in re.finditer(r"\d%(?=  |$)", line)) for line in body}
        assert len(ends) == 1
    assert "wiring ok" in shown.split("\n\n")[-1]


def test_wide_and_hidden_characters_of_a_real_vocabulary_are_aligned(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shared / "models" / "stories260K"
    if not folder.is_dir():
        pytest.skip("stories260K is not here")
    assert status("read", HOSTILE, "--model", str(folder), "--lenses", "logit", "--value", "kl") == 0
    shown = capsys.readouterr().out
    assert shown.isascii() is False
    assert shown.replace("\n", "").isprintable()


def test_rows_and_stride(neox_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def rows(*words: str) -> list[str]:
        assert status("read", "hi", "--model", str(neox_folder), "--format", "json", *words) == 0
        labels: list[str] = json.loads(capsys.readouterr().out)["rows"]
        return labels

    assert rows("--rows", "emb,last") == ["emb", "1"]
    assert rows("--rows", "0") == ["0", "1"]
    assert rows("--rows", "emb-0") == ["emb", "0", "1"]
    assert rows("--rows", "1-last,0-0") == ["0", "1"]
    assert rows("--stride", "2") == ["emb", "1"]
    assert rows("--stride", "7") == ["emb", "1"]


def test_lenses_and_values(neox_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("read", "hi", "--model", str(neox_folder), "--lens", str(neox_folder.parent / "mine.pt"))
    assert status(*words, "--value", "rank", "--top-k", "2") == 0
    both = capsys.readouterr().out
    assert re.findall(r"^(\w+) lens · (.+)$", both, re.MULTILINE) == [
        ("logit", "rank of final top-1"),
        ("tuned", "rank of final top-1"),
    ]
    assert both.splitlines()[-1].endswith("tuned lens mine.pt")
    assert status(*words, "--lenses", "tuned", "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["lenses"]["logit"] is None
    assert content["lens"] == "mine.pt"

    plain = ("read", "hi", "--model", str(neox_folder))
    assert status(*plain, "--lenses", "logit,tuned") == 0
    captured = capsys.readouterr()
    assert "There is no tuned lens for" in captured.err
    assert captured.out.splitlines()[-1].endswith("without a tuned lens")
    assert status(*plain, "--lenses", "tuned") == 1
    assert "name one with --lens FILE, or fit one with lenstui train" in capsys.readouterr().err


def test_the_values_are_those_of_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("read", "hi", "--value", "nothing") == 2
    keys = re.findall(r"'([a-z-]+)'", capsys.readouterr().err.partition("choose from")[2])
    assert keys == [*(value.key for value in all_values()), "whole", "foil-diff", "foil-whole"]
    assert status("read", "hi", "--value", "whole") == 2
    assert "--value whole is for --prompts alone" in capsys.readouterr().err
    for value in all_values():
        if value.pins:
            too_few = ["--pin", *["x"] * (value.pins - 1)] if value.pins > 1 else []
            assert status("read", "hi", "--value", value.key, *too_few) == 2
            assert f"--value {value.key} is of " in capsys.readouterr().err


def test_the_difference_of_two_words(neox_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("read", "hi", "--model", str(neox_folder), "--pin", "z", "q")
    assert status(*words, "--value", "pin-diff", "--format", "md") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("**logit lens** · logit of z − q\n")
    assert status(*words, "--format", "json") == 0
    one, other = (np.array(pin["logit"]["logprob"]) for pin in json.loads(capsys.readouterr().out)["pins"])
    lines = shown.splitlines()[4 : 4 + len(one)]
    numbers = [
        [float(text.replace("−", "-")) for text in re.findall(r"−?[0-9.]+(?= \|)", line)[-2:]]
        for line in lines
    ]
    np.testing.assert_allclose(numbers[::-1], one - other, atol=0.006)
    assert status(*words[:-1], "z", "--value", "pin-diff") == 1
    assert "all words to --pin are the same one" in capsys.readouterr().err


def test_pins_in_a_table_and_a_word_that_is_no_token(
    neox_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        status("read", "hi ", "--model", str(neox_folder), "--pin", "z", "zebra", "yak", "--rows", "last")
        == 0
    )
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        f"lenstui: No token is the word '{word}': the first of those it is cut into, {word[0]}, is pinned. "
        f"In the last column its log p is summed along all {len(word)}."
        for word in ("zebra", "yak")
    ]
    title, heads, row, *_ = captured.out.split("\n\n")[1].splitlines()
    assert title.startswith(
        "logit lens · pinned, in the last column: probability, rank (… of the first token)"
    )
    assert heads.split() == ["z", "z…", "whole", "zebra", "y…", "whole", "yak"]
    token, word = r" +<?[0-9.]+% +[0-9]+", r" +−[0-9.]+ +−[0-9.]+"
    assert re.fullmatch(f"1{token}{token}{word}{token}{word}", row)


def test_the_difference_of_the_lenses(neox_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "read",
        "hi",
        "--model",
        str(neox_folder),
        "--lens",
        str(neox_folder.parent / "mine.pt"),
        "--rows",
        "emb",
    )
    assert status(*words, "--diff", "--value", "kl") == 0
    shown = capsys.readouterr().out
    assert status(*words, "--format", "json") == 0
    lenses = json.loads(capsys.readouterr().out)["lenses"]
    assert shown.startswith("tuned lens − logit lens · KL from final · ≠ another token leads\n")
    numbers = re.findall(r"([+−])([0-9.]+)( ≠|(?=  |$))", shown.splitlines()[3].removeprefix("    emb"))
    assert len(numbers) == 2
    for column, (sign, number, mark) in enumerate(numbers):
        difference = lenses["tuned"]["kl"][0][column] - lenses["logit"]["kl"][0][column]
        leads = [lens["top_ids"][0][column][0] for lens in lenses.values() if lens]
        assert (sign == "+") == (difference > 0)
        assert float(number) == pytest.approx(abs(difference), abs=0.01)
        assert (mark == " ≠") == (leads[0] != leads[1])


def test_without_the_final_norm(neox_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def read(*words: str) -> Any:
        assert status("read", "hi", "--model", str(neox_folder), "--format", "json", *words) == 0
        return json.loads(capsys.readouterr().out)

    bare, whole = read("--no-final-norm"), read()
    assert (bare["final_norm"], whole["final_norm"]) == (False, True)
    entropy, wanted = (content["lenses"]["logit"]["entropy"] for content in (bare, whole))
    assert entropy[-1] == wanted[-1]
    assert entropy[0] != wanted[0]
    assert status("read", "hi", "--model", str(neox_folder), "--no-final-norm") == 0
    assert capsys.readouterr().out.endswith("· logit lens without the final norm\n")


def test_a_prompt_in_the_chat_template(
    neox_folder: Path, tmp_path: Path, chat_tokenizer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "chatty"
    shutil.copytree(neox_folder, folder)
    chat_tokenizer.save_pretrained(folder)
    assert status("read", "hi", "--model", str(folder), "--chat", "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    said = [{"role": "user", "content": "hi"}]
    theirs = chat_tokenizer.apply_chat_template(said, add_generation_prompt=True, return_dict=False)
    assert (content["token_ids"], content["prompt"], content["chat"]) == (theirs, "hi", True)
    assert status("read", "hi", "--model", str(folder), "--chat", "--format", "md") == 0
    page = capsys.readouterr().out
    assert "prompt in the chat template" in page
    assert re.search(r"lenstui read -p hi .*--chat", page)
    assert status("read", "hi", "--model", str(neox_folder), "--chat") == 1
    assert "This tokenizer has no chat template." in capsys.readouterr().err


def test_sublayers(neox_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lens = neox_folder.parent / "mine.pt"
    words = ("read", "hi", "--model", str(neox_folder), "--lens", str(lens), "--format", "json")
    assert status(*words, "--sublayers", "--rows", "0") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["rows"] == ["0.attn", "0.mlp", "0", "1.attn", "1.mlp", "1"]  # side by side
    assert status(*words, "--rows", "0") == 0
    without = json.loads(capsys.readouterr().out)
    assert (content["sublayers"], without["sublayers"], without["rows"]) == (True, False, ["0", "1"])
    assert content["lenses"].pop("jacobian") is None
    for name, lens_ in content["lenses"].items():
        assert [lens_["top_ids"][row] for row in (2, 5)] == without["lenses"][name]["top_ids"]
        assert lens_["crystallization"] == without["lenses"][name]["crystallization"]
    assert content["lenses"]["tuned"]["kl"][:2] == [[None, None]] * 2


def test_the_prompt_from_standard_input(
    neox_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read_with(data: bytes) -> int:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="ascii"))
        return status("read", "-", "--model", str(neox_folder), "--format", "json", "--bos")

    assert read_with("zwei\nZeilen ü\n".encode()) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["prompt"] == "zwei\nZeilen ü"
    assert content["tokens"][:6] == ["<bos>", "z", "w", "e", "i", "⏎"]
    assert read_with(b"\n") == 2
    assert read_with(b"\xff") == 1
    monkeypatch.setattr("lenstui.cli.stdin.LIMIT", 1 << 20)
    assert read_with(b"a" * (1 << 20) + b"\n") == 1
    assert capsys.readouterr().err.splitlines() == [
        "lenstui: the prompt is empty (see lenstui read --help)",
        "lenstui: Standard input is not UTF-8 text (byte 0).",
        "lenstui: Standard input has more than 1 MB: give less.",
    ]


def test_a_prompt_longer_than_the_context_is_cut_and_that_is_said(
    neox_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("read", "ab" * CONTEXT, "--model", str(neox_folder), "--format", "json") == 0
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["tokens"]) == CONTEXT
    assert captured.err == (
        f"lenstui: The prompt has {2 * CONTEXT} tokens and the model reads {CONTEXT}: "
        f"the first {CONTEXT} were cut.\n"
    )


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--model", "/nowhere/\x1b[2J"], "No such folder: /nowhere/\\x1b[2J"),
        (["--model", "TINY", "--lens", "/nowhere.pt"], "There is no lens file /nowhere.pt."),
        (["--model", "TINY", "--rows", "99"], "There is no row 99"),
        (["--model", "TINY", "--rows", "0-99"], "There is no row 99: this model has rows emb, 0 … 1."),
        (["--model", "TINY", "--diff"], "There is no tuned lens for"),
        (["--model", "TINY", "--device", "cuda:99"], "There is no cuda:99 here"),
        (["--model", "TINY", "-o", "/nowhere/out.txt"], "There is no folder /nowhere to write out.txt to."),
        (["--model", "TINY", "-o", "/"], "/ is a folder"),
    ],
)
def test_a_failure_is_status_1_and_one_line(
    words: list[str], complaint: str, neox_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("read", "x", *(str(neox_folder) if word == "TINY" else word for word in words)) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"lenstui: {complaint}")
    assert captured.err[:-1].isprintable()


def test_a_terminal_gets_styles_and_progress_unless_it_asks_for_none(
    neox_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read() -> tuple[str, str]:
        assert status("read", "[red]x", "--model", str(neox_folder)) == 0
        captured = capsys.readouterr()
        return captured.out, captured.err

    monkeypatch.setenv("COLUMNS", "100")
    plain, quiet = read()
    assert quiet == ""
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    styled, stages = read()
    assert "\x1b[" in styled
    assert re.sub(r"\x1b\[[0-9;]*m", "", styled) == plain
    assert "checking the wiring …" in stages
    assert stages.endswith("\r\x1b[K")
    monkeypatch.setenv("NO_COLOR", "1")
    assert read()[0] == plain
