"""The difference of the lenses, key by key: its numbers, its marks, and that nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.text import Text
from textual import constants
from textual.geometry import Region
from textual.pilot import Pilot
from textual.widgets import Input

from lenstui.jobs.fit_messages import TrainingRead
from lenstui.jobs.messages import ModelLoaded, ReadStarted
from lenstui.readout.values import values_for
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.ask_generation import AskGeneration
from lenstui.tui.grid.difference_grid import DifferenceGrid
from lenstui.tui.grid.grid import Cursor
from lenstui.tui.grid.legend import Legend
from lenstui.tui.grid.pane import Pane
from lenstui.tui.session.session import Look
from tests.by_hand.made_up import COLUMNS, WORDS, cells
from tests.by_hand.naive_values import naive_logits, naive_values
from tests.tui.pilots.looking import said, subtitle, until
from tests.tui.pilots.still import MODEL, SIZES, WITHOUT_LENS, show, side_tile, still

__all__ = ["still"]

TEXT = "Hello, you"


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the terminal that the tests run in."""
    monkeypatch.setattr(constants, "COLOR_SYSTEM", "truecolor")


def grid(app: LenstuiApp) -> DifferenceGrid:
    return app.explore.query_one(DifferenceGrid)


def lines(app: LenstuiApp) -> list[str]:
    return [strip.text for strip in grid(app).render_lines(Region(0, 0, *grid(app).size))]


def read_by_both(app: LenstuiApp) -> int:
    """Cells that are compared, but for those of the last row and the first column."""
    return grid(app).counted(last=False)[1]


def legend(app: LenstuiApp) -> str:
    return app.explore.query_one(Legend).render_line(0).text


def shown(app: LenstuiApp) -> list[str]:
    """The panes on screen."""
    names = ("logit", "tuned", "third", "difference")
    return [names[pane.place] for pane in app.explore.query(Pane) if pane.region]


async def test_numbers_are_tuned_minus_logit(opened: Any, tiny_model: Path) -> None:
    logits = naive_logits(tiny_model, TEXT)
    values = {lens: naive_values(of_lens) for lens, of_lens in logits.items()}
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        await pilot.press("d")
        assert shown(app) == ["difference"]
        checked = set()
        for value in values_for(()):
            assert app.explore.panes.value is value
            if value.key in values["logit"]:
                naive = values["tuned"][value.key] - values["logit"][value.key]
                np.testing.assert_allclose(grid(app).values, naive, atol=1e-4)
                assert np.abs(naive[:-1]).max() > 0.1
                checked.add(value.key)
            await pilot.press("v")
        assert checked == set(values["logit"])
        differs = logits["tuned"].argmax(-1) != logits["logit"].argmax(-1)
        counted = differs[:-1, 1:]
        assert str(app.explore.query_one("#pane-difference", Pane).border_subtitle) == (
            f"≠ another token leads: in {counted.sum()} of {counted.size} cells "
            "(without the last row and the first column)"
        )
        for row, line in enumerate(reversed(lines(app)[1:5])):
            marks = [mark == "≠" for mark in line[grid(app)._gutter :: grid(app).column_width]][: len(TEXT)]
            assert marks == differs[row].tolist()
        assert 0 < differs.sum() < differs.size


async def test_the_texts_of_tall_rows(opened: Any, tiny_model: Path) -> None:
    logits = naive_logits(tiny_model, TEXT)
    kl = {lens: naive_values(of_lens)["kl"] for lens, of_lens in logits.items()}
    difference = kl["tuned"] - kl["logit"]
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        await pilot.press("v", "v", "d", "right_square_bracket")
        at = grid(app)._gutter
        first = lines(app)[1 + 2 * 3]  # row emb: rows of two lines, the last one on top
        numbers = [first[at + 15 * i + 9 : at + 15 * i + 15].replace("−", "-") for i in range(len(TEXT))]
        np.testing.assert_allclose([float(n) for n in numbers], difference[0], atol=0.051)
        await pilot.press("right_square_bracket")
        three = lines(app)[1 + 3 * 3 : 1 + 3 * 4]
        for line, expected in zip(three, (kl["tuned"], kl["logit"], difference), strict=True):
            numbers = [line[at + 15 * i + 9 : at + 15 * i + 15].replace("−", "-") for i in range(len(TEXT))]
            np.testing.assert_allclose([float(n) for n in numbers], expected[0], atol=0.051)
        for line, lens in zip(three, ("tuned", "logit"), strict=False):
            tokens = [app.explore.state.texts[i] for i in logits[lens].argmax(-1)[0].tolist()]
            shown = [line[at + 15 * i + 1 : at + 15 * i + 10].rstrip() for i in range(len(TEXT))]
            assert shown == tokens
        await pilot.press("right_square_bracket")
        assert "1 to 3 lines" in said(app)
        await pilot.press("d")
        assert app.explore.grids[0].depth == 3


