"""`o`, then `h`: the lenses on the hub for the open model, seen and downloaded as a user does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from lenstui.lens.origin import Origin
from lenstui.lens.published.matching import Suits
from lenstui.model.hub import hub_cache
from lenstui.tui.app import LenstuiApp
from lenstui.tui.lenses.hub_list import HubList
from lenstui.tui.lenses.hub_table import HubTable
from lenstui.tui.lenses.screen import Lenses
from lenstui.tui.lenses.sheet import LensSheet
from lenstui.tui.lenses.table import LensTable
from tests.programs.fake_hub import own_cache
from tests.programs.lens_hub import (
    LIBRARY,
    NEURONPEDIA,
    PLUS_PLUS,
    WORKSPACE,
    LensHub,
    Repository,
    fill,
    lens_hub,
    reference_file,
)
from tests.tui.pilots.lenses_pilot import TEXT, go, names, notes
from tests.tui.pilots.looking import footer, said, until

__all__ = ["lens_hub", "own_cache"]

BLOCKS, D = 3, 32  # of the tiny model, whose folder is called "tiny"


@pytest.fixture(autouse=True)
def own_data(own_cache: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def on_hub(app: LenstuiApp) -> list[str]:
    return [lens.name for lens in app.screen.query_one(HubTable)._lenses]


def below(app: LenstuiApp) -> str:
    """What stands below the list of the hub."""
    return str(app.screen.query_one("#hub-hint", Static).render())


def card(app: LenstuiApp) -> str:
    from rich.console import Console

    sheet = app.screen.query_one(LensSheet).sheet
    assert sheet is not None
    console = Console(width=200)
    with console.capture() as capture:
        console.print(sheet)
    return capture.get()


async def ask(app: LenstuiApp, pilot: Any, lenses: int) -> None:
    """Open the list, ask the hub, and wait for so many lenses."""
    await go(app, pilot)
    await pilot.press("h")
    await until(pilot, lambda: len(on_hub(app)) == lenses and not app.program.published.status.is_searching)


async def highlight(app: LenstuiApp, pilot: Any, part: str) -> None:
    table = app.screen.query_one(HubTable)
    table.highlighted = next(i for i, name in enumerate(on_hub(app)) if part in name)
    await pilot.pause()


async def test_nothing_is_asked_before_the_user_asks(opened: Any, lens_hub: LensHub) -> None:
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        assert "h On the hub" in footer(app)
        assert not app.screen.query_one(HubList).display
        assert lens_hub.asked == []


async def test_those_for_the_model_are_listed_and_one_is_downloaded_and_used(
    opened: Any, lens_hub: LensHub
) -> None:
    fill(lens_hub, "acme/tiny", BLOCKS, D)
    async with opened(TEXT) as (app, pilot):
        await ask(app, pilot, 7)
        assert app.screen.query_one(HubList).display
        assert [lens.suits for lens in app.program.published.status.lenses] == (
            [Suits.YES] * 5 + [Suits.PERHAPS] * 2
        )
        await highlight(app, pilot, "the-slug/jlens/pile/tiny_jacobian_lens.pt")
        assert "named for the open model" in card(app)
        assert NEURONPEDIA in card(app)
        assert lens_hub.repositories["model", NEURONPEDIA].commit("main")[:12] in card(app)
        assert "no: Enter downloads it" in card(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.explore)
        files = app.program.model.lens_files
        lens = next(file for file in files if file.name == "tiny_jacobian_lens.pt")
        assert lens.is_relative_to(hub_cache())

        await go(app, pilot)
        await until(pilot, lambda: "tiny_jacobian_lens" in names(app))
        table = app.screen.query_one(LensTable)
        table.highlighted = names(app).index("tiny_jacobian_lens")
        table.focus()
        await until(pilot, lambda: f"{NEURONPEDIA} · the-slug/jlens/pile" in card(app))
        origin = Origin.in_fit(table.chosen.card.fit)
        assert origin is not None
        assert origin.commit == lens_hub.repositories["model", NEURONPEDIA].commit("main")
        assert len(on_hub(app)) == 7  # still known
        await until(
            pilot,
            lambda: any(
                lens.name in app.program.published.status.here for lens in app.program.published.status.lenses
            ),
        )


async def test_a_library_folder_is_used(opened: Any, lens_hub: LensHub) -> None:
    fill(lens_hub, "acme/tiny", BLOCKS, D)
    async with opened(TEXT, lens=False) as (app, pilot):
        await ask(app, pilot, 7)
        await highlight(app, pilot, LIBRARY)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.explore)
        assert app.program.model.lens == "tiny"


async def test_one_that_nothing_names_is_downloaded_at_the_second_enter(
    opened: Any, lens_hub: LensHub
) -> None:
    fill(lens_hub, "acme/tiny", BLOCKS, D)
    async with opened(TEXT) as (app, pilot):
        await ask(app, pilot, 7)
        await highlight(app, pilot, f"{WORKSPACE}/the-slug/r-lens")
        assert "perhaps for the open model" in card(app)
        before = list(lens_hub.got)
        await pilot.press("enter")
        await pilot.pause()
        assert "Enter again downloads its" in below(app)
        assert lens_hub.got == before
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.explore)
        assert any(file.name == "lens.pt" for file in app.program.model.lens_files)


def large(hub: LensHub) -> None:
    """One lens, of another shape than the tiny model's, that takes a while."""
    hub.put(NEURONPEDIA, {"slug/jlens/text/tiny_jacobian_lens.pt": reference_file(6, 500)})


