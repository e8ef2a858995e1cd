"""A model that overflows, on screen: dashes in the cells, no facts, no agreement, and a warning once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from lenstui.model.not_finite import IN_CELL
from lenstui.readout.cells import NOT_A_NUMBER
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.cell import CellScreen
from lenstui.tui.explore.detail import CellView
from lenstui.tui.explore.pin_line import PinLine
from lenstui.tui.grid.cell import CellLine
from lenstui.tui.grid.grid import Cursor
from lenstui.tui.prompt_sets.view import sort_columns
from tests.tiny.overflowing import EARLY, LATE, LOUD, overflowing
from tests.tui.pilots.generate_pilot import generate
from tests.tui.pilots.looking import place, subtitle, until
from tests.tui.pilots.prompt_sets_pilot import go, notes, table

PROMPT, AT = f"one {LOUD}two", 4  # the column of `~`, whose last row overflows


@pytest.fixture(scope="module")
def loud(neox_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _with_lens(overflowing(neox_folder, tmp_path_factory.mktemp("late"), LATE))


def _with_lens(folder: Path) -> Path:
    shutil.copy(folder.parent / "mine.pt", folder / "lens.pt")
    return folder


def shown(app: LenstuiApp) -> list[str]:
    """The lines of the screen."""
    return [strip.text for strip in app.screen._compositor.render_strips()]


def cell_text(app: LenstuiApp, row: int, column: int, lens: str = "logit") -> str:
    """What one cell of a grid shows in its first line, without the space around."""
    grid = app.explore.grids[place(lens)]
    line = CellLine(0, grid.depth, 20, grid.column_layout.contents)
    (text,) = grid._cells.line(row, slice(column, column + 1), line)
    (absent,) = grid._cells.absent(row, slice(column, column + 1))
    if text is None:
        return "–" if absent else "·"
    return text.strip()


async def value(app: LenstuiApp, pilot: Pilot[None], key: str) -> None:
    """Colour by another value."""
    for _ in range(12):
        if app.explore.panes.value.key == key:
            return
        await pilot.press("v")
    raise AssertionError(key)


async def at(app: LenstuiApp, pilot: Pilot[None], row: int, column: int) -> None:
    app.explore.grids[0].go_to(Cursor(row, column))
    await pilot.pause(0.3)


def facts(app: LenstuiApp, lens: str = "logit") -> str:
    return str(app.explore.query_one(f"#detail-{place(lens)}", CellView).render())


async def test_cells_show_dashes_and_the_columns_are_named(opened: Any, loud: Path) -> None:
    async with opened(PROMPT, folder=loud, dtype="float16") as (app, _):
        assert "Not a number in column 4: logits are not finite in float16." in notes(app)
        assert cell_text(app, 2, AT) == cell_text(app, 2, AT, "tuned") == "–"
        assert cell_text(app, 0, AT) not in {"–", "·"}
        assert cell_text(app, 2, AT + 1) not in {"–", "·"}
        last_row = next(line for line in shown(app) if line.lstrip("│ ").startswith("1 "))
        assert last_row.count("–") == 2
        assert app.explore.grids[0].read_columns == len(PROMPT)  # it is read all the same


@pytest.mark.parametrize("key", ["kl", "js", "rank", "agree"])
async def test_nothing_is_held_against_it(opened: Any, loud: Path, key: str) -> None:
    async with opened(PROMPT, folder=loud, dtype="float16", top_k=3) as (app, pilot):
        await value(app, pilot, key)
        await pilot.press("number_sign", "number_sign")
        for lens, grid in zip(("logit", "tuned"), app.explore.grids, strict=True):
            assert np.isnan(grid.values[:, AT]).all(), lens
            assert np.isfinite(np.delete(grid.values, AT, axis=1)).all(), lens
            assert grid.depth > 1
            assert cell_text(app, 0, AT, "logit").endswith("–")
        words = " ".join(shown(app))
        assert "nan" not in words
        assert "#-" not in words
        if key == "agree":  # of what has numbers: the last row and the first column do not count
            for lens, grid in zip(("logit", "tuned"), app.explore.grids, strict=True):
                assert grid.cells is not None
                top1 = np.delete(grid.cells.top_ids[:, :, 0], AT, axis=1)[:, 1:]
                share = 100 * (top1[:-1] == top1[-1]).mean()
                assert f"{lens} {share:.0f}% yes" in words


async def test_the_detail_says_so(opened: Any, loud: Path) -> None:
    async with opened(PROMPT, folder=loud, dtype="float16") as (app, pilot):
        await at(app, pilot, 2, AT)
        assert facts(app) == facts(app, "tuned") == IN_CELL
        await at(app, pilot, 0, AT)
        said = facts(app)
        assert "KL from final – nats" in said or "KL –" in said
        assert "rank –" in said
        assert "settles" not in " ".join(shown(app))
        await at(app, pilot, 0, AT + 1)
        assert "–" not in facts(app)
        assert "settles" in " ".join(shown(app))


async def test_it_settles_nowhere_and_is_in_no_median(opened: Any, loud: Path) -> None:
    async with opened(PROMPT, folder=loud, dtype="float16") as (app, pilot):
        await pilot.press("c")
        for grid in app.explore.grids:
            assert grid.settled[AT] == -1
            assert (np.delete(grid.settled, AT) >= 0).all()
        assert "of 6 before the last" in str(app.explore.panes.pane(0).border_subtitle)


async def test_keys_on_it_say_why_not(opened: Any, loud: Path) -> None:
    async with opened(PROMPT, folder=loud, dtype="float16") as (app, pilot):
        await at(app, pilot, 2, AT)
        for key in ("a", "y", "p"):
            app.clear_notifications()
            await pilot.press(key)
            await until(pilot, lambda: notes(app))
            assert notes(app) == IN_CELL, key
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, CellScreen))
        message = app.screen.query_one("#ranking-0 .ranking--message", Static)
        await until(pilot, lambda: str(message.render()))
        assert str(message.render()) == IN_CELL
        await pilot.press("j")  # the row below has numbers
        await until(pilot, lambda: not str(message.render()))


async def test_pins_have_dashes(opened: Any, loud: Path) -> None:
    async with opened(PROMPT, folder=loud, dtype="float16") as (app, pilot):
        await at(app, pilot, 2, AT + 1)
        await pilot.press("p")
        await until(pilot, lambda: app.explore.panel.pins)
        line = app.explore.query_one(PinLine)
        await until(pilot, lambda: "r0" in str(line.render()))
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        await at(app, pilot, 2, AT)
        assert str(line.render()).rstrip().endswith("– │ –")
        assert "…" not in str(line.render())


async def test_the_difference_has_neither_number_nor_mark(opened: Any, loud: Path) -> None:
    async with opened(PROMPT, folder=loud, dtype="float16") as (app, pilot):
        await pilot.press("d")
        grid = app.explore.panes.shown_grid
        cells = grid._cells
        assert np.isnan(cells.values[2, AT])
        assert not cells.differs[2, AT]
        assert cells.absent(2, slice(AT, AT + 1)) == [True]
        counted, of = cells.counted(last=False)
        has = [
            (column, row)
            for column in range(1, len(PROMPT))
            for row in range(2)
            if all(each.cells.top_ids[row, column, 0] >= 0 for each in app.explore.grids)
        ]
        assert of == len(has) < 2 * (len(PROMPT) - 1)
        assert counted <= of


async def test_nothing_is_generated_from_it(opened: Any, loud: Path) -> None:
    async with opened(f"one {LOUD}", folder=loud, dtype="float16") as (app, pilot):
        app.clear_notifications()
        await generate(pilot, "3")
        await until(pilot, lambda: notes(app))
        assert notes(app).startswith("No token follows column 4: its logits are not finite in float16.")
        assert len(app.explore.state.columns) == 5


async def test_it_is_said_once_for_one_prompt_and_again_for_another(opened: Any, loud: Path) -> None:
    async with opened(PROMPT, folder=loud, dtype="float16") as (app, pilot):
        app.clear_notifications()
        await at(app, pilot, 2, AT + 1)
        await pilot.press("p")  # which reads all anew
        await until(pilot, lambda: app.explore.panel.pins and subtitle(app).endswith(" s"))
        await pilot.pause(0.3)
        assert "Not a number" not in notes(app)


async def test_a_prompt_of_nothing_else(
    opened: Any, neox_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = _with_lens(overflowing(neox_folder, tmp_path_factory.mktemp("early"), EARLY))
    async with opened(LOUD * 3, folder=folder, dtype="float16") as (app, pilot):
        assert "Not a number in all 3 columns" in notes(app)
        for lens, grid in zip(("logit", "tuned"), app.explore.grids, strict=True):
            assert grid.cells is not None
            assert (grid.cells.top_ids == NOT_A_NUMBER).all(), lens
            assert {cell_text(app, row, 1, lens) for row in range(3)} == {"–"}
        for _ in app.explore.panes.values:  # every value, its colours and its legend
            assert "nan" not in " ".join(shown(app))
            await pilot.press("v")


async def test_a_set_shows_dashes_and_sorts_them_last(opened: Any, loud: Path, tmp_path: Path) -> None:
    path = tmp_path / "cases.txt"
    path.write_text(f"one \tq\nthree{LOUD}\t!\ntwo \tq\n", encoding="utf-8")
    async with opened("a", folder=loud, dtype="float16", size=(140, 40)) as (app, pilot):
        await go(app, pilot, path)
        line = next(line for line in shown(app) if f"three{LOUD}" in line)
        assert line.split(LOUD)[1].split()[0] == "–"
        assert "nan" not in " ".join(shown(app))
        cases, columns = table(app), sort_columns(["logit", "tuned"])
        for column in range(2, 9):
            for descending in (False, True):
                view = type(cases._view)(column=column, descending=descending)
                ordered = [case.line.number for case in view.of(cases.shown, columns)]
                if column != 4:  # by the target, which it has
                    assert ordered[-1] == 2, (column, descending)
        lost = next(case.line for case in cases.shown if case.line.number == 2)
        assert lost.final_prob is lost.target_prob is lost.target_rank is None
