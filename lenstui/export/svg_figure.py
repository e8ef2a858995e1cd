"""A readout as an SVG figure: every cell with its likeliest token, coloured by one value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from rich.cells import cell_len

from lenstui.export.colours import LEVEL_COLOURS, bar_colour, readable
from lenstui.export.difference import DIFFERENT, Difference, differing
from lenstui.export.legend import beyond, end_texts, scale_note, shares_note
from lenstui.export.svg_shapes import (
    CHARACTER,
    FAINT,
    FONT,
    GAP,
    MARGIN,
    NO_COLOUR,
    PAD,
    ROW,
    SWATCH,
    opening,
    rectangle,
    text_at,
)
from lenstui.export.table import summary
from lenstui.export.text_width import clip
from lenstui.export.tidy import TokenText, top_text
from lenstui.lens.names import lens_title
from lenstui.model.rows import is_sublayer, is_whole_stream
from lenstui.opening.source import Source, filter_text, sublayers_text, turns_text, versions_text
from lenstui.readout.cells import Cells, IntArray
from lenstui.readout.reading import WORDS_ONLY
from lenstui.readout.scales import NO_LEVEL, Scale
from lenstui.readout.values import Value
from lenstui.support.printable import printable

if TYPE_CHECKING:
    from lenstui.readout.tiles import Readout

# Sizes in pixels.
_BAR = 3
_NARROWEST = 900
_SHAPE = 1.4  # width by height of a figure that is wider than the narrowest one

_WIDEST_TOKEN = 10  # characters


@dataclass(frozen=True, slots=True)
class _Frame:
    """Heads, labels and sizes that the grids of a figure share.

    Attributes:
        heads: the input tokens, clipped.
        labels: the labels of the rows, the top of the network first.
        widths: the widths of the columns, pixels.
        label_width: the width of the row labels, pixels.
    """

    heads: Sequence[str]
    labels: Sequence[str]
    widths: Sequence[int]
    label_width: int

    @property
    def grid_height(self) -> int:
        """The height of a title, the heads and the rows, pixels."""
        return (len(self.labels) + 2) * ROW

    def width(self, columns: range) -> int:
        """Return the width of a grid of some of the columns, pixels."""
        return self.label_width + sum(self.widths[column] for column in columns)


def svg_figure(
    readout: Readout,
    texts: TokenText,
    source: Source,
    value: Value,
    *,
    diff: bool = False,
    vocabulary: int,
    command: str,
) -> str:
    """Return the lenses beside each other, the top of the network first, with a legend, on a white ground.

    Long prompts continue below, so that the figure stays about as wide as it is high.

    Args:
        readout: the readout.
        texts: display texts of all tokens in it.
        source: the source of its numbers.
        value: the value that the colours show.
        diff: whether to show the second lens minus the first in place of both.
        vocabulary: the number of tokens, for the value's scale.
        command: the command that writes this figure again.
    """
    shown: Value | Difference = value
    tokens = {lens_title(name): _tokens(cells, texts) for name, cells in readout.lenses.items()}
    numbers = {lens_title(name): value.of(cells) for name, cells in readout.lenses.items()}
    settled = {lens_title(name): readout.crystallization(name) for name in readout.lenses}
    bars = "Bar: from this row on the likeliest token stays the final one"
    mark = ""
    # Sublayer rows would stretch the scale.
    streams = {name: value.of(readout.stream(name)) for name in readout.lenses}
    scale = value.scale(list(streams.values()), vocabulary)
    note = scale_note(scale) or shares_note(value, streams)
    if diff:
        shown = Difference.of_two(value, readout.lenses)
        both = shown.pair(readout.lenses)
        settled = {shown.title: readout.crystallization(shown.right)}
        tokens = {shown.title: _marked(_tokens(both[1], texts), differing(*both)[::-1].tolist())}
        numbers = {shown.title: shown.of(*both)}
        scale = shown.scale(numbers[shown.title], vocabulary)
        bars += f" ({lens_title(shown.right)})"
        mark = f" · {DIFFERENT} another token leads by the {lens_title(shown.left)}"
        note = shown.note(scale)
    frame = _frame(readout, texts, tokens.values())
    bands = _bands(frame, len(tokens))
    widest = max(map(frame.width, bands))
    parts: list[str] = []
    top = MARGIN
    for band in bands:
        for place, name in enumerate(tokens):
            title = f"{name}{mark}"
            if len(bands) > 1:
                title += f" · columns {band.start}–{band.stop - 1} of {len(frame.heads)}"
            left = MARGIN + place * (widest + GAP)
            levels = scale.levels(numbers[name])[::-1].tolist()
            parts.append(text_at(left + frame.label_width, top + FONT, title, bold=True))
            parts += _grid(frame, band, tokens[name], levels, settled[name], at=(left, top + ROW))
        top += frame.grid_height + GAP
    legend = ", ".join(filter(None, (shown.label, shown.unit, note, WORDS_ONLY * source.words_only)))
    ends = end_texts(shown.format, scale, beyond(scale, numbers.values()))
    parts += _legend(legend, ends, "" if scale.two else shown.format(scale.at(0.5)), scale, top)
    footer = [
        *([f"{bars}."] if is_whole_stream(readout.rows) else []),
        *([sublayers_text(source, readout.left_over)] if source.sublayers else []),
        *([filter_text(source)] if source.words_only else []),
        summary(source),
    ]
    longest = max(map(cell_len, (*footer, title, legend)))
    right = max(len(tokens) * (widest + GAP) - GAP, round(longest * CHARACTER))
    width = right + 2 * MARGIN
    height = top + (3 + len(footer)) * ROW + MARGIN
    for line, text in enumerate(reversed(footer)):
        parts.append(text_at(MARGIN, height - MARGIN - line * ROW, text, fill=FAINT, size=FONT - 1))
    said = _said(" and ".join(tokens), readout, source, value, command)
    return "\n".join(
        [opening(width, height), *said, rectangle(0, 0, width, height, "#ffffff"), *parts, "</svg>", ""]
    )


def _tokens(cells: Cells, texts: TokenText) -> list[list[str]]:
    """Return the likeliest tokens, clipped, the top of the network first."""
    return [
        [clip(top_text(texts, token), _WIDEST_TOKEN) for token in row]
        for row in cells.top_ids[::-1, :, 0].tolist()
    ]


def _marked(tokens: list[list[str]], marks: list[list[bool]]) -> list[list[str]]:
    """Return the tokens with a mark before those whose mark is true."""
    return [
        [f"{DIFFERENT} {token}" if mark else token for token, mark in zip(*row, strict=True)]
        for row in zip(tokens, marks, strict=True)
    ]


def _frame(readout: Readout, texts: TokenText, tokens: Iterable[Sequence[Sequence[str]]]) -> _Frame:
    heads = [clip(texts[token], _WIDEST_TOKEN) for token in readout.prompt.ids]
    rows = [heads, *(row for lens in tokens for row in lens)]
    longest = [max(3, *map(cell_len, column)) for column in zip(*rows, strict=True)]
    labels = readout.rows[::-1]
    label_width = math.ceil(max(map(len, labels)) * CHARACTER) + 2 * PAD
    return _Frame(heads, labels, [math.ceil(n * CHARACTER) + 2 * PAD for n in longest], label_width)


def _bands(frame: _Frame, lenses: int) -> list[range]:
    """Return runs of columns so short that the grids of all lenses fit beside each other."""
    area = lenses * sum(frame.widths) * frame.grid_height
    room = (max(_NARROWEST, math.sqrt(_SHAPE * area)) - (lenses - 1) * GAP) / lenses
    bands = [range(1)]
    for column in range(1, len(frame.widths)):
        longer = range(bands[-1].start, column + 1)
        if frame.width(longer) <= room:
            bands[-1] = longer
        else:
            bands.append(range(column, column + 1))
    return bands


def _grid(
    frame: _Frame,
    band: range,
    tokens: Sequence[Sequence[str]],
    levels: Sequence[Sequence[int]],
    settled: IntArray | None,
    *,
    at: tuple[int, int],
) -> Iterator[str]:
    """Yield heads, row labels and cells of some columns, with a bar at each column's row in `settled`."""
    left, top = at
    for line, label in enumerate(["", *frame.labels]):
        baseline = top + line * ROW + FONT + 1
        x = left + frame.label_width
        if label:
            size = FONT - 2 if is_sublayer(label) else None
            yield text_at(x - PAD, baseline, label, fill=FAINT, anchor="end", size=size)
        for column in band:
            if not label:
                yield text_at(x + PAD, baseline, frame.heads[column], bold=True)
            else:
                level = levels[line - 1][column]
                colour = NO_COLOUR if level == NO_LEVEL else LEVEL_COLOURS[level]
                yield rectangle(x, top + line * ROW, frame.widths[column] - 1, ROW - 1, colour)
                if token := tokens[line - 1][column]:
                    yield text_at(x + PAD, baseline, token, fill=readable(colour))
                if settled is not None and settled[column] == len(frame.labels) - line:
                    yield _bar(x, top + line * ROW, bar_colour(colour))
            x += frame.widths[column]


