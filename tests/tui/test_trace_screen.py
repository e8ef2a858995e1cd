"""Trace on screen: the dialog, the map row by row, other parts and metrics, stopping, exports, patches."""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from lenstui.edits.edit import Columns
from lenstui.edits.trace_options import TraceOptions
from lenstui.readout.alignment import aligned
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.edit_dialog import EditDialog
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.export.dialog import ExportDialog
from lenstui.tui.grid.cursor import Cursor
from lenstui.tui.trace.ask_trace import AskTrace
from lenstui.tui.trace.screen import Trace
from lenstui.tui.trace.trace_map import TraceMap
from tests.programs.calls import status
from tests.tiny.families import FAMILIES, random_model
from tests.tui.pilots.beside_pilot import ONE, OTHER, put_beside
from tests.tui.pilots.looking import said, subtitle, until
from tests.tui.pilots.trace_pilot import (
    ask_for_trace,
    fill,
    hint,
    progress,
    shown_map,
    start,
    text,
    traced,
)

SIZE = (160, 40)
LOGPROB = "log-probability"


def number(shown: str) -> float:
    return float(shown.replace("−", "-"))


def last_logits(
    folder: Path, prompt: str, patch: tuple[int, int, torch.Tensor] | None = None
) -> torch.Tensor:
    """The logits behind a prompt; with a patch of a column of the input of a block."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = (kind.from_pretrained(folder) for kind in (AutoModelForCausalLM, AutoTokenizer))

    def put(module: Any, args: Any) -> Any:
        assert patch is not None
        value = args[0].clone()
        value[0, patch[1]] = patch[2]
        return value, *args[1:]

    if patch is not None:
        model.gpt_neox.layers[patch[0]].register_forward_pre_hook(put)
    with torch.no_grad():
        logits: torch.Tensor = model(**tokenizer(prompt, return_tensors="pt")).logits[0, -1]
    return logits


def state(folder: Path, prompt: str, block: int, column: int) -> torch.Tensor:
    """What goes into a block in a column."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = (kind.from_pretrained(folder) for kind in (AutoModelForCausalLM, AutoTokenizer))
    with torch.no_grad():
        states = model(**tokenizer(prompt, return_tensors="pt"), output_hidden_states=True).hidden_states
    kept: torch.Tensor = states[block][0, column]
    return kept


async def test_the_map_is_of_single_patches(opened: Any, tiny_model: Path) -> None:
    """From the prompt under the cursor into the one beside it, at once; one cell by plain hooks."""
    async with opened(ONE, size=SIZE) as (app, pilot):
        await put_beside(app, pilot, OTHER)
        dialog = await ask_for_trace(app, pilot)
        assert ONE in str(dialog.query_one("#ask-clean").render())
        assert "the side under the cursor" in str(dialog.query_one("#ask-clean").render())
        assert dialog.query_one(PromptBox).prompt == OTHER
        fill(dialog, metric=LOGPROB)
        screen = await start(app, pilot)
        assert text(app, "prompts").split("\n") == [f"clean      {ONE}", f"corrupted  {OTHER}"]

        clean, corrupted = (last_logits(tiny_model, prompt).log_softmax(-1) for prompt in (ONE, OTHER))
        token = int(clean.argmax())
        m_clean, m_corrupted = float(clean[token]), float(corrupted[token])
        shown = f"clean {m_clean:.3f}, corrupted {m_corrupted:.3f}".replace("-", "−")
        assert shown in text(app, "title")
        column, row = len(OTHER) - 2, 1  # " you" stands in the same columns on screen
        value = state(tiny_model, ONE, row + 1, len(ONE) - 2)
        raw = float(last_logits(tiny_model, OTHER, (row + 1, column, value)).log_softmax(-1)[token])
        recovered = (raw - m_corrupted) / (m_clean - m_corrupted)

        heads, *lines = shown_map(app)
        assert heads[:5] == list(OTHER[:5])
        assert [line[0] for line in lines] == ["2", "1", "0", "emb"]
        assert number(lines[1][-2]) == pytest.approx(recovered, abs=0.006)
        assert number(lines[0][-1]) == 1.0  # the whole last state
        screen.query_one(TraceMap).put_cursor(row + 1, column - 1)
        await pilot.press("right")
        cell = text(app, "cell")
        assert cell.startswith(f'row 1 · layer 2 of 3 · column {column} "o" · recovered ')
        assert number(cell.split("recovered ")[1].split()[0]) == pytest.approx(recovered, abs=6e-4)
        assert number(cell.split("log-probability ")[1]) == pytest.approx(raw, abs=6e-4)
        await pilot.press("escape")
        assert app.screen is app.explore