async def test_esc_stops_a_download_and_enter_goes_on_with_it(opened: Any, lens_hub: LensHub) -> None:
    large(lens_hub)
    lens_hub.hold = True
    async with opened(TEXT) as (app, pilot):
        await ask(app, pilot, 1)
        await pilot.press("enter")
        await until(pilot, lambda: "esc stops" in below(app) and "━" in below(app))
        await pilot.press("enter")
        await pilot.pause()
        assert "It is being downloaded: esc stops that." in said(app)
        await pilot.press("escape")
        await until(pilot, lambda: "The download was stopped: what came is kept" in below(app))
        assert isinstance(app.screen, Lenses)
        (part,) = hub_cache().rglob("*.lenstui-part")
        there = part.stat().st_size
        assert there > 0
        lens_hub.hold = False
        lens_hub.got.clear()
        await pilot.press("enter")
        # It is for another shape: both are named, and the lens in use stays.
        await until(pilot, lambda: "width 500" in notes(app))
        assert "3 blocks and width 32" in notes(app)
        assert lens_hub.got == [("slug/jlens/text/tiny_jacobian_lens.pt", f"bytes={there}-")]
        await pilot.press("escape")  # nothing to stop any more: back
        await until(pilot, lambda: app.screen is app.explore)


async def leave_during_a_download(app: LenstuiApp, pilot: Pilot[None]) -> None:
    """Begin to download the second lens, and go back to Explore once its bar is there."""
    await ask(app, pilot, 1)
    await pilot.press("enter")
    await until(pilot, lambda: "━" in below(app))
    await pilot.press("q")
    await until(pilot, lambda: app.screen is app.explore)


async def test_a_download_goes_on_behind_explore_and_says_when_it_is_done(
    opened: Any, lens_hub: LensHub
) -> None:
    large(lens_hub)
    lens_hub.hold = True
    async with opened(TEXT) as (app, pilot):
        await leave_during_a_download(app, pilot)
        await go(app, pilot)
        await until(pilot, lambda: "esc stops" in below(app))  # seen again
        await pilot.press("q")
        lens_hub.hold = False
        lens_hub.go_on.set()
        await until(pilot, lambda: "tiny_jacobian_lens.pt: o lists it" in said(app))


async def test_quitting_waits_for_no_download(opened: Any, lens_hub: LensHub) -> None:
    large(lens_hub)
    lens_hub.hold = True
    async with opened(TEXT) as (app, pilot):
        await leave_during_a_download(app, pilot)
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running, limit=5)


@pytest.mark.parametrize(
    ("repository", "line"),
    [
        (Repository({"main": {}}, (403, "GatedRepo")), "is gated: accept its terms"),
        (Repository({"main": {}}, (401, "RepoNotFound")), f"has no model {PLUS_PLUS}"),
        (Repository({"main": {"x": b""}}), "it is laid out otherwise"),
    ],
)
async def test_a_repository_that_is_refused_stands_below_the_others(
    opened: Any, lens_hub: LensHub, repository: Repository, line: str
) -> None:
    fill(lens_hub, "acme/tiny", BLOCKS, D)
    lens_hub.repositories["model", PLUS_PLUS] = repository
    async with opened(TEXT) as (app, pilot):
        await ask(app, pilot, 6)
        assert line in below(app)


async def test_offline_the_reason_stands_there(
    opened: Any, lens_hub: LensHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        await pilot.press("h")
        await until(pilot, lambda: "HF_HUB_OFFLINE is set: unset it" in below(app))
        assert lens_hub.asked == []


async def test_a_download_that_fails_says_why(opened: Any, lens_hub: LensHub) -> None:
    large(lens_hub)
    async with opened(TEXT) as (app, pilot):
        await ask(app, pilot, 1)
        lens_hub.cuts, lens_hub.after_cuts = 1, 403
        await pilot.press("enter")
        await until(pilot, lambda: "what came is kept, and the download goes on from there" in below(app))
        assert app.program.published.status.download is None


async def test_where_there_is_none_it_says_so(opened: Any, lens_hub: LensHub) -> None:
    fill(lens_hub, "acme/other", BLOCKS, 8 * D)
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        await pilot.press("h")
        await until(pilot, lambda: "No lens for this model is in the repositories" in below(app))


async def test_the_parts_take_turns_and_compare_says_what_to_do_first(opened: Any, lens_hub: LensHub) -> None:
    fill(lens_hub, "acme/tiny", BLOCKS, D)
    async with opened(TEXT) as (app, pilot):
        await ask(app, pilot, 7)
        assert isinstance(app.screen.focused, HubTable)
        await pilot.press("c")
        assert "has to be downloaded first" in said(app)
        await pilot.press("tab")
        assert isinstance(app.screen.focused, LensSheet)
        await pilot.press("tab")
        assert isinstance(app.screen.focused, LensTable)
        await pilot.pause()
        assert "a model that it does not name" in card(app)
        await pilot.press("tab")
        assert isinstance(app.screen.focused, HubTable)
