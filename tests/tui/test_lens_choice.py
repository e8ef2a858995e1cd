"""A lens chosen in `o` is kept for its model: across switches of the model, and from session to session."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.widgets import Static

from lenstui.jobs.chosen_model import Chosen
from lenstui.jobs.fit_messages import Phase
from lenstui.opening.opened import open_model
from lenstui.readout.reading import Reading
from lenstui.support.request import Again, Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.keeper import Keeper
from lenstui.tui.lenses.screen import Lenses
from lenstui.tui.lenses.table import LensTable
from lenstui.tui.session.history import History
from lenstui.tui.session.session import Look, Session
from lenstui.tui.shared.status_bar import StatusBar
from tests.tiny.folders import neox_in
from tests.tui.pilots.fit_pilot import begin, few_stories, text, until_phase
from tests.tui.pilots.looking import until
from tests.tui.pilots.session_pilot import begun, read
from tests.tui.pilots.still import MODEL

__all__ = ["few_stories", "text"]

FAR = 4e9  # a time after everything here


@pytest.fixture
def folder(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two lenses for the tiny model, measured on one text, of which `good` opens by itself."""
    import torch

    from lenstui.lens import TunedLens, load, save_lens
    from lenstui.lens.compatibility import lens_config

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    folder = tmp_path / "data" / "lenstui" / "lenses"
    model = load(str(tiny_model))
    for age, (name, kl) in enumerate({"good": 1.0, "worse": 2.0}.items()):
        fit = {"held_out_kl": [kl] * 3, "logit_lens_kl": [6.0, 4.0, 2.0], "preset": "quick"}
        lens = TunedLens(0.1 * torch.randn(3, 32, 32), torch.zeros(3, 32), lens_config(model), fit)
        save_lens(lens, folder / f"{name}.pt")
        os.utime(folder / f"{name}.pt", (1.7e9 + age, 1.7e9 + age))
    return folder


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Path:
    """A model of another shape, which no lens fits."""
    return neox_in(tmp_path_factory.mktemp("models") / "other", byte_tokenizer, seed=3, width=16)


@pytest.fixture
def start(tiny_model: Path, folder: Path) -> Start:
    return Start(model=str(tiny_model))


@pytest.fixture
def session(tmp_path: Path) -> Path:
    return tmp_path / "state" / "session.json"


def lens(app: LenstuiApp) -> str | None:
    return None if app.explore.model is None else app.explore.model.lens


def status_line(app: LenstuiApp) -> str:
    return str(app.explore.query_one(StatusBar).render())


def notice(app: LenstuiApp) -> str:
    return str(app.explore.query_one("#notice", Static).render())


async def choose(app: LenstuiApp, pilot: Any, name: str) -> None:
    """Choose a lens in the list behind `o`."""
    await pilot.press("escape", "o")
    await until(pilot, lambda: isinstance(app.screen, Lenses))
    table = app.screen.query_one(LensTable)
    await until(pilot, lambda: any(listed.card.name == name for listed in table._lenses))
    table.highlighted = next(i for i, listed in enumerate(table._lenses) if listed.card.name == name)
    await pilot.press("enter")
    await until(pilot, lambda: lens(app) == name and app.screen is app.explore)


async def open_other(app: LenstuiApp, pilot: Any, model: Path | str, name: str) -> None:
    app.model_switch._open_chosen(Chosen(str(model)))  # what the list behind m answers
    await until(pilot, lambda: app.explore.model is not None and app.explore.model.name == name)
    await read(app, pilot)


async def test_it_is_kept_while_another_model_is_open(
    start: Start, other_model: Path, session: Path, tiny_model: Path
) -> None:
    app = begun(start, session)
    async with app.run_test(size=(160, 40)) as pilot:
        await read(app, pilot)
        assert lens(app) == "good"
        assert "best of 2" in status_line(app)
        await choose(app, pilot, "worse")
        await open_other(app, pilot, other_model, str(other_model))
        assert lens(app) is None
        await open_other(app, pilot, tiny_model, str(tiny_model))
        assert lens(app) == "worse"
        assert "chosen" in status_line(app)
        await choose(app, pilot, "good")
        await open_other(app, pilot, other_model, str(other_model))
        await open_other(app, pilot, tiny_model, str(tiny_model))
        assert lens(app) == "good"


