"""Text that is not ours, in the bytes that a real terminal receives from the screens: seen, and never obeyed.

Tokens, names of models, lenses, files and columns, remarks, template output, what was kept, what a hub says
and errors all hold what would clear a screen, fill a clipboard, set a title, link elsewhere, turn letters
around, or be invisible.
"""

from __future__ import annotations

import json
import os
import pty
import select
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.hostile_model import FILE, HOSTILE, NAME, PROMPT, REMARK
from tests.hostile.received import Visit, only_shown
from tests.programs.forked import Forked
from tests.programs.lens_hub import LIBRARY, PLUS_PLUS, WORKSPACE, Repository, reference_file, serving
from tests.programs.own_app import start_app
from tests.programs.pty_terminal import ENTER, ESC, Terminal
from tests.tiny.folders import llama_in

SHOWN = r"\x1b]0;owned\x07"
SHOWN_FILE = r"f\x1b]52;c;aGk=\x07\u202e\u200b\u3164"
HOME, TAB = "settles at", "\t"
UP, DOWN, RIGHT, FIRST = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[H"
CLEAR = "\x15"
Visiting = Callable[..., Visit]


def test_a_prompt_and_what_is_made_of_it(visiting: Visiting, place: Path) -> None:
    visit = visiting(PROMPT)
    visit.see("wiring ok")
    visit.go(
        (f"j{ENTER}", "rank token"),
        (ESC, HOME),
        ("o", "card: l"),
        (ESC, HOME),
        ("w", "why"),
        (ESC, HOME),
        ("m", "esc closes"),
        (ESC, HOME),
        ("e", "or type a file"),
        (f"{place / 'prompts.csv'}{ENTER}", "7 prompts"),
        (ESC, HOME),
        ("x", "enter exports"),
    )
    visit.quit()
    assert SHOWN in visit.received


def test_turns_and_a_trace_of_them(visiting: Visiting, place: Path) -> None:
    visit = visiting("--turns", str(place / "turns.json"))
    visit.see("wiring ok")
    visit.go(
        ("I", "─ turns ─"),
        ("k", "turn 1 · user"),
        (TAB, ""),
        (TAB, ""),
        ("j", "turn 2 · assistant"),
        (ENTER, HOME),
        ("z", ""),
        ("T", "─ causal trace ─"),
        (f"the cat{TAB}{TAB}{RIGHT}", "clean's likeliest"),
        (ENTER, "recovered"),
        ("p", ""),
        ("f", ""),
        ("x", "enter exports"),
        (ESC, ""),
        ("v", ""),
        (ESC, HOME),
        ("I", "─ turns ─"),
        ("i", "type a text in place"),
        (f"the cat{ENTER}", HOME),
        ("i", ""),
        (UP, "3 turns: system"),
    )
    visit.quit()
    assert "␛]0;owned␇" in visit.received  # in boxes
    assert SHOWN in visit.received  # in all else


def test_texts_that_are_evaluated_on_scanned_and_fitted_on(visiting: Visiting, place: Path) -> None:
    data = f"{place}/f*.txt"
    visit = visiting("the cat")
    visit.see("wiring ok")
    visit.go(
        (ESC, HOME),
        ("E", "─ evaluate lenses"),
        (f"{DOWN}{DOWN}{data}", "f*.txt"),
        (ENTER + ENTER, "tokens in "),
        ("x", "enter exports"),
        (ESC, ""),
        ("q", HOME),
        ("C", "known-and-lost"),
        ("n", "─ scan a text"),
        (f"{data}{ENTER}", "scanned: "),
        ("0", "positions (100%)"),
        ("v", ""),
        ("v", ""),
        ("v", ""),
        ("o", "─ open a scan"),
        (ESC, ""),
        ("VVV", "positions (100%)"),
        (ENTER, "tokens as"),
        (ESC, "known-and-lost"),
        ("q", HOME),
        ("t", "kind of lens"),
        (f"{DOWN}{DOWN}{DOWN}{CLEAR}{data}", "f*.txt"),
        (ENTER + ENTER, "100%"),
        (ESC, HOME),
    )
    visit.quit()
    assert SHOWN in visit.received


def test_lenses_that_a_hub_has(visiting: Visiting, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as hub:
        name = f"{FILE}{''.join(HOSTILE[:2])}"
        hub.put(WORKSPACE, {f"{name}/j-lens/lens.pt": reference_file(2, 32)})
        hub.put(LIBRARY, {f"lens/{REMARK}/params.pt": b"", f"lens/{REMARK}/config.json": b"{}"}, type="space")
        hub.repositories["model", PLUS_PLUS] = Repository({}, refusal=(403, "GatedRepo"))
        environment = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(place / "hf")}
        visit = visiting("the cat", environment={**environment, "no_proxy": "127.0.0.1,localhost"})
        visit.see("wiring ok")
        visit.go(
            (ESC, HOME),
            ("o", "card: l"),
            ("h", "is gated"),
            ("j", ""),
            ("k", ""),
            (ENTER, "Enter again"),
            (ENTER, "tuned lens: "),
        )
        visit.terminal.until(lambda: any(path.endswith(".pt") for path, _ in hub.got))
        visit.go(("", ""), (ESC, ""), (ESC, HOME), ("o", "card: "))
        visit.quit()
    assert SHOWN_FILE in visit.received


def test_what_was_kept(visiting: Visiting, place: Path) -> None:
    model, kept = str(place / NAME), place / "lenstui"
    look = {"prompt": f"{PROMPT} \ud800", "value": REMARK, "row": 10**9, "plotted": REMARK}
    look |= {"lens_file": str(place / FILE), "other_lenses": [REMARK, str(place / f"{FILE}.pt")]}
    text = {model: {"data": f"'{place / FILE}.txt'", "column": REMARK}}
    session = {"version": 1, "model": model, "theme": REMARK, "models": {model: look, f"no/{REMARK}": look}}
    (kept / "session.json").write_text(json.dumps(session | {"fit_texts": text, "eval_texts": text}))
    turns = [{"role": REMARK, "content": PROMPT}, {"role": "user", "content": f"{PROMPT}\udcff"}]
    prompts = [PROMPT, {"turns": turns[1:]}, {"turns": turns}, f"the \ud800{REMARK}"]
    (kept / "history.json").write_text(json.dumps({"version": 1, "prompts": prompts}))
    for number, name in enumerate((FILE, REMARK.replace("/", ""))):
        (scan := kept / "scans" / f"{number}{name}").mkdir(parents=True)
        damaged = {"version": 1, "settings": {}, "source": {"model": REMARK}, "data": [REMARK]}
        (scan / "_scan.json").write_text(json.dumps(damaged | {"rows": [REMARK], "lenses": [REMARK]}))
    visit = visiting(own=False)
    visit.see("wiring ok")
    visit.go(
        (ESC, ""),
        ("i", ""),
        (UP, ""),
        (FIRST + UP, ""),
        (FIRST + UP, ""),
        (f"{CLEAR}the cat{ENTER}", HOME),
        ("E", "─ evaluate lenses"),
        (ENTER, "Plain text has no columns"),
        (ESC, ""),
        (ESC, HOME),
        ("t", "kind of lens"),
        (ESC, HOME),
        ("C", "─ open a scan"),
        (ENTER, ""),
        (ESC, ""),
        (ESC, ""),
        (ESC, HOME),
        ("m", "esc closes"),
    )
    visit.quit()
    assert SHOWN_FILE in visit.received
    assert "␛]52;c;aGk=␇" in visit.received  # in a line to type into


def test_what_a_template_refuses(visiting: Visiting) -> None:
    visit = visiting("--chat", f"refuse {PROMPT}")
    visit.see("not read")
    visit.quit()
    assert r"\x1b]52;c;aGk=\x07" in visit.received  # of the refusal: in the box ESC is a picture


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
        visit = Visit(terminal)
        visit.see("gives up")
        visit.quit()
    finally:
        terminal.kill()
    assert "panicked" not in visit.received


FAILING = """
class App(LenstuiApp):
    def on_ready(self):
        raise ValueError({remark!r})
"""


@pytest.mark.parametrize("debugging", ["", "1"], ids=["plain", "debugging"])
def test_a_failure(debugging: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENSTUI_DEBUG", debugging)
    ours, theirs = pty.openpty()
    received = b""
    with start_app(FAILING.format(remark=REMARK), theirs, tmp_path) as program:
        while program.poll() is None or select.select([ours], [], [], 0.05)[0]:
            if select.select([ours], [], [], 0.05)[0]:
                received += os.read(ours, 1 << 20)
    os.close(ours)
    os.close(theirs)
    only_shown(received.decode("utf-8", errors="strict"), "at the end")
    assert program.returncode == 1
    assert b"ValueError" in received