async def test_columns_without_a_counterpart_are_empty(opened: Any) -> None:
    async with opened(ONE, size=SIZE) as (app, pilot):
        fill(await ask_for_trace(app, pilot), OTHER, metric=LOGPROB)
        screen = await start(app, pilot)
        missing = len(OTHER) - len(ONE)
        assert all(len(line) == 1 + len(OTHER) - missing for line in shown_map(app)[1:])
        screen.query_one(TraceMap).put_cursor(0, 5)
        await pilot.press("right")  # over the gap
        there = screen.query_one(TraceMap).cursor[1]
        ids = tuple(map(ord, OTHER)), tuple(map(ord, ONE))  # a token a byte
        assert there == min(column for column in aligned(*ids) if column > 5) > 6


async def test_the_command_makes_the_same(opened: Any, capsys: pytest.CaptureFixture[str]) -> None:
    async with opened(ONE, size=SIZE) as (app, pilot):
        fill(await ask_for_trace(app, pilot), OTHER, what="MLP", window="2", metric="−KL")
        await start(app, pilot)
        lines = shown_map(app)[1:]
        await pilot.press("Y")
        await until(pilot, lambda: app.clipboard.startswith("lenstui trace"))
        command = shlex.split(app.clipboard)
    capsys.readouterr()
    at = command.index("--")
    assert status(*command[1:at], "--format", "json", *command[at:]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["what"], content["window"], content["metric"]) == ("mlp", 2, "kl")
    for shown, row in zip(lines, content["recovered"][::-1], strict=True):
        known = [share for share in row if share is not None]
        assert [number(share) for share in shown[1:]] == pytest.approx(known, abs=0.006)


async def test_other_parts_and_metrics_without_going_back(opened: Any) -> None:
    async with opened(ONE, size=SIZE) as (app, pilot):
        fill(await ask_for_trace(app, pilot), OTHER, metric=LOGPROB, token="z")
        screen = await start(app, pilot)
        first = shown_map(app)
        seen = [str(screen.query_one("#trace-frame").border_title)]
        for _ in range(3):
            await pilot.press("p")
            await traced(app, pilot)
            seen.append(str(screen.query_one("#trace-frame").border_title))
            assert 'log-probability of "z"' in text(app, "title")
        assert [title.split(" · ")[0] for title in seen] == [
            "residual stream: rows × columns", "attention: blocks × columns", "MLP: blocks × columns",
            "blocks × attention heads",
        ]  # fmt: skip
        assert shown_map(app)[0] == list("0123")
        await pilot.press("end")
        assert text(app, "cell").startswith("attention head 0.3 · recovered ")
        await pilot.press("p")  # as it was at first
        await traced(app, pilot)
        assert shown_map(app) == first
        await pilot.press("v")
        await traced(app, pilot)
        assert text(app, "title").startswith("trace −KL from the clean run: clean 0.000, corrupted −")
        await pilot.press("p", "p", "p")
        await traced(app, pilot)
        await pilot.press("question_mark")
        await until(pilot, lambda: app.screen is not screen)


async def test_noise(opened: Any, tiny_model: Path) -> None:
    from lenstui.edits.trace import trace
    from lenstui.model.load import load
    from lenstui.model.tokens import encode

    async with opened(ONE, size=SIZE) as (app, pilot):
        dialog = await ask_for_trace(app, pilot)
        fill(dialog, by="noise", noise="1-2", samples="3", seed="7", metric=LOGPROB)
        await pilot.pause()
        screen = await start(app, pilot)
        model = load(str(tiny_model))
        options = TraceOptions(metric="logprob", noise=Columns(((1, 2),)), samples=3, seed=7)
        found = trace(model, encode(model.tokenizer, ONE), None, options)
        assert found.stderr is not None
        assert f"noise on columns 1-2, σ {found.sigma:.3g}, 3 draws, seed 7" in text(app, "prompts")
        screen.query_one(TraceMap).put_cursor(2, 1)
        await pilot.press("right")
        share, error = found.recovered[2, 2], found.stderr[2, 2]
        assert f"recovered {share:.3f} ± {error:.3f} ·".replace("-", "−") in text(app, "cell")
        await pilot.press("a")
        assert "Noise is on no side" in said(app)


