"""What the list of models shows."""

from __future__ import annotations

from textual.widgets import Static

from lenstui.tui.app import LenstuiApp
from lenstui.tui.models.table import ModelTable


def names(app: LenstuiApp) -> list[str]:
    return [model.name for model in app.screen.query_one(ModelTable)._models]


def detail(app: LenstuiApp) -> str:
    return str(app.screen.query_one("#model-detail", Static).render())
