"""How Evaluation and its dialog look, with a made-up evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot

from lenstui.evaluation.evaluate import Quality
from lenstui.export.evaluation import Evaluated
from lenstui.jobs.evaluation_messages import (
    EvaluationAsked,
    EvaluationEnd,
    EvaluationEnded,
    EvaluationGrown,
    EvaluationRead,
    FoundEvaluation,
    OfferedLens,
    OfferedModel,
)
from lenstui.opening.source import Source
from lenstui.support.request import Start
from lenstui.texts.block_size import BlockSize
from lenstui.texts.documents import Documents
from lenstui.tui.app import LenstuiApp
from lenstui.tui.evaluation.ask_evaluation import AskEvaluation
from lenstui.tui.evaluation.screen import Evaluation
from lenstui.tui.session.fit_texts import LastText
from tests.tui.pilots.still import MODEL, SIZES, Silent, show, still

__all__ = ["still"]  # a fixture

LENSES = (
    OfferedLens(0, "logit", "logit lens"),
    OfferedLens(0, "tuned", "tuned lens quick-1", ("stories.parquet",)),
    OfferedLens(0, "jacobian", "Jacobian lens wiki"),
)
ASKED = EvaluationAsked(
    OfferedModel(0, MODEL.name, 2048, LENSES),
    LENSES,
    Documents(("/data/held-out.parquet",)),
    BlockSize(16384),
)


def quality(scale: float, tokens: int) -> Quality:
    """What falls from row to row, to 0 in the last."""
    rows = len(MODEL.rows)
    kl = scale * np.linspace(1, 0, rows) ** 2
    ce = 2.9 + kl
    values = {
        "kl": kl,
        "ce": ce,
        "perplexity": np.exp(ce),
        "bits_per_byte": ce / 2.6,
        "top1_agreement": 1 - 0.8 * np.linspace(1, 0, rows),
        "entropy": 2.5 + kl / 2,
        "ece": 0.02 + kl / 100,
        "marginal_bias": kl / 5,
    }
    sem = {name: tuple((value * 0.03).tolist()) for name, value in values.items()}
    by_row = {name: tuple(value.tolist()) for name, value in values.items()}
    return Quality(**by_row, sem=sem, tokens=tokens, blocks=tokens // 512)


def found(tokens: int) -> FoundEvaluation:
    qualities = {
        "logit": quality(9.0, tokens),
        "tuned": quality(2.0, tokens),
        "jacobian": quality(7.0, tokens),
    }
    source = Source(MODEL.name, None, "float32", (), kinds=tuple(qualities))
    of = Evaluated(qualities, source, ASKED.documents.paths, stopped=tokens < ASKED.size.max_tokens)
    return FoundEvaluation(of, ASKED, (), Start())


async def open_evaluation(pilot: Pilot[None], app: LenstuiApp) -> Evaluation:
    await show(pilot)
    app.program.evaluations = Silent()  # type: ignore[assignment]
    screen = Evaluation(app.program)
    screen.begin(ASKED)
    app.push_screen(screen)
    await pilot.pause()
    return screen


@pytest.mark.parametrize("size", SIZES)
def test_evaluation(snap_compare: Any, still: LenstuiApp, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        screen = await open_evaluation(pilot, still)
        screen.post_message(EvaluationGrown(1, found(4096)))
        screen.post_message(EvaluationRead(1, 4608, 16384, 83.0))
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=look)


def test_the_plot_alone(snap_compare: Any, still: LenstuiApp) -> None:
    async def look(pilot: Pilot[None]) -> None:
        screen = await open_evaluation(pilot, still)
        screen.post_message(EvaluationGrown(1, found(16384)))
        await pilot.pause()
        await pilot.press("tab")
        await pilot.pause()

    assert snap_compare(still, terminal_size=SIZES[2], run_before=look)


def test_another_measure_at_the_end(snap_compare: Any, still: LenstuiApp) -> None:
    async def look(pilot: Pilot[None]) -> None:
        screen = await open_evaluation(pilot, still)
        screen.post_message(EvaluationGrown(1, found(16384)))
        screen.post_message(EvaluationEnded(1, EvaluationEnd.DONE, seconds=63.2))
        await pilot.pause()
        await pilot.press("v", "v")
        await pilot.pause()

    assert snap_compare(still, terminal_size=SIZES[1], run_before=look)


@pytest.mark.parametrize("size", SIZES)
def test_dialog(snap_compare: Any, still: LenstuiApp, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await show(pilot)
        dialog = AskEvaluation([ASKED.model], LastText("/data/stories.parquet", "story"))
        still.push_screen(dialog)
        await pilot.pause()
        if size == SIZES[1]:
            await pilot.press("up", "up", "right", "enter")  # that text is not there
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=look)


def test_dialog_of_two_models(snap_compare: Any, still: LenstuiApp) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await show(pilot)
        of_other = OfferedLens(
            1, "tuned", "tuned lens mine of pythia-31m", remark="It is a lens of pythia-31m."
        )
        first = OfferedModel(0, MODEL.name, 2048, (*LENSES, of_other))
        other = OfferedModel(1, "EleutherAI/pythia-31m", 2048, (OfferedLens(1, "logit", "logit lens"),))
        still.push_screen(AskEvaluation([first, other], LastText()))
        await pilot.pause()
        await pilot.press("up")
        await pilot.pause()

    assert snap_compare(still, terminal_size=SIZES[2], run_before=look)