async def test_what_is_wrong_is_said_and_nothing_is_lost(opened: Any) -> None:
    async with opened(ONE, size=SIZE) as (app, pilot):
        dialog = await ask_for_trace(app, pilot)

        async def refused(reason: str, **values: str) -> None:
            fill(dialog, **values)
            await pilot.press("enter")
            await pilot.pause()
            assert app.screen is dialog
            assert reason in hint(dialog)
            assert dialog.query_one("#ask-hint").has_class("-wrong")

        await refused("Type the corrupted prompt, or take noise.")
        await refused("The corrupted prompt is the clean one", corrupted=ONE)
        await refused("window: a whole number from 1 on", corrupted=OTHER, what="attention", window="0")
        await refused("in column: a whole number", what="attention heads", column="x")
        await refused("on columns: which columns get noise", by="noise", column="")
        await refused("on columns: '1-x' is no column", noise="1-x")
        await refused("on columns: there is no column 99", noise="99")
        await refused("draws: a whole number from 1 on", noise="1", samples="0")
        fill(dialog, by="a second prompt", samples="3")  # the noise of before does not matter any more
        await pilot.pause()
        assert not dialog.query_one("#ask-hint").has_class("-wrong")
        await pilot.press("escape")
        assert app.screen is app.explore


async def refused_by_model(app: LenstuiApp, pilot: Pilot[None], dialog: AskTrace) -> AskTrace:
    """Press Enter in the dialog; the dialog that comes back."""
    await pilot.press("enter")
    await until(pilot, lambda: app.screen is not dialog and isinstance(app.screen, AskTrace))
    assert isinstance(app.screen, AskTrace)
    await pilot.pause()
    return app.screen


async def test_what_the_model_refuses_goes_back_to_the_dialog(opened: Any) -> None:
    async with opened(ONE, size=SIZE) as (app, pilot):
        dialog = await ask_for_trace(app, pilot)
        for reason, values in (
            ("No token is", {"token": "\ue000"}),
            ("The logit of z would be taken off itself", {"token": "z", "minus": "z"}),
            ("there is no column 50", {"what": "attention heads", "column": "50", "minus": "y"}),
        ):
            fill(dialog, OTHER, **values)
            dialog = await refused_by_model(app, pilot, dialog)
            assert reason in hint(dialog)
            assert dialog.query_one(PromptBox).prompt == OTHER
            for name in set(values) - {"what"}:
                assert dialog.query_one(f"#ask-{name}", Input).value == values[name]
        await pilot.press("escape")
        assert isinstance(app.screen, Trace)
        assert "there is no column 50" in text(app, "message")
        await pilot.press("Y", "enter")
        assert "Nothing is traced yet." in said(app)
        await pilot.press("escape")
        assert app.screen is app.explore
        assert (await ask_for_trace(app, pilot)).query_one("#ask-column", Input).value == "50"


async def test_a_model_without_attention_heads_says_so(
    opened: Any, byte_tokenizer: Any, tmp_path: Path
) -> None:
    """On the screen, for it was a key that asked; the other parts are traced all the same."""
    random_model(FAMILIES["Mamba"].config).save_pretrained(tmp_path)
    byte_tokenizer.save_pretrained(tmp_path)
    async with opened(ONE, size=SIZE, folder=tmp_path, lens=False) as (app, pilot):
        fill(await ask_for_trace(app, pilot), "Hullo, you", metric=LOGPROB, what="MLP")
        screen = await start(app, pilot)
        await pilot.press("p")
        await until(pilot, lambda: "This model has no attention heads" in text(app, "message"))
        assert app.screen is screen
        await pilot.press("p")
        await traced(app, pilot)
        assert number(shown_map(app)[1][-1]) == 1.0


class Gate:
    """Lets so many passes of a trace through, and holds the others until it is open."""

    def __init__(self, through: int) -> None:
        self.left, self.is_open = through, threading.Event()
        self.is_waiting = threading.Event()

    def around(self, run: Callable[..., Any]) -> Callable[..., Any]:
        def gated(*arguments: Any) -> Any:
            if self.left <= 0:
                self.is_waiting.set()
                assert self.is_open.wait(60)
            self.left -= 1
            return run(*arguments)

        return gated


