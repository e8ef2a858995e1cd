"""Two prompts side by side: their numbers, where they meet, and what cannot be done with two."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from lenstui.jobs.chosen_model import Chosen
from lenstui.jobs.messages import ReadDone, ReadStarted, SidesChanged, TileRead
from lenstui.opening.side_reading import SideTile
from lenstui.readout.alignment import on_screen
from lenstui.readout.cells import Tile
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.ask_prompt import AskPrompt
from lenstui.tui.explore.cell import CellScreen
from lenstui.tui.explore.cell_words import NO_COLUMN, place_text
from lenstui.tui.explore.detail import CellView
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.export.dialog import ExportDialog
from lenstui.tui.grid.difference_grid import DifferenceGrid
from lenstui.tui.grid.grid import Cursor
from lenstui.tui.prompt_sets.screen import PromptSets
from tests.by_hand.made_up import COLUMNS, WORDS, cells
from tests.by_hand.naive_values import naive_logits, naive_values
from tests.tui.pilots.beside_pilot import ONE, OTHER, put_beside, titles
from tests.tui.pilots.looking import said, subtitle, until
from tests.tui.pilots.still import MODEL, SIZES, show, still

__all__ = ["still"]  # a fixture

GAP = range(6, 9)  # "Hello," and "Hello " + "an" + "d", then both end with " you"
KEPT = [*range(6), *range(9, len(OTHER))]


def assert_shows(app: LenstuiApp, side: int, logits: np.ndarray, gap: range = range(0)) -> None:
    """A pane has the numbers of these logits, `[rows, columns, vocabulary]`, and none in the gap."""
    naive, cells = naive_values(logits), app.explore.grids[side].cells
    assert cells is not None and cells.columns == len(gap) + logits.shape[1]
    kept = [column for column in range(cells.columns) if column not in gap]
    assert (cells.top_ids[:, gap] == -1).all() and np.isnan(cells.entropy[:, gap]).all()
    np.testing.assert_allclose(cells.top_probs[:, kept, 0], naive["prob"], atol=1e-4)
    np.testing.assert_allclose(cells.entropy[:, kept], naive["entropy"], atol=1e-3)
    np.testing.assert_allclose(cells.kl[:, kept], naive["kl"], atol=1e-3)
    np.testing.assert_array_equal(cells.final_rank[:, kept], naive["rank"])


async def test_each_pane_is_a_plain_reading_of_its_prompt(opened: Any, tiny_model: Path) -> None:
    ours, others = naive_logits(tiny_model, ONE), naive_logits(tiny_model, OTHER)
    async with opened(ONE, size=(180, 40)) as (app, pilot):
        await pilot.press("left", "left", "up")
        here = app.explore.panes.cursor
        await put_beside(app, pilot, OTHER)
        assert subtitle(app).startswith(f"{len(ONE)} and {len(OTHER)} tokens")
        assert titles(app) == [
            "prompt · logit lens · probability",
            f"“{OTHER}” · logit lens · probability",
        ]
        assert app.explore.panes.cursor == Cursor(here.row, here.column + len(GAP))  # as far from the end
        assert_shows(app, 0, ours["logit"], GAP)
        assert_shows(app, 1, others["logit"])
        await pilot.press("L", "tab", "L")
        await until(pilot, lambda: "tuned" in titles(app)[1] and subtitle(app).endswith(" s"))
        assert_shows(app, 0, ours["tuned"], GAP)
        assert_shows(app, 1, others["tuned"])
        await pilot.press("v", "v", "d")
        naive = naive_values(others["tuned"])["kl"][:, KEPT] - naive_values(ours["tuned"])["kl"]
        values = app.explore.query_one(DifferenceGrid).values
        np.testing.assert_allclose(values[:, KEPT], naive, atol=1e-3)
        assert np.isnan(values[:, GAP]).all()
        await pilot.press("minus")
        await until(pilot, lambda: not app.explore.is_compared and subtitle(app).endswith(" s"))
        assert app.explore.panes.cursor == here
        assert titles(app)[0] == "tuned lens · KL from final"
        assert_shows(app, 0, ours["tuned"])


async def test_a_shorter_one_begins_further_right(opened: Any, tiny_model: Path) -> None:
    short = naive_logits(tiny_model, "you")["logit"]
    async with opened(ONE) as (app, pilot):
        await put_beside(app, pilot, "you")
        blank = len(ONE) - len("you")
        assert_shows(app, 1, short, range(blank))
        assert app.explore.state.columns_of(1) == ("",) * blank + tuple("you")
        await pilot.press("home")
        column = app.explore.panes.cursor.column
        assert (
            column == 0
            and place_text(app.explore.state, 2, 0, 0)
            == 'row emb · embedding · column 0 "H" │ – → next "e" │ –'
        )
        view = app.explore.query_one("#detail-1", CellView)
        await until(pilot, lambda: view.facts is None and str(view.render()) == NO_COLUMN)
        assert app.explore.query_one("#detail-0", CellView).facts is not None
        app.explore.panes.active = 1
        await pilot.press("p")
        assert said(app).endswith(NO_COLUMN)
        assert "–" in app.explore.grids[1].render_line(1).text
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, CellScreen) and app.screen.is_mounted)
        await until(pilot, lambda: app.screen.list_of(0)._lines)
        assert not app.screen.list_of(1).display
        await pilot.press("l", *["l"] * blank)
        await until(pilot, lambda: app.screen.list_of(1)._lines and app.screen.list_of(1).display)
        row = app.explore.panes.cursor.row
        here = app.explore.panes.cursor.column - blank
        await until(
            pilot,
            lambda: int(app.screen.list_of(1)._lines[0][2].split()[0]) == short[row, here].argmax(),
        )
        shown = [int(numbers.split()[0]) for _, _, numbers in app.screen.list_of(1)._lines]
        assert shown[:20] == np.argsort(-short[row, here], kind="stable")[:20].tolist()


async def test_pins_and_finds_are_of_both(opened: Any, tiny_model: Path) -> None:
    ours, others = (naive_logits(tiny_model, text)["logit"] for text in (ONE, OTHER))
    async with opened(ONE) as (app, pilot):
        await put_beside(app, pilot, OTHER)
        await pilot.press("up", "p")
        await until(pilot, lambda: app.explore.panel.pins)
        token = app.explore.panel.pins[0].id
        for side, logits, kept in ((0, ours, KEPT), (1, others, range(len(OTHER)))):
            ranks = (logits > logits[:, :, token, None]).sum(-1)
            grid = app.explore.grids[side]
            await until(pilot, lambda grid=grid, kept=kept: (grid.cells.pin_ranks[:, kept] >= 0).all())
            np.testing.assert_array_equal(grid.cells.pin_ranks[:, kept, 0], ranks)
        await pilot.press("slash", "d", "enter")  # which is in the second prompt alone
        assert app.explore.panes.cursor.column == OTHER.index("d")


async def test_the_first_prompt_is_edited_and_the_second_replaced(opened: Any, tiny_model: Path) -> None:
    async with opened(ONE) as (app, pilot):
        await put_beside(app, pilot, OTHER)
        await pilot.press("i", "end", "!", "enter")
        await until(pilot, lambda: subtitle(app).startswith("11 and 13") and subtitle(app).endswith(" s"))
        assert_shows(app, 0, naive_logits(tiny_model, ONE + "!")["logit"], range(10, 12))
        await pilot.press("B")
        await until(pilot, lambda: isinstance(app.screen, AskPrompt))
        assert app.screen.query_one(PromptBox).prompt == OTHER
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.explore)
        await put_beside(app, pilot, "Hm")
        await until(pilot, lambda: subtitle(app).startswith("11 and 2 ") and subtitle(app).endswith(" s"))
        assert_shows(app, 1, naive_logits(tiny_model, "Hm")["logit"], range(1, 10))


async def test_without_a_lens_only_the_logit_lens_compares(opened: Any, tiny_model: Path) -> None:
    async with opened(ONE, lens=False) as (app, pilot):
        await put_beside(app, pilot, OTHER)
        assert_shows(app, 1, naive_logits(tiny_model, OTHER)["logit"])
        await pilot.press("L")
        await until(pilot, lambda: "No tuned lens for" in said(app))


async def test_another_model_reads_both(opened: Any, tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from transformers import GPTNeoXForCausalLM

    other = tmp_path / "other"
    shutil.copytree(tiny_model, other)
    module = GPTNeoXForCausalLM.from_pretrained(tiny_model)
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(1.3)
    module.save_pretrained(other)
    async with opened(ONE) as (app, pilot):
        await put_beside(app, pilot, OTHER)
        app.model_switch.open(Chosen(str(other)))
        await until(pilot, lambda: app.explore.model.name == str(other) and subtitle(app).endswith(" s"))
        assert app.explore.sides[1].prompt == OTHER
        assert_shows(app, 0, naive_logits(other, ONE)["logit"], GAP)
        assert_shows(app, 1, naive_logits(other, OTHER)["logit"])


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("a", "none grows"),
        ("G", "none grows"),
        ("backspace", "none grows"),
        ("Y", "- removes a second prompt first"),
    ],
)
async def test_what_is_of_one_prompt_says_so(opened: Any, key: str, reason: str) -> None:
    async with opened(ONE) as (app, pilot):
        await put_beside(app, pilot, OTHER)
        await pilot.press(key)
        assert app.screen is app.explore
        assert reason in said(app)


async def test_two_sides_are_taken_as_a_picture(opened: Any, tmp_path: Path) -> None:
    async with opened(ONE) as (app, pilot):
        await put_beside(app, pilot, OTHER)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        assert [option.id for option in app.screen.query_one(OptionList).options if option.id] == [
            "screen",
            "report",
        ]
        path = tmp_path / "two.svg"
        app.screen.query_one(Input).value = str(path)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.explore and path.exists())
        text = path.read_text().replace("&#160;", " ")
        assert ONE in text and f"“{OTHER}” · logit" in text


async def test_a_prompt_of_a_set_goes_beside(opened: Any, tiny_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("One two\nThree\n")
    async with opened(ONE) as (app, pilot):
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, PromptSets))
        app.screen.query_one("#set-file", Input).value = str(file)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.state.run is not None and len(app.screen.state.run.cases) == 2)
        await pilot.press("down", "B")
        await until(pilot, lambda: app.explore.is_compared and " and 5 " in subtitle(app))
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        assert_shows(app, 1, naive_logits(tiny_model, "Three")["logit"], range(4, 9))


@pytest.mark.parametrize("size", SIZES)
def test_looks(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    side = replace(MODEL.sides[1], is_own=False)
    text = "The leaves of the trees are yellow, and the sky above them is"

    async def two(pilot: Pilot[None]) -> None:
        await show(pilot)
        sides = (MODEL.sides[1], replace(side, prompt=text))
        still.explore.post_message(SidesChanged(replace(MODEL, sides=sides)))
        await pilot.pause()
        columns = (*COLUMNS[:2], "", "", *COLUMNS[4:])
        serial = still.explore.state.serial
        still.explore.post_message(
            ReadStarted(serial, columns, 0, MODEL.rows, {1: COLUMNS}, (range(2, 4), range(0)))
        )
        texts = dict(enumerate(WORDS))
        for part in on_screen(
            Tile(0, len(COLUMNS) - 2, {"logit": cells(1.0).columns_in(range(2, 8))}), range(2, 4)
        ):
            tile = SideTile(part.start, part.stop, {0: part.lenses["logit"]})
            still.explore.post_message(TileRead(serial, tile, texts))
        still.explore.post_message(TileRead(serial, SideTile(0, len(COLUMNS), {1: cells(2.0)}), texts))
        still.explore.post_message(ReadDone(serial, 0.2))
        await pilot.pause(0.2)

    assert snap_compare(still, terminal_size=size, run_before=two)