async def test_d_goes_back_to_where_one_was(opened: Any) -> None:
    async with opened(TEXT * 6, size=(100, 24)) as (app, pilot):
        grids = app.explore.grids
        for keys in (
            ["pageup"],
            ["home", "right"],
            ["shift+right", "shift+right", "left", "right_square_bracket", "down"],
        ):
            await pilot.press(*keys)
            before = [(g.cursor, g.scroll_offset, g.depth) for g in grids]
            await pilot.press("d")
            await pilot.pause()
            cell = grid(app)._region(grid(app).cursor)
            assert Region(0, 0, *grid(app).scrollable_content_region.size).contains_region(cell)
            assert app.focused is grid(app)
            await pilot.press("d")
            await pilot.pause()
            assert [(g.cursor, g.scroll_offset, g.depth) for g in grids] == before
            assert app.focused in grids


async def test_one_cursor_for_all(opened: Any) -> None:
    async with opened(TEXT * 6, size=(80, 24)) as (app, pilot):
        await pilot.press("d", "home", "down", "l", "l")
        assert {g.cursor for g in (*app.explore.grids, grid(app))} == {Cursor(2, 2)}
        await pilot.press("g", *"row emb", "enter")
        await pilot.press("slash", "o", "enter", "n")
        assert grid(app).cursor == Cursor(0, 8)
        assert app.focused is grid(app)
        await pilot.press("r")
        assert lines(app)[1].split()[0] == "emb"
        await pilot.press("tab")
        assert "d goes back" in said(app)
        assert shown(app) == ["difference"]
        await pilot.press("d")
        assert shown(app) == ["logit"]
        logit = app.explore.grids[0]
        assert logit.cursor == Cursor(0, 8)
        assert not logit.bottom_up
        assert Region(0, 0, *logit.size).contains_region(logit._region(logit.cursor))


