"""How training looks, at three sizes, from messages made by hand: the same on every machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual._compositor import Compositor, LayoutUpdate
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Collapsible, Static

from lenstui.fitting.progress import FitProgress
from lenstui.jobs.fit_messages import (
    FitChanged,
    FitRequest,
    FitStatus,
    Phase,
    PromptsSize,
    TextCounted,
    TextSize,
    TrainingRead,
    Unfinished,
    UnfinishedFound,
)
from lenstui.jobs.fit_service import FitService
from tests.by_hand.made_up import WORDS, cells
from tests.tui.pilots.looking import footer
from tests.tui.pilots.still import SIZES, Still, show, still

__all__ = ["still"]  # the fixture

LOGIT = np.array([10.138, 6.778, 4.278, 2.533, 1.064, 0.52], np.float32)
STATUS = FitStatus(
    phase=Phase.RUNNING, preset="quick", path=Path("/data/lenses/pythia-14m-quick-1.pt"), share=0.58
)


def progress(step: int, **changes: Any) -> FitProgress:
    left = np.exp(-step / 20)
    now = FitProgress(
        stage="refining",
        share=step / 60,
        step=step,
        steps=60,
        tokens=16384 + 512 * step,
        seconds=4.0 + 0.31 * step,
        eta=0.31 * (60 - step),
        loss=LOGIT * (0.25 + 0.2 * left) * (1.1 if step % 2 else 0.9),
        logit_lens_kl=LOGIT,
        held_out_kl=LOGIT * np.float32(0.24 + 0.2 * np.exp(-(step // 10) / 2)),
        measured_step=step // 10 * 10,
        measured_tokens=512,
    )
    return replace(now, **changes)


@pytest.fixture
def training(still: Still, monkeypatch: pytest.MonkeyPatch) -> Still:
    """A program in which only what the test posts is fitted."""
    for job in ("count", "find_unfinished", "begin", "pause", "keep"):
        monkeypatch.setattr(FitService, job, lambda self, *arguments: None)
    return still


async def open_train(pilot: Pilot[None]) -> None:
    await show(pilot)
    await pilot.press("escape", "t")
    await pilot.pause()


async def fit(pilot: Pilot[None], steps: int, **changes: Any) -> None:
    """Post what a fit of so many steps would."""
    app: Any = pilot.app
    for step in range(1, steps + 1):
        app.post_message(FitChanged(replace(STATUS, progress=progress(step))))
        await pilot.pause()
    if changes:
        app.post_message(FitChanged(replace(STATUS, progress=progress(steps), **changes)))
    app.explore.post_message(TrainingRead(1, "tuned", 0, cells(1.5), dict(enumerate(WORDS)), 0.1))
    await pilot.pause(0.2)


@pytest.mark.parametrize("size", SIZES)
def test_the_form(training: Still, snap_compare: Any, size: tuple[int, int]) -> None:
    async def counted(pilot: Pilot[None]) -> None:
        await open_train(pilot)
        form: Any = pilot.app.screen.query_one("TrainForm")
        request: FitRequest = form._counted
        size = TextSize(7429, 31744, 2048, 2.3, 60, 256)
        pilot.app.screen.post_message(TextCounted(request, size))
        await pilot.pause()

    assert snap_compare(training, terminal_size=size, run_before=counted)


@pytest.mark.parametrize("size", SIZES)
def test_more_of_the_form(training: Still, snap_compare: Any, size: tuple[int, int]) -> None:
    async def more(pilot: Pilot[None]) -> None:
        await open_train(pilot)
        found = Unfinished(Path("/data/lenses/pythia-14m-standard-2.checkpoint"), "standard", 120, 400, 250.0)
        pilot.app.screen.post_message(UnfinishedFound((found,)))
        screen: Any = pilot.app.screen
        screen.query_one(Collapsible).collapsed = False
        await pilot.pause()
        screen.query_one("#field-lr").value = "fast"
        screen.query_one("#field-lr").focus()
        await pilot.press("tab")
        await pilot.pause(0.2)

    assert snap_compare(training, terminal_size=size, run_before=more)


@pytest.mark.parametrize("size", SIZES)
def test_a_fit_under_way(training: Still, snap_compare: Any, size: tuple[int, int]) -> None:
    async def run(pilot: Pilot[None]) -> None:
        await open_train(pilot)
        await fit(pilot, 33, checkpoint_step=31)

    assert snap_compare(training, terminal_size=size, run_before=run)


@pytest.mark.parametrize("size", SIZES)
def test_explore_meanwhile(training: Still, snap_compare: Any, size: tuple[int, int]) -> None:
    async def run(pilot: Pilot[None]) -> None:
        await open_train(pilot)
        await fit(pilot, 3)
        await pilot.press("escape")
        await pilot.pause(0.2)

    assert snap_compare(training, terminal_size=size, run_before=run)


@pytest.mark.parametrize("size", SIZES)
def test_the_form_of_a_jacobian_lens(training: Still, snap_compare: Any, size: tuple[int, int]) -> None:
    async def counted(pilot: Pilot[None]) -> None:
        await open_train(pilot)
        form: Any = pilot.app.screen.query_one("TrainForm")
        form.query_one("#kind").focus()
        await pilot.press("right")
        pilot.app.screen.post_message(TextCounted(form._counted, PromptsSize(7429, 100, 8, 128, 12)))
        form.start_button.focus()
        await pilot.pause(0.2)

    assert snap_compare(training, terminal_size=size, run_before=counted)


@pytest.mark.parametrize("size", SIZES)
def test_a_jacobian_fit_under_way(training: Still, snap_compare: Any, size: tuple[int, int]) -> None:
    path = Path("/data/lenses/pythia-14m-jacobian-1.pt")

    async def run(pilot: Pilot[None]) -> None:
        app: Any = pilot.app
        await open_train(pilot)
        for prompts in (2, 4, 8, 16, 37):
            now = FitProgress(
                stage="prompts",
                share=(prompts + 0.4) / 100,
                step=prompts,
                steps=100,
                tokens=128 * prompts,
                seconds=2.5 * prompts,
                eta=2.5 * (100 - prompts),
                measured_step=min(prompts, 16),
                measured_tokens=64,
                convergence=1 - np.linspace(0.9, 0.3, 6, dtype=np.float32) / min(prompts, 16) ** 0.5,
            )
            status = FitStatus(Phase.RUNNING, "jacobian", path, now.share, now, kind="jacobian")
            app.post_message(FitChanged(replace(status, checkpoint_step=prompts - 1)))
            await pilot.pause()
        app.explore.post_message(TrainingRead(1, "jacobian", 0, cells(1.5), dict(enumerate(WORDS)), 0.1))
        await pilot.pause(0.2)

    assert snap_compare(training, terminal_size=size, run_before=run)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_a_fit_that_failed(training: Still, snap_compare: Any, size: tuple[int, int]) -> None:
    trouble = (
        "The fit failed. The loss is not finite at step 12: try a lower learning rate. "
        "What was learned is in /data/lenses/pythia-14m-quick-1.checkpoint. "
        "space tries again, s keeps it, x discards it."
    )

    async def run(pilot: Pilot[None]) -> None:
        await open_train(pilot)
        await fit(pilot, 11, phase=Phase.PAUSED, trouble=trouble, checkpoint_step=11)

    assert snap_compare(training, terminal_size=size, run_before=run)


def test_a_fit_that_is_over(training: Still, snap_compare: Any) -> None:
    async def run(pilot: Pilot[None]) -> None:
        await open_train(pilot)
        await fit(pilot, 60, phase=Phase.KEPT, share=1.0)

    assert snap_compare(training, terminal_size=(120, 40), run_before=run)


def test_quitting_meanwhile(training: Still, snap_compare: Any) -> None:
    async def run(pilot: Pilot[None]) -> None:
        await open_train(pilot)
        await fit(pilot, 3)
        await pilot.press("ctrl+q")
        await pilot.pause(0.2)

    assert snap_compare(training, terminal_size=(80, 24), run_before=run)


async def test_a_step_lays_nothing_out_and_paints_part_of_the_screen(
    training: Still, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out: list[Screen[Any]] = []
    painted: list[bool] = []
    lay_out, paint = Screen._refresh_layout, Compositor.render_update

    def refresh_layout(screen: Screen[Any], *arguments: Any, **options: Any) -> None:
        laid_out.append(screen)
        lay_out(screen, *arguments, **options)

    def render_update(compositor: Compositor, *arguments: Any, **options: Any) -> Any:
        update = paint(compositor, *arguments, **options)
        painted.append(isinstance(update, LayoutUpdate))
        return update

    async with training.run_test(size=(120, 40)) as pilot:
        await open_train(pilot)
        await fit(pilot, 12)
        monkeypatch.setattr(Screen, "_refresh_layout", refresh_layout)
        monkeypatch.setattr(Compositor, "render_update", render_update)
        for step in (13, 14, 15):  # nothing is measured at these
            training.post_message(FitChanged(replace(STATUS, progress=progress(step))))
            await pilot.pause(0.1)
        assert laid_out == []
        assert painted
        assert not any(painted)
        trouble = replace(STATUS, progress=progress(15), trouble="The disk is full.")
        training.post_message(FitChanged(trouble))
        await pilot.pause(0.1)
        assert laid_out
        assert "The disk is full." in str(training.screen.query_one("#fit-trouble", Static).render())


async def test_the_footer_has_the_keys_that_do_something(training: Still) -> None:
    async with training.run_test(size=(120, 40)) as pilot:
        await open_train(pilot)
        for phase, expected in (
            (Phase.RUNNING, "space Pause s Stop, keep x Discard"),
            (Phase.PAUSED, "space Go on s Stop, keep x Discard"),
            (Phase.KEEPING, "x Discard"),
            (Phase.KEPT, "s Save as… n Another fit"),
        ):
            await fit(pilot, 1, phase=phase)
            assert " ".join(footer(training).split()) == f"? Help {expected} esc q Explore"
        await pilot.press("space")
        assert "The fit is over" in " ".join(str(note.message) for note in training._notifications)
