"""Keys of the user's own: they work, they are shown, and what cannot be is said."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from lenstui.support.request import Start
from lenstui.support.settings import Settings
from lenstui.tui.app import LenstuiApp
from lenstui.tui.export.dialog import ExportDialog
from lenstui.tui.help.keys import Key, Keys, _line
from lenstui.tui.keymap import bindings_of, check, places
from tests.tui.pilots.looking import footer
from tests.tui.pilots.still import Still, show


def notice(app: LenstuiApp) -> str:
    return str(app.explore.query_one("#notice", Static).render())


async def search(pilot: Pilot[None], key: str, word: str) -> str:
    """What the list of keys has of a word."""
    await pilot.press(key)
    await pilot.pause()
    assert isinstance(pilot.app.screen, Keys)
    await pilot.press(*word)
    await pilot.pause()
    options = pilot.app.screen.query_one(OptionList)
    lines = [str(options.get_option_at_index(i).prompt) for i in range(options.option_count)]
    await pilot.press("escape")
    return "\n".join(lines)


async def test_keys_by_earlier_ids_work() -> None:
    app = Still(Start(prompt="x"), Settings(keys={"explore.take_away": ("f2",)}))
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape", "f2")
        assert isinstance(app.screen, ExportDialog)
        assert not app.query("Toast")  # of settings that cannot be had


async def test_keys_work_and_are_shown_everywhere() -> None:
    keys = {
        "app.help": ("f1",),
        "explore.value": ("space", "ctrl+v"),
        "explore.flip": ("v",),
        "grid.up": ("r",),
    }
    app = Still(Start(prompt="x"), Settings(keys=keys))
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        for count, key in enumerate(("space", "ctrl+v"), 1):
            await pilot.press(key)
            assert app.explore.panes.value_index == count
        assert app.explore.grids[0].bottom_up
        await pilot.press("v")
        assert app.explore.panes.value_index == 2
        assert not app.explore.grids[0].bottom_up
        row = app.explore.panes.cursor.row
        await pilot.press("v", "r")
        assert app.explore.panes.cursor.row != row or row == 6
        await pilot.press("question_mark")
        assert not isinstance(app.screen, Keys)
        await pilot.pause()
        assert "f1 Help" in footer(app)
        assert "space Value" in footer(app)
        assert "space ^v" in await search(pilot, "f1", "next value")
        commands = {command.title: command.help for command in app.get_system_commands(app.screen)}
        assert commands["Value"].endswith("(space ^v)")
        assert commands["Help"].endswith("(f1)")
        assert notice(app) == ""


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"app.trian": ("x",)}, "'keys' 'app.trian' is no binding: perhaps 'app.train' is meant"),
        ({"app.train": ("v",)}, "'keys' 'v' is of"),
        ({"app.train": ("k",)}, "both in the grid"),
        ({"explore.value": ("ctrl+q",)}, "'keys' 'ctrl+q' is of"),
    ],
)
async def test_what_cannot_be_is_said_and_the_default_keys_hold(
    keys: dict[str, tuple[str, ...]], complaint: str
) -> None:
    app = Still(Start(prompt="x"), Settings(keys=keys, top_k=2))
    async with app.run_test(size=(300, 40)) as pilot:
        await show(pilot)
        assert complaint in notice(app)
        assert notice(app).endswith("The default keys hold.")
        await pilot.press("escape", "v")
        assert app.explore.panes.value_index == 1
        assert "(v)" in {c.title: c.help for c in app.get_system_commands(app.screen)}["Value"]


async def test_trouble_stays_on_screen() -> None:
    app = Still(Start(prompt="x"), Settings(trouble="config.toml: 'x' is no setting. The defaults hold."))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert "'x' is no setting" in notice(app)
        await show(pilot)
        assert "'x' is no setting" in notice(app)


def test_keys_may_change_places() -> None:
    check({"app.train": ("o",), "app.lenses": ("t",)}, LenstuiApp)
    check({"grid.up": ("t",), "app.train": ("k",), "grid.down": ("down",)}, LenstuiApp)
    check({}, LenstuiApp)


def test_every_place_has_keys_with_names() -> None:
    for place in places():
        assert any(binding.id for binding in bindings_of(place.owner)), place


def test_a_long_line_is_wrapped_not_cut() -> None:
    does = "the crystallization row: from there on its top-1 stays the final one, in every later row"
    lines = _line(Key("word", "settles at", does)).plain.splitlines()
    assert len(lines) > 1
    assert " ".join(line[17:61].strip() for line in lines) == does
    assert lines[0].startswith("settles at  ")
    assert lines[0].endswith(" word")
    assert max(map(len, lines)) <= 71  # of the 80 columns of a small terminal