def _legend(title: str, ends: tuple[str, str], middle: str, scale: Scale, top: int) -> Iterator[str]:
    """Yield the colours with their numbers, or with words where there are only two."""
    left = MARGIN
    swatch = 2 * SWATCH if scale.two else SWATCH
    width = len(scale.steps) * swatch
    yield text_at(left, top + FONT, title)
    for step, level in enumerate(scale.steps):
        yield rectangle(left + step * swatch, top + ROW, swatch, ROW - 3, LEVEL_COLOURS[level])
    marks = ((0.0, "start", ends[0]), (0.5, "middle", middle), (1.0, "end", ends[1]))
    for fraction, anchor, number in marks if middle else marks[::2]:
        yield text_at(left + round(fraction * width), top + 3 * ROW - 6, number, anchor=anchor)


def _said(lenses: str, readout: Readout, source: Source, value: Value, command: str) -> Iterator[str]:
    """Yield a title and a description, which screen readers read aloud."""
    yield f"<title>{escape(printable(f'{lenses} of {source.title}, coloured by {value.label}'))}</title>"
    said = (
        f"Prompt: {printable(readout.prompt.text)}",
        *filter(None, [turns_text(readout.prompt)]),
        f"Model: {summary(source)} · {versions_text(source)}",
        f"Made by: {command}",
    )
    yield f"<desc>{escape(chr(10).join(said))}</desc>"


def _bar(x: int, y: int, colour: str) -> str:
    """Return a bar at the left edge of a cell."""
    return f'<path d="M{x} {y}h{_BAR}v{ROW - 1}h-{_BAR}z" fill="{colour}"/>'
