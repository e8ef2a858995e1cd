"""The cell screen, key by key: what it lists is what naive arithmetic says."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual import constants
from textual.pilot import Pilot
from textual.widgets import Static

from lenstui.jobs.messages import CellNotRead, CellRead, Post
from lenstui.jobs.read import ReadJobs
from lenstui.jobs.read_request import ReadRequest
from lenstui.readout.cells import Ranking
from lenstui.support.errors import LensError
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.cell import CellScreen
from lenstui.tui.explore.growth import AWAITED
from lenstui.tui.explore.token_list import TokenList
from lenstui.tui.grid.grid import Cursor
from tests.by_hand.made_up import WORDS
from tests.tui.pilots.cell_pilot import lines
from tests.tui.pilots.looking import do, keys_of, place, subtitle, until
from tests.tui.pilots.still import SIZES, Silent, Still, show

TEXT = "Hello, you"


def title(app: LenstuiApp) -> str:
    return str(app.screen.query_one("#cell-title", Static).render())


def top(app: LenstuiApp, lens: str = "logit") -> int:
    return app.screen.query_one(f"#tokens-{place(lens)}", TokenList).scroll_offset.y


def naive(folder: Path, row: int, column: int, *, tuned: bool) -> tuple[np.ndarray, np.ndarray]:
    """Logits and probabilities of a cell, in float64, by the weights themselves."""
    import torch
    from transformers import AutoModelForCausalLM

    from lenstui.lens import open_lens

    module = AutoModelForCausalLM.from_pretrained(folder)
    lens = open_lens(folder / "lens.pt")
    ids = torch.tensor([[2 + sorted_byte(byte) for byte in TEXT.encode()]])
    with torch.no_grad():
        states = module(ids, output_hidden_states=True).hidden_states
        h = states[row][0, column]
        if row < 3:
            if tuned:
                h = h + lens.weight[row] @ h + lens.bias[row]
            h = module.gpt_neox.final_layer_norm(h)  # the last of transformers' states is normed already
        logits = module.lm_head(h).double()
    return logits.numpy(), logits.softmax(-1).numpy()


def sorted_byte(byte: int) -> int:
    """The place of a byte in the tokenizer's alphabet."""
    from tokenizers import pre_tokenizers

    return sorted(pre_tokenizers.ByteLevel.alphabet()).index(chr(byte) if byte != 0x20 else "Ġ")


async def opened_cell(pilot: Pilot[None]) -> None:
    await pilot.press("enter")
    await until(pilot, lambda: "column" in title(pilot.app))  # type: ignore[arg-type]


@pytest.mark.parametrize("row", [0, 2, 3])
async def test_the_lists_are_what_the_weights_say(opened: Any, tiny_model: Path, row: int) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("left", "left", *["down"] * (3 - row))
        await opened_cell(pilot)
        column = len(TEXT) - 3
        there = ("emb · embedding", "0 · layer 1 of 3", "1 · layer 2 of 3", "2 · layer 3 of 3")[row]
        assert title(app) == f'row {there} · column {column} "y" → next "o"'
        for lens in ("logit", "tuned"):
            logits, probs = naive(tiny_model, row, column, tuned=lens == "tuned")
            order = np.argsort(-logits, kind="stable")
            shown = lines(app, lens)
            assert len(shown) > 20
            for place, (rank, *_, token, prob, logit, cumulative) in enumerate(shown[:20]):
                assert int(rank) == (logits > logits[int(token)] + 1e-4).sum()
                assert logits[int(token)] == pytest.approx(logits[order[place]], abs=1e-4)
                assert float(logit) == pytest.approx(logits[int(token)], abs=2e-3)
                assert float(prob) == pytest.approx(probs[int(token)], rel=1e-2, abs=1e-5)
                assert float(cumulative) == pytest.approx(probs[order[: place + 1]].sum(), abs=1e-4)


