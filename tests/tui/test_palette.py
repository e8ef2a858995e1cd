"""The palette: what its colours, or glyphs in their place, tell and to whom."""

from __future__ import annotations

import numpy as np
import pytest
from rich.cells import cell_len
from rich.color import Color, ColorSystem

from lenstui.export.colours import contrast
from lenstui.readout.scales import ARM, LEVELS, NEUTRAL, NO_LEVEL, STEPS
from lenstui.tui.grid import palette
from lenstui.tui.grid.palette import Mode
from tests.tui.pilots.grid_app import ColourApp

COLOURED = [Mode.TRUE, Mode.INDEXED, Mode.LIGHT_TRUE, Mode.LIGHT_INDEXED]


@pytest.mark.parametrize("mode", COLOURED)
def test_a_mark_has_a_hue_that_no_step_has(mode: Mode) -> None:
    grounds = palette.colours(mode) + palette.diverging_colours(mode)
    for style in palette.styles(mode).values():
        bar = palette.bar(style, mode).color
        assert bar is not None
        apart = np.linalg.norm(seen(grounds, None) - seen((bar,), None), axis=1)
        assert (apart > 25).all()


# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
COLOUR_BLIND = {
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def seen(colours: tuple[Color, ...], kind: str | None) -> np.ndarray:
    """CIELAB of colours as somebody sees them, `[colours, 3]`."""
    rgb = np.array([colour.get_truecolor().normalized for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    if kind is not None:
        linear = np.clip(linear @ np.array(COLOUR_BLIND[kind]).T, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.maximum(linear @ np.array(to_xyz).T / [0.9505, 1, 1.089], 1e-4)).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


@pytest.mark.parametrize("mode", COLOURED)
@pytest.mark.parametrize("kind", COLOUR_BLIND)
def test_colour_blind_people_see_every_step(kind: str, mode: Mode) -> None:
    sign = 1 if mode in {Mode.TRUE, Mode.INDEXED} else -1
    assert (sign * np.diff(seen(palette.colours(mode), kind)[:, 0]) > 4).all()


@pytest.mark.parametrize("mode", COLOURED)
@pytest.mark.parametrize("kind", [None, *COLOUR_BLIND])
def test_everybody_sees_how_far_from_0_and_on_which_side(kind: str | None, mode: Mode) -> None:
    lab = seen(palette.diverging_colours(mode), kind)
    sign = 1 if mode in {Mode.TRUE, Mode.INDEXED} else -1
    for arm in (lab[ARM::-1, 0], lab[ARM:, 0]):
        steps = sign * np.diff(arm)
        assert (steps > (4 if mode in {Mode.TRUE, Mode.LIGHT_TRUE} else 2.5)).all()
    apart = np.linalg.norm(lab[ARM + 1 :] - lab[ARM - 1 :: -1], axis=1)
    assert apart[0] > 25, "no more than two steps of an even scale"
    assert (apart[1:] > 35).all()
    assert np.linalg.norm(lab[ARM, 1:]) < 4, "the middle is grey"


@pytest.mark.parametrize("mode", [Mode.TRUE, Mode.LIGHT_TRUE])
def test_both_arms_are_as_light(mode: Mode) -> None:
    lightness = seen(palette.diverging_colours(mode), None)[:, 0]
    np.testing.assert_allclose(lightness, lightness[::-1], atol=1)


def test_contrast_is_wcags() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("mode", [Mode.INDEXED, Mode.LIGHT_INDEXED])
def test_256_colours_are_sent_by_number_and_none_is_the_users_own(mode: Mode) -> None:
    for colour in palette.colours(mode) + palette.diverging_colours(mode):
        kind, number = colour.downgrade(ColorSystem.EIGHT_BIT).get_ansi_codes(foreground=False)[1:]
        assert kind == "5"
        assert 16 <= int(number) < 256


@pytest.mark.parametrize("steps", [9, STEPS])
def test_glyphs_rise(steps: int) -> None:
    glyphs = [palette.glyph(level, steps) for level in range(steps)]
    assert glyphs == sorted(glyphs)
    assert (glyphs[0], glyphs[-1], len(set(glyphs))) == (" ", "█", 9)
    assert palette.glyph(NO_LEVEL, steps) == " "


def test_glyphs_point_away_from_0() -> None:
    glyphs = [palette.glyph(level, STEPS) for level in range(STEPS, LEVELS)]
    assert glyphs == list("⇊⇓↓↓↘ ↗↑↑⇑⇈")
    assert glyphs[NEUTRAL - STEPS] == " "
    assert {cell_len(glyph) for glyph in glyphs} == {1}


@pytest.mark.parametrize("mode", Mode)
def test_every_level_has_a_style(mode: Mode) -> None:
    steps = len(palette.colours(mode)) or STEPS
    assert list(palette.styles(mode)) == [*range(steps), *range(STEPS, LEVELS)]


async def test_where_colours_are_few_a_scale_has_fewer_steps() -> None:
    for system, no_color, steps in (
        (ColorSystem.TRUECOLOR, False, 12),
        (ColorSystem.TRUECOLOR, True, 9),
        (ColorSystem.EIGHT_BIT, False, 9),
        (ColorSystem.STANDARD, False, 9),
        (None, False, 9),
    ):
        app = ColourApp()
        app.console._color_system, app.no_color = system, no_color
        assert palette.steps(app) == steps


@pytest.mark.parametrize(
    ("color_system", "no_color", "mode"),
    [
        ("truecolor", False, Mode.TRUE),
        ("256", False, Mode.INDEXED),
        ("standard", False, Mode.PLAIN),
        (None, False, Mode.PLAIN),
        ("truecolor", True, Mode.PLAIN),
    ],
)
def test_mode(color_system: str | None, no_color: bool, mode: Mode) -> None:
    assert palette.mode(color_system, no_color) is mode


def test_mode_on_light_ground_and_of_the_terminals_own_colours() -> None:
    assert palette.mode("truecolor", False, light=True) is Mode.LIGHT_TRUE
    assert palette.mode("256", False, light=True) is Mode.LIGHT_INDEXED
    assert palette.mode("standard", False, light=True) is Mode.PLAIN
    assert palette.mode("truecolor", False, ansi=True) is Mode.PLAIN
