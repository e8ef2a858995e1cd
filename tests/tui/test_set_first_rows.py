"""The rows of the last columns of a prompt set, key by key, on a real (tiny) model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.widgets import Input, Static

from lenstui.readout.sets.cases import CaseReadout
from lenstui.tui.shared.ask_word import AskWord
from tests.tui.pilots.looking import until
from tests.tui.pilots.prompt_sets_pilot import file, go, notes, screen_of, table

__all__ = ["file"]


def subtitle(app: Any) -> str:
    return str(screen_of(app).query_one("#set-list").border_subtitle)


def below(app: Any) -> str:
    """The line under the table with the means of the rows; nothing while it is not shown."""
    line = screen_of(app).query_one("#set-areas", Static)
    return str(line.render()) if line.display else ""


async def test_rows_where_the_target_leads_and_is_likely(opened: Any, file: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        assert "rows:" not in subtitle(app) and below(app) == ""
        await pilot.press("R")
        assert "rows: leads" in subtitle(app) and "leads: logit" in table(app).render_line(0).text
        assert below(app).startswith("leads, mean row index (emb is 0): logit ")
        assert "The last columns, one for each lens: first row where the target leads (rank 0)" in notes(app)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AskWord))
        assert app.screen.query_one(Input).placeholder == "x, now 0.5"
        await pilot.press(*"0.004", "enter")
        await until(pilot, lambda: "rows: p > 0.004" in subtitle(app))
        wanted: dict[str, list[int]] = {"logit": [], "tuned": []}
        for shown in table(app).shown:
            readout = shown.readout
            if not isinstance(readout, CaseReadout) or readout.target is None:
                assert shown.line.above == ()
                continue
            for name, found in zip(readout.lenses, shown.line.above, strict=True):
                probs = readout.lenses[name].target_prob.tolist()
                first = next((row for row, prob in enumerate(probs) if prob > 0.004), None)
                assert found == first
                wanted[name] += [] if first is None else [first]
        assert any(wanted.values())
        for name, rows in wanted.items():
            text = f"{np.mean(rows):.1f}" if rows else "–"
            assert f"{name} {text}" in below(app) and f"({len(rows)} of 3)" in below(app)
        await pilot.press("C")
        assert "by first row where p(target) > 0.004: tuned lens" in subtitle(app)
        await pilot.press("R")
        assert "rows:" not in subtitle(app)


async def test_the_limit_is_in_the_command(opened: Any, file: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        await pilot.press("Y")
        assert "--above" not in notes(app)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AskWord))
        await pilot.press(*"0.25", "enter")
        await until(pilot, lambda: "p > 0.25" in subtitle(app))
        await pilot.press("Y")
        assert "--above=0.25" in notes(app)


@pytest.mark.parametrize("typed", ["2", "half"])
async def test_what_is_no_probability_is_said(opened: Any, file: Path, typed: str) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AskWord))
        await pilot.press(*typed, "enter")
        await until(pilot, lambda: app.screen is screen_of(app))
        assert f"'{typed}' is no probability from 0 to below 1." in notes(app)
        assert screen_of(app).state.above == 0.5
