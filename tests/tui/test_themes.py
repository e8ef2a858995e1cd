"""The themes: what is written reads on every one, and each can be chosen."""

from __future__ import annotations

from typing import Any

import pytest
from textual import constants
from textual.color import Color

from lenstui.export.colours import contrast
from lenstui.support.request import Start
from lenstui.support.settings import THEMES as NAMES
from lenstui.support.settings import Settings
from lenstui.tui.grid import palette
from lenstui.tui.grid.palette import Mode
from lenstui.tui.shared.themes import DARK, LIGHT, THEMES, rich_colour
from tests.tui.pilots.still import Still, show


@pytest.fixture(autouse=True)
def _truecolor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "COLOR_SYSTEM", "truecolor")


def started(theme: str | None) -> Still:
    return Still(Start(prompt="The trees are green and the sky is"), Settings(theme=theme))


def test_the_settings_know_them_all() -> None:
    assert tuple(THEMES) == NAMES


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_words_read_on_every_ground(theme: Any) -> None:
    for ground in (theme.background, theme.surface, theme.panel):
        for colour in ("foreground", "primary", "secondary", "accent", "warning", "error", "success"):
            assert contrast(getattr(theme, colour), ground) >= 4.5, (theme.name, colour, ground)
        quiet = Color.parse(ground).blend(Color.parse(theme.foreground), 0.65)
        assert contrast(quiet.hex, ground) >= 4.5


@pytest.mark.parametrize("theme", NAMES)
async def test_every_level_and_the_edges_of_the_cursor_on_it_read_as_they_are_drawn(theme: str) -> None:
    app = started(theme)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        look = app.explore.grids[0]._look
        if theme.startswith("ansi"):
            assert look.mode is Mode.PLAIN
            assert not any(style.bgcolor for style in palette.styles(look.mode).values())
            return
        levels = {
            number: style for number, style in look.levels.items() if number < len(palette.styles(look.mode))
        }
        assert len(levels) == 12 + 11
        for style in levels.values():
            assert style.color and style.bgcolor
            text, ground = (colour.get_truecolor().hex for colour in (style.color, style.bgcolor))
            assert contrast(text, ground) >= 4.5


@pytest.mark.parametrize("theme", NAMES)
async def test_ansi_themes_send_the_terminals_own_colours_and_no_others(theme: str) -> None:
    app = started(theme)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("v", "question_mark")
        await pilot.pause()
        colours = {
            colour
            for strip in app.screen._compositor.render_strips()
            for segment in strip
            if segment.style
            for colour in (segment.style.color, segment.style.bgcolor)
            if colour
        }
        assert colours
        assert theme.startswith("ansi") == all(
            colour.is_default or colour.is_system_defined for colour in colours
        )


async def test_chosen_in_the_palette() -> None:
    app = started(None)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        assert app.theme == "dark"
        grid = app.explore.grids[0]
        assert grid._look.mode is Mode.TRUE
        for theme, mode in (("light", Mode.LIGHT_TRUE), ("ansi-dark", Mode.PLAIN), ("dark", Mode.TRUE)):
            await pilot.press("colon", *"theme")
            await pilot.pause(0.5)
            await pilot.press("enter")
            await pilot.pause(0.5)
            await pilot.press(*theme.replace("-", ""))
            await pilot.pause(0.5)
            await pilot.press("enter")
            await pilot.pause(0.5)
            assert app.theme == theme
            assert grid._look.mode is mode
            assert sorted(app.available_themes) == sorted(NAMES)


@pytest.mark.parametrize("theme", NAMES)
async def test_the_plots_know_the_colours(theme: str) -> None:
    from rich.style import Style

    app = started(theme)
    async with app.run_test():
        for name in ("primary", "accent"):
            assert Style.parse(rich_colour(app, name)).color


@pytest.mark.parametrize("theme", ["light", "ansi-light"])
def test_how_it_looks(theme: str, snap_compare: Any) -> None:
    async def taller(pilot: Any) -> None:
        await show(pilot)
        await pilot.press("right_square_bracket", "left")
        await pilot.pause(0.2)

    assert snap_compare(started(theme), terminal_size=(120, 40), run_before=taller)