async def test_stopped_midway_it_keeps_its_rows(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from lenstui.edits import trace

    gate = Gate(through=1 + 2 * 10 + 3)  # the corrupted run, two rows of ten columns, three columns
    monkeypatch.setattr(trace, "_BATCH_COLUMNS", 1)
    monkeypatch.setattr(trace, "_last_logits", gate.around(trace._last_logits))
    async with opened(ONE, size=SIZE) as (app, pilot):
        fill(await ask_for_trace(app, pilot), "Hullo, you", metric=LOGPROB)
        await pilot.press("enter")
        await until(pilot, lambda: progress(app).startswith("2 of 4 rows · about 0:"))
        assert [len(line) for line in shown_map(app)][3:] == [11, 11]
        await pilot.press("home", "right", "up", "s")  # it answers while the model works
        assert text(app, "cell").startswith('row 0 · layer 1 of 3 · column 1 "u"')
        gate.is_open.set()
        await until(pilot, lambda: progress(app) == "2 of 4 rows · stopped")
        assert gate.left == -1  # no pass more than the one that was under way
        assert [len(line) for line in shown_map(app)] == [10, 1, 1 + 3 + 1, 11, 11]
        await pilot.press("s")
        assert "Nothing is being traced" in said(app)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, AskTrace))
        await start(app, pilot)
        assert all(len(line) == 11 for line in shown_map(app)[1:])


