"""An evaluation on screen: asked for, awaited, and read off."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Label, Static

from lenstui.evaluation import evaluate
from lenstui.readout import tiles
from lenstui.tui.app import LenstuiApp
from lenstui.tui.evaluation.ask_evaluation import AskEvaluation
from lenstui.tui.evaluation.screen import Evaluation
from lenstui.tui.evaluation.table import EvaluationTable
from lenstui.tui.shared.choice import Choice
from tests.tui.pilots.looking import until


class Gate:
    """Lets so many tiles of blocks through, and holds the next ones back until it is open."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, through: int) -> None:
        self._left, self.is_open = through, threading.Event()
        self.is_waiting = threading.Event()
        read_tiles = tiles.read_tiles

        def gated(*arguments: Any, **options: Any) -> Iterator[Any]:
            for tile in read_tiles(*arguments, **options):
                if self._left <= 0:
                    self.is_waiting.set()
                    assert self.is_open.wait(60)
                self._left -= 1
                yield tile

        monkeypatch.setattr(evaluate, "read_tiles", gated)


async def ask_for_evaluation(app: LenstuiApp, pilot: Pilot[None], key: str = "E") -> AskEvaluation:
    await pilot.press(key)
    await until(pilot, lambda: isinstance(app.screen, AskEvaluation) and app.screen.focused)
    assert isinstance(app.screen, AskEvaluation)
    return app.screen


def fill(dialog: AskEvaluation, **values: str) -> None:
    """Type into the lines of the dialog, by their names."""
    for name, value in values.items():
        dialog.query_one(f"#ask-{name}", Input).value = value


def lens_choices(dialog: AskEvaluation) -> dict[str, Choice]:
    """The choices of the lenses on screen, by the words beside them."""
    lines = [choice.parent for choice in dialog.query("#ask-lenses Choice").results(Choice)]
    return {
        str(line.query_one(Label).render()): line.query_one(Choice)
        for line in lines
        if line is not None and line.display
    }


def hint(dialog: AskEvaluation) -> str:
    return str(dialog.query_one("#ask-hint", Label).render())


async def evaluated(app: LenstuiApp, pilot: Pilot[None]) -> Evaluation:
    """Wait until all is measured."""
    await until(pilot, lambda: isinstance(app.screen, Evaluation) and " tokens in " in progress(app))
    assert isinstance(app.screen, Evaluation)
    return app.screen


def progress(app: LenstuiApp) -> str:
    """What is said below the plot."""
    return text(app, "progress")


def text(app: LenstuiApp, name: str) -> str:
    return str(app.screen.query_one(f"#evaluation-{name}", Static).render())


def shown_table(app: LenstuiApp) -> list[str]:
    """The lines of the table as they are on screen, its heads first."""
    table = app.screen.query_one(EvaluationTable)
    return [table.render_line(y).text.rstrip() for y in range(table.size.height)]
