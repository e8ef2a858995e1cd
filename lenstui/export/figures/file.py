"""A figure as a file: its bytes, with its caption in it and in a text beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.export.figures.caption import Caption, caption_file
from lenstui.export.figures.page import figure_bytes
from lenstui.support.atomic_file import check_replaceable, is_special, written

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class FigureFile:
    """A figure, drawn.

    Attributes:
        content: the bytes of the file.
        caption: its caption.
    """

    content: bytes
    caption: Caption

    @classmethod
    def drawn(cls, form: str, draw: Callable[[], Figure], caption: Caption) -> FigureFile:
        """Return a figure in one of the `FIGURE_FORMS`.

        Raises:
            LensError: if it cannot be drawn at its width, or matplotlib is not installed.
        """
        return cls(figure_bytes(form, draw, caption), caption)

    def write(self, file: Path) -> None:
        """Write the figure, and beside it `FIGURE.pdf.txt` with the caption; a device gets the figure alone.

        Raises:
            LensError: if a file cannot be written; the former content stays then.
        """
        beside = caption_file(file)
        if not is_special(file):
            check_replaceable(beside)
        with written(file) as out:
            out.write(self.content)
        if not is_special(file):
            with written(beside) as out:
                out.write(f"{self.caption.text}\n".encode())
