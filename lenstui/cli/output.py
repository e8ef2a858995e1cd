"""Output of results: their format, and their destination."""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.cli.arguments import Parser, named_path
from lenstui.export.figures.style import FIGURE_FORMS, FigureStyle
from lenstui.support.atomic_file import written
from lenstui.support.errors import LensError
from lenstui.support.printable import printable
from lenstui.support.typed_number import whole_number
from lenstui.support.typed_path import expanded, is_file

if TYPE_CHECKING:
    from rich.text import Text

    from lenstui.export.figures.file import FigureFile

FORMATS = ("table", "json", "csv", "parquet", "html", "svg", "pdf", "md")
STREAMED = ("csv", "parquet")  # formats that are written while the rest is still being read
_TABLE_OR_JSON = FORMATS[:2]
_MOST_MM = 5000
_READ_FROM_NO_FILE = {"prompt", "word", "output", "save"}  # a text may be called as a file is
_ENDINGS = {"": "table", ".txt": "table", ".htm": "html"} | {f".{form}": form for form in FORMATS[1:]}


def add_output(parser: Parser, formats: Sequence[str] = _TABLE_OR_JSON) -> argparse._ArgumentGroup:
    """Add the arguments for format and destination, and return their group, to which more may be added."""
    output = parser.add_argument_group("output")
    output.add_argument("--format", choices=formats, help="default: what the ending of -o says, else table")
    add_output_file(output)
    if set(formats) & set(FIGURE_FORMS):
        add_figure_style(output)
    return output


def add_output_file(group: argparse._ArgumentGroup | Parser) -> None:
    """Add the argument for the destination."""
    group.add_argument(
        "-o", "--output", metavar="FILE", type=named_path, help="write to this file, not to stdout"
    )


def add_figure_style(group: argparse._ArgumentGroup) -> None:
    """Add the arguments for how a figure looks."""
    group.add_argument(
        "--width",
        metavar="MM",
        type=_millimetres,
        help="the width of a figure, SVG or PDF, in millimetres (default: what it takes)",
    )
    group.add_argument(
        "--greyscale", action="store_true", help="draw a figure in greys (default: in colours)"
    )


def figure_style(parser: Parser, given: argparse.Namespace, form: str) -> FigureStyle:
    """Return how a figure looks, and refuse what is of no use with another form, or with a terminal."""
    if form not in FIGURE_FORMS:
        for option, is_given in (("--width", given.width is not None), ("--greyscale", given.greyscale)):
            if is_given:
                parser.error(f"{option} is of a figure: add --format {' or '.join(FIGURE_FORMS)}")
    elif form == "pdf" and given.output is None and sys.stdout.isatty():
        parser.error("pdf is nothing for a terminal: name a file with -o")
    else:
        from lenstui.export.figures.page import check_library

        check_library()  # before the model, since loading takes long
    return FigureStyle(given.width, given.greyscale)


def deliver_figure(figure: FigureFile, file: Path | None) -> None:
    """Write a figure to `file`, its caption beside it, or the figure alone to stdout for None.

    Raises:
        LensError: if the file cannot be written.
    """
    if file is not None:
        figure.write(file)
    elif sys.stdout.isatty():
        deliver(figure.content.decode(), None)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(figure.content)


def _millimetres(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= _MOST_MM:
        raise argparse.ArgumentTypeError(f"{text!r} is no width in millimetres: a number up to {_MOST_MM}")
    return number


def output_format(parser: Parser, given: argparse.Namespace, formats: Sequence[str] = _TABLE_OR_JSON) -> str:
    """Return one of `formats`, from `--format` or the file's ending.

    Raises:
        LensError: if `-o` names a file that the command reads.
    """
    check_unread(given.output, given)
    ending = "" if given.output is None else given.output.suffix
    form: str | None = given.format or _ENDINGS.get(ending.lower())
    if form is not None and form in formats:
        return form
    choice = " or ".join(formats)
    if given.format:
        parser.error(f"--format {given.format} is for other results: here it is {choice}")
    parser.error(f"the ending {ending} does not tell the format: add --format {choice}")


def check_unread(file: Path | None, given: argparse.Namespace) -> None:
    """Refuse to write over a file that an argument names, or that is in a folder that one names.

    Raises:
        LensError: if the file is there, and read.
    """
    if file is None or not is_file(file):
        return
    for name, value in vars(given).items():
        if name in _READ_FROM_NO_FILE:
            continue
        for each in value if isinstance(value, list | tuple) else [value]:
            if isinstance(each, str | Path) and _is_of(file, expanded(str(each))):
                raise LensError(f"{file} is read by this command: write to another file.")


def _is_of(file: Path, read: Path) -> bool:
    """Return whether a file is another one, or in a folder."""
    with suppress(OSError, ValueError):  # no path: a name on the hub, or too long for one
        return read.samefile(file.resolve().parent if read.is_dir() else file)
    return False


def deliver(text: str | Iterable[str], file: Path | None) -> None:
    """Write `text`, or its pieces as they come, to `file`, or to stdout for None.

    A file and a pipe get it unchanged; on a terminal all control characters but newline and tab are escaped.

    Raises:
        LensError: if the file cannot be written.
    """
    pieces = [text] if isinstance(text, str) else text
    if file is None:
        if sys.stdout.isatty():
            pieces = (printable(piece, kept="\n\t") for piece in pieces)
        sys.stdout.writelines(pieces)
        return
    with written(file) as out:
        for piece in pieces:
            out.write(piece.encode("utf-8"))


def table_width(file: Path | None) -> int | None:
    """Return the width in terminal cells that a table may have in `file`, or on stdout for None.

    It is what `COLUMNS` says, else the terminal's; None in a file or a pipe: as wide as it takes.
    """
    if columns := whole_number(os.environ.get("COLUMNS", "")):
        return columns
    return shutil.get_terminal_size().columns if file is None and sys.stdout.isatty() else None


def show_text(text: Text, file: Path | None) -> None:
    """Write `text` as `deliver` does, with its styles where a terminal shows them."""
    if file is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        from rich.console import Console
        from rich.text import Text as StyledText

        console = Console()
        parts = ((printable(part.text, kept="\n\t"), part.style or "") for part in text.render(console))
        console.print(StyledText.assemble(*parts), soft_wrap=True, end="")
    else:
        deliver(text.plain, file)