async def test_it_is_kept_from_session_to_session_and_behind_another_model(
    start: Start, other_model: Path, session: Path
) -> None:
    app = begun(start, session)
    async with app.run_test(size=(160, 40)) as pilot:
        await read(app, pilot)
        await choose(app, pilot, "worse")
        await open_other(app, pilot, other_model, str(other_model))
        await pilot.press("escape", "q")

    for asked in (start, replace(start, prompt="mine"), start):
        app = begun(asked, session)
        async with app.run_test(size=(160, 40)) as pilot:
            await read(app, pilot)
            assert lens(app) == "worse"
            assert "fitted since" not in notice(app)
            await pilot.press("escape", "q")


async def test_a_session_that_restores_nothing_leaves_the_choice_as_it_was(
    start: Start, session: Path, tiny_model: Path
) -> None:
    app = begun(start, session)
    async with app.run_test(size=(160, 40)) as pilot:
        await read(app, pilot)
        await choose(app, pilot, "worse")
        await pilot.press("escape", "q")

    afresh = LenstuiApp(start, session=Session(session, restores=False))
    async with afresh.run_test(size=(160, 40)) as pilot:
        await read(afresh, pilot)
        assert lens(afresh) == "good"
        await pilot.press("escape", "q")
    again = Session(session).resume(start)[0].again
    assert again is not None
    assert again.lens is not None
    assert again.lens.name == "worse.pt"


async def test_what_nobody_chose_is_not_kept(start: Start, session: Path, folder: Path) -> None:
    app = begun(start, session)
    async with app.run_test(size=(160, 40)) as pilot:
        await read(app, pilot)
        await pilot.press("escape", "q")
    again = Session(session).resume(start)[0].again
    assert again is not None
    assert again.lens is None


async def test_a_chosen_lens_that_is_gone_gives_way_to_the_best_and_that_is_said(
    start: Start, session: Path, folder: Path
) -> None:
    app = begun(start, session)
    async with app.run_test(size=(160, 40)) as pilot:
        await read(app, pilot)
        await choose(app, pilot, "worse")
        await pilot.press("escape", "q")
    (folder / "worse.pt").unlink()
    app = begun(start, session)
    async with app.run_test(size=(250, 40)) as pilot:
        await read(app, pilot)
        assert lens(app) == "good"
        assert "The lens that was chosen for this model cannot be opened, and good.pt is in use" in notice(
            app
        )


async def test_a_lens_that_was_fitted_takes_the_place_of_the_choice(
    start: Start, session: Path, folder: Path, text: Path, few_stories: None
) -> None:
    app = begun(start, session)
    async with app.run_test(size=(160, 40)) as pilot:
        await read(app, pilot)
        await choose(app, pilot, "worse")
        await begin(app, pilot, text)
        await until_phase(app, pilot, Phase.KEPT)
        await pilot.press("escape", "q")
    again = Session(session).resume(start)[0].again
    assert again is not None
    assert again.lens is None


def test_each_revision_has_its_own() -> None:
    keeper = Keeper(Start(), History(), Session(), None)
    model = replace(MODEL, name="a/b", revision="v1", chosen_lens=Path("/x.pt"))
    explore: Any = SimpleNamespace(model=model, reading=Reading())
    keeper.keep_model(explore)
    assert keeper.again("a/b", "v1").lens == Path("/x.pt")
    assert keeper.again("a/b", None).lens is None
    look = Look(lens_file="/x.pt", revision="v1", when=3.0)
    assert look.again("a/b", "v1") == Again("a/b", Path("/x.pt"), 3.0)
    assert look.again("a/b", None) == Again("a/b", None, 3.0)


@pytest.mark.parametrize(("when", "is_said"), [(0.0, True), (FAR, False)])
def test_a_lens_that_was_fitted_since_is_said_and_not_opened(
    start: Start, folder: Path, tiny_model: Path, when: float, is_said: bool
) -> None:
    chosen = folder / "worse.pt"
    opened = open_model(replace(start, again=Again(str(tiny_model), chosen, when)))
    assert (opened.lens_file, opened.chosen_lens, opened.lens_choice) == (chosen, chosen, "chosen")
    said = "good.pt was fitted since worse.pt was chosen: o has both"
    assert (said in opened.remarks) is is_said


def test_a_choice_is_for_its_model_alone_and_a_damaged_one_is_passed_over(start: Start, folder: Path) -> None:
    chosen = folder / "worse.pt"
    assert open_model(replace(start, again=Again("a/b", chosen, FAR))).lens_file == folder / "good.pt"
    chosen.write_text("damaged")
    opened = open_model(replace(start, again=Again(str(start.model), chosen, FAR)))
    assert (opened.lens_file, opened.chosen_lens) == (folder / "good.pt", None)
    assert any("worse.pt" in remark for remark in opened.remarks)
