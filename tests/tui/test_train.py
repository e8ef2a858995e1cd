"""Training, key by key, on a real (tiny) model, real files and real threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import ContentSwitcher, Input, Label, Static

from lenstui.fitting.names import checkpoint_path
from lenstui.fitting.options import PRESETS
from lenstui.jobs.fit_messages import Phase
from lenstui.support.paths import general_sample
from lenstui.texts import bundled
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.grid.pane import Pane
from lenstui.tui.lenses.screen import Lenses
from lenstui.tui.lenses.table import LensTable
from lenstui.tui.shared.question import Question
from lenstui.tui.shared.status_bar import StatusBar
from lenstui.tui.training.loss_curve import LossCurve
from lenstui.tui.training.screen import Train
from tests.tui.pilots.fit_pilot import (
    begin,
    endless,
    few_stories,
    folder,
    notes,
    static,
    status,
    text,
    until_phase,
    until_steps,
)
from tests.tui.pilots.looking import keys_of, place, until

__all__ = ["endless", "few_stories", "folder", "text"]


# ── from start to end ────────────────────────────────────────────────────────────────────────────────────


async def test_t_then_enter_is_all_it_takes(
    opened: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the whole general sample and the quick preset, on a model of another tokenizer."""
    from lenstui.lens import open_lens

    monkeypatch.setattr(bundled, "general_sample", general_sample)
    async with opened("Hello, you", lens=False) as (app, pilot):
        assert "t trains one" in str(app.explore.query_one("#pane-1 .pane--message", Static).render())
        await pilot.press("escape", "t", "enter")
        await until_phase(app, pilot, Phase.KEPT)
        path = folder / "tiny-quick-1.pt"
        lens = open_lens(path)
        assert lens.fit["steps"] == PRESETS["quick"].steps
        assert lens.fit["data"] == ["lenstui's general sample"]
        assert lens.config["base_model_name_or_path"] == app.explore.model.name
        await until(pilot, lambda: app.explore.model.lens == "tiny-quick-1")
        assert app.explore.model.lens_file == path
        await until(pilot, lambda: app.explore.grids[1].display)
        after = sum(lens.fit["held_out_kl"]) / 3
        before = sum(lens.fit["logit_lens_kl"]) / 3
        assert f"{before:.3f} → {after:.3f}" in notes(app)
        assert str(path) in notes(app)
        assert after < before
        assert list(folder.iterdir()) == [path]  # no checkpoint, nothing half-written


async def test_the_fit_is_shown_while_it_runs(opened: Any, folder: Path, text: Path, endless: None) -> None:
    async with opened("Hello, you", lens=False) as (app, pilot):
        await begin(app, pilot, text)
        await until_steps(app, pilot, 3)
        await until(pilot, lambda: app.screen.query_one(ContentSwitcher).current == "fit")
        await until(pilot, lambda: "mean" in static(app, "RowBars Static"))
        await until(pilot, lambda: len(app.screen.query_one(LossCurve).losses) > 0)
        kl = status(app).progress.held_out_kl
        assert f"{kl[0]:.3f}" in static(app, "RowBars Static")
        assert f"{kl.mean():.3f}" in static(app, "RowBars Static")
        bar = str(app.screen.query_one(StatusBar).render())
        assert "training" in bar
        assert f"KL {kl.mean():.2f}" in bar
        assert app.screen.focused is not app.screen.query_one(LossCurve)
        assert not app.screen.query_one(LossCurve).can_focus
        await until(pilot, lambda: app.screen.query_one(Pane).grid.cells is not None)


