"""The end of every job that exports a view: to a file, as text or as a figure, or to the clipboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.export.figures.style import FIGURE_FORMS
from lenstui.jobs.export_messages import FileTaken, TextTaken
from lenstui.jobs.export_things import Thing
from lenstui.support.atomic_file import written
from lenstui.support.paths import made

if TYPE_CHECKING:
    from lenstui.export.figures.file import FigureFile


def take_view(
    number: int,
    thing: Thing,
    file: Path | None,
    *,
    text: Callable[[str], str],
    figure: Callable[[str], FigureFile],
) -> FileTaken | TextTaken:
    """Write a view to a file, or make its text for the clipboard, and return what is posted of it.

    Args:
        number: the number of the order.
        thing: what is exported; its key is the form.
        file: the file, whose folder is made once there is something to write; None for the clipboard.
        text: returns the view in a form of text.
        figure: draws the view in one of the `FIGURE_FORMS`, which are for files alone.

    Raises:
        LensError: if the view cannot be made in this form, or the file cannot be written.
    """
    if file is not None and thing.key in FIGURE_FORMS:
        drawn = figure(thing.key)
        made(file.parent)
        drawn.write(file)
        return FileTaken(number, file)
    content = text(thing.key)
    if file is None:
        return TextTaken(number, thing, content)
    made(file.parent)
    with written(file) as out:
        out.write(content.encode("utf-8"))
    return FileTaken(number, file)