async def test_prompts_are_read_while_it_traces(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And leaving ends it, which nothing waits for."""
    from lenstui.edits import trace

    gate = Gate(through=5)
    monkeypatch.setattr(trace, "_BATCH_COLUMNS", 1)
    monkeypatch.setattr(trace, "_last_logits", gate.around(trace._last_logits))
    async with opened(ONE, size=SIZE) as (app, pilot):
        fill(await ask_for_trace(app, pilot), "Hullo, you", metric=LOGPROB)
        await pilot.press("enter")
        await until(pilot, gate.is_waiting.is_set)
        await until(pilot, lambda: progress(app).startswith("0 of 4 rows"))
        assert "clean −" in text(app, "title")  # known before the first patch
        await pilot.press("escape")
        assert app.screen is app.explore
        app.explore.widgets.prompt.show("Hello, we")
        app.explore.widgets.prompt.focus()
        await pilot.press("enter")
        gate.is_open.set()
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        assert len(app.explore.state.columns) == len("Hello, we")
        assert gate.left >= -1


async def test_an_estimate_to_first_order(opened: Any, tiny_model: Path) -> None:
    """At once, said to be one, and kept beside the patches; the command makes the same."""
    from lenstui.edits.trace import trace
    from lenstui.edits.trace_options import TraceOptions
    from lenstui.model.load import load
    from lenstui.model.tokens import encode

    async with opened(ONE, size=SIZE) as (app, pilot):
        fill(await ask_for_trace(app, pilot), "Hullo, you", metric=LOGPROB)
        screen = await start(app, pilot)
        patched = shown_map(app)
        await pilot.press("f")
        await until(pilot, lambda: "estimated, not patched: f patches them" in progress(app))
        assert "recovered to first order" in str(screen.query_one("#trace-frame").border_title)
        model = load(str(tiny_model), device="cpu")
        clean, corrupted = (encode(model.tokenizer, prompt) for prompt in (ONE, "Hullo, you"))
        options = TraceOptions(metric="logprob", approximate=True)
        wanted = trace(model, clean, corrupted, options).recovered
        _, *lines = shown_map(app)
        assert lines != patched[1:]
        for line, numbers in zip(lines, wanted[::-1].tolist(), strict=True):
            assert [number(each) for each in line[1:]] == pytest.approx(numbers, abs=0.006)
        screen.query_one(TraceMap).put_cursor(1, 2)
        await pilot.press("right")
        assert "recovered about " in text(app, "cell")
        await pilot.press("Y")
        assert " --approximate " in app.clipboard
        await pilot.press("f")
        assert shown_map(app) == patched


async def test_long_traces_say_so_first(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from lenstui.jobs import trace as jobs

    monkeypatch.setattr(jobs, "_left", lambda *_: 600.0)
    async with opened(ONE, size=SIZE) as (app, pilot):
        fill(await ask_for_trace(app, pilot), OTHER, metric=LOGPROB)
        await start(app, pilot)
        assert said(app).count("The trace takes about 10:00: s stops it, f estimates it at once.") == 1


async def test_a_cell_of_the_trace_in_explore(opened: Any) -> None:
    async with opened(ONE, size=SIZE) as (app, pilot):
        await put_beside(app, pilot, OTHER)
        fill(await ask_for_trace(app, pilot), metric=LOGPROB)
        screen = await start(app, pilot)
        screen.query_one(TraceMap).put_cursor(1, len(OTHER) - 3)
        await pilot.press("enter")
        assert app.screen is app.explore
        await pilot.pause()
        assert app.explore.panes.cursor == Cursor(1, len(OTHER) - 3)
        dialog = await ask_for_trace(app, pilot)  # with what was chosen before
        assert str(dialog.query_one("#ask-metric").value) == LOGPROB  # type: ignore[attr-defined]


async def test_a_patch_becomes_an_edit_of_the_corrupted_side(opened: Any) -> None:
    async with opened(ONE, size=SIZE) as (app, pilot):
        fill(await ask_for_trace(app, pilot), OTHER, metric=LOGPROB)
        screen = await start(app, pilot)
        last = len(OTHER) - 1
        screen.query_one(TraceMap).put_cursor(3, last)
        await pilot.press("a")
        await until(pilot, lambda: any(side.prompt == OTHER for side in app.explore.sides))
        assert "is put beside the clean one now" in text(app, "cell")

        async def patched() -> list[str]:
            await pilot.press("a")
            await pilot.pause(0.1)
            return [side.edits.text for side in app.explore.sides]

        edit = f'patch row 2 @{last} "{ONE}"'
        assert await patched() == ["", edit]
        assert "Added to the edits of the corrupted side" in text(app, "cell")
        await pilot.press("p", "p")
        await traced(app, pilot)
        screen.query_one(TraceMap).put_cursor(1, 2)
        assert await patched() == ["", f'{edit}; patch 1.mlp @2 "{ONE}"']
        assert await patched() == ["", edit]
        assert "Taken back" in text(app, "cell")
        await pilot.press("escape")
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        grids = app.explore.grids
        assert grids[0].cells is not None and grids[1].cells is not None
        # the last row of the last column is the clean run's now
        tokens = [grid.cells.top_ids[-1, -1, 0] for grid in grids[:2] if grid.cells is not None]
        assert tokens[0] == tokens[1]
        assert {side.kind for side in app.explore.sides} == {"logit"}  # one lens, so that runs are compared

        # An edit of the clean side, and its undoing, leaves the second prompt and its edits where they are.
        while app.explore.widgets.panes.active:
            await pilot.press("tab")
        await pilot.press("W")
        await until(pilot, lambda: isinstance(app.screen, EditDialog))
        app.screen.query_one(Input).value = "ablate 0.mlp"
        await pilot.press("enter", "escape")
        await until(
            pilot, lambda: [side.edits.text for side in app.explore.sides] == ["", "ablate 0.mlp", edit]
        )
        assert [side.prompt for side in app.explore.sides] == [None, None, OTHER]


async def choose(app: LenstuiApp, pilot: Pilot[None], thing: str) -> None:
    await pilot.press("x")
    await until(pilot, lambda: isinstance(app.screen, ExportDialog))
    things = app.screen.query_one(OptionList)
    while things.highlighted_option is None or things.highlighted_option.id != thing:
        await pilot.press("down")


async def test_exports(
    opened: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with opened(ONE, size=SIZE) as (app, pilot):
        fill(await ask_for_trace(app, pilot), OTHER, metric=LOGPROB)
        screen = await start(app, pilot)
        for form in ("csv", "json", "svg", "pdf", "md"):
            file = tmp_path / f"trace.{form}"
            await choose(app, pilot, form)
            app.screen.query_one(Input).value = str(file)
            await pilot.press("enter")
            await until(pilot, lambda: app.screen is screen)
            assert str(file) in said(app)
        await choose(app, pilot, "table")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is screen)
        assert app.clipboard.startswith("recovered by patching the residual stream")
        await choose(app, pilot, "command")
        await pilot.press("enter")
        await until(pilot, lambda: app.clipboard.startswith("lenstui trace"))
        command = shlex.split(app.clipboard)
    capsys.readouterr()
    at = command.index("--")
    assert status(*command[1:at], "--format", "json", *command[at:]) == 0
    again, written = json.loads(capsys.readouterr().out), json.loads((tmp_path / "trace.json").read_text())
    np.testing.assert_allclose(np.array(written["raw"], float), np.array(again["raw"], float), atol=1e-4)
    assert (tmp_path / "trace.csv").read_text().count("\n") >= 4 * len(OTHER)
    assert "lenstui trace" in (tmp_path / "trace.md").read_text()
    for form in ("svg", "pdf"):
        by_screen = tmp_path / f"trace.{form}"
        caption = Path(f"{by_screen}.txt").read_text("utf-8")
        own = shlex.split(caption.splitlines()[-1].removeprefix("Made by: lenstui "))
        (tmp_path / "again").mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / "again")
        assert status(*own) == 0
        assert Path(by_screen.name).read_bytes() == by_screen.read_bytes()


async def test_nothing_to_trace_yet(opened: Any) -> None:
    async with opened("", size=SIZE) as (app, pilot):
        app.explore.set_focus(None)
        await pilot.press("T")
        assert "No prompt yet" in said(app)
