"""The first start: three lines of what one can do, above the prompt, until a key is pressed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual import constants
from textual.pilot import Pilot
from textual.widgets import Static

from lenstui.jobs.instant_messages import InstantChanged, InstantPhase, InstantStatus
from lenstui.support.request import Start
from lenstui.support.settings import Settings
from lenstui.tui.app import LenstuiApp
from lenstui.tui.session.session import Session
from tests.tui.pilots.still import WITHOUT_LENS, Still, show, still

__all__ = ["still"]

SIZES = [(120, 40), (80, 24)]


def started(path: Path, settings: Settings | None = None, *, restores: bool = True) -> Still:
    start = Start(prompt="The trees are green and the sky is")
    return Still(start, settings, session=Session(path, restores=restores))


def greeting(app: LenstuiApp) -> list[str]:
    """The lines of the first start; none where they are gone."""
    return [
        line
        for each in app.explore.query("#greeting").results(Static)
        for line in str(each.render()).splitlines()
    ]


async def test_it_says_what_one_can_do_until_the_first_key(tmp_path: Path) -> None:
    app = started(tmp_path / "session.json")
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot)
        lines = greeting(app)
        assert len(lines) == 3
        of_model = "EleutherAI/pythia-14m on the CPU in float32"
        assert lines[0] == f"{of_model}: m opens another, o lists lenses."
        assert lines[1] == "Logit and tuned lens: what it would say next if it stopped at a row."
        assert max(map(len, lines)) <= 78
        for word in ("i edits", "v recolours", "space does more", "? lists all keys", "q quits"):
            assert word in lines[2]
        regions = [each.region for each in app.explore.children if each.display]
        assert all(one.intersection(other).area == 0 for one in regions for other in regions if one != other)
        await pilot.hover("#grid-0")
        assert greeting(app) == lines
        await pilot.press("v")  # which is acted on all the same
        assert greeting(app) == []
        assert app.explore.panes.value_index == 1


async def test_a_letter_in_the_prompt_is_a_key_too(tmp_path: Path) -> None:
    app = started(tmp_path / "session.json")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert len(greeting(app)) == 3
        await pilot.press("x")
        assert greeting(app) == []
        assert app.explore.widgets.prompt.text.endswith("isx")


@pytest.mark.parametrize("restores", [True, False])
async def test_it_is_never_shown_again(tmp_path: Path, restores: bool) -> None:
    path = tmp_path / "session.json"
    app = started(path)
    async with app.run_test() as pilot:
        await pilot.pause()
        assert greeting(app)
        app.exit()  # by a signal, without a key
    app = started(path, restores=restores)
    async with app.run_test() as pilot:
        await show(pilot)
        assert greeting(app) == []


async def test_a_damaged_file_is_no_first_start(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    path.write_text("{")
    async with started(path).run_test() as pilot:
        await pilot.pause()
        assert greeting(pilot.app) == []  # type: ignore[arg-type]


async def test_without_a_file_there_is_none(still: LenstuiApp) -> None:
    async with still.run_test() as pilot:
        await show(pilot)
        assert greeting(still) == []


async def test_it_names_the_users_keys(tmp_path: Path) -> None:
    app = started(tmp_path / "session.json", Settings(keys={"app.help": ("f1",), "explore.menu": ("f4",)}))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert "f4 does more, f1 lists all keys" in greeting(app)[2]


async def test_it_follows_what_is_opened(tmp_path: Path) -> None:
    app = started(tmp_path / "session.json")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert greeting(app)[0] == "A model is being opened: m opens another, o lists lenses."
        assert greeting(app)[1].startswith("The logit lens, and others: what it would say")
        on_gpu = replace(WITHOUT_LENS, name=f"owner/{'large-' * 10}model", device="cuda:0", dtype="bfloat16")
        await show(pilot, on_gpu)
        assert greeting(app)[0].startswith("owner/large-large-lar… on cuda:0 in bfloat16: m opens")
        assert greeting(app)[1].startswith("Logit lens; t trains another: what it would say")
        working = InstantStatus(InstantPhase.WORKING, "solving", 12)
        app.post_message(InstantChanged(working))
        await pilot.pause()
        assert greeting(app)[1].startswith("Logit lens, a tuned one soon: what it would say")
        assert max(map(len, greeting(app))) <= 78


@pytest.mark.parametrize("size", SIZES)
def test_how_it_looks(
    tmp_path: Path, snap_compare: Any, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    async def first(pilot: Pilot[None]) -> None:
        await show(pilot)

    monkeypatch.setattr(constants, "COLOR_SYSTEM", "truecolor")
    assert snap_compare(started(tmp_path / "session.json"), terminal_size=size, run_before=first)
