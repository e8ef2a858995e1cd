"""The end of every job that keeps a view: into the lab notebook, with a figure where one can be drawn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from lenstui.jobs.export_messages import ViewKept
from lenstui.support.errors import LensError
from lenstui.support.paths import notebook

if TYPE_CHECKING:
    from lenstui.export.figures.file import FigureFile


def keep_view(
    kind: str, subject: str, markdown: str, figure: Callable[[], FigureFile] | None = None
) -> ViewKept:
    """Keep a view in the lab notebook, and return what is posted of it.

    Args:
        kind: what is shown, as `KeptView` has it.
        subject: the prompt, text or prompt set that it is of.
        markdown: the view as Markdown, with its source and its command.
        figure: draws the view as SVG; None for a view that has no figure. Where it cannot be drawn, the view
            is kept without it.

    Raises:
        LensError: if the notebook cannot be written.
    """
    from lenstui.export.notebook import KeptView, keep

    svg = caption = no_figure = ""
    try:
        if figure is not None:
            drawn = figure()
            svg, caption = drawn.content.decode(), drawn.caption.line
    except LensError as error:  # matplotlib is not installed, or there is nothing to draw
        no_figure = str(error)
    view = KeptView(datetime.now().astimezone(), kind, subject, markdown, svg, caption)
    return ViewKept(keep(view, notebook()), no_figure)
