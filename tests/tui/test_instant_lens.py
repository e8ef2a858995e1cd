"""The instant lens on screen: it comes by itself, says what it is, and gives way to everything."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text
from textual.pilot import Pilot

from lenstui.fitting import instant, loop
from lenstui.fitting.state import Fit
from lenstui.jobs.chosen_model import Chosen
from lenstui.jobs.fit_messages import Phase
from lenstui.jobs.instant_messages import InstantPhase
from lenstui.lens import open_lens
from lenstui.support import paths
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.shared.status_bar import StatusBar
from tests.tiny.folders import neox_in
from tests.tui.pilots.fit_pilot import (
    begin,
    endless,
    few_stories,
    folder,
    notes,
    open_form,
    text,
    until_phase,
)
from tests.tui.pilots.looking import Over, subtitle, until

__all__ = ["endless", "few_stories", "folder", "text"]
HINT = "No tuned lens yet: t trains one, o opens one."

Open = Callable[..., Any]


@pytest.fixture(autouse=True)
def _own(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of this test alone, and little text."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(instant, "TOKENS", (512, 256))


@pytest.fixture
def start(tiny_model: Path) -> Open:
    """Open the program on the tiny model, without a lens, and wait until its prompt is read."""

    @asynccontextmanager
    async def open_app(
        *, on: bool = True, size: tuple[int, int] = (120, 40)
    ) -> AsyncIterator[tuple[LenstuiApp, Pilot[None]]]:
        app = LenstuiApp(Start(prompt="Hello, you", model=str(tiny_model), instant=on), depth=1)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: subtitle(app).endswith(" s"))
            yield app, pilot

    return open_app


@dataclass
class Held:
    """The instant lenses that do not come to their end until they are let go.

    Attributes:
        under_way: the names of the models whose lens is being made, one for each piece of work.
        go: lets all of them go on.
    """

    under_way: list[str] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """No instant lens comes to its end: after the first piece of work it hands over the same progress."""
    held, over, steps = Held(), threading.Event(), loop.closed_form_steps

    def waiting(fit: Fit) -> Iterator[Any]:
        for progress in steps(fit):
            yield progress
            while not held.go.is_set():
                if over.wait(0.005):
                    raise Over
                held.under_way.append(fit.model.name)
                yield progress

    monkeypatch.setattr(loop, "closed_form_steps", waiting)
    yield held
    over.set()


def title(app: LenstuiApp, place: int = 1) -> str:
    return Text.from_markup(str(app.explore.panes.pane(place).border_title)).plain


def hint(app: LenstuiApp) -> str:
    """What is said below the only pane."""
    return str(app.explore.panes.pane(0).border_subtitle)


def top_line(app: LenstuiApp) -> str:
    return str(app.explore.query_one(StatusBar).render())


def phase(app: LenstuiApp) -> InstantPhase:
    return app.program.instant.status.phase


def is_made(app: LenstuiApp) -> bool:
    return phase(app) is InstantPhase.MADE and "KL" in top_line(app)


async def test_its_pane_opens_by_itself_and_says_what_it_is(start: Open) -> None:
    async with start() as (app, pilot):
        await until(pilot, lambda: is_made(app))
        await until(pilot, lambda: app.explore.grids[1].cells is not None)
        assert title(app) == "instant lens · probability"
        kl = open_lens(next(paths.instant_lenses().iterdir())).fit["held_out_kl"]
        assert f"instant lens · closed form, 512 tokens · KL {sum(kl) / 3:.2f}" in top_line(app)
        assert app.explore.look().lens_file == ""  # it is no choice of the user's
        logit, tuned = (grid.cells for grid in app.explore.grids)
        assert logit is not None
        assert tuned is not None
        assert (logit.kl[0] != tuned.kl[0]).any()


async def test_the_next_time_it_is_there_at_once(start: Open, held: Held) -> None:
    held.go.set()
    async with start() as (app, pilot):
        await until(pilot, lambda: is_made(app))
    held.go.clear()
    async with start() as (app, pilot):
        assert title(app) == "instant lens · probability"
        assert "closed form, 512 tokens · KL" in top_line(app)
        await pilot.pause(0.3)
        assert phase(app) is InstantPhase.NONE
        assert not held.under_way
        assert app.explore.look().lens_file == ""  # the next session is not bound to it


async def test_none_is_made_where_that_is_turned_off(start: Open, held: Held) -> None:
    async with start(on=False) as (app, pilot):
        await pilot.pause(0.3)
        assert (phase(app), hint(app)) == (InstantPhase.NONE, HINT)
        assert "tuned lens: none" in top_line(app)
    assert not held.under_way
    assert not paths.instant_lenses().exists()


async def test_none_is_made_where_there_is_a_lens(opened: Any, held: Held) -> None:
    async with opened("Hello, you", instant=True) as (app, pilot):
        await pilot.pause(0.3)
        assert phase(app) is InstantPhase.NONE
        await pilot.press("escape", "O")
        await until(pilot, lambda: "A lens that was fitted is in use" in notes(app))
    assert not held.under_way


async def test_a_prompt_is_read_first(start: Open, held: Held) -> None:
    async with start() as (app, pilot):
        await until(pilot, lambda: held.under_way)
        assert "No tuned lens yet, but an instant one soon: closed form" in hint(app)
        await pilot.press("i", "end", "!", "enter")
        await until(pilot, lambda: app.explore.state.prompt == "Hello, you!" and subtitle(app).endswith(" s"))
        assert len(app.explore.state.columns) == len("Hello, you!")
        assert phase(app) is InstantPhase.WORKING
        held.go.set()
        await until(pilot, lambda: is_made(app))
        cells = app.explore.grids[1].cells
        assert cells is not None
        assert cells.kl.shape[1] == len("Hello, you!")


async def test_another_model_ends_it(
    start: Open, held: Held, tmp_path: Path, byte_tokenizer: Any, tiny_model: Path
) -> None:
    other = neox_in(tmp_path / "other", byte_tokenizer, seed=3, blocks=2)
    async with start() as (app, pilot):
        await until(pilot, lambda: held.under_way)
        app.model_switch.open(Chosen(str(other)))
        await until(pilot, lambda: str(other) in held.under_way)
        assert set(held.under_way[held.under_way.index(str(other)) :]) == {str(other)}
        held.go.set()
        await until(pilot, lambda: is_made(app))
        assert "other" in top_line(app)
        assert len(list(paths.instant_lenses().iterdir())) == 1
    assert str(tiny_model) in held.under_way


async def test_a_lens_that_is_opened_ends_it(start: Open, held: Held, tiny_model: Path) -> None:
    async with start() as (app, pilot):
        await until(pilot, lambda: held.under_way)
        app.program.lenses.open(tiny_model / "lens.pt", app.program.post)
        await until(pilot, lambda: title(app) == "tuned lens · probability")
        await until(pilot, lambda: phase(app) is InstantPhase.NONE)
        held.go.set()
        await pilot.pause(0.3)
        assert "tuned lens: lens" in top_line(app)


async def test_a_fit_ends_it_and_it_begins_again_after_one_that_was_discarded(
    start: Open, held: Held, text: Path, endless: None
) -> None:
    async with start() as (app, pilot):
        await until(pilot, lambda: held.under_way)
        await begin(app, pilot, text)
        await until_phase(app, pilot, Phase.RUNNING)
        await until(pilot, lambda: phase(app) is InstantPhase.NONE)
        count = len(held.under_way)
        await pilot.pause(0.2)
        assert len(held.under_way) == count
        app.training.discard()
        await until(pilot, lambda: len(held.under_way) > count)
        held.go.set()
        await until(pilot, lambda: is_made(app))


async def test_what_takes_long_is_offered(start: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instant, "LIMIT", 0.0)
    async with start() as (app, pilot):
        await until(pilot, lambda: phase(app) is InstantPhase.OFFERED)
        await until(pilot, lambda: "O makes one" in hint(app))
        assert hint(app).startswith("No tuned lens yet: t trains one, o opens one, O makes one in about ")
        await pilot.press("escape", "O")
        await until(pilot, lambda: is_made(app))
        assert "closed form, 256 tokens" in top_line(app)
        await pilot.press("O")
        await until(pilot, lambda: "It is in use already" in notes(app))


async def test_what_cannot_be_made_is_said_once(start: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instant, "general_sample", lambda: Path("/nowhere/general.parquet"))
    async with start() as (app, pilot):
        await until(pilot, lambda: phase(app) is InstantPhase.FAILED)
        await until(pilot, lambda: "No instant lens: There is no file /nowhere" in notes(app))
        assert hint(app) == HINT


async def test_where_nothing_can_be_kept_it_is_in_use_all_the_same(start: Open, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    async with start() as (app, pilot):
        await until(pilot, lambda: is_made(app))
        await until(pilot, lambda: "is not kept" in notes(app))
        assert title(app) == "instant lens · probability"


async def test_a_fit_goes_on_from_it(start: Open, text: Path) -> None:
    async with start() as (app, pilot):
        await until(pilot, lambda: is_made(app))
        await open_form(app, pilot, text)
        line = app.screen.query_one("#line-start")
        assert line.display
        app.screen.query_one("#preset").value = "adam"
        await pilot.pause()
        assert not line.display
        app.screen.query_one("#preset").value = "quick"
        await pilot.pause()
        app.screen.query_one("#start").focus()
        await pilot.press("enter")
        await until_phase(app, pilot, Phase.KEPT)
        lens = open_lens(next(paths.lenses().glob("*.pt")))
        assert lens.fit["method"] == "instant lens (closed form, 512 tokens), then KL"
        await until(pilot, lambda: title(app) == "tuned lens · probability")


async def test_or_from_a_closed_form_of_its_own(start: Open, text: Path) -> None:
    async with start() as (app, pilot):
        await until(pilot, lambda: is_made(app))
        await open_form(app, pilot, text)
        app.screen.query_one("#starts-from").focus()
        await pilot.press("right", "tab")
        app.screen.query_one("#start").focus()
        await pilot.press("enter")
        await until_phase(app, pilot, Phase.KEPT)
        lens = open_lens(next(paths.lenses().glob("*.pt")))
        assert lens.fit["method"] == "closed form, then KL"
