"""A Jacobian lens on screen: beside two others, in the list, by its keys, and where it has no row."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lenstui.cli import main
from lenstui.opening.side_count import MORE_LENSES
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.detail import CellView
from lenstui.tui.grid.grid import Cursor
from lenstui.tui.lenses.screen import Lenses
from lenstui.tui.lenses.table import LensTable
from tests.by_hand.jacobian import logits, matrices, own, written
from tests.by_hand.naive_values import naive_logits, naive_values
from tests.tui.pilots.looking import said, subtitle, until
from tests.tui.pilots.session_pilot import begun, read
from tests.tui.test_sides import assert_shows, shown

TEXT = "Hello, you"
BY_BLOCK = matrices(2, 32)


@pytest.fixture
def jacobian(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Jacobian lens for the tiny model without a row emb, alone in the lenses folder."""
    from lenstui.lens import load
    from lenstui.lens.compatibility import jacobian_config

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = tmp_path / "lenstui" / "lenses"
    folder.mkdir(parents=True)
    content = own(BY_BLOCK, torch.eye(32), config=jacobian_config(load(str(tiny_model))))
    del content["state_dict"]["emb"]
    return written(folder / "jac.pt", content)


@pytest.fixture
def by_hand(tiny_model: Path) -> Iterator[dict[int, Tensor]]:
    """Its logits by row."""
    from lenstui.lens import load

    by_row = {row + 1: matrix for row, matrix in BY_BLOCK.items()}
    yield logits(load(str(tiny_model)), TEXT, by_row, "gpt_neox.final_layer_norm")


def assert_shows_jacobian(app: LenstuiApp, side: int, by_hand: dict[int, Tensor], tiny_model: Path) -> None:
    cells = app.explore.grids[side].cells
    assert cells is not None
    final = naive_logits(tiny_model, TEXT)["logit"][-1]
    for row, wanted in by_hand.items():
        naive = naive_values(np.stack([wanted.numpy(), final]))
        np.testing.assert_allclose(cells.kl[row], naive["kl"][0], atol=1e-3)
        np.testing.assert_array_equal(cells.final_rank[row], naive["rank"][0])
    assert np.isnan(cells.kl[0]).all()


def opened_with(tiny_model: Path, *lenses: Path) -> LenstuiApp:
    return LenstuiApp(Start(prompt=TEXT, model=str(tiny_model), lenses=lenses), depth=1)


async def test_two_lenses_make_three_panes(
    tiny_model: Path, jacobian: Path, by_hand: dict[int, Tensor], capsys: pytest.CaptureFixture[str]
) -> None:
    app = opened_with(tiny_model, tiny_model / "lens.pt", jacobian)
    async with app.run_test(size=(180, 40)) as pilot:
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        assert shown(app) == [f"{name} lens · probability" for name in ("logit", "tuned", "Jacobian")]
        assert_shows(app, 1, naive_logits(tiny_model, TEXT)["tuned"])
        assert_shows_jacobian(app, 2, by_hand, tiny_model)
        await pilot.press("v", "v", "tab", "tab")
        app.explore.grids[0].go_to(Cursor(0, 3))
        view = app.explore.query_one("#detail-2", CellView)
        await until(pilot, lambda: str(view.render()) == "No Jacobian lens is fitted for row emb.")
        await pilot.press("p")
        await until(pilot, lambda: "No Jacobian lens is fitted for row emb" in said(app))
        await pilot.press("d")
        assert shown(app) == ["Jacobian lens − logit lens · KL from final"]
        await pilot.press("d", "Y")
        await until(pilot, lambda: "lenstui read" in app.clipboard)
        words = shlex.split(app.clipboard)[1:]
        assert words.count("--lens") == 2
    assert main([*words, "--value", "kl"]) == 0
    table = capsys.readouterr().out
    assert "\nJacobian lens · KL from final\n" in table


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_they_are_there_on_a_narrow_screen(
    tiny_model: Path, jacobian: Path, by_hand: dict[int, Tensor], size: tuple[int, int]
) -> None:
    app = opened_with(tiny_model, tiny_model / "lens.pt", jacobian)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        assert [side.kind for side in app.explore.sides] == ["logit", "tuned"]
        assert said(app).count(MORE_LENSES.format(2, 3)) == 1
        await pilot.press("tab", "L")
        await until(pilot, lambda: [side.kind for side in app.explore.sides] == ["logit", "jacobian"])
        await until(pilot, lambda: app.explore.grids[1].cells is not None and subtitle(app).endswith(" s"))
        assert_shows_jacobian(app, 1, by_hand, tiny_model)
        await pilot.press("plus")  # as little as a third side is there at first
        await until(pilot, lambda: "3 sides need a screen of 150 columns." in said(app))


