"""Foils on the screen of prompt sets, key by key, on a real (tiny) model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.widgets import Static

from lenstui.readout.sets.cases import CaseReadout
from lenstui.readout.sets.mean_values import shown_means
from lenstui.tui.prompt_sets.plot import SetPlot
from tests.tui.pilots.looking import until
from tests.tui.pilots.prompt_sets_pilot import final_probs, go, name, numbers, screen_of, table

CASES = [
    {"prompt": "Hello, you ", "target": "q", "foil": "a"},
    {"prompt": "one two ", "target": "z"},
    {"prompt": "Good bye ", "target": "z", "foil": "zebra"},
    {"prompt": "the end ", "target": "q", "foil": "zebra"},
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "foils.jsonl"
    path.write_text("".join(json.dumps(case) + "\n" for case in CASES))
    return path


def told(app: Any) -> str:
    return str(screen_of(app).query_one("#set-case", Static).render())


async def test_the_difference_is_a_column_and_a_plot(opened: Any, file: Path, tiny_model: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        wanted = []
        for case, shown in zip(CASES, table(app).shown, strict=True):
            if "foil" not in case or case["prompt"] == "Good bye ":  # these two begin with the same token
                assert shown.line.logit_diff is None
                continue
            tokenizer, probs = final_probs(tiny_model, case["prompt"])
            target, foil = (tokenizer(case[name]).input_ids[0] for name in ("target", "foil"))
            wanted.append(np.log(probs[target] / probs[foil]))
            assert shown.line.logit_diff == pytest.approx(wanted[-1], rel=1e-3, abs=1e-4)
        assert "− foil" in table(app).render_line(0).text
        assert "logit of q − a: " in told(app)
        await pilot.press("down", "down")
        assert "'z' and 'zebra' begin with the same token" in told(app)
        assert "log p of both whole: " in told(app)
        await pilot.press("down")
        assert "logit of q − z…: " in told(app)
        plot = app.screen.query_one(SetPlot)
        while not str(plot.border_title).startswith("mean logit of target − foil"):
            await pilot.press("v")
        assert "n = 2" in str(plot.border_title)
        mean, error = plot.curves["logit"]
        assert mean[-1] == pytest.approx(np.mean(wanted), rel=1e-3)
        assert error is not None and error[-1] == pytest.approx(np.std(wanted, ddof=1) / np.sqrt(2), rel=1e-3)
        await pilot.press(*"ccccccc")
        assert "by logit of target − foil" in str(screen_of(app).query_one("#set-list").border_subtitle)
        order = [1, 4] if wanted[0] < wanted[1] else [4, 1]
        assert numbers(app) == [*order, 2, 3]


async def test_without_foils_they_have_no_column_and_no_plot(opened: Any, file: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.jsonl"
    plain.write_text('{"prompt": "Hello, you ", "target": "q"}\n')
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        state = screen_of(app).state
        assert len(state.means) == len(shown_means())
        state.plotted = "foil-whole"
        await name(app, pilot, str(plain))
        await until(pilot, lambda: len(table(app).shown) == 1)
        assert "foil" not in table(app).render_line(0).text
        assert not any(mean.of_foil for mean in state.means) and not state.mean.of_foil


async def test_a_target_of_several_tokens_has_a_column_of_its_whole(opened: Any, tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    cases = [("Hello, you ", "q"), ("one two ", "zebra"), ("Good bye ", "zoo")]
    path.write_text("".join(json.dumps({"prompt": text, "target": word}) + "\n" for text, word in cases))
    async with opened() as (app, pilot):
        await go(app, pilot, path)
        columns = [each.line.whole_logprob or 0.0 for each in table(app).shown]
        readouts = [each.readout for each in table(app).shown if isinstance(each.readout, CaseReadout)]
        wholes = [readout.lenses["logit"].whole_logprob[-1] for readout in readouts]
        assert columns == pytest.approx(wholes) and [each.line.target for each in table(app).shown] == [
            "q",
            "z…",
            "z…",
        ]
        assert " whole " in table(app).render_line(0).text
        assert f"{wholes[1]:.2f}".replace("-", "−") in table(app).render_line(2).text
        plot = app.screen.query_one(SetPlot)
        assert "n = 3 · 2 of 3 by first token (…)" in str(plot.border_title)
        while "whole target" not in str(plot.border_title):
            await pilot.press("v")
        assert "first" not in str(plot.border_title)
        await pilot.press(*"ccccccc")
        assert "by log p of the whole target" in str(screen_of(app).query_one("#set-list").border_subtitle)
        assert [each.line.whole_logprob for each in table(app).shown] == sorted(columns)


async def test_both_words_are_pinned_in_explore(opened: Any, file: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        await pilot.press("end", "enter")
        panel = app.explore.widgets.panel
        await until(pilot, lambda: [pin.name for pin in panel.pins] == ["q", "z…"])
        assert [pin.word for pin in panel.pins] == ["", "zebra"]
        await pilot.press("e")
        await until(pilot, lambda: app.screen is screen_of(app))
        await pilot.press("home", "enter")  # the pins of a case take the place of those of the one before
        await until(pilot, lambda: [pin.name for pin in panel.pins] == ["q", "a"])
