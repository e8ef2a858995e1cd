"""Text that is not ours, in the bytes that a pipe or a real terminal gets of commands: seen, never obeyed.

Tokens, names of models, lenses, files and columns, remarks, template output and errors all hold what would
clear a screen, fill a clipboard, set a title, link elsewhere, turn letters around, or be invisible.
"""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import resource
import select
from pathlib import Path

import pytest

from lenstui.cli import main
from lenstui.support.errors import LONGEST_MESSAGE, PREFIX
from lenstui.support.printable import MOST_MARKS
from tests.hostile.hostile_model import FILE, HOSTILE, NAME, PROMPT, REMARK, WORDS
from tests.hostile.received import acted_on, most_marks
from tests.programs.calls import status
from tests.programs.forked import Forked

COMMANDS = {
    "read": (["read", "-p", PROMPT, "--pin", WORDS[6], "--chat"], ("table", "md", "html", "json", "csv")),
    "prompts": (["read", "--prompts", "prompts.csv"], ("table", "md", "json", "csv")),
    "eval": (["eval", "--data", "text\x1b[2J.txt", "--seq-len", "16"], ("table", "json")),
    "why": (["why", "-p", PROMPT], ("table", "md", "html", "json")),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_pipe_gets_no_escape_and_json_the_very_text(
    name: str, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    (lens,) = (place / "lenstui" / "lenses").iterdir()
    command, forms = COMMANDS[name]
    for form in forms:
        assert main([*command, "--model", str(place / NAME), "--lens", str(lens), "--format", form]) == 0
        out, err = capsys.readouterr()
        assert acted_on(err) == []
        assert most_marks(err) <= 9
        if form == "csv":  # a table of data has what the user wrote as it is
            (first, *_) = csv.DictReader(io.StringIO(out, newline=""))
            assert first["prompt"] in {PROMPT, f"the {HOSTILE[0]}0 cat"}
            ours = {"model", "lens_file", "input_token", "top_1_token"}
            assert acted_on("".join(text for key, text in first.items() if key in ours)) == []
            continue
        assert acted_on(out) == []
        if form != "json":
            assert most_marks(out) <= 9
            continue
        content = json.loads(out)
        assert content["model"] == str(place / NAME)
        if name == "prompts":
            groups = [case["group"] for case in content["cases"]]
            assert groups[:2] == [f"of {text}\u202e" for text in HOSTILE[:2]]
        elif name != "eval":
            assert PROMPT in content["prompt"]


TURNS = ["--turns", "turns.json"]
TEXTS = ["--data", f"{FILE}.txt"]
OTHERS = {
    "turns": (["read", *TURNS], ("table", "md", "html", "csv")),
    "turns refused": (["read", "--turns", json.dumps([{"role": REMARK, "content": "refuse"}])], ("table",)),
    "why turns": (["why", *TURNS], ("table", "md", "html")),
    "trace": (["trace", PROMPT, "the cat", "--metric", "logprob"], ("table", "md", "csv")),
    "trace turns": (["trace", *TURNS, "--noise", "1-3", "--metric", "logprob"], ("table", "md", "csv")),
    "eval": (["eval", *TEXTS, "--seq-len", "16"], ("table", "csv")),
    "eval words": (["eval", "--words", "words.jsonl"], ("table", "json")),
    "scan": (["scan", f"scan{FILE}", *TEXTS, "--seq-len", "16"], (None,)),
    "scanned": (["scan", f"scan{FILE}", "--where", "next_rank > 0"], ("table", "md", "csv")),
    "scan where": (["scan", f"scan{FILE}", "--where", f"{REMARK} > 0"], (None,)),
    "train": (["train", *TEXTS, "--steps", "2", "--save", f"new{FILE}.pt"], (None,)),
    "train again": (["train", *TEXTS, "--steps", "2", "--save", f"no{FILE}/new{FILE}.pt"], (None,)),
    "resume": (["train", "--resume", f"none{FILE}"], (None,)),
    "lenses": (["lenses"], ("text", "json")),
    "convert": (["convert", f"new{FILE}.pt", f"folder{FILE}/"], (None,)),
    "merge": (["convert", "--merge", f"new{FILE}.pt", f"new{FILE}.pt", f"merged{FILE}.pt"], (None,)),
    "curve": (["lenses", "--curve", f"new{FILE}.pt"], ("text", "csv")),
    "report": (["report", "-o", f"no{FILE}/report.html"], (None,)),
}
REFUSED = {"turns refused", "trace turns", "scan where", "train again", "resume", "merge", "report"}


def test_other_commands_send_no_escape(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In their order, as some take what others have written."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_DATA_HOME", str(place))
    (place / "words.jsonl").write_text(json.dumps({"prompt": PROMPT, "intermediates": [WORDS[9]]}))
    (lens,) = (place / "lenstui" / "lenses").iterdir()
    for name, (command, forms) in OTHERS.items():
        takes_model = command[0] in {"read", "why", "trace", "eval", "train"} or name == "scan"
        takes_lens = takes_model and command[0] not in {"trace", "train"}
        own = ["--model", str(place / NAME)] if takes_model and name != "resume" else []
        own += ["--lens", str(lens)] if takes_lens else []
        for form in forms:
            given = status(*command, *own, *([] if form is None else ["--format", form]))
            out, err = capsys.readouterr()
            assert given == (name in REFUSED), f"{name}: {err}"
            assert out or err, name
            assert "defect" not in err, name
            for said in (
                (err,) if form in {"csv", "json"} else (out, err)
            ):  # a table of data has texts as they are
                assert acted_on(said) == [], f"{name}, {form}: {said!r}"
                assert most_marks(said) <= MOST_MARKS + 1, f"{name}, {form}"


def test_errors_quote_on_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    model = ["--model", str(place / NAME)]
    (place / "column.jsonl").write_text(json.dumps({REMARK: "a", "b" * 1_000_000: "c"}))
    (place / "role.jsonl").write_text(json.dumps({"messages": [{"role": REMARK * 1000, "content": "a"}]}))
    unread = {"prompt": "the cat", "target": "mat", "x" * 1_000_000: 1}
    (place / "unread.jsonl").write_text(json.dumps(unread))
    long = "x" * 10_000_000
    (place / "long.csv").write_text(f"prompt,target\n{long},mat")
    (place / "long.jsonl").write_text(f'{{"prompt": "{long}')
    (place / "long.json").write_text(json.dumps([{"role": long, "content": long}]))
    (place / "long.txt").write_text(long)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for words, expected in (
        (["read", "-p", f"refuse {PROMPT * 1000}", "--chat", *model], 1),
        (["read", "-p", "the \udcff", *model], 2),
        (["read", "-p", "the", "--pin", "\udcff", *model], 1),
        (["read", "-p", "the", "--lens", f"no{REMARK}", *model], 1),
        (["read", "-p", "the", "--model", f"/no/{REMARK}"], 1),
        (["eval", "--data", "column.jsonl", *model], 1),
        (["read", "--prompts", "role.jsonl", *model], 1),
        (["read", "--prompts", "unread.jsonl", *model], 0),
        (["scan", f"no{REMARK}"], 1),
        (["read", "--prompts", "long.csv", *model], 1),
        (["read", "--prompts", "long.jsonl", *model], 1),
        (["read", "--turns", "long.json", *model], 1),
        (["eval", "--data", "long.txt", *model], 1),
    ):
        try:
            given = main(words)
        except SystemExit as leaving:
            given = int(leaving.code or 0)
        said = capsys.readouterr().err
        assert given == expected, said
        assert "defect" not in said
        assert acted_on(said) == []
        assert said.count("\n") == 1
        assert len(said) <= len(f"{PREFIX}\n") + LONGEST_MESSAGE, said
    # The tokenizers' library keeps some 60 bytes for each byte of a text.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000  # kB


def test_a_terminal_gets_colours_and_no_more(programs: Forked, place: Path) -> None:
    ours, theirs = pty.openpty()
    words = ("read", "-p", PROMPT, "--model", place / NAME, "--format", "table")
    program = programs.start(*words, terminal=os.ttyname(theirs), environment={"TERM": "xterm-256color"})
    received, status = b"", None
    while status is None or select.select([ours], [], [], 0.1)[0]:
        if select.select([ours], [], [], 0.05)[0]:
            received += os.read(ours, 1 << 16)
        status = program.ended() if status is None else status
    os.close(ours)
    os.close(theirs)
    assert status == 0
    rest = re.sub(r"\x1b\[[\d;]*m|\x1b\[K|\r", "", received.decode("utf-8", errors="strict"))
    assert acted_on(rest) == []
    assert r"\x1b[2J" in rest
