"""The colours of the scales as a terminal is sent them, measured in CIELAB: even, in order, and readable."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyte
import pytest
from textual import constants

from lenstui.support.request import Start
from lenstui.support.settings import Settings
from lenstui.tui.grid.difference_grid import DifferenceGrid
from lenstui.tui.grid.grid import Cursor, Grid
from lenstui.tui.grid.legend import Legend
from tests.tui.pilots.still import Still, show

EVEN = 1.5  # the largest difference between neighbouring steps, in the smallest
STEPS = {"truecolor": 12, "256": 9}
ARM = 5
WIDTH, HEIGHT = 120, 40


@dataclass(frozen=True)
class Colour:
    """What a terminal shows, from `rrggbb`."""

    code: str

    @property
    def linear(self) -> np.ndarray:
        encoded = np.array(list(bytes.fromhex(self.code))) / 255
        return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)

    @property
    def lab(self) -> np.ndarray:
        """CIELAB of an sRGB colour under D65 (IEC 61966-2-1, CIE 15)."""
        to_xyz = np.array([
            [0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ])  # fmt: skip
        x, y, z = to_xyz @ self.linear / np.array([0.95047, 1.0, 1.08883])
        fx, fy, fz = (
            np.cbrt(t) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29 for t in (x, y, z)
        )
        return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])

    def contrast(self, other: Colour) -> float:
        """WCAG's ratio of two colours."""
        dark, light = sorted(colour.linear @ [0.2126, 0.7152, 0.0722] for colour in (self, other))
        return float((light + 0.05) / (dark + 0.05))


class Seen:
    """The screen as a terminal shows it."""

    def __init__(self, app: Still) -> None:
        screen = pyte.Screen(WIDTH, HEIGHT)
        lines = enumerate(app.screen._compositor.render_strips())
        pieces = [(0, y, strip) for y, strip in lines]
        pyte.Stream(screen).feed(app.explore.written(pieces, app.console))
        self.lines, self._cells, self._app = screen.display, screen.buffer, app

    def ground(self, x: int, y: int) -> Colour:
        return Colour(self._cells[y][x].bg)

    def text(self, x: int, y: int) -> Colour:
        return Colour(self._cells[y][x].fg)

    def legend(self, steps: int) -> list[Colour]:
        """The colours between the numbers of the legend."""
        y = self._app.query_one(Legend).region.y
        after = re.search(r" (≥ )?(\+\d+ points|\d+%)[^%]*$", self.lines[y])
        assert after is not None, self.lines[y]
        return [self.ground(after.start() + 2 * (step - steps), y) for step in range(steps)]

    def cells(self, grid: Grid) -> dict[tuple[int, int], tuple[Colour, Colour]]:
        """Ground and text of the cells that a grid shows, by row and column; not of that under the cursor."""
        left, top = grid.content_region.offset
        rows = range(grid.values.shape[0])
        found = {}
        for row, column in ((row, column) for row in rows for column in grid.visible_columns()):
            region = grid._region(Cursor(row, column))
            if Cursor(row, column) != grid.cursor and grid._body.contains_region(region):
                x, y = left + region.x + 1, top + region.y
                found[row, column] = self.ground(x, y), self.text(x, y)
        assert len(found) > 20
        return found


def apart(colours: list[Colour]) -> np.ndarray:
    """ΔE between neighbours (CIE 1976)."""
    return np.linalg.norm(np.diff([colour.lab for colour in colours], axis=0), axis=1)


@pytest.fixture(params=STEPS)
def depth(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(constants, "COLOR_SYSTEM", request.param)
    return str(request.param)


def started(theme: str) -> Still:
    return Still(Start(prompt="The trees are green and the sky is"), Settings(theme=theme))


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_probabilities(theme: str, depth: str) -> None:
    app, count = started(theme), STEPS[depth]
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        await show(pilot)
        seen, grid = Seen(app), app.explore.grids[0]
        steps = seen.legend(count)
        assert len(set(steps)) == count
        rises = np.diff([step.lab[0] for step in steps])
        assert (rises > 5).all() if theme == "dark" else (rises < -5).all()
        assert apart(steps).max() / apart(steps).min() <= EVEN
        cells = seen.cells(grid)
        for place, (ground, text) in cells.items():
            assert ground == steps[round(float(grid.values[place]) * (count - 1))], place
            assert text.contrast(ground) >= 4.5
        assert len({ground for ground, _ in cells.values()}) > 4


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_differences(theme: str, depth: str) -> None:
    app = started(theme)
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        await show(pilot)
        await pilot.press("escape", "d")
        await pilot.pause(0.2)
        seen, grid = Seen(app), app.query_one(DifferenceGrid)
        steps = seen.legend(2 * ARM + 1)
        assert len(set(steps)) == len(steps)
        for arm in (steps[ARM::-1], steps[ARM:]):
            rises = np.diff([step.lab[0] for step in arm])
            assert (rises > 5).all() if theme == "dark" else (rises < -5).all()
        assert apart(steps).max() / apart(steps).min() <= EVEN
        assert np.hypot(*steps[ARM].lab[1:]) < 4, "0 is grey"
        grounds = set()
        for key in ("v", "V"):  # entropies are smaller on the second side, probabilities larger
            await pilot.press(key)
            await pilot.pause(0.2)
            seen = Seen(app)
            for place, (ground, text) in seen.cells(grid).items():
                share = max(-1, min(1, float(grid.values[place]) / grid.scale.hi))
                assert ground == steps[ARM + round(share * ARM)], place
                assert text.contrast(ground) >= 4.5
                grounds.add(ground)
        assert len(grounds) > 6
