"""A readout in any of the forms of files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING
from xml.sax.saxutils import escape

from lenstui.export.figures.style import FIGURE_FORMS, FigureStyle
from lenstui.export.shape import GRID, PINS
from lenstui.support.atomic_file import written
from lenstui.support.printable import printable

if TYPE_CHECKING:
    from lenstui.export.figures.file import FigureFile
    from lenstui.export.tidy import Heading, TokenText
    from lenstui.readout.cells import Tile
    from lenstui.readout.values import Value


@dataclass(frozen=True, slots=True)
class Manner:
    """Settings of a form.

    Attributes:
        texts: display texts of all tokens in the readout.
        vocabulary: the number of tokens, for the scales of the values.
        value: the value of a form that shows only one.
        command: the command that repeats the readout.
        diff: whether to show the second lens minus the first, in a form that can.
        figure: what a figure shows, one of `FIGURES`.
        column: the column of a figure of pins; None for the last.
        style: how a figure looks.
    """

    texts: TokenText
    vocabulary: int
    value: Value
    command: str
    diff: bool = False
    figure: str = GRID
    column: int | None = None
    style: FigureStyle = field(default=FigureStyle())


def write_form(form: str, tiles: Iterable[Tile], heading: Heading, manner: Manner, file: Path) -> None:
    """Write a readout in one of its forms; the former content of `file` stays until all is written.

    Args:
        form: the name of the form.
        tiles: the tiles, in column order; CSV and Parquet are written as they come.
        heading: the heading of the readout.
        manner: settings of the form.
        file: the file to write.

    Raises:
        LensError: if the file cannot be written, or a figure cannot be drawn at its width.
    """
    if form in FIGURE_FORMS:
        figure_of(form, tiles, heading, manner).write(file)
        return
    with written(file) as out:
        if form == "parquet":
            write_bytes(tiles, heading, manner, out)
            return
        for piece in text_of(form, tiles, heading, manner):
            out.write(piece.encode("utf-8"))


def write_bytes(tiles: Iterable[Tile], heading: Heading, manner: Manner, out: IO[bytes]) -> None:
    """Write a readout as Parquet."""
    from lenstui.export.parquet_file import write_parquet

    write_parquet(tiles, heading, manner.texts, out)


def figure_of(form: str, tiles: Iterable[Tile], heading: Heading, manner: Manner) -> FigureFile:
    """Return a readout as a figure: its grids, or the pinned words in one column.

    Raises:
        LensError: if it cannot be drawn at its width, there is no such column, or matplotlib is not there.
    """
    from lenstui.readout.tiles import Readout

    readout = Readout.join(heading.prompt, heading.rows, tiles, tuple(pin.id for pin in heading.pins))
    texts, style, command = manner.texts, manner.style, manner.command
    if manner.figure == PINS:
        from lenstui.export.figures.pins import pin_figure

        return pin_figure(form, readout, heading, texts, style, column=manner.column, command=command)
    from lenstui.export.figures.grid import grid_figure

    return grid_figure(
        form,
        readout,
        texts,
        heading.source,
        manner.value,
        style=style,
        diff=manner.diff,
        vocabulary=manner.vocabulary,
        command=command,
    )


def text_of(form: str, tiles: Iterable[Tile], heading: Heading, manner: Manner) -> Iterator[str]:
    """Yield a readout in a form of text, in pieces."""
    texts, source, pins = manner.texts, heading.source, heading.pins
    value, diff = manner.value, manner.diff
    vocabulary, command = manner.vocabulary, manner.command
    if form == "csv":
        from lenstui.export.csv_text import csv_text

        yield from csv_text(tiles, heading, texts)
        return
    from lenstui.readout.tiles import Readout

    readout = Readout.join(heading.prompt, heading.rows, tiles, tuple(pin.id for pin in pins))
    if form == "json":
        from lenstui.export.json_contract import json_text

        yield json_text(readout, texts, source, pins, heading.first, words=heading.words)
    elif form == "html":
        from lenstui.export.html_page import html_page

        yield html_page(
            readout,
            texts,
            source,
            value,
            pins=pins,
            words=heading.words,
            diff=diff,
            vocabulary=vocabulary,
            command=command,
        )
    else:
        from lenstui.export.markdown import markdown

        yield markdown(
            readout, texts, source, value, pins=pins, words=heading.words, diff=diff, command=command
        )


def with_source(text: str, heading: Heading, command: str) -> str:
    """Return a part of a readout, followed by its source in lines that begin with `#`."""
    return text + "".join(f"# {line}\n" for line in _source_lines(heading, command))


def described(svg: str, heading: Heading, command: str) -> str:
    """Return a picture of the screen with the source of its numbers in a `<desc>` element."""
    opening, end, rest = svg.partition(">")
    return f"{opening}{end}<desc>{escape(chr(10).join(_source_lines(heading, command)))}</desc>{rest}"


def _source_lines(heading: Heading, command: str) -> tuple[str, ...]:
    from lenstui.export.table import summary
    from lenstui.opening.source import turns_text, versions_text

    return (
        printable(f"prompt: {heading.prompt.text}"),
        *filter(None, [turns_text(heading.prompt)]),
        printable(f"{summary(heading.source)} · {versions_text(heading.source)}"),
        command.removeprefix("# "),
    )
