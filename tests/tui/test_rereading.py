"""The prompt is read in another way, by keyboard alone: rows, final norm, BOS, chat template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from textual.widgets import Input, Static

from lenstui.jobs.messages import ReadStarted, TileRead
from lenstui.jobs.model import ModelJobs
from lenstui.jobs.read import ReadJobs
from lenstui.jobs.read_request import ReadRequest
from lenstui.model.rows import Row, parse_rows
from lenstui.readout.cells import Cells, row_labels
from lenstui.readout.reading import Reading
from lenstui.support.request import Start
from lenstui.tui.explore.ask_generation import AskGeneration
from lenstui.tui.explore.cell import CellScreen
from lenstui.tui.explore.detail import Detail
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.explore.reader import nearest
from lenstui.tui.fitted_cells import FittedCells
from lenstui.tui.grid.grid import Cursor
from tests.tui.pilots.cell_pilot import lines
from tests.tui.pilots.looking import place, said, subtitle, until
from tests.tui.pilots.reread_pilot import TEXT, ask, cells, check, ids_of, mark, probs, reread, wrong

# rows


async def test_rows_and_all_that_goes_by_them(opened: Any, tiny_model: Path) -> None:
    from lenstui.lens import load, open_lens
    from lenstui.model.tokens import encode
    from lenstui.readout.ranking import rank_cell

    async with opened(TEXT) as (app, pilot):
        explore = app.explore
        ids = ids_of(tiny_model)
        wanted = {tuned: probs(tiny_model, ids, tuned=tuned) for tuned in (False, True)}
        await pilot.press("p", "down", "left", "left")  # a pin; row 1
        assert explore.panes.cursor == Cursor(2, 7)
        await reread(app, pilot, "0")
        assert explore.state.rows == ("0", "2")
        assert mark(app) == "prompt · rows 0"
        for lens, tuned in (("logit", False), ("tuned", True)):
            check(cells(app, lens), wanted[tuned][[1, 3]])
            assert explore.grids[place(lens)]._rows == ("0", "2")
            pin = explore.panel.pins[0].id
            np.testing.assert_allclose(
                np.exp(cells(app, lens).pin_logprobs[..., 0]), wanted[tuned][[1, 3], :, pin], atol=1e-5
            )
        assert explore.panes.cursor == Cursor(0, 7)  # the nearest row, of two the lower one
        await until(pilot, lambda: "row 0" in str(explore.query_one(Detail).border_title))
        assert explore.panel._plot is not None
        assert explore.panel._plot.drawn[1] == ("0", "2")

        await pilot.press("enter")
        assert isinstance(app.screen, CellScreen)
        screen = app.screen
        await until(pilot, lambda: "row 0" in str(screen.query_one("#cell-title", Static).render()))
        assert "rows 0" in str(screen.query_one("#cell-title", Static).render())
        model, lens = load(str(tiny_model)), open_lens(tiny_model / "lens.pt")
        ranking = rank_cell(model, encode(model.tokenizer, TEXT), Row(1), 7, lens, count=3)
        for name in ("logit", "tuned"):
            assert [line[-4] for line in lines(app, name)][:3] == [str(i) for i in ranking[name].ids]
        await pilot.press("escape")

        for word, row, why in (
            ("row 2", 1, None),
            ("row 1", 1, "Row 1 is not among those that are read"),
            ("emb", 1, "Row emb is not among"),
            ("row 9", 1, "There is no row 9: this model has rows emb, 0 … 2."),
            ("row 0", 0, None),
            ("last", 1, None),
        ):
            await pilot.press("g", *["space" if letter == " " else letter for letter in word], "enter")
            await pilot.pause()
            assert explore.panes.cursor.row == row
            assert why is None or why in said(app)

        await reread(app, pilot, "every 2")
        assert explore.state.rows == ("emb", "1", "2")
        assert explore.panes.cursor == Cursor(2, 7)
        check(cells(app), wanted[False][[0, 2, 3]])
        await reread(app, pilot, "")
        assert explore.state.rows == ("emb", "0", "1", "2")
        assert mark(app) == "prompt"
        check(cells(app), wanted[False])


async def test_a_row_among_few_goes_on(opened: Any, tiny_model: Path) -> None:
    from lenstui.lens import generate, load

    async with opened(TEXT) as (app, pilot):
        ids = ids_of(tiny_model)
        await reread(app, pilot, "0", words={"final_norm": "off"})
        await pilot.press("down", "G")
        assert isinstance(app.screen, AskGeneration)
        assert "Row 0 goes on by the logit lens" in str(app.screen.query_one("#generation-what").render())
        app.screen.query_one("#generation-count", Input).value = "4"
        await pilot.press("enter")
        await until(
            pilot, lambda: len(app.explore.state.tail) == 4 and not app.explore.parts.growth.is_generating
        )
        await until(pilot, lambda: app.explore.grids[0].read_columns == len(ids) + 4)
        expected = [*generate(load(str(tiny_model)), ids, count=4, row=1, final_norm=False)]
        assert [*app.explore.state.tail] == expected
        bare = probs(tiny_model, [*ids, *expected], final_norm=False)
        assert expected == bare[1, len(ids) - 1 : -1].argmax(-1).tolist()
        check(cells(app), bare[[1, 3]])
        await pilot.press("backspace")
        await until(
            pilot, lambda: len(app.explore.state.columns) == len(ids) + 3 and subtitle(app).endswith(" s")
        )
        await reread(app, pilot, "all")  # with what was appended
        assert [*app.explore.state.tail] == expected[:3]
        check(cells(app), bare[:, :-1])


async def test_the_lens_in_training_is_read_at_these_rows(tiny_model: Path) -> None:
    from lenstui.jobs.fit_messages import TrainingRead
    from lenstui.lens import open_lens

    posted: list[Any] = []
    work = ModelJobs(posted.append)
    work.load(Start(model=str(tiny_model)), lambda: False)
    work.prefer(lambda: open_lens(tiny_model / "lens.pt"), lambda: "tuned")
    request = ReadRequest(1, TEXT, 20, 3, Reading(rows=parse_rows("emb")))
    reading = ReadJobs(work)
    reading.read(request, posted.append, lambda: False)
    started = next(message for message in posted if isinstance(message, ReadStarted))
    assert started.rows == ("emb", "2")
    assert all(len(m.tile.sides[1].kl) == 2 for m in posted if isinstance(m, TileRead))
    for _ in reading.read_in_training(1, range(3), posted.append, lambda: False):
        pass
    read = next(message for message in posted if isinstance(message, TrainingRead))
    wanted = probs(tiny_model, ids_of(tiny_model), tuned=True)[[0, 3]]
    np.testing.assert_allclose(
        read.cells.top_probs[..., 0], wanted[:, : read.cells.columns].max(-1), atol=1e-5
    )


async def test_train_shows_the_same_rows(opened: Any) -> None:
    async with opened(TEXT, size=(120, 50)) as (app, pilot):
        await reread(app, pilot, "0")
        await pilot.press("t")
        train = app.program.train
        assert train is not None
        train._view.styles.display = "block"
        tuned = cells(app, "tuned")
        train.show_cells(FittedCells("tuned", 0, tuned, app.explore.state.texts))
        pane = train._view.query_one("Pane")
        assert pane.grid._rows == ("0", "2")
        assert str(pane.border_subtitle) == "rows 0"
        np.testing.assert_array_equal(pane.grid.cells.top_ids, tuned.top_ids)
        other = Cells(**{name: getattr(tuned, name)[:1] for name in tuned.__slots__})
        train.show_cells(FittedCells("tuned", 0, other, {}))  # of a reading that Explore does not show yet


# final norm


async def test_without_the_final_norm(opened: Any, tiny_model: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        ids = ids_of(tiny_model)
        await pilot.press("down", "left")
        await reread(app, pilot, words={"final_norm": "off"})
        assert mark(app) == "prompt · no final norm"
        assert app.explore.panes.cursor == Cursor(2, len(ids) - 2)
        bare = probs(tiny_model, ids, final_norm=False)
        check(cells(app), bare)
        check(cells(app, "tuned"), probs(tiny_model, ids, tuned=True))
        await pilot.press("enter")
        screen = app.screen
        assert isinstance(screen, CellScreen)
        await until(pilot, lambda: "no final norm" in str(screen.query_one("#cell-title", Static).render()))
        order = np.argsort(-bare[2, -2])
        assert [int(line[-4]) for line in lines(app, "logit")][:9] == order[:9].tolist()
        await pilot.press("escape")
        await pilot.press("a")
        await until(pilot, lambda: app.explore.grids[0].read_columns == len(ids) + 1)
        check(cells(app), probs(tiny_model, [*ids, int(bare[2, -2].argmax())], final_norm=False))


# BOS and chat


async def test_bos(opened: Any, tiny_model: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        ids = ids_of(tiny_model)
        await pilot.press("left", "left", "left")
        token = app.explore.state.columns[app.explore.panes.cursor.column]
        await reread(app, pilot, words={"bos": "with"})
        assert app.explore.state.columns == (
            "<bos>",
            *(chr(letter) if letter != 32 else "·" for letter in TEXT.encode()),
        )
        assert mark(app) == "prompt · with BOS"
        assert app.explore.state.columns[app.explore.panes.cursor.column] == token
        check(cells(app), probs(tiny_model, [0, *ids]))
        await reread(app, pilot, words={"bos": "without"})
        assert mark(app) == "prompt · no BOS"
        check(cells(app), probs(tiny_model, ids))


async def test_chat(opened: Any, chat_model: Path, chat_tokenizer: Any) -> None:
    messages = [{"role": "user", "content": TEXT}]
    theirs = chat_tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    async with opened(TEXT, folder=chat_model) as (app, pilot):
        await pilot.press("left")
        await reread(app, pilot, words={"chat": "on"})
        assert mark(app) == "prompt · chat"
        assert "".join(app.explore.state.columns) == "<bos><user>Hello,·you<assistant>"
        assert app.explore.panes.cursor.column == len(theirs) - 1
        check(cells(app), probs(chat_model, theirs))
        assert app.explore.query_one(PromptBox).prompt == TEXT
        token = int(cells(app).top_ids[3, -1, 0])
        await pilot.press("a")
        await until(pilot, lambda: app.explore.grids[0].read_columns == len(theirs) + 1)
        check(cells(app), probs(chat_model, [*theirs, token]))

        screen = await ask(pilot, words={"bos": "with"})  # which is the template's matter
        assert "BOS is as the template has it" in wrong(screen)
        await pilot.press("escape")
        assert app.explore.reading == Reading(chat=True)

        await pilot.press("i", "ctrl+u", *"refuse", "enter")  # a text that the template does not take
        await until(pilot, lambda: "cannot be applied: I will not." in said(app))
        assert mark(app) == "prompt · chat"


async def test_a_reading_that_fails_leaves_all_as_it_was(opened: Any, chat_model: Path) -> None:
    async with opened("I refuse", folder=chat_model) as (app, pilot):
        before = cells(app)
        await ask(pilot, words={"chat": "on"})
        await until(pilot, lambda: "cannot be applied" in said(app))
        assert mark(app) == "prompt"
        assert app.explore.reading == Reading()
        token = int(before.top_ids[3, -1, 0])
        columns = len(app.explore.state.columns)
        await pilot.press("a")
        await until(pilot, lambda: app.explore.grids[0].read_columns == columns + 1)
        check(cells(app), probs(chat_model, [*ids_of(chat_model, "I refuse"), token]))


# the cursor


@given(
    rows=st.lists(st.integers(0, 9), min_size=1, unique=True).map(sorted),
    label=st.integers(0, 9),
)
def test_the_nearest_row(rows: list[int], label: int) -> None:
    labels = row_labels(9)
    found = rows[nearest(labels[label], [labels[row] for row in rows])]
    assert abs(found - label) == min(abs(row - label) for row in rows)
    assert nearest("3.attn", ["3.mlp", "3", "3.attn"]) == 2
    assert nearest("3.attn", ["emb", "2", "5"]) == 1
