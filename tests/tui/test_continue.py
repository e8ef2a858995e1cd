"""The prompt goes on, by keyboard alone: append, generate, step back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from lenstui.jobs.messages import ReadFailed
from lenstui.jobs.read_request import Generation
from lenstui.readout.cells import Cells
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.detail import TOP_K
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.grid.grid import Cursor
from tests.tui.pilots.generate_pilot import generate
from tests.tui.pilots.looking import do, place, said, subtitle, until
from tests.tui.pilots.still import SIZES, show, still

__all__ = ["still"]

TEXT = "Hello, you"


def cells(app: LenstuiApp, lens: str = "logit") -> Cells:
    read = app.explore.grids[place(lens)].cells
    assert read is not None
    return read


def stem_ids(folder: Path, text: str = TEXT) -> list[int]:
    from transformers import AutoTokenizer

    ids: list[int] = AutoTokenizer.from_pretrained(folder)(text)["input_ids"]
    return ids


def check(app: LenstuiApp, folder: Path, ids: list[int]) -> None:
    """The grids hold what a fresh reading of these ids does, and the tail is what was appended."""
    from lenstui.lens import Prompt, load, open_lens, read_tiles
    from lenstui.readout.tiles import Readout

    model = load(str(folder))
    tiles = read_tiles(model, Prompt("", tuple(ids)), open_lens(folder / "lens.pt"), top_k=TOP_K)
    readout = Readout.join(Prompt("", tuple(ids)), (), tiles)
    for lens in ("logit", "tuned"):
        shown = cells(app, lens)
        np.testing.assert_array_equal(shown.top_ids, readout.lenses[lens].top_ids)
        np.testing.assert_array_equal(shown.next_rank, readout.lenses[lens].next_rank)
        np.testing.assert_allclose(shown.kl, readout.lenses[lens].kl, atol=1e-4)
        np.testing.assert_allclose(shown.next_logprob, readout.lenses[lens].next_logprob, atol=1e-4)
    assert [*app.explore.state.tail] == ids[len(ids) - len(app.explore.state.tail) :]


async def grown(pilot: Pilot[None], app: LenstuiApp, columns: int) -> None:
    await until(
        pilot,
        lambda: len(app.explore.state.columns) == columns and app.explore.grids[0].read_columns == columns,
    )


async def test_append_takes_the_shown_lenss_top_token(opened: Any, tiny_model: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        ids = stem_ids(tiny_model)
        await pilot.press("down", "tab")  # a row where the lenses differ
        expected = int(cells(app, "tuned").top_ids[2, -1, 0])
        assert expected != int(cells(app).top_ids[2, -1, 0])
        await pilot.press("a")
        await grown(pilot, app, len(ids) + 1)
        check(app, tiny_model, [*ids, expected])
        assert app.explore.panes.cursor == Cursor(2, len(ids))
        assert "11 tokens · 1 appended" in subtitle(app)
        assert app.explore.query_one(PromptBox).prompt.startswith(TEXT)


async def test_append_from_any_column_goes_to_the_end(opened: Any, tiny_model: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        ids = stem_ids(tiny_model)
        await pilot.press("left", "left", "left")
        expected = int(cells(app).top_ids[3, -4, 0])
        await pilot.press("a")
        await grown(pilot, app, len(ids) + 1)
        check(app, tiny_model, [*ids, expected])
        assert app.explore.panes.cursor.column == len(ids)


async def test_step_back_and_no_further_than_the_text(opened: Any, tiny_model: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        ids = stem_ids(tiny_model)
        first = int(cells(app).top_ids[3, -1, 0])
        await pilot.press("a")
        await grown(pilot, app, len(ids) + 1)
        await pilot.press("a")
        await grown(pilot, app, len(ids) + 2)
        await pilot.press("backspace")
        await grown(pilot, app, len(ids) + 1)
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        check(app, tiny_model, [*ids, first])
        await pilot.press("U")
        await grown(pilot, app, len(ids))
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        check(app, tiny_model, ids)
        assert app.explore.query_one(PromptBox).prompt == TEXT
        await pilot.press("backspace")
        await pilot.pause()
        assert "No token was appended" in said(app)


async def test_quick_keys_lose_nothing(opened: Any, tiny_model: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        ids = stem_ids(tiny_model)
        await generate(pilot, "6")
        await until(pilot, lambda: not app.explore.parts.growth.is_generating)
        await grown(pilot, app, len(ids) + 6)
        tail = app.explore.state.tail
        await pilot.press(*["backspace"] * 4)
        await grown(pilot, app, len(ids) + 2)
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        check(app, tiny_model, [*ids, *tail[:2]])


async def test_the_model_goes_on_as_transformers_does(opened: Any, tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    async with opened(TEXT) as (app, pilot):
        ids = stem_ids(tiny_model)
        module = AutoModelForCausalLM.from_pretrained(tiny_model)
        expected = module.generate(torch.tensor([ids]), max_new_tokens=8, do_sample=False, eos_token_id=None)[
            0
        ]
        await generate(pilot, "8")
        await until(pilot, lambda: not app.explore.parts.growth.is_generating)
        await grown(pilot, app, len(ids) + 8)
        assert [*app.explore.state.tail] == expected[len(ids) :].tolist()
        check(app, tiny_model, expected.tolist())
        assert app.explore.panes.cursor.column == len(ids) + 7
        assert "18 tokens · 8 appended" in subtitle(app)


async def test_a_row_goes_on_as_if_the_model_stopped_there(opened: Any, tiny_model: Path) -> None:
    from lenstui.lens import generate as say
    from lenstui.lens import load, open_lens

    async with opened(TEXT) as (app, pilot):
        ids = stem_ids(tiny_model)
        lens = open_lens(tiny_model / "lens.pt")
        expected = [*say(load(str(tiny_model)), ids, count=5, row=1, lens=lens, temperature=0.8, seed=0)]
        await pilot.press("tab", "down", "down", "G")
        what = str(app.screen.query_one("#generation-what").render())
        assert "Row 0 goes on by the tuned lens" in what
        app.screen.query_one("#generation-count", Input).value = "5"
        app.screen.query_one("#generation-temperature", Input).value = "0.8"
        await pilot.press("enter")
        await until(
            pilot, lambda: len(app.explore.state.tail) == 5 and not app.explore.parts.growth.is_generating
        )
        assert [*app.explore.state.tail] == expected


async def test_escape_stops_and_what_was_said_stays(
    opened: Any, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lenstui.readout.generation

    say = lenstui.readout.generation.generate

    def slowly(*args: Any, **how: Any) -> Any:
        for token in say(*args, **how):
            time.sleep(0.05)
            yield token

    monkeypatch.setattr(lenstui.readout.generation, "generate", slowly)
    async with opened(TEXT) as (app, pilot):
        ids = stem_ids(tiny_model)
        await generate(pilot, "50")
        await until(pilot, lambda: app.explore.state.tail)
        await pilot.press("escape")
        await until(pilot, lambda: not app.explore.parts.growth.is_generating)
        await pilot.pause(0.3)
        tail = app.explore.state.tail
        assert 0 < len(tail) < 50
        check(app, tiny_model, [*ids, *tail])
        await pilot.press("escape")  # once more does no harm
        await pilot.pause()
        assert app.explore.state.tail == tail


async def test_the_context_is_told(opened: Any, tiny_model: Path) -> None:
    async with opened("x" * 62) as (app, pilot):
        await pilot.press("G")
        assert app.screen.query_one("#generation-count", Input).value == "2"
        app.screen.query_one("#generation-count", Input).value = "3"
        await pilot.press("enter")
        await pilot.pause()
        assert "from 1 to 2" in str(app.screen.query_one("#generation-wrong").render())
        app.screen.query_one("#generation-count", Input).value = "2"
        await pilot.press("enter")
        await grown(pilot, app, 64)
        await until(pilot, lambda: not app.explore.parts.growth.is_generating)
        for key in ("a", "G"):
            await pilot.press(key)
            await pilot.pause()
            assert "The context of 64 columns is full." in said(app)
        assert len(app.explore.state.columns) == 64


@pytest.mark.parametrize(
    ("field", "value", "wrong"),
    [
        ("count", "0", "tokens: a whole number"),
        ("count", "²", "tokens: a whole number"),
        ("temperature", "-1", "temperature: 0 or a positive number"),
        ("temperature", "nan", "temperature: 0 or a positive number"),
        ("seed", "x", "seed: a whole number"),
    ],
)
async def test_wrong_numbers_are_told(opened: Any, field: str, value: str, wrong: str) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("G")
        app.screen.query_one(f"#generation-{field}", Input).value = value
        await pilot.press("enter")
        await pilot.pause()
        assert wrong in str(app.screen.query_one("#generation-wrong").render())
        await pilot.press("escape")
        assert not app.explore.parts.growth.is_generating


async def test_end_of_text_is_told(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import lenstui.readout.generation

    def ends(model: Any, ids: Any, **how: Any) -> Any:
        yield 40
        yield 1

    monkeypatch.setattr(lenstui.readout.generation, "generate", ends)
    async with opened(TEXT) as (app, pilot):
        await generate(pilot, "9")
        await until(pilot, lambda: "2 of 9: the text ends here: <eos>" in subtitle(app))
        assert app.explore.state.tail == (40, 1)


async def test_fewer_than_were_asked_for_are_told(opened: Any) -> None:
    async with opened("x" * 62) as (app, pilot):
        app.explore.parts.growth.go_on(Generation(5, None, "logit", temperature=0.0, seed=0))
        await until(pilot, lambda: "2 of 5: the context of 64 columns is full" in subtitle(app))
        assert len(app.explore.state.tail) == 2


async def test_editing_folds_the_tail_into_the_text(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("a")
        await grown(pilot, app, 11)
        await pilot.press("i", "enter")  # read again as it is
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        assert len(app.explore.state.tail) == 1
        assert len(app.explore.state.columns) == 11
        await pilot.press("i", "ctrl+u", "a", "b", "enter")
        await until(pilot, lambda: subtitle(app).startswith("2 tokens"))
        assert app.explore.state.tail == ()


async def test_a_token_that_cannot_be_read_leaves_the_tail_as_it_was(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lenstui.readout.tiles

    async with opened(TEXT) as (app, pilot):
        whole = lenstui.readout.tiles.read_tiles

        def fails(*args: Any, **options: Any) -> Any:
            raise RuntimeError("out of memory")

        monkeypatch.setattr(lenstui.readout.tiles, "read_tiles", fails)
        await pilot.press("a")
        await until(pilot, lambda: "out of memory" in said(app))
        monkeypatch.setattr(lenstui.readout.tiles, "read_tiles", whole)
        await pilot.press("i", "z", "enter")
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        app.explore.post_message(ReadFailed(-1, "of another"))
        assert app.explore.state.tail == ()


async def test_nothing_read_cannot_go_on(opened: Any) -> None:
    async with opened("") as (app, pilot):
        for key, why in (
            ("append", "not read yet"),
            ("generate", "No prompt yet"),
            ("step_back", "No token"),
        ):
            await do(app, key)
            await pilot.pause()
            assert why in said(app)


@pytest.mark.parametrize("size", SIZES)
def test_how_it_asks(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def ask(pilot: Pilot[None]) -> None:
        await show(pilot)
        await pilot.press("down", "down", "tab", "G")
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=ask)
