"""The bundled model's Jacobian lens on screen: the third pane where there is room, else one key away."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from lenstui.cli import main
from lenstui.lens.card import Match
from lenstui.model.name import BUNDLED_MODEL
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.lenses.screen import Lenses
from lenstui.tui.lenses.table import LensTable
from tests.tui.pilots.looking import subtitle, until
from tests.tui.test_sides import shown

TEXT = "The trees are green and the sky is"


@pytest.fixture(autouse=True)
def no_lenses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


async def test_with_room_for_three_panes_it_is_the_third(capsys: pytest.CaptureFixture[str]) -> None:
    app = LenstuiApp(Start(prompt=TEXT, demo=True))
    async with app.run_test(size=(150, 40)) as pilot:
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        assert shown(app) == [f"{name} lens · probability" for name in ("logit", "tuned", "Jacobian")]
        assert app.explore.look().other_lenses == []  # it is at hand next time, too
        await pilot.press("escape", "Y")
        await until(pilot, lambda: "lenstui read" in app.clipboard)
    words = shlex.split(app.clipboard)
    assert words[words.index("--lenses") + 1] == "logit,tuned,jacobian"
    assert "--lens" not in words
    assert main(words[1:]) == 0
    assert "\nJacobian lens · probability\n" in capsys.readouterr().out


async def test_with_less_room_it_is_one_key_away() -> None:
    app = LenstuiApp(Start(prompt=TEXT, demo=True))
    async with app.run_test(size=(149, 40)) as pilot:
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        assert shown(app) == [f"{name} lens · probability" for name in ("logit", "tuned")]
        await pilot.press("escape", "tab", "L")
        await until(pilot, lambda: shown(app)[1:] == ["Jacobian lens · probability"])
        await until(pilot, lambda: app.explore.grids[1].cells is not None)
        await pilot.press("L")
        await until(pilot, lambda: shown(app)[1:] == ["tuned lens · probability"])


async def test_the_list_has_both_lenses_of_the_bundled_model() -> None:
    app = LenstuiApp(Start(prompt=TEXT, demo=True))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        await pilot.press("escape", "o")
        await until(pilot, lambda: isinstance(app.screen, Lenses))
        table = app.screen.query_one(LensTable)
        await until(pilot, lambda: len(table._lenses) == 2)
        assert {lens.card.name for lens in table._lenses} == {"bundled", "bundled-jacobian"}
        assert {lens.match for lens in table._lenses} == {Match.WEIGHTS}


@pytest.mark.parametrize(
    ("width", "kinds"), [(150, ["logit", "tuned", "jacobian"]), (149, ["logit", "tuned"])]
)
async def test_it_comes_with_the_model_behind_m(
    opened: Any, tiny_model: Path, width: int, kinds: list[str]
) -> None:
    """As with --demo; and it goes where another model is opened, but what was chosen since stays."""

    async def go_to(name: str, typed: str) -> None:
        await pilot.press("m")
        app.screen.query_one(Input).value = typed
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.model.name == name and subtitle(app).endswith(" s"))

    async with opened(TEXT, size=(width, 40)) as (app, pilot):
        assert [side.kind for side in app.explore.sides] == ["logit", "tuned"]
        await go_to(BUNDLED_MODEL, BUNDLED_MODEL)
        assert [side.kind for side in app.explore.sides] == kinds
        await until(pilot, lambda: all(grid.cells is not None for grid in app.explore.grids))
        await go_to(str(tiny_model), str(tiny_model))
        assert [side.kind for side in app.explore.sides] == ["logit", "tuned"]
        await pilot.press("tab", "minus")
        await until(pilot, lambda: [side.kind for side in app.explore.sides] == ["logit"])
        await go_to(BUNDLED_MODEL, BUNDLED_MODEL)
        assert [side.kind for side in app.explore.sides] == ["logit"]