async def test_explore_shows_it_and_its_grid_learns(
    opened: Any, folder: Path, text: Path, endless: None
) -> None:
    import numpy as np

    async with opened("Hello, you", lens=False) as (app, pilot):
        await begin(app, pilot, text)
        await until_steps(app, pilot, 3)
        await pilot.press("escape")
        assert app.screen is app.explore
        explore = app.explore
        await until(pilot, lambda: explore.grids[1].display)
        assert "in training" in str(explore.query_one("#pane-1", Pane).border_title)
        assert "training" in str(explore.query_one(StatusBar).render())
        tuned, logit = (explore.grids[place(name)] for name in ("tuned", "logit"))
        # After the last step: what is shown is what the lens is now.
        await until(pilot, lambda: not np.allclose(tuned.cells.kl[0], logit.cells.kl[0]))
        assert np.allclose(tuned.cells.kl[-1], 0)
        await pilot.press("t")
        assert isinstance(app.screen, Train)
        assert app.screen.query_one(ContentSwitcher).current == "fit"


async def test_a_prompt_is_read_while_training_through_the_lens_as_it_is(
    opened: Any, folder: Path, text: Path, endless: None
) -> None:
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text)
        await until_steps(app, pilot, 3)
        await pilot.press("escape", "i")
        app.explore.query_one(PromptBox).text = "Another one"
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.state.columns == (*tuple("Another"), "·", *tuple("one")))
        await until(pilot, lambda: app.explore.grids[1].cells is not None)
        assert status(app).phase is Phase.RUNNING
        assert "in training" in str(app.explore.query_one("#pane-1", Pane).border_title)


# ── pause ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", ["space", "p"])
async def test_pause_pauses_and_the_thread_rests(
    opened: Any, folder: Path, text: Path, endless: None, key: str
) -> None:
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text)
        await until_steps(app, pilot, 2)
        await pilot.press(key)
        await until_phase(app, pilot, Phase.PAUSED)
        assert "paused" in str(app.screen.query_one(StatusBar).render())
        done = threading.Event()
        # After all that is left to do.
        app.program.thread.submit("probe", lambda stop: done.set(), priority=9)
        await until(pilot, done.is_set)
        assert app.program.thread._jobs.empty()
        before = status(app)
        await pilot.press(key)
        await until_phase(app, pilot, Phase.RUNNING)
        await until(pilot, lambda: status(app).progress.seconds >= before.progress.seconds)


async def test_a_paused_fit_ends_as_one_that_ran_through(opened: Any, folder: Path, text: Path) -> None:
    import torch

    from lenstui.lens import open_lens

    async with opened("Hello, you") as (app, pilot):
        for round in (1, 2):
            await begin(app, pilot, text, steps=6)
            if round == 1:
                for _ in range(3):
                    await until(pilot, lambda: status(app).phase in {Phase.RUNNING, Phase.KEPT})
                    app.training.pause()
                    app.training.go_on()
            await until(pilot, (folder / f"tiny-quick-{round}.pt").exists)
            await until_phase(app, pilot, Phase.KEPT)
            await pilot.press("escape")
        paused, straight = (open_lens(folder / f"tiny-quick-{number}.pt") for number in (1, 2))
        assert paused.fit["steps"] == straight.fit["steps"] == 6
        assert torch.equal(paused.weight, straight.weight)


# ── keys that can do nothing ─────────────────────────────────────────────────────────────────────────────


async def test_what_a_key_cannot_do_it_says(opened: Any, folder: Path, text: Path, endless: None) -> None:
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text)
        await until_steps(app, pilot, 1)
        await pilot.press("n")
        await until(pilot, lambda: "not over" in notes(app))
        await pilot.press("escape", "m")
        await until(pilot, lambda: "in training" in notes(app))
        assert app.screen is app.explore
        await pilot.press("o", "enter")
        await until(pilot, lambda: isinstance(app.screen, Lenses))
        await pilot.press("escape", "t", "s")
        await until_phase(app, pilot, Phase.KEPT)
        for key in ("space", "x"):
            app.clear_notifications()
            await pilot.press(key)
            await until(pilot, lambda: notes(app))
            assert status(app).phase is Phase.KEPT
        await pilot.press("n")
        await until(pilot, lambda: app.screen.query_one(ContentSwitcher).current == "form")