async def test_alone_it_stands_beside_the_logit_lens(tiny_model: Path, jacobian: Path) -> None:
    app = opened_with(tiny_model, jacobian)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        assert shown(app) == ["logit lens · probability", "Jacobian lens · probability"]
        assert app.explore.model is not None
        assert app.explore.model.lens is None


async def test_l_finds_the_one_in_the_lenses_folder(
    opened: Any, tiny_model: Path, jacobian: Path, by_hand: dict[int, Tensor]
) -> None:
    async with opened(TEXT, size=(120, 40)) as (app, pilot):
        assert [side.kind for side in app.explore.sides] == ["logit", "tuned"]  # none opens by itself
        await pilot.press("tab", "L")
        await until(pilot, lambda: "Jacobian" in shown(app)[1] and subtitle(app).endswith(" s"))
        assert shown(app) == ["logit lens · probability", "Jacobian lens · probability"]
        assert_shows_jacobian(app, 1, by_hand, tiny_model)
        assert app.explore.model.lens == "lens"  # the tuned lens stays in use
        await pilot.press("L")
        await until(pilot, lambda: "tuned" in shown(app)[1] and subtitle(app).endswith(" s"))


@pytest.mark.parametrize(("key", "size"), [("enter", (180, 40)), ("enter", (120, 40)), ("c", (120, 40))])
async def test_the_list_has_it_and_puts_it_on_screen(
    opened: Any, jacobian: Path, key: str, size: tuple[int, int]
) -> None:
    async with opened(TEXT, size=size) as (app, pilot):
        await pilot.press("tab", "o")
        await until(pilot, lambda: isinstance(app.screen, Lenses))
        table = app.screen.query_one(LensTable)
        await until(pilot, lambda: table.chosen is not None)
        table.highlighted = [lens.card.path for lens in table._lenses].index(jacobian)
        await until(pilot, lambda: table.chosen is not None and table.chosen.card.path == jacobian)
        assert table.chosen is not None and table.chosen.match is not None
        assert (table.chosen.card.kind, table.chosen.match.value) == ("jacobian", "yes")
        await pilot.press(key)
        await until(pilot, lambda: app.screen is app.explore and subtitle(app).endswith(" s"))
        await until(pilot, lambda: "Jacobian" in shown(app)[-1] and subtitle(app).endswith(" s"))
        kinds = ["logit", "tuned", "jacobian"] if size[0] == 180 else ["logit", "jacobian"]
        assert [side.kind for side in app.explore.sides] == kinds
        assert not app.explore.is_compared
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, Lenses))
        table = app.screen.query_one(LensTable)
        await until(pilot, lambda: table.chosen is not None)
        in_use = {lens.card.path.name for lens in table._lenses if lens.in_use}
        assert in_use == {"lens.pt", "jac.pt"}


async def test_it_goes_with_its_model(tiny_model: Path, jacobian: Path, tiny_folder: Path) -> None:
    app = opened_with(tiny_model, tiny_model / "lens.pt", jacobian)
    async with app.run_test(size=(180, 40)) as pilot:
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        app.program.models.load(Start(model=str(tiny_folder)))
        await until(pilot, lambda: len(app.explore.sides) == 2 and subtitle(app).endswith(" s"))
        assert app.explore.model is not None
        assert app.explore.model.name == str(tiny_folder)
        assert [side.kind for side in app.explore.sides] == ["logit", "tuned"]


async def test_it_is_there_again_in_the_next_session(
    tiny_model: Path, jacobian: Path, tmp_path: Path
) -> None:
    state = tmp_path / "session.json"
    app = begun(Start(prompt=TEXT, model=str(tiny_model), lenses=(tiny_model / "lens.pt", jacobian)), state)
    async with app.run_test(size=(180, 40)) as pilot:
        await read(app, pilot)
        await pilot.press("q")
    for kinds in (["logit", "tuned", "jacobian"], ["logit", "tuned"]):
        app = begun(Start(model=str(tiny_model)), state)
        async with app.run_test(size=(180, 40)) as pilot:
            await read(app, pilot)
            assert [side.kind for side in app.explore.sides] == kinds
        jacobian.unlink(missing_ok=True)  # when it is gone, the others are there nevertheless
