"""The page of a figure: sizes, text, and the bytes of its file, drawn by matplotlib (an extra).

Lengths are in millimetres. All text is in one font, which comes with matplotlib: it stays text in SVG, and
is embedded in PDF. The same figure gives the same bytes.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lenstui.export.figures.palette import INK
from lenstui.support.errors import LensError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ft2font import FT2Font

    from lenstui.export.figures.caption import Caption

MM = 25.4  # in an inch
POINT = MM / 72
FONT, SMALL = 6.5, 5.5  # points
MARGIN = 2.0
WIDEST = 180.0  # what a figure without a chosen width takes, if it has to: two columns of most journals
_TALLEST = 240.0  # a page
_TALLEST_BY_WIDTH = 1.4
_FAMILY = "DejaVu Sans"
_SETTINGS: Any = {  # matplotlib's type for their names is one of all of them
    "font.family": "sans-serif",
    "font.sans-serif": [_FAMILY, "Verdana", "Bitstream Vera Sans"],
    "font.size": FONT,
    "text.color": INK,
    "text.parse_math": False,  # a token may be a dollar sign
    "axes.unicode_minus": True,
    "axes.linewidth": 0.5,
    "axes.edgecolor": INK,
    "axes.labelsize": FONT,
    "axes.titlesize": FONT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2,
    "ytick.major.size": 2,
    "legend.fontsize": FONT,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "lenstui",
    "pdf.fonttype": 42,
    "pdf.compression": 6,
}


def check_library() -> None:
    """Refuse to go on without the library that draws.

    Raises:
        LensError: if it is not installed.
    """
    try:
        with _quiet():
            import matplotlib  # noqa: F401
    except ImportError as error:
        raise LensError(
            "Figures need matplotlib, which is an extra: pip install 'lenstui[figures]'."
        ) from error


def figure_bytes(form: str, draw: Callable[[], Figure], caption: Caption) -> bytes:
    """Return the file of a figure, its caption among the file's metadata.

    Args:
        form: `svg` or `pdf`.
        draw: draws the figure.
        caption: its caption.

    Raises:
        LensError: if the figure cannot be drawn at its width, or matplotlib is not installed.
    """
    check_library()
    import matplotlib as mpl

    file = io.BytesIO()
    with _quiet(), mpl.rc_context():
        mpl.rcdefaults()  # whatever the user's own matplotlibrc says
        mpl.rcParams.update(_SETTINGS)
        figure = draw()
        if form == "pdf":
            _spell_out(figure)
            about = {"Title": caption.line, "Subject": caption.text, "Creator": "lenstui"}
            figure.savefig(file, format="pdf", metadata={**about, "CreationDate": None, "Producer": None})
        else:
            about = {"Title": caption.line, "Description": caption.text, "Creator": "lenstui"}
            figure.savefig(file, format="svg", metadata={**about, "Date": None})
    return file.getvalue()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep remarks of the library off the terminal."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def new_page(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a white page, and what is drawn on: x from the left, y from the top, millimetres."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / MM, height / MM), facecolor="white")
    page = figure.add_axes((0, 0, 1, 1))
    page.set_xlim(0, width)
    page.set_ylim(height, 0)
    page.set_axis_off()
    return figure, page


def wrapped_at(text: str, width: float) -> list[str]:
    """Return a text in lines that are no wider than a width, where its words allow it."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and text_width(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def tallest(width: float) -> float:
    """Return the height that a figure of a width may have: a page's, or more where it is wider than one."""
    return max(_TALLEST, _TALLEST_BY_WIDTH * width)


def too_narrow(width: float, least: float) -> LensError:
    """Return the error of a figure that is too narrow for what is in it."""
    return LensError(f"{width:g} mm are too narrow for this figure: it takes at least {least:g} mm.")


def text_width(text: str, size: float = FONT) -> float:
    """Return how wide a text is at a size in points."""
    return _width_at_64(_spelled(text)) * size / 64 * POINT


@lru_cache(maxsize=1 << 14)
def _width_at_64(text: str) -> float:
    """Return the width of a text at 64 points, in points."""
    font = _font()
    font.set_size(64, 72)
    font.set_text(text, 0.0)
    return max(font.get_width_height()[0] / 64, float(bool(text)))


@lru_cache(maxsize=1)
def _font() -> FT2Font:
    from matplotlib.font_manager import findfont, get_font

    return get_font(findfont(_FAMILY))


@lru_cache(maxsize=1)
def _known() -> frozenset[int]:
    return frozenset(_font().get_charmap())


def _spelled(text: str) -> str:
    """Return a text with the code points of characters that the font does not have: `U+4E2D`."""
    known = _known()
    return "".join(char if ord(char) in known or char == "\n" else f"U+{ord(char):04X}" for char in text)


def _spell_out(figure: Figure) -> None:
    """Have a figure's texts hold no character that its font does not have: a PDF has no other font."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text(_spelled(text.get_text()))
