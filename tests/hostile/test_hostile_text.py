"""Text that is not ours, in the bytes that a real terminal and a pipe receive: seen, and never obeyed.

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
import unicodedata
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from lenstui.cli import main
from tests.hostile.hostile_model import (
    HOSTILE,
    NAME,
    PROMPT,
    REMARK,
    WORDS,
    hostile_lens_in,
    hostile_model_in,
)
from tests.programs.forked import Forked
from tests.programs.pty_terminal import ENTER, ESC, QUIT, Terminal
from tests.tiny.folders import llama_in

# All that Textual and the screens send, and nothing else: modes, the cursor, colours, the pointer's shape.
_MODE = r"\x1b\[\?(?:25|7|1000|1003|1004|1006|1015|1016|1049|2004|2026|2048)[hl]"
_OWN = re.compile(
    rf"{_MODE}|\x1b\[\?(?:2026|2048)\$p|\x1b\[>\d+u|\x1b\[<u|\x1b\[\d+;\d+H|\x1b\[[\d;]*m"
    r"|\x1b\]22;(?:default|pointer|text)\x07|\x1b\[[JK]|\r"
)
SHOWN = r"\x1b]0;owned\x07"


def acted_on(text: str) -> list[str]:
    """What a terminal would act on, show elsewhere, or not show; a newline is none."""
    kinds = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    fillers = "\u034f\u115f\u1160\u3164\uffa0\u2800\ufe0e\ufe0f"
    return [c for c in text if c != "\n" and (unicodedata.category(c) in kinds or c in fillers)]


def most_marks(text: str) -> int:
    """The most combining marks on one letter."""
    runs = groupby(text, lambda c: unicodedata.category(c) in {"Mn", "Me"})
    return max((sum(1 for _ in run) for is_mark, run in runs if is_mark), default=0)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model, a lens, a table of prompts and a text."""
    place = tmp_path_factory.mktemp("hostile")
    hostile_model_in(place)
    (place / "lenstui" / "lenses").mkdir(parents=True)
    hostile_lens_in(place / "lenstui" / "lenses")
    with (place / "prompts.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["prompt", "target", "group", f"x{REMARK}"])
        lines.writerows(
            [f"the {text}0 cat", WORDS[9], f"of {HOSTILE[at % 2]}\u202e", "y"]
            for at, text in enumerate(HOSTILE[:7])
        )
    (place / "text\x1b[2J.txt").write_text("\n\n".join([f"{PROMPT} " * 2] * 20))
    return place


@pytest.fixture
def started(programs: Forked, place: Path) -> Iterator[Callable[..., Terminal]]:
    programs.imports("lenstui.tui.app")
    terminals: list[Terminal] = []

    def start(*words: str) -> Terminal:
        (lens,) = (place / "lenstui" / "lenses").iterdir()
        own = ["--model", str(place / NAME), "--lens", str(lens)]
        terminals.append(Terminal(programs, [*words, *own], place, width=120, height=40))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.kill()


def visited(terminal: Terminal, *way: tuple[str, str]) -> str:
    """Press keys, wait for what each brings on the screen, and quit; all that the terminal received."""
    terminal.until("wiring ok")
    everything = b""
    for key, brings in way:
        everything += terminal.received
        terminal.press(key)
        terminal.until(brings)
    everything += terminal.received
    terminal.press(QUIT)
    assert terminal.end() == 0
    return (everything + terminal.received).decode("utf-8", errors="strict")


def test_no_screen_obeys_a_text(started: Callable[..., Terminal], place: Path) -> None:
    received = visited(
        started(PROMPT),
        (f"j{ENTER}", "rank token"),
        (ESC, "settles at"),
        ("o", "card: l"),
        (ESC, "settles at"),
        ("w", "why"),
        (ESC, "settles at"),
        ("m", "esc closes"),
        (ESC, "settles at"),
        ("e", "or type a file"),
        (f"{place / 'prompts.csv'}{ENTER}", "7 prompts"),
        (ESC, "settles at"),
        ("x", "enter exports"),
    )
    assert SHOWN in received
    rest = _OWN.sub("", received)
    assert acted_on(rest) == []


def test_what_a_template_refuses_is_shown_and_not_obeyed(started: Callable[..., Terminal]) -> None:
    received = visited(started("--chat", f"refuse {PROMPT}"), ("", "not read"))
    assert r"\x1b]52;c;aGk=\x07" in received  # of the refusal: in the box ESC is a picture
    assert acted_on(_OWN.sub("", received)) == []


def test_what_a_library_prints_itself_is_not_on_the_screen(
    programs: Forked, byte_tokenizer: Any, tmp_path: Path
) -> None:
    """A tokenizer in Rust says on descriptor 2 that a pattern of its own tried too many ways."""
    folder = llama_in(tmp_path / "model", byte_tokenizer)
    content = json.loads((folder / "tokenizer.json").read_text())
    pattern = {
        "type": "Split",
        "pattern": {"Regex": "(?:q1|q1q1)+$"},
        "behavior": "Isolated",
        "invert": False,
    }
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [pattern, content["pre_tokenizer"]]}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    programs.imports("lenstui.tui.app")
    terminal = Terminal(programs, [f"{'q1' * 60}x", "--model", str(folder)], tmp_path)
    try:
        received = visited(terminal, ("", "gives up"))
    finally:
        terminal.kill()
    assert "panicked" not in received


# ── the command line ─────────────────────────────────────────────────────────────────────────────────────

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
    for words, status in (
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
        assert given == status, said
        assert "defect" not in said
        assert acted_on(said) == []
        assert said.count("\n") == 1
        assert len(said) < 330, said
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
