"""`s` takes the blocks apart: by value, by keyboard, and with no number where there is none."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from lenstui.jobs.messages import ReadDone, ReadStarted, TileRead
from lenstui.lens import LensError
from lenstui.readout.cells import Cells
from lenstui.readout.reading import Reading
from lenstui.readout.values import KL
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.ask_reading import AskReading
from lenstui.tui.explore.cell import CellScreen
from lenstui.tui.explore.detail import CellView, Detail
from lenstui.tui.explore.pin_line import PinLine
from lenstui.tui.explore.pin_plot import PinPlot
from lenstui.tui.grid.grid import Cursor
from lenstui.tui.grid.legend import Legend
from lenstui.tui.shared.ask_word import AskWord
from lenstui.tui.shared.choice import Choice
from tests.by_hand.made_up import COLUMNS, WORDS
from tests.by_hand.made_up import cells as made_up
from tests.tui.pilots.cell_pilot import lines
from tests.tui.pilots.looking import keys_of, said, subtitle, until
from tests.tui.pilots.reread_pilot import cells, ids_of, mark
from tests.tui.pilots.still import MODEL, SIZES, show, side_tile, still

__all__ = ["still"]

TEXT = "Hello, you"
STREAM = ("emb", "0", "1", "2")
ROWS = ("emb", "0.attn", "0.mlp", "0", "1.attn", "1.mlp", "1", "2.attn", "2.mlp", "2")
WITH_MID = tuple(
    label for k in range(3) for label in (f"{k}.attn", f"{k}.mid", f"{k}.mlp", str(k))
)  # below them is emb
NO_LENS_FOR = "No tuned lens is fitted for row 1.attn."


@pytest.fixture(scope="module")
def sequential(tiny_model: Path) -> Path:
    """The same weights, the MLP behind attention."""
    folder = tiny_model.with_name("sequential")
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"use_parallel_residual": False}))
    return folder


def contributions(folder: Path, ids: list[int]) -> dict[str, np.ndarray]:
    """Logits `[cols, vocabulary]` of every part and every `mid`, by transformers' own modules."""
    import torch
    from transformers import AutoModelForCausalLM

    module = AutoModelForCausalLM.from_pretrained(folder).double()
    norm, head = module.gpt_neox.final_layer_norm, module.get_output_embeddings()
    seen: dict[str, Any] = {}
    for k, block in enumerate(module.gpt_neox.layers):
        block.register_forward_pre_hook(lambda _, args, k=k: seen.update({f"{k}.in": args[0][0]}))
        block.attention.register_forward_hook(lambda _, args, out, k=k: seen.update({f"{k}.attn": out[0][0]}))
        block.mlp.register_forward_hook(lambda _, args, out, k=k: seen.update({f"{k}.mlp": out[0]}))
    norm.register_forward_pre_hook(lambda _, args: seen.update(last=args[0][0]))
    with torch.no_grad():
        module(torch.tensor([ids]))
        last = seen["last"] - seen["last"].mean(-1, keepdim=True)
        scale = (last.square().mean(-1, keepdim=True) + norm.eps).sqrt()
        logits = {}
        for k in range(3):
            for part in (f"{k}.attn", f"{k}.mlp"):
                centred = seen[part] - seen[part].mean(-1, keepdim=True)
                logits[part] = head(centred / scale * norm.weight).numpy()
            logits[f"{k}.mid"] = head(norm(seen[f"{k}.in"] + seen[f"{k}.attn"])).numpy()
    return logits


async def toggle(app: LenstuiApp, pilot: Pilot[None]) -> None:
    serial = app.explore.state.serial
    await pilot.press("s")
    await until(pilot, lambda: app.explore.state.serial > serial and subtitle(app).endswith(" s"))


async def go_to(pilot: Pilot[None], place: str) -> None:
    await pilot.press("g")
    assert isinstance(pilot.app.screen, AskWord)
    await pilot.press(*["space" if c == " " else "full_stop" if c == "." else c for c in place], "enter")
    await pilot.pause()


def check(app: LenstuiApp, folder: Path) -> None:
    rows, shown = app.explore.state.rows, cells(app)
    for label, logits in contributions(folder, ids_of(folder)).items():
        if label in rows:
            best = -np.sort(-logits, axis=-1)[:, : shown.top_logits.shape[2]]
            np.testing.assert_allclose(shown.top_logits[rows.index(label)], best, rtol=1e-3, atol=1e-3)


