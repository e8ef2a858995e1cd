"""Explore, key by key, on a real (tiny) model and its real thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from rich.text import Text
from textual.widgets import Input, OptionList, Static

from lenstui.readout.cells import Cells
from lenstui.readout.scales import NO_LEVEL
from lenstui.readout.values import all_values, values_for
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.detail import TOP_K, CellView
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.grid.cell import CellLine
from lenstui.tui.grid.grid import Cursor, Grid
from lenstui.tui.grid.legend import Legend
from lenstui.tui.grid.pane import Pane
from lenstui.tui.grid.room import Contents
from lenstui.tui.help.keys import Keys
from lenstui.tui.models.picker import ModelPicker
from lenstui.tui.models.table import ModelTable
from lenstui.tui.shared.status_bar import StatusBar
from tests.tui.pilots.looking import place, said, subtitle, until

TEXT = "Hello, you"


def grid(app: LenstuiApp, lens: str = "logit") -> Grid:
    return app.explore.query_one(f"#grid-{place(lens)}", Grid)


def cells_of(app: LenstuiApp, lens: str = "logit") -> Cells:
    cells = grid(app, lens).cells
    assert cells is not None
    return cells


def message(app: LenstuiApp, lens: str) -> str:
    return str(app.explore.query_one(f"#pane-{place(lens)} .pane--message", Static).render())


def facts_of(view: CellView) -> dict[str, float]:
    assert view.facts is not None
    return {value.key: number for value, number in view.facts.numbers}


async def test_both_lenses_are_what_the_library_reads(opened: Any, tiny_model: Path) -> None:
    from lenstui.lens import load, open_lens, read

    async with opened(TEXT) as (app, _):
        readout = read(load(str(tiny_model)), TEXT, open_lens(tiny_model / "lens.pt"), top_k=TOP_K)
        for lens in ("logit", "tuned"):
            cells = grid(app, lens).cells
            assert cells is not None
            np.testing.assert_array_equal(cells.top_ids, readout.lenses[lens].top_ids)
            np.testing.assert_allclose(cells.kl, readout.lenses[lens].kl, atol=1e-5)
        assert not np.allclose(readout.lenses["logit"].kl, readout.lenses["tuned"].kl)


async def test_it_opens_on_the_last_cell_with_the_grid_focused(opened: Any) -> None:
    async with opened(TEXT) as (app, _):
        assert app.focused is grid(app)
        assert grid(app).cursor == Cursor(3, len(TEXT) - 1)
        status = str(app.explore.query_one(StatusBar).render())
        assert "tiny · 3 blocks · cpu float32 · wiring ok" in status
        assert "tuned lens: lens (KL 2.00)" in status


async def test_one_cursor_for_both_panes_and_the_detail_follows(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("up", "left", "h", "k")  # the last row is on top: up is towards it and stays there
        await pilot.press("down", "j")
        assert grid(app).cursor == grid(app, "tuned").cursor == Cursor(1, len(TEXT) - 3)
        cells = grid(app, "tuned").cells
        assert cells is not None
        tuned = app.explore.query_one("#detail-1", CellView)
        await until(pilot, lambda: tuned.facts and facts_of(tuned)["kl"] == float(cells.kl[1, len(TEXT) - 3]))
        title = str(app.explore.query_one("Detail").border_title)
        assert title == 'row 0 · layer 1 of 3 · column 7 "y" → next "o"'
        assert facts_of(tuned)["next-rank"] == int(cells.next_rank[1, len(TEXT) - 3])


async def test_value_key_goes_round_and_shares_one_scale(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        seen, values = [], values_for(())
        for _ in values:
            await pilot.press("v")
            seen.append(grid(app).value)
            assert grid(app, "tuned").value == grid(app).value == app.explore.query_one(Legend).value
            assert grid(app, "tuned").scale == grid(app).scale == app.explore.query_one(Legend).scale
            assert grid(app).value.label in str(app.explore.query_one("#pane-0", Pane).border_title)
        assert seen == [*values[1:], values[0]]
        await pilot.press("V")
        assert grid(app).value == values[-1]


async def test_values_of_the_next_token_and_of_agreement(opened: Any) -> None:
    async with opened(TEXT, top_k=2) as (app, pilot):
        legend = app.explore.query_one(Legend)
        cells = {lens: cells_of(app, lens) for lens in ("logit", "tuned")}
        await pilot.press("v", "v", "v", "v", "v")
        shares = []
        for lens, of in cells.items():
            same = of.top_ids[:, :, 0] == of.top_ids[-1, :, 0]
            np.testing.assert_array_equal(grid(app, lens).values, same)
            shares.append(f"{lens} {100 * same[:-1, 1:].mean():.0f}% yes")
        note = f"  {' · '.join(shares)} (without the last row and the first column)"
        assert legend.render_line(0).text.endswith(note)
        assert legend.render_line(0).text.startswith("top-1 is the final one  no ")
        await pilot.press("v")
        assert legend.note == ""
        for key in ("logprob", "rank"):
            shown = grid(app, "tuned")
            assert shown.value.key == f"next-{key}"
            np.testing.assert_array_equal(
                shown.values[:, :-1], getattr(cells["tuned"], f"next_{key}")[:, :-1]
            )
            assert (shown._cells.levels[:, -1] == NO_LEVEL).all()
            (last, *_) = shown._cells.line(2, slice(9, 10), CellLine(0, 2, 14, Contents.BOTH))
            assert last is not None
            assert last.endswith("     –")
            await pilot.press("v")


@pytest.mark.parametrize(("size", "lines"), [((200, 50), 1), ((120, 40), 2), ((80, 24), 2)])
async def test_the_detail_has_the_next_token_whatever_the_room(
    opened: Any, size: tuple[int, int], lines: int
) -> None:
    async with opened(TEXT, size=size) as (app, pilot):
        await pilot.press("down", "left", "left")
        for lens in ("logit", "tuned"):
            view = app.explore.query_one(f"#detail-{place(lens)}", CellView)
            cells = cells_of(app, lens)
            logprob, rank = cells.next_logprob[2, -3], cells.next_rank[2, -3]
            await pilot.pause(0.2)
            text = view.render().plain.splitlines()
            assert f" −{-logprob:.2f}" in text[lines - 1].partition("next")[2]
            assert text[lines - 1].endswith(f"rank {rank}")
            assert "KL" in text[0]
            assert len(text) == view.content_size.height
            assert max(map(cell_len, text)) <= view.content_size.width


async def test_rows_grow_and_shrink_and_say_when_they_cannot(opened: Any) -> None:
    async with opened(TEXT, top_k=2) as (app, pilot):
        assert grid(app).depth == grid(app, "tuned").depth == 2
        await pilot.press("right_square_bracket")
        assert grid(app).depth == grid(app, "tuned").depth == 3
        await pilot.press(*["left_square_bracket"] * 5)
        assert grid(app).depth == 1
        assert any("top 1 to 5" in str(note.message) for note in app._notifications)


async def test_flip_turns_both_upside_down(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        assert grid(app).bottom_up
        await pilot.press("r")
        assert not grid(app).bottom_up
        assert not grid(app, "tuned").bottom_up


async def test_a_new_prompt_replaces_the_one_before(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("i")
        box = app.explore.query_one(PromptBox)
        assert app.focused is box
        box.text = "abc"
        await pilot.press("enter")
        await until(pilot, lambda: subtitle(app).startswith("3 tokens") and subtitle(app).endswith(" s"))
        cells = grid(app).cells
        assert cells is not None
        assert cells.entropy.shape == (4, 3)
        assert app.focused is grid(app)


async def test_keys_are_letters_inside_the_prompt(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("i", "q", "v", "question_mark", "ctrl+j", "x")
        assert app.explore.query_one(PromptBox).prompt == TEXT + "qv?\nx"
        await pilot.press("escape")
        assert app.focused is grid(app)
        assert grid(app).value == all_values()[0]


async def test_an_empty_prompt_is_a_hint(opened: Any) -> None:
    async with opened("") as (app, pilot):
        assert "type a text" in subtitle(app)
        assert "No prompt yet: type one" in message(app, "logit")
        await pilot.press("a", "enter")
        await until(pilot, lambda: subtitle(app).startswith("1 token "))


async def test_a_prompt_longer_than_the_context_says_so(opened: Any) -> None:
    async with opened("x" * 70) as (app, _):
        assert "64 tokens · 6 dropped from the front: the context is 64" in subtitle(app)


async def test_hidden_characters_reach_the_model_but_not_the_terminal(opened: Any) -> None:
    wild = "a\x1b[31mb\u202e[bold]c\u200b\x07"
    async with opened(wild) as (app, _):
        box = app.explore.query_one(PromptBox)
        assert box.prompt == wild
        shown = box.text
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        cells = grid(app).cells
        assert cells is not None
        assert cells.columns == len(wild.encode())  # one token per byte
        svg = app.export_screenshot()
        assert "\x1b" not in svg
        assert "\u202e" not in svg


async def test_without_a_lens_the_tuned_pane_says_so(opened: Any) -> None:
    async with opened(TEXT, lens=False) as (app, pilot):
        assert "No tuned lens" in message(app, "tuned")
        assert not grid(app, "tuned").display
        await pilot.press("tab")
        assert any("No tuned lens" in str(note.message) for note in app._notifications)


async def test_narrow_panes_are_tabs(opened: Any) -> None:
    async with opened(TEXT, size=(80, 24)) as (app, pilot):
        logit, tuned = (app.explore.query_one(f"#pane-{place(lens)}", Pane) for lens in ("logit", "tuned"))
        assert logit.size.width > 70
        assert not tuned.display or not tuned.size
        await pilot.press("tab")
        await pilot.pause()
        assert tuned.size.width > 70
        assert not logit.size
        assert app.focused is grid(app, "tuned")
        assert "logit lens │ tuned lens" in Text.from_markup(str(tuned.border_title)).plain


@pytest.mark.parametrize("size", [(200, 50), (120, 40), (80, 24)])
async def test_everything_is_on_screen_at_every_size(opened: Any, size: tuple[int, int]) -> None:
    async with opened(TEXT, size=size) as (app, _):
        for selector in ("StatusBar", "PromptBox", "#pane-0", "Legend", "Detail", "Footer"):
            region = app.explore.query_one(selector).region
            assert region.height > 0
            assert region.bottom <= size[1]
            assert region.right <= size[0]
        assert grid(app).size.height >= 1 + 4  # header and all rows


async def test_all_keys_are_listed_and_can_be_searched(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("question_mark")
        assert isinstance(app.screen, Keys)
        options = app.screen.query_one(OptionList)
        everything = options.option_count
        assert everything >= 20
        await pilot.press(*"value")
        assert 0 < options.option_count < everything
        assert str(options.get_option_at_index(0).prompt).startswith("look: ")
        assert "Colour by the next value" in str(options.get_option_at_index(1).prompt)
        app.screen.query_one(Input).value = "no such key"
        await pilot.pause()
        assert "nothing found" in str(options.get_option_at_index(0).prompt)
        await pilot.press("escape")
        assert app.screen is app.explore


async def test_a_wrong_model_leaves_the_open_one_usable(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("m")
        assert isinstance(app.screen, ModelPicker)
        app.screen.query_one(Input).value = "/no/such/folder"
        await pilot.press("enter")
        await until(pilot, lambda: any("No such folder" in str(note.message) for note in app._notifications))
        assert app.screen is app.explore
        await pilot.press("i", "z", "enter")
        await until(pilot, lambda: subtitle(app).startswith("11 tokens") and subtitle(app).endswith(" s"))


async def test_a_model_that_cannot_be_opened_at_start(tmp_path: Path) -> None:
    app = LenstuiApp(Start(prompt="a", model=str(tmp_path)))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "config.json" in message(app, "logit"))
        assert "Press m" in message(app, "logit")
        await pilot.press("m")
        assert isinstance(app.screen, ModelPicker)


async def test_a_device_that_is_not_here_is_asked_for_only_once(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    app = LenstuiApp(Start(prompt="a", model=str(tiny_model), device="cuda"))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "There is no cuda here" in message(app, "logit"))
        assert "Press m to open a model on the device that there is" in message(app, "logit")
        await pilot.press("m")
        await until(
            pilot, lambda: "free on cpu" in str(app.screen.query_one("#model-detail", Static).render())
        )
        table = app.screen.query_one(ModelTable)
        table.choose(str(tiny_model))
        await pilot.press("enter")
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        assert app.explore.model is not None and app.explore.model.device == "cpu"


async def test_another_model_opens_and_reads_the_same_prompt(opened: Any, shared: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("m")
        app.screen.query_one(Input).value = str(shared / "models" / "stories260K")
        await pilot.press("enter")
        await until(pilot, lambda: "5 blocks" in str(app.explore.query_one(StatusBar).render()))
        cells = grid(app).cells
        await until(pilot, lambda: grid(app).cells is not None and subtitle(app).endswith(" s"))
        cells = grid(app).cells
        assert cells is not None
        assert len(cells.entropy) == 6
        assert "No tuned lens" in message(app, "tuned")


async def test_q_quits(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)


async def test_every_action_is_in_the_command_palette(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        commands = {command.title: command for command in app.get_system_commands(app.screen)}
        await commands["Value"].callback()
        await pilot.pause()
        assert grid(app).value == all_values()[1]
        for binding in app.explore.BINDINGS:
            assert binding.description in commands


async def test_typing_goes_on_while_the_model_opens(tiny_model: Path) -> None:
    app = LenstuiApp(Start(prompt="a", model=str(tiny_model)))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("b")  # long before the model is there
        await until(pilot, lambda: grid(app).cells is not None)
        box = app.explore.query_one(PromptBox)
        assert app.focused is box
        await pilot.press("c")
        assert box.prompt == "abc"
        assert subtitle(app) == "not read yet: press Enter"
        cells = grid(app).cells
        assert cells is not None
        assert cells.columns == 1  # nothing unfinished was read
        await pilot.press("enter")
        await until(pilot, lambda: subtitle(app).startswith("3 tokens") and subtitle(app).endswith(" s"))


async def test_an_emptied_box_says_so_and_the_grid_stays(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("i", "ctrl+u", "enter")
        assert "type a text" in subtitle(app)
        assert grid(app).display
        app.explore.query_one(PromptBox).text = TEXT
        await pilot.pause()
        assert subtitle(app).startswith(f"{len(TEXT)} tokens")  # what the grid shows is in the box again


async def test_nothing_of_the_model_before_stays_on_screen(opened: Any, shared: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("i", "ctrl+u", "escape", "m")
        app.screen.query_one(Input).value = str(shared / "models" / "stories260K")
        await pilot.press("enter")
        await until(pilot, lambda: "5 blocks" in str(app.explore.query_one(StatusBar).render()))
        await until(pilot, lambda: grid(app).cells is not None and len(cells_of(app).entropy) == 6)
        assert app.explore.query_one("#detail-1", CellView).facts is None
        assert "No tuned lens" in message(app, "tuned")


async def test_tall_cells_show_the_value_that_they_are_coloured_by(opened: Any) -> None:
    async with opened(TEXT, top_k=2) as (app, pilot):
        cells = grid(app).cells
        assert cells is not None
        await pilot.press("v", "v")
        await pilot.press("number_sign", "number_sign")
        assert "tokens and numbers" in said(app)
        kl = grid(app).value.format(float(cells.kl[0, -1]))
        row = grid(app).size.height and 1 + 2 * 3  # emb is the last of four rows of two lines
        line = "".join(segment.text for segment in grid(app).render_line(row))
        assert line.rstrip().endswith(kl)
