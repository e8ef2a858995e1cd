"""`f` leaves tokens without a letter or digit out of the cells, says so, and changes no number."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from textual.pilot import Pilot

from lenstui.readout.cells import Cells
from lenstui.readout.reading import Reading
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.cell import CellScreen
from lenstui.tui.explore.detail import Detail
from lenstui.tui.grid.panes import Panes
from lenstui.tui.session.session import Session
from tests.tui.pilots.beside_pilot import titles
from tests.tui.pilots.cell_pilot import lines
from tests.tui.pilots.export_pilot import copy, write
from tests.tui.pilots.looking import said, subtitle, until
from tests.tui.pilots.reread_pilot import cells, ids_of, mark, probs

TEXT = "Hello, you!"
SHOWN = {"top_ids", "top_logits", "top_probs"}


async def toggle(app: LenstuiApp, pilot: Pilot[None]) -> None:
    serial = app.explore.state.serial
    await pilot.press("f")
    await until(pilot, lambda: app.explore.state.serial > serial and subtitle(app).endswith(" s"))


def is_word(app: LenstuiApp, token: int) -> bool:
    return any(map(str.isalnum, app.explore.state.texts[token]))


async def test_the_cells_show_words_and_their_own_probabilities(opened: Any, tiny_model: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        before = {lens: cells(app, lens) for lens in ("logit", "tuned")}
        await pilot.press("left", "left", "up")
        here = app.explore.panes.cursor
        await toggle(app, pilot)
        assert app.explore.panes.cursor == here
        wanted = probs(tiny_model, ids_of(tiny_model, TEXT))
        words = [token for token in range(300) if app_is_word(tiny_model, token)]
        ours = cells(app)
        np.testing.assert_allclose(ours.top_probs[..., 0], wanted[..., words].max(-1), atol=1e-5)
        for lens, were in before.items():
            now = cells(app, lens)
            assert all(is_word(app, token) for token in now.top_ids.ravel().tolist())
            assert (now.top_ids != were.top_ids).any()
            for field in fields(Cells):
                if field.name not in SHOWN:
                    np.testing.assert_array_equal(getattr(now, field.name), getattr(were, field.name))
        await toggle(app, pilot)
        np.testing.assert_array_equal(cells(app).top_ids, before["logit"].top_ids)
        assert titles(app)[0].endswith("· probability") and mark(app) == "prompt"


def app_is_word(folder: Path, token: int) -> bool:
    """One token is one byte: a letter or digit of ASCII."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.convert_ids_to_tokens(token)
    return text is not None and any(character.isascii() and character.isalnum() for character in text)


async def test_frames_say_it_and_what_is_of_all_tokens(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("c")
        settles = str(app.explore.panes.pane(0).border_subtitle)
        await toggle(app, pilot)
        assert all(title.endswith(" · probability · words only") for title in titles(app))
        assert mark(app) == "prompt · words only"
        now = str(app.explore.panes.pane(0).border_subtitle)
        assert now.startswith("all tokens: median row") and settles.startswith("settles: median row")
        await until(pilot, lambda: "words only" in str(app.explore.query_one(Detail).border_subtitle))
        assert "all tokens settle at" in str(app.explore.query_one(Detail).border_subtitle)
        await pilot.press("v")
        assert titles(app)[0].endswith(" · entropy · words only")
        await pilot.press("v", "d")
        assert "words only" in str(app.explore.panes.query("#pane-difference").first().border_title)
        await pilot.press("d", "F", "enter")
        await until(pilot, lambda: "first top-1" in said(app) or "never" in said(app))
        assert "All tokens count here, not words only." in said(app)


async def test_the_list_of_a_cell_has_ranks_of_all_tokens(opened: Any, tiny_model: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        await toggle(app, pilot)
        row, column = app.explore.panes.cursor.row, app.explore.panes.cursor.column
        wanted = probs(tiny_model, ids_of(tiny_model, TEXT))[row, column]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, CellScreen) and lines(app, "logit"))
        shown = lines(app, "logit")
        assert "words of 300" in str(app.screen.query_one("#ranking-0").border_subtitle)
        for rank, *_, token, _, _, _ in shown[:10]:
            assert int(rank) == (wanted > wanted[int(token)]).sum()
        assert [int(rank) for rank, *_ in shown[:10]] != list(range(10))


async def test_exports_and_the_command_say_it(opened: Any, tmp_path: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        await toggle(app, pilot)
        await write(app, pilot, "json", tmp_path / "out.json")
        content = json.loads((tmp_path / "out.json").read_text())
        assert content["words_only"] is True
        assert content["lenses"]["logit"]["top_ids"] == cells(app).top_ids[..., :3].tolist()
        assert "words only" in (await copy(app, pilot, "cell")).splitlines()[0]
        assert "lens · words only\trow" in await copy(app, pilot, "table")
        await pilot.press("Y")
        await until(pilot, lambda: "--words-only" in app.clipboard)


async def test_it_stays_for_the_next_session(tmp_path: Path, tiny_model: Path) -> None:
    folder, path = tmp_path / "model", tmp_path / "session.json"
    shutil.copytree(tiny_model, folder)

    def begun() -> LenstuiApp:
        session = Session(path)
        start, look = session.resume(Start(model=str(folder)))
        return LenstuiApp(start, session=session, look=look)

    app = begun()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        await toggle(app, pilot)
        await pilot.press("q")
    app = begun()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        assert app.explore.state.shown_reading == Reading(words_only=True)
        assert app.explore.query_one(Panes).words_only
        assert titles(app)[0].endswith("words only")


async def test_the_key_is_free_for_it(opened: Any) -> None:
    async with opened(TEXT) as (app, _):
        bindings = app.explore._bindings.get_bindings_for_key("f")
        assert [binding.id for binding in bindings] == ["explore.words_only"]