async def test_s_shows_what_the_parts_add_and_back(opened: Any, tiny_model: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        explore = app.explore
        before = {lens: cells(app, lens) for lens in ("logit", "tuned")}
        await pilot.press("v", "v")
        scale = app.explore.query_one(Legend).scale
        await go_to(pilot, "row 1")
        await toggle(app, pilot)
        assert (explore.state.rows, mark(app)) == (ROWS, "prompt · sublayers")
        assert explore.state.rows[explore.panes.cursor.row] == "1"  # where it was
        assert "side by side: there is no resid_mid" in said(app)
        check(app, tiny_model)
        places = [ROWS.index(label) for label in STREAM]
        parts = [row for row in range(len(ROWS)) if row not in places]
        for lens, was in before.items():
            for field in fields(Cells):
                now = getattr(cells(app, lens), field.name)
                np.testing.assert_allclose(now[places], getattr(was, field.name), atol=1e-5)
        assert (cells(app, "tuned").top_ids[parts] == -1).all()
        assert np.isnan(cells(app, "tuned").kl[parts]).all()
        assert app.explore.query_one(Legend).scale == scale
        await toggle(app, pilot)
        assert (explore.state.rows, mark(app)) == (STREAM, "prompt")
        np.testing.assert_allclose(cells(app).kl, before["logit"].kl, atol=1e-5)


async def test_where_the_mlp_comes_second_there_is_the_stream_between(opened: Any, sequential: Path) -> None:
    async with opened(TEXT, folder=sequential) as (app, pilot):
        await toggle(app, pilot)
        assert app.explore.state.rows == ("emb", *WITH_MID)
        assert "resid_mid" not in said(app)
        check(app, sequential)
        await go_to(pilot, "1.mid")
        assert app.explore.state.rows[app.explore.panes.cursor.row] == "1.mid"


async def test_a_model_that_cannot_be_taken_apart_is_read_as_before(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: object) -> None:
        raise LensError("What block 1 adds is not the sum of two parts.")

    monkeypatch.setattr("lenstui.model.sublayers.parts_of", refused)
    async with opened(TEXT) as (app, pilot):
        await toggle(app, pilot)
        assert said(app) == "What block 1 adds is not the sum of two parts."
        assert (app.explore.state.rows, mark(app)) == (STREAM, "prompt")
        assert app.explore.reading == app.explore.state.shown_reading == Reading()
        await toggle(app, pilot)  # asks again
        assert said(app) == "What block 1 adds is not the sum of two parts."


async def test_the_dialog_has_it_too(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("b", "down", "down", "down", "down", "right")
        screen = app.screen
        assert isinstance(screen, AskReading)
        choice = screen.query_one("#reading-sublayers", Choice)
        assert choice.has_focus
        assert choice.value == "on"
        await pilot.press("up", "up", "up", "up", "ctrl+u", "1", "enter")
        await until(pilot, lambda: app.explore.state.rows != STREAM and subtitle(app).endswith(" s"))
        assert app.explore.state.rows == ("1.attn", "1.mlp", "1", "2.attn", "2.mlp", "2")
        assert mark(app) == "prompt · rows 1 · sublayers"
        # A tuned lens does not read the first of these rows, and its columns are known to be read.
        assert app.explore.grids[1].read_columns == len(app.explore.state.columns)


async def test_before_a_model_is_open_there_is_nothing_to_take_apart(still: LenstuiApp) -> None:
    async with still.run_test() as pilot:
        still.explore.panes.grids[0].display = True
        still.explore.panes.focus_grid()
        await pilot.press("s")
        assert said(still) == "No model is open yet: there is nothing to take apart."


async def test_what_a_cell_of_a_part_says(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await toggle(app, pilot)
        await go_to(pilot, "row 1.attn")
        detail = app.explore.query_one(Detail)
        await until(pilot, lambda: "1.attn" in str(detail.border_title))
        assert str(detail.border_title).startswith("row 1.attn · the logits that attention adds · column 9")
        tuned = detail.query_one("#detail-1", CellView)
        assert (tuned.facts, str(tuned.render())) == (None, NO_LENS_FOR)
        assert detail.query_one("#detail-0", CellView).facts is not None
        # Its token can be pinned and appended where there is one.
        await pilot.press("tab")
        for key in ("p", "a"):
            await pilot.press(key)
            assert said(app) == NO_LENS_FOR
        await pilot.press("G")
        assert said(app).startswith("A part of a block is no place to stop at")
        await pilot.press("enter")
        screen = app.screen
        assert isinstance(screen, CellScreen)
        title = screen.query_one("#cell-title", Static)
        await until(pilot, lambda: "1.attn" in str(title.render()))
        ids = cells(app).top_ids[app.explore.state.rows.index("1.attn"), -1].tolist()
        assert [int(words[-4]) for words in lines(app, "logit")[: len(ids)]] == ids
        message = screen.query_one("#ranking-1 .ranking--message", Static)
        assert str(message.render()) == NO_LENS_FOR
        await pilot.press("j")  # to emb's side of it: row 0
        await until(pilot, lambda: str(title.render()).startswith("row 0 ·"))
        assert not message.display
        await pilot.press("escape")


async def test_pins_at_a_part_and_by_row(opened: Any) -> None:
    async with opened(TEXT, size=(140, 40)) as (app, pilot):
        await pilot.press("p")
        await until(pilot, lambda: subtitle(app).endswith(" s") and cells(app).pin_ranks.shape[2] == 1)
        await toggle(app, pilot)
        await go_to(pilot, "1.mlp")
        line = app.explore.query_one(PinLine)
        await until(pilot, lambda: line.numbers["tuned"][0] is not None and "–" in str(line.render()))
        logit = line.numbers["logit"][0]
        assert logit is not None
        assert logit.rank == cells(app).pin_ranks[ROWS.index("1.mlp"), -1, 0]
        plot = app.explore.query_one(PinPlot)
        places = [ROWS.index(label) for label in STREAM]
        for lens, drawn in zip(("tuned", "logit"), plot._datasets, strict=True):
            np.testing.assert_allclose(drawn.y, np.exp(cells(app, lens).pin_logprobs[places, -1, 0]))


async def test_generation_goes_on_from_a_row_of_the_stream(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await toggle(app, pilot)
        columns = len(app.explore.state.columns)
        await go_to(pilot, "row 0")
        await pilot.press("G", "enter")
        await until(pilot, lambda: len(app.explore.state.columns) > columns + 2)
        token = cells(app).top_ids[ROWS.index("0"), columns - 1, 0]
        await pilot.press("escape")
        await until(pilot, lambda: not app.explore.parts.growth.is_generating)
        assert app.explore.state.tail[0] == token
        assert app.explore.state.rows == ROWS


async def test_a_row_that_is_not_read_is_said(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await go_to(pilot, "1.attn")
        assert said(app) == "Row 1.attn is not among those that are read: s reads parts of blocks."


async def test_the_keys_tell_of_it(opened: Any) -> None:
    async with opened(TEXT) as (app, _):
        keys = keys_of(app)
        assert any(key.keys == "s" and key.does.startswith("Rows of what attention") for key in keys)


LABELS = (*MODEL.rows[:2], "1.attn", "1.mid", "1.mlp", *MODEL.rows[2:4])
PARTS = slice(2, 5)


async def show_parts(app: LenstuiApp, pilot: Pilot[None]) -> dict[str, Cells]:
    """Post what the model thread would: made-up cells, the parts far from the final distribution."""
    logit, tuned = made_up(4.0), made_up(6.0)
    far = logit.kl.copy()
    far[PARTS] += 50
    absent = {}
    for field in fields(Cells):
        absent[field.name] = getattr(tuned, field.name).copy()
        absent[field.name][PARTS] = np.nan if absent[field.name].dtype == np.float32 else -1
    lenses = {"logit": replace(logit, kl=far), "tuned": Cells(**absent)}
    await show(pilot)
    explore = app.explore
    explore.state.reading = replace(Reading(), sublayers=True)
    explore.state.serial += 1
    explore.post_message(ReadStarted(explore.state.serial, COLUMNS, 0, LABELS))
    tile = side_tile(0, len(COLUMNS), lenses)
    explore.post_message(TileRead(explore.state.serial, tile, dict(enumerate(WORDS))))
    explore.post_message(ReadDone(explore.state.serial, 0.12))
    await pilot.pause()
    return lenses


async def test_what_is_far_off_does_not_stretch_the_scale(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        lenses = await show_parts(still, pilot)
        await pilot.press("v", "v")
        stream = [np.delete(cells_.kl, PARTS, axis=0) for cells_ in lenses.values()]
        assert still.explore.query_one(Legend).scale == KL.scale(stream, MODEL.vocabulary)
        assert KL.scale([cells_.kl for cells_ in lenses.values()], MODEL.vocabulary).hi > 50


@pytest.mark.parametrize("size", SIZES)
def test_how_it_looks(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await show_parts(still, pilot)
        still.explore.grids[0].go_to(Cursor(3, 7))
        still.explore.parts.follower.show()
        await pilot.pause(0.2)

    assert snap_compare(still, terminal_size=size, run_before=look)
