"""The card of a lens: its fit and the size of its translators."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from lenstui.lens.card import TranslatorSize
from lenstui.lens.last_evaluation import LastEvaluation, keep_evaluations
from lenstui.readout.number_texts import size_text
from lenstui.tui.app import LenstuiApp
from lenstui.tui.lenses.sheet import LensSheet, _number
from lenstui.tui.lenses.table import LensTable
from tests.tui.pilots.lenses_pilot import TEXT, choose, folder, go, sizes
from tests.tui.pilots.looking import until

__all__ = ["folder"]


async def test_the_card_has_the_fit_and_the_translators(opened: Any, folder: Path) -> None:
    from lenstui.lens import open_lens

    reached = LastEvaluation("tiny", ("texts/held-out.txt",), 4096, "2026-11-30T12:00:00+00:00", 0.5)
    keep_evaluations({(folder / "ours.pt").absolute(): reached})
    async with opened(TEXT, size=(200, 50)) as (app, pilot):
        await go(app, pilot)
        await choose(app, pilot, "ours")
        await until(pilot, lambda: len(sizes(app)) == 3)
        lens = open_lens(folder / "ours.pt")
        for row in range(3):
            weight = lens.weight[row].double().numpy()
            assert sizes(app)[row].weight == pytest.approx(np.linalg.norm(weight), rel=1e-4)
            assert sizes(app)[row].bias == pytest.approx(np.linalg.norm(lens.bias[row]), rel=1e-4)
            wanted = np.linalg.svd(weight, compute_uv=False)[:3]
            np.testing.assert_allclose(sizes(app)[row].singular_values, wanted, rtol=1e-4)
        text = shown(app)
        assert "preset quick · seed 0" in text
        assert "KL 0.50 · tiny on held-out.txt · 4,096 tokens · 2026-11-30" in text
        assert f"{sizes(app)[0].weight:#.3g}" in text
        assert text.index("\n1 ") < text.index("\n0 ") < text.index("\nemb ")  # the last row on top
        assert "6.00" in text


def shown(app: LenstuiApp) -> str:
    """The card as text."""
    console = app.console
    sheet = app.screen.query_one(LensSheet).sheet
    assert sheet is not None
    lines = console.render_lines(sheet, console.options.update_width(90), pad=False)
    return "\n".join(Text("").join([Text(part.text) for part in line]).plain for line in lines)


async def test_moving_on_gives_up_what_was_measured(
    opened: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, measured = TranslatorSize.of, []

    def slowly(row: int, *rest: Any) -> TranslatorSize:
        measured.append(row)
        time.sleep(0.3)
        return of(row, *rest)

    monkeypatch.setattr(TranslatorSize, "of", slowly)
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        await choose(app, pilot, "wrong")
        await until(pilot, lambda: measured)
        await choose(app, pilot, "ours")
        await until(pilot, lambda: len(sizes(app)) == 3)
        assert len(measured) < 5 + 3
        await pilot.press("i", "escape")  # nothing is stuck meanwhile
        assert app.screen is app.explore


async def test_a_file_that_is_cut_short_meanwhile_leaves_the_rest_of_the_card(
    opened: Any, folder: Path
) -> None:
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        (folder / "ours.pt").unlink()
        await choose(app, pilot, "ours")
        await until(pilot, lambda: "There is no lens file" in shown(app))
        assert "preset quick" in shown(app)


async def test_tab_leads_to_the_card_which_scrolls(opened: Any, folder: Path) -> None:
    async with opened(TEXT, size=(80, 24)) as (app, pilot):
        await go(app, pilot)
        await choose(app, pilot, "bundled")
        await until(pilot, lambda: len(sizes(app)) == 6)
        sheet = app.screen.query_one(LensSheet)
        await pilot.press("tab")
        assert app.focused is sheet
        await pilot.press("j", "j")
        await until(pilot, lambda: sheet.scroll_offset.y > 0)
        await pilot.press("tab")
        assert app.focused is app.screen.query_one(LensTable)
        await pilot.press("k")
        await until(pilot, lambda: sheet.scroll_offset.y == 0)


def test_sizes_are_short() -> None:
    wanted = {0: "0 B", 999: "999 B", 1500: "1.5 kB", 894_463: "894 kB", 999_600: "1.0 MB", 2.1e9: "2.1 GB"}
    for size, text in wanted.items():
        assert size_text(size) == text


@given(st.floats(0, allow_infinity=False, width=32))
def test_a_size_leaves_a_gap_before_it_and_is_right(number: float) -> None:
    text = _number(number)
    assert len(text) <= 7
    assert float(text) == pytest.approx(number, rel=0.005 if number >= 1e-9 else 0.05, abs=1e-45)
