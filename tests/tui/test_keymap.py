"""Keys of the user's own: they work, they are shown, and what cannot be is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.binding import Binding
from textual.dom import DOMNode
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from lenstui.support.request import Start
from lenstui.support.settings import Settings
from lenstui.tui.app import LenstuiApp
from lenstui.tui.export.dialog import ExportDialog
from lenstui.tui.help.key import Key
from lenstui.tui.help.keys import Keys, _line
from lenstui.tui.keymap import bindings_of, places, usable
from lenstui.tui.lenses.screen import Lenses
from lenstui.tui.training.screen import Train
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
        "explore.value": ("f3", "ctrl+v"),
        "explore.flip": ("v",),
        "grid.up": ("r",),
    }
    app = Still(Start(prompt="x"), Settings(keys=keys))
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        for count, key in enumerate(("f3", "ctrl+v"), 1):
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
        assert "f3 Value" in footer(app)
        assert "f3 ^v" in await search(pilot, "f1", "next value")
        commands = {command.title: command.help for command in app.get_system_commands(app.screen)}
        assert commands["Value"].endswith("(f3 ^v)")
        assert commands["Help"].endswith("(f1)")
        assert notice(app) == ""


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"app.trian": ("x",)}, "'app.trian' is no binding: perhaps 'app.train' is meant"),
        ({"app.train": ("v",)}, "'app.train' cannot be 'v', a key of 'explore.value'"),
        ({"app.train": ("k",)}, "'app.train' cannot be 'k', a key of 'grid.up' in the grid"),
        ({"explore.value": ("ctrl+q",)}, "'explore.value' cannot be 'ctrl+q', a key of 'app.quit_always'"),
        (
            {"explore.pin": ("f5",), "app.train": ("f5",)},
            "'app.train' cannot be 'f5', a key of 'explore.p",
        ),
        ({"question.yes": ("n",)}, "'question.yes' cannot be 'n', a key of 'question.no' in the dialog"),
    ],
)
async def test_a_line_that_cannot_be_is_left_out_alone_and_named(
    keys: dict[str, tuple[str, ...]], complaint: str
) -> None:
    app = Still(Start(prompt="x"), Settings(keys={**keys, "explore.flip": ("f2",)}, top_k=2))
    async with app.run_test(size=(300, 40)) as pilot:
        await show(pilot)
        assert complaint in notice(app)
        assert notice(app).endswith("The other keys hold.")
        await pilot.press("escape", "v")
        assert app.explore.panes.value_index == 1
        assert "(v)" in {c.title: c.help for c in app.get_system_commands(app.screen)}["Value"]
        await pilot.press("f2")  # the line that can be
        assert not app.explore.grids[0].bottom_up
        await pilot.press("t")  # the default key of the one that cannot
        assert isinstance(app.screen, Train)


async def test_every_line_that_cannot_be_is_named() -> None:
    keys = {"app.trian": ("x",), "app.train": ("v",), "grid.up": ("l",), "explore.pin": ("f5",)}
    app = Still(Start(prompt="x"), Settings(keys=keys))
    async with app.run_test(size=(300, 40)) as pilot:
        await show(pilot)
        assert all(f"'{name}'" in notice(app) for name in ("app.trian", "app.train", "grid.up"))
        assert "explore.pin" not in notice(app)
        await pilot.press("escape", "f5")
        assert len(app.explore.panel.pins) == 1


async def test_trouble_stays_on_screen() -> None:
    app = Still(Start(prompt="x"), Settings(trouble="config.toml: 'x' is no setting. The defaults hold."))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert "'x' is no setting" in notice(app)
        await show(pilot)
        assert "'x' is no setting" in notice(app)


async def test_keys_may_change_places() -> None:
    app = Still(Start(prompt="x"), Settings(keys={"app.train": ("o",), "app.lenses": ("t",)}))
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        assert notice(app) == ""
        await pilot.press("escape", "o")
        assert isinstance(app.screen, Train)
        await pilot.press("escape", "t")
        assert isinstance(app.screen, Lenses)


IDS = sorted({binding.id for place in places() for binding in bindings_of(place.owner) if binding.id})
LINES = st.dictionaries(
    st.sampled_from([*IDS, "no.such", "grid.upp"]),
    st.lists(st.sampled_from(["v", "k", "space", "enter", "y", "f2", "f3", "ctrl+q"]), min_size=1).map(tuple),
    max_size=5,
)


@given(LINES)
def test_what_is_left_does_one_thing_a_key(keys: dict[str, tuple[str, ...]]) -> None:
    used, reasons = usable(keys, LenstuiApp)
    assert used == {name: own for name, own in keys.items() if name in used}
    left_out = [name for name in keys if name not in used]
    assert sorted(reason.split("'")[1] for reason in reasons) == sorted(left_out)
    for place in places():
        does: dict[str, list[Binding]] = {}
        owners: tuple[type[DOMNode], ...] = (place.owner, *place.within, LenstuiApp)
        for owner in owners:
            for binding in bindings_of(owner):
                for key in used.get(binding.id or "", tuple(binding.key.split(","))):
                    does.setdefault(key, []).append(binding)
        for key, bindings in does.items():
            if any(binding.id in used for binding in bindings):
                assert len({binding.action for binding in bindings}) == 1, (place, key)


@given(LINES)
def test_a_line_is_left_out_only_for_a_reason(keys: dict[str, tuple[str, ...]]) -> None:
    used, _ = usable(keys, LenstuiApp)
    for name in keys.keys() - used.keys():
        assert name not in usable({**used, name: keys[name]}, LenstuiApp)[0]


def test_every_place_has_keys_with_names() -> None:
    for place in places():
        assert any(binding.id for binding in bindings_of(place.owner)), place


def test_a_long_line_is_wrapped_not_cut() -> None:
    does = "the crystallization row: from there on its top-1 stays the final one, in every later row"
    lines = _line(Key("word", "settles at", does)).plain.rstrip().splitlines()
    assert len(lines) > 1
    assert " ".join(line[17:61].strip() for line in lines) == does
    assert lines[0].startswith("settles at  ")
    assert lines[0].rstrip().endswith(" word")
    assert max(map(len, lines)) <= 71  # of the 80 columns of a small terminal