async def test_the_whole_vocabulary_can_be_scrolled(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await opened_cell(pilot)
        await pilot.press("down", "down")
        assert top(app) == top(app, "tuned") == 2
        await pilot.press("up", "pagedown")
        height = app.screen.query_one("#tokens-0", TokenList).size.height
        assert top(app) == top(app, "tuned") == height
        await pilot.press("end")
        rank, *_, cumulative = lines(app, "logit")[-1]
        assert int(rank) == 299
        assert float(cumulative) == pytest.approx(1, abs=1e-4)
        await pilot.press("home")
        assert top(app) == top(app, "tuned") == 0


async def test_neighbouring_cells_are_a_letter_away_and_explore_goes_along(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await opened_cell(pilot)
        await pilot.press("j", "h", "h", "l")
        await until(pilot, lambda: title(app) == 'row 1 · layer 2 of 3 · column 8 "o" → next "u"')
        assert app.explore.panes.cursor == Cursor(2, 8)
        await pilot.press("k", "k")
        assert any("ends here" in str(note.message) for note in app._notifications)
        await pilot.press("escape")
        assert app.screen is app.explore
        assert app.explore.panes.cursor == Cursor(3, 8)


async def test_without_a_lens_the_right_side_says_so(opened: Any) -> None:
    async with opened(TEXT, lens=False) as (app, pilot):
        await opened_cell(pilot)
        message = app.screen.query_one("#ranking-1 .ranking--message", Static)
        assert message.display
        assert "No tuned lens" in str(message.render())
        await pilot.press("pagedown")
        assert top(app) > 0


async def test_narrow_lists_are_tabs(opened: Any) -> None:
    async with opened(TEXT, size=(80, 24)) as (app, pilot):
        await pilot.press("tab")
        await opened_cell(pilot)
        assert app.screen.query_one("#tokens-1").size.width > 70
        assert not app.screen.query_one("#tokens-0").size
        await pilot.press("pagedown", "tab")
        await pilot.pause()
        assert app.screen.query_one("#tokens-0").size.width > 70
        assert top(app) == top(app, "tuned") > 0


async def test_nothing_read_has_no_cell(opened: Any) -> None:
    async with opened("") as (app, pilot):
        await pilot.press("escape")
        await do(app, "open_cell")
        await pilot.pause()
        assert app.screen is app.explore
        assert any("No prompt yet" in str(note.message) for note in app._notifications)


async def test_a_cell_that_cannot_be_read_says_why(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await opened_cell(pilot)
        app.screen.post_message(CellNotRead(app.explore.state.serial, "out of memory"))
        await pilot.pause()
        assert "out of memory" in str(app.screen.query_one(".ranking--message", Static).render())
        await pilot.press("j")
        await until(pilot, lambda: title(app).startswith("row 1 "))
        assert len(lines(app, "logit")) > 20


async def test_an_answer_for_another_cell_is_passed_over(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await opened_cell(pilot)
        before = title(app)
        app.screen.post_message(CellRead(app.explore.state.serial, 0, 0, {}, {}))
        await pilot.pause()
        assert title(app) == before


async def test_a_cell_is_asked_for_when_its_prompt_is_read(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was one of the prompt before, perhaps in a column that the new one has not."""
    async with opened(TEXT) as (app, pilot):
        columns: list[int] = []
        monkeypatch.setattr(
            app.program.prompts, "rank_cell", lambda serial, row, column, post: columns.append(column)
        )
        app.explore.parts.reader.read("H")
        assert app.explore.parts.explanation.why_not() == AWAITED
        await do(app, "open_cell")
        await until(pilot, lambda: bool(columns))
        assert {*columns} == {0}
        assert len(app.explore.state.columns) == 1


class StillCell(Still):
    """The program without its model thread, a made-up cell in it."""

    def __init__(self, start: Start) -> None:
        super().__init__(start)
        self.program.prompts = MadeUpCell()  # type: ignore[assignment]


class MadeUpCell(Silent):
    """Answers any request for a cell by the same numbers."""

    def rank_cell(self, serial: int, row: int, column: int, post: Post) -> None:
        rankings = {}
        for lens, sharpness in (("logit", 0.1), ("tuned", 0.3)):
            logits = (12 - sharpness * np.arange(300)).astype(np.float32)
            logits[4] = logits[3]
            probs = np.exp(logits.astype(float))
            ids = np.arange(300, dtype=np.int32)
            ranks = ids.copy()
            ranks[4] = 3  # its logit is that of the token before
            rankings[place(lens)] = Ranking(ids, logits, probs / probs.sum(), ranks)
        texts = {token: WORDS[token % len(WORDS)] for token in range(300)}
        post(CellRead(serial, row, column, rankings, texts))


@pytest.mark.parametrize("size", SIZES)
def test_how_it_looks(monkeypatch: pytest.MonkeyPatch, snap_compare: Any, size: tuple[int, int]) -> None:
    monkeypatch.setattr(constants, "COLOR_SYSTEM", "truecolor")

    async def open_cell(pilot: Pilot[None]) -> None:
        await show(pilot)
        await pilot.press("left", "down", "enter")
        await pilot.pause(0.2)
        await pilot.press("down", "down")
        await pilot.pause()

    app = StillCell(Start(prompt="The trees are green and the sky is"))
    assert snap_compare(app, terminal_size=size, run_before=open_cell)


async def test_its_keys_are_listed(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await opened_cell(pilot)
        assert isinstance(app.screen, CellScreen)
        keys = {(key.place, key.keys) for key in keys_of(app)}
        assert {("", "enter"), ("cell", "j"), ("cell", "hjkl")} <= keys
        commands = {command.title: command for command in app.get_system_commands(app.screen)}
        await commands["Page down"].callback()
        await pilot.pause()
        assert top(app) > 0


async def test_a_cell_whose_prompt_cannot_be_read_says_why(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be blank: it is asked for when its prompt is read."""
    async with opened(TEXT) as (app, pilot):
        may_fail = threading.Event()

        def prompts(self: ReadJobs, request: ReadRequest) -> list[object]:
            may_fail.wait()
            raise LensError("This prompt is refused.")

        monkeypatch.setattr(ReadJobs, "_prompts", prompts)
        app.explore.parts.reader.read("He")
        await do(app, "open_cell")
        await until(pilot, lambda: app.screen is not app.explore)
        may_fail.set()
        await until(pilot, lambda: "not read" in subtitle(app))
        await pilot.pause()
        said = [str(message.render()) for message in app.screen.query(".ranking--message")]
        assert said == ["This prompt is refused."] * 2
