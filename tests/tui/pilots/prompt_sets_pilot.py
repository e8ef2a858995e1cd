"""Prompt sets on disk, and the screen that reads them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from lenstui.tui.app import LenstuiApp
from lenstui.tui.prompt_sets.screen import PromptSets
from lenstui.tui.prompt_sets.table import SetTable
from tests.tui.pilots.looking import until

CASES = [
    {"prompt": "Hello, you ", "target": "q", "group": "greetings"},
    {"prompt": "", "target": "a", "group": "none"},
    {"prompt": "one two", "group": "numbers"},
    {"prompt": "Good bye ", "target": "z", "group": "greetings"},
    {"prompt": "x" * 70 + " end", "target": "!", "group": "numbers"},
]
READ = [case for case in CASES if case["prompt"]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Five cases, of which one cannot be read, and a line that is none."""
    path = tmp_path / "cases.jsonl"
    path.write_text("".join(json.dumps(case) + "\n" for case in [*CASES, ["no case"]]))
    return path


@pytest.fixture
def long_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """More than is read while a test looks on, each case as slowly as by a large model."""

    def slowly(*args: Any, **options: Any) -> Iterator[Any]:
        for each in read_set(*args, **options):
            time.sleep(0.05)  # a thread that is always busy has the pilot wait for seconds
            yield each

    from lenstui.readout.sets import cases as set_readout

    read_set = set_readout.read_set
    monkeypatch.setattr(set_readout, "read_set", slowly)
    path = tmp_path / "long.txt"
    path.write_text("".join(f"prompt number {number} of many\tx\n" for number in range(5000)))
    return path


def screen_of(app: LenstuiApp) -> PromptSets:
    screen = app.program.prompt_sets
    assert screen is not None
    return screen


def notes(app: LenstuiApp) -> str:
    return "\n".join(str(note.message) for note in app._notifications)


def said(app: LenstuiApp) -> str:
    return str(screen_of(app).query_one("#set-said", Static).render())


def table(app: LenstuiApp) -> SetTable:
    return screen_of(app).query_one(SetTable)


def numbers(app: LenstuiApp) -> list[int]:
    """Of the lines that are shown."""
    return [case.line.number for case in table(app).shown]


def chosen(app: LenstuiApp) -> int:
    case = table(app).chosen
    assert case is not None
    return case.line.number


async def go(app: LenstuiApp, pilot: Pilot[None], path: Path | None = None) -> None:
    """Open the screen, and read a file unless there is none."""
    await pilot.press("e")
    await until(pilot, lambda: isinstance(app.screen, PromptSets))
    if path is not None:
        await name(app, pilot, str(path))
        await until(pilot, lambda: screen_of(app).state.run and not screen_of(app).state.is_reading)


async def name(app: LenstuiApp, pilot: Pilot[None], typed: str) -> None:
    line = screen_of(app).query_one("#set-file", Input)
    line.focus()
    line.value = typed
    await pilot.press("enter")
    await pilot.pause()


def final_probs(folder: Path, prompt: str) -> Any:
    """The model's own distribution at the end of a prompt, by transformers alone."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer(prompt, return_tensors="pt").input_ids[:, -64:]
    with torch.no_grad():
        return tokenizer, model(ids).logits[0, -1].double().softmax(-1).numpy()