async def test_a_worse_lens_is_kept_only_if_that_is_meant(
    opened: Any, folder: Path, text: Path, endless: None
) -> None:
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text)
        await until_steps(app, pilot, 1)
        await until(pilot, lambda: status(app).progress.held_out_kl is not None)
        better = replace(app.program.model, lens_kl=0.0001)
        app.program.model = better
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, Question))
        assert "The lens in use has a KL of 0.00 nats" in str(app.screen.query_one(Label).render())
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, Train))
        assert status(app).phase is Phase.RUNNING
        await pilot.press("s", "y")
        await until_phase(app, pilot, Phase.KEPT)


async def test_another_lens_is_refused_meanwhile(
    opened: Any, folder: Path, text: Path, tiny_model: Path, endless: None
) -> None:
    async with opened("Hello, you", lens=False) as (app, pilot):
        await begin(app, pilot, text)
        await until_steps(app, pilot, 1)
        await pilot.press("escape", "o")
        await until(pilot, lambda: isinstance(app.screen, Lenses) and app.screen.query_one(LensTable).chosen)
        await pilot.press("enter")
        await until(pilot, lambda: "in training" in notes(app))
        assert app.program.model_jobs.opened.fitted == ()


async def test_before_it_has_learned_there_is_nothing_to_keep(
    opened: Any, folder: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lenstui.jobs.fit_text import FitTextJobs

    release, prepare = threading.Event(), FitTextJobs.prepare

    def slowly(self: FitTextJobs, request: Any, stop: Callable[[], bool]) -> Any:
        release.wait(60)
        return prepare(self, request, stop)

    monkeypatch.setattr(FitTextJobs, "prepare", slowly)
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text)
        await until(pilot, lambda: app.screen.query_one(ContentSwitcher).current == "fit")
        for key, said in (("s", "Nothing has been learned"), ("space", "text is being read")):
            await pilot.press(key)
            await until(pilot, lambda: said in notes(app))  # noqa: B023
        await pilot.press("x")
        await until_phase(app, pilot, Phase.DISCARDED)
        release.set()
        done = threading.Event()
        app.training._text_thread.submit("probe", lambda stop: done.set(), priority=9)
        await until(pilot, done.is_set)
        assert app.training._jobs.lens() is None
        assert status(app).phase is Phase.DISCARDED


async def test_at_the_end_s_saves_it_elsewhere(opened: Any, folder: Path, text: Path, tmp_path: Path) -> None:
    from lenstui.lens import open_lens

    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text)
        await until_phase(app, pilot, Phase.KEPT)
        await pilot.press("s")
        await until(pilot, lambda: not isinstance(app.screen, Train))
        app.screen.query_one(Input).value = str(tmp_path / "mine.pt")
        app.screen.query_one(Input).focus()
        await pilot.press("enter")
        await until(pilot, (tmp_path / "mine.pt").exists)
        assert open_lens(tmp_path / "mine.pt").fit["steps"] == 3


async def test_the_keys_are_listed(opened: Any, folder: Path) -> None:
    async with opened("Hello, you") as (app, _):
        listed = {key.does for key in keys_of(app)}
        assert {"Train a tuned lens for the open model", "Pause, and go on", "Begin the fit"} <= listed


async def test_a_checkpoint_is_written_now_and_then(
    opened: Any, folder: Path, text: Path, endless: None
) -> None:
    from lenstui.fitting.checkpoint import open_checkpoint

    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text, checkpoint_every=0.01)
        await until(pilot, lambda: status(app).checkpoint_step == 3)
        path = checkpoint_path(status(app).path)
        assert open_checkpoint(path).save == status(app).path
        assert "checkpoint at step 3" in str(app.screen.query_one("FitBar").render())
        await pilot.press("s")
        await until_phase(app, pilot, Phase.KEPT)
        assert not path.exists()