async def test_keys_take_the_tuned_lenss_token(opened: Any, tiny_model: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        differs = [*zip(*np.nonzero(grid_differs(tiny_model)), strict=True)]
        row, column = map(int, differs[0])
        app.explore.grids[0].go_to(Cursor(row, column))
        await pilot.press("d")
        token = int(naive_logits(tiny_model, TEXT)["tuned"][row, column].argmax())
        await pilot.press("p")
        assert [pin.id for pin in app.explore.panel.pins] == [token]
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        await pilot.press("a")
        await until(pilot, lambda: len(app.explore.state.columns) == len(TEXT) + 1)
        await until(pilot, lambda: read_by_both(app) == 3 * len(TEXT))
        assert app.explore.state.tail == (token,)
        await pilot.press("G")
        assert isinstance(app.screen, AskGeneration)
        assert app.screen._kind == "tuned"
        app.screen.query_one("#generation-count", Input).value = "2"
        await pilot.press("enter")
        await until(pilot, lambda: read_by_both(app) == 3 * (len(TEXT) + 2))
        await pilot.press("backspace")
        await until(pilot, lambda: read_by_both(app) == 3 * (len(TEXT) + 1))
        assert shown(app) == ["difference"]


async def test_a_value_of_a_pin(opened: Any, tiny_model: Path) -> None:
    logits = naive_logits(tiny_model, TEXT)
    logprobs = {lens: z - np.log(np.exp(z).sum(-1, keepdims=True)) for lens, z in logits.items()}
    async with opened(TEXT) as (app, pilot):
        await pilot.press("d")
        for token in ("q", "z"):
            await pilot.press("P", token, "enter")
            await until(pilot, lambda token=token: token in [pin.text for pin in app.explore.panel.pins])
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        while app.explore.panes.value.key != "pin-logprob":
            await pilot.press("v")
        for left in (2, 1):
            pins = app.explore.panel.pins
            assert len(pins) == left
            naive = (logprobs["tuned"] - logprobs["logit"])[..., pins[0].id]
            np.testing.assert_allclose(grid(app).values, naive, atol=1e-3)
            assert f"log p({pins[0].text})" in str(app_title(app))
            app.explore.panel.pins = pins[1:]  # its numbers are known
            await pilot.pause(0.01)


def grid_differs(folder: Path) -> np.ndarray:
    logits = naive_logits(folder, TEXT)
    return np.asarray(logits["tuned"].argmax(-1) != logits["logit"].argmax(-1))


async def test_without_a_tuned_lens_it_says_why(opened: Any) -> None:
    async with opened(TEXT, lens=False) as (app, pilot):
        await pilot.press("d")
        assert "No tuned lens yet" in said(app)
        assert shown(app) == ["logit"]
    async with opened("") as (app, pilot):
        await pilot.press("escape")
        app.explore.panes.focus_grid()
        await pilot.press("d")
        assert "No prompt yet" in said(app)


async def test_a_model_without_a_lens_ends_it(still: LenstuiApp) -> None:

    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("d")
        still.explore.post_message(ModelLoaded(MODEL))  # another one that has a lens
        await pilot.pause(0.1)
        assert shown(still) == ["difference"]
        still.explore.post_message(ModelLoaded(WITHOUT_LENS))
        await pilot.pause(0.1)
        still.explore.post_message(ReadStarted(still.explore.state.serial, COLUMNS, 0, MODEL.rows))
        await pilot.pause(0.1)
        assert shown(still) == ["logit"]
        assert still.explore.panes.has_focus_within


async def test_it_follows_a_lens_in_training(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("v", "v", "d")
        still.explore.panes.training = frozenset({1})
        before = cells(2.0).kl - cells(1.0).kl
        np.testing.assert_allclose(grid(still).values, before, atol=1e-6)
        still.explore.post_message(TrainingRead(1, "tuned", 0, cells(4.0), dict(enumerate(WORDS)), 0.1))
        await pilot.pause(0.1)
        np.testing.assert_allclose(grid(still).values, cells(4.0).kl - cells(1.0).kl, atol=1e-6)
        title = Text.from_markup(str(app_title(still))).plain
        assert title.startswith("tuned lens in training − logit lens · ")


def app_title(app: LenstuiApp) -> object:
    return app.explore.query_one("#pane-difference", Pane).border_title


async def test_what_only_one_lens_has_read_is_pending(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        panes = still.explore.panes
        panes.training = frozenset({1})
        panes.lay_out(1, MODEL.rows, COLUMNS, MODEL.vocabulary, panes.cursor)
        await pilot.press("d")
        part = cells(2.0)
        part = type(part)(*(getattr(part, name)[:, 2:5] for name in type(part).__slots__))
        still.explore.post_message(TrainingRead(1, "tuned", 2, part, dict(enumerate(WORDS)), 0.1))
        await pilot.pause(0.1)
        assert np.isnan(grid(still).values).all(axis=0).tolist() == [not 2 <= i < 5 for i in range(8)]
        assert read_by_both(still) == 3 * (len(MODEL.rows) - 1)
        assert lines(still)[1].split()[1:3] == ["·", "·"]


async def test_the_legend_says_which_side_is_which(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        before = legend(still)
        await pilot.press("d")
        await pilot.press("v", "v")
        top, shown = grid(still).scale.hi, grid(still).values
        low, high = "≤ " * bool((shown < -top).any()), "≥ " * bool((shown > top).any())
        text = legend(still)
        assert text.startswith(f"KL from final: tuned − logit  tuned lower {low}−{top:.2f} ")
        assert text.endswith(f" {high}+{top:.2f} nats tuned higher")
        await pilot.press("v", "v")
        assert legend(still).endswith("tuned higher · log scale")
        await pilot.resize_terminal(80, 24)
        await pilot.pause(0.1)
        assert legend(still).startswith("tuned lower")
        assert legend(still).endswith("tuned higher · log scale")
        await pilot.press("V", "V", "V", "V", "d")
        assert legend(still) == before


async def test_it_is_restored(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("d")
        look = still.explore.look()
        await pilot.press("d")
        still.explore.put_back(look)
        await pilot.pause()
        assert shown(still) == ["difference"]
        still.explore.put_back(Look())
        await pilot.pause()
        assert shown(still) == ["logit", "tuned"]


@pytest.mark.parametrize("size", SIZES)
def test_how_it_looks(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def difference(pilot: Pilot[None]) -> None:
        await show_other_tokens(pilot)
        await pilot.press("d", "v", "v", "left", "down")
        await pilot.pause(0.2)

    assert snap_compare(still, terminal_size=size, run_before=difference)


@pytest.mark.parametrize("size", SIZES)
def test_how_tall_rows_look(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def difference(pilot: Pilot[None]) -> None:
        await show_other_tokens(pilot)
        await pilot.press("d", "right_square_bracket", "right_square_bracket", "left", "down")
        await pilot.pause(0.2)

    assert snap_compare(still, terminal_size=size, run_before=difference)


async def show_other_tokens(pilot: Pilot[None]) -> None:
    """As `show`, but the lenses disagree in the lower rows, and in one column the logit lens is better."""
    from dataclasses import replace

    from lenstui.jobs.messages import TileRead

    await show(pilot)
    tuned = cells(2.0)
    ids, kl = tuned.top_ids.copy(), tuned.kl.copy()
    ids[:3, ::2, 0] = (ids[:3, ::2, 0] + 5) % len(WORDS)
    kl[:, 3] *= 5
    lenses = {"logit": cells(1.0), "tuned": replace(tuned, top1=ids[..., 0], top_ids=ids, kl=kl)}
    explore = pilot.app.explore  # type: ignore[attr-defined]
    explore.post_message(TileRead(1, side_tile(0, len(COLUMNS), lenses), dict(enumerate(WORDS))))
    await pilot.pause(0.1)
