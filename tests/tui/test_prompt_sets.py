"""Prompt sets, key by key, on a real (tiny) model: what is read and how it is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.widgets import Input, Static

from lenstui.jobs.set_messages import CaseLine
from lenstui.model.rows import RowChoice
from lenstui.readout.reading import Reading
from lenstui.readout.sets.cases import CaseReadout
from lenstui.tui.prompt_sets.plot import SetPlot
from lenstui.tui.prompt_sets.screen import PromptSets
from lenstui.tui.prompt_sets.view import SetView, sort_columns
from tests.tui.pilots.looking import until
from tests.tui.pilots.prompt_sets_pilot import (
    CASES,
    READ,
    chosen,
    file,
    final_probs,
    go,
    notes,
    numbers,
    said,
    screen_of,
    table,
)

__all__ = ["file"]


# ── what is read ────────────────────────────────────────────────────────────────────────────────────────────


async def test_enter_reads_the_examples(opened: Any) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot)
        line = app.screen.query_one("#set-file", Input)
        assert app.focused is line
        await pilot.press("slash", "question_mark")  # what is selected goes, and a slash is a letter
        assert line.value == "/?"
        await pilot.press("backspace", "backspace", "enter")
        await until(pilot, lambda: "50 prompts" in said(app))
        assert len(table(app).shown) == 50
        assert app.focused is table(app)
        assert screen_of(app).state.run.groups == ("facts", "grammar", "arithmetic", "code", "stories")  # type: ignore[union-attr]


async def test_the_numbers_are_those_of_the_model(opened: Any, file: Path, tiny_model: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        assert "5 prompts" in said(app)
        assert "1 failed · 1 line skipped" in said(app)
        lines = [case.line for case in table(app).shown]
        target_probs = []
        for line, case in zip(lines, CASES, strict=True):
            if not case["prompt"]:
                assert line.reason == "The prompt is empty."
                continue
            tokenizer, probs = final_probs(tiny_model, case["prompt"])
            assert line.final_prob == pytest.approx(probs.max(), rel=1e-4)
            if "target" not in case:
                assert (line.target, line.target_prob, line.target_rank) == ("", None, None)
                continue
            token = tokenizer(case["target"]).input_ids[-1]
            assert line.target_prob == pytest.approx(probs[token], rel=1e-4)
            assert line.target_rank == (probs > probs[token]).sum()
            target_probs.append(probs[token])
        plot = app.screen.query_one(SetPlot)
        for lens in ("logit", "tuned"):  # the last row is the model's own
            mean, error = plot.curves[lens]
            assert mean[-1] == pytest.approx(np.mean(target_probs), rel=1e-4)
            assert error is not None
            assert error[-1] == pytest.approx(np.std(target_probs, ddof=1) / np.sqrt(3), rel=1e-3)
        assert "n = 3" in str(plot.border_title)


async def test_values_of_the_plot_follow_a_key(opened: Any, file: Path, tiny_model: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        plot = app.screen.query_one(SetPlot)
        seen = []
        for _ in range(7):
            seen.append(str(plot.border_title).partition(" · ")[0])
            await pilot.press("v")
        assert seen[0] == seen[6]
        assert len(set(seen)) == 6
        await pilot.press("V", "V", "V")
        assert str(plot.border_title) == "mean KL from final, nats · n = 4"
        assert plot.curves["logit"][0][-1] == pytest.approx(0, abs=1e-6)
        await pilot.press("V")
        entropies = [-(p := final_probs(tiny_model, case["prompt"])[1]) @ np.log(p) for case in READ]
        assert plot.curves["tuned"][0][-1] == pytest.approx(np.mean(entropies), rel=1e-4)
        await pilot.press("V")
        assert str(plot.border_title).startswith("mean log-probability of the whole target, nats · n = 3")
        wholes = [
            case.readout.lenses["tuned"].whole_logprob
            for case in table(app).shown
            if isinstance(case.readout, CaseReadout) and case.line.target
        ]
        assert plot.curves["tuned"][0] == pytest.approx(np.mean(wholes, axis=0), rel=1e-5)
        assert plot.curves["tuned"][0].max() < 0
        await pilot.press("V")
        ranks = [case.line.target_rank for case in table(app).shown if case.line.target_rank is not None]
        assert plot.curves["tuned"][0][-1] == np.median(ranks)


async def test_without_a_tuned_lens_there_is_one_column_less(opened: Any, file: Path) -> None:
    async with opened(lens=False) as (app, pilot):
        await go(app, pilot, file)
        assert [len(case.line.settles) for case in table(app).shown] == [1, 0, 1, 1, 1]
        assert set(app.screen.query_one(SetPlot).curves) == {"logit"}
        await pilot.press("C")
        assert screen_of(app).state.view.column == len(sort_columns(["logit"])) - 1


async def test_with_some_rows_nothing_settles(opened: Any, file: Path) -> None:
    async with opened() as (app, pilot):
        app.explore.state.shown_reading = Reading(RowChoice(stride=2))
        await go(app, pilot, file)
        shown = table(app).shown
        assert [case.line.settles for case in shown if case.line.reason is None] == [(None, None)] * 4
        assert table(app)._case(shown[0].line, 100).text.split()[-2:] == ["–", "–"]
        await pilot.press("C")  # by what is not there: they stay in their order
        assert [case.line.number for case in table(app).shown] == [case.line.number for case in shown]


# ── how it is shown ─────────────────────────────────────────────────────────────────────────────────────────


async def test_sorting_by_every_column(opened: Any, file: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        lines = [case.line for case in screen_of(app).state.run.cases]  # type: ignore[union-attr]
        wanted: list[Callable[[CaseLine], Any]] = [
            lambda line: line.number,
            lambda line: line.prompt,
            lambda line: line.final,
            lambda line: line.final_prob,
            lambda line: line.target,
            lambda line: line.target_prob,
            lambda line: line.target_rank,
            lambda line: line.settles[0],
            lambda line: line.settles[1],
        ]
        for column, key in enumerate(wanted):
            by = str(screen_of(app).query_one("#set-list").border_subtitle)
            assert sort_columns(["logit", "tuned"])[column].name in by
            has_number = [
                line
                for line in lines
                if column < 2 or (line.settles and (line.target or column not in {4, 5, 6}))
            ]
            for reverse in (False, True):
                shown = [key(case.line) for case in table(app).shown[: len(has_number)]]
                assert shown == sorted(map(key, has_number), reverse=reverse), (column, reverse)
                await pilot.press("r")
            await pilot.press("c")
        assert screen_of(app).state.view == SetView()
        await pilot.press("C")
        assert screen_of(app).state.view.column == len(sort_columns(["logit", "tuned"])) - 1


async def test_what_is_highlighted_stays_so(opened: Any, file: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        await pilot.press("down", "down", "j", "k")
        assert chosen(app) == 3
        await pilot.press("r")
        assert (chosen(app), numbers(app)) == (3, [5, 4, 3, 2, 1])
        await pilot.press("home")
        assert chosen(app) == 5
        await pilot.press("end")
        assert chosen(app) == 1
        await pilot.press("pageup")
        assert chosen(app) == 5
        await pilot.press("pagedown")
        assert chosen(app) == 1


async def test_filter_and_groups(opened: Any, file: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        await pilot.press("slash", *"GREET")
        assert numbers(app) == [1, 4]
        assert "2 shown" in said(app)
        await pilot.press("space", *"bye", "enter")
        assert numbers(app) == [4]
        assert app.focused is table(app)
        assert "n = 1" in str(app.screen.query_one(SetPlot).border_title)
        await pilot.press("escape")
        assert numbers(app) == [1, 2, 3, 4, 5]
        await pilot.press("slash", *"zzzz", "enter", "enter")
        assert "No prompt is shown" in notes(app)
        await pilot.press("slash", "escape")
        assert numbers(app) == [1, 2, 3, 4, 5]
        assert isinstance(app.screen, PromptSets)
        seen = []
        for _ in range(4):
            await pilot.press("g")
            seen.append(numbers(app))
        assert seen == [[1, 4], [2], [3, 5], [1, 2, 3, 4, 5]]
        await pilot.press("G")
        assert numbers(app) == [3, 5]
        mean = app.screen.query_one(SetPlot).curves["logit"][0][-1]
        assert mean == pytest.approx(table(app).shown[1].line.target_prob)  # the other has no target


async def test_where_it_is_small(opened: Any, file: Path) -> None:
    async with opened(size=(80, 24)) as (app, pilot):
        await go(app, pilot, file)
        await pilot.press("down", "enter")
        assert "The prompt is empty." in notes(app)  # and cannot be opened
        assert "The prompt is empty." in table(app).render_line(2).text
        assert "The prompt is empty." in str(app.screen.query_one("#set-case", Static).render())
        await pilot.press("up")
        assert "Hello, you" in str(app.screen.query_one("#set-case", Static).render())
        plot = app.screen.query_one(SetPlot)
        assert not plot.display
        await pilot.press("v")
        assert "tab shows the plot" in notes(app)
        await pilot.press("tab")
        assert plot.display
        assert not app.screen.query_one("#set-list").display
        await pilot.press("tab")
        assert table(app).size.height
        assert app.focused is table(app)
        await pilot.resize_terminal(120, 40)
        await pilot.press("tab")
        assert "Both are shown" in notes(app)
        assert plot.size.height
        assert table(app).size.height
