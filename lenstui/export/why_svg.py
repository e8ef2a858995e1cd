"""Why a cell says what it says, as an SVG figure: a map of blocks by heads and MLP, and a ranked list."""

from __future__ import annotations

import math
from collections.abc import Iterator
from xml.sax.saxutils import escape

import numpy as np
from rich.cells import cell_len

from lenstui.causal.contributions import Component, Contributions
from lenstui.export.colours import LEVEL_COLOURS, readable
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
from lenstui.export.why import DIRECT, Why, reasons_of, strongest, strongest_sources
from lenstui.opening.source import turns_text, versions_text
from lenstui.readout.cells import FloatArray
from lenstui.readout.scales import NO_LEVEL, Scale, round_top
from lenstui.support.fixed_text import fixed_text
from lenstui.support.printable import printable

_NUMBERS = 16  # at most so many heads, there is room for numbers in the cells
_WIDE, _NARROW = 40, 16
_BAR = 120  # the length of the longest bar of the list
_TOKEN = 12  # characters


def why_svg(why: Why, command: str) -> str:
    """Return a figure of a cell's contributions, the top of the network first, on a white ground.

    Args:
        why: the contributions.
        command: the command that writes this figure again.
    """
    names, numbers = _map(why.contributions)
    scale = _scale(why.contributions)
    label = math.ceil(4 * CHARACTER) + 2 * PAD
    cell = _WIDE if len(names) - 2 <= _NUMBERS else _NARROW
    top, left = MARGIN + 2 * ROW, MARGIN
    parts = [
        text_at(left, MARGIN + FONT, why.cell, bold=True),
        text_at(left, MARGIN + ROW + FONT, why.sum, fill=FAINT),
        *_grid(names, numbers, scale, cell, at=(left, top + ROW)),
    ]
    width = label + len(names) * cell
    listed = _ranked(why)
    parts += _list(why, listed, at=(left + width + GAP, top + ROW))
    height = top + (max(len(numbers), len(listed)) + 3) * ROW
    parts += _legend(scale, height)
    footer = [*reasons_of(why), DIRECT, summary(why.source)]
    height += 3 * ROW
    for text in footer:
        parts.append(text_at(left, height, text, fill=FAINT, size=FONT - 1))
        height += ROW
    longest = max(map(cell_len, (why.cell, why.sum, *footer)))
    whole = max(left + width + GAP + _list_width(), round(longest * CHARACTER) + 2 * MARGIN)
    return "\n".join(
        [
            opening(whole, height),
            *_said(why, command),
            rectangle(0, 0, whole, height, "#ffffff"),
            *parts,
            "</svg>",
            "",
        ]
    )


def _map(of: Contributions) -> tuple[list[str], FloatArray]:
    """Return the names of columns, and contributions by block and column: heads, attention, MLP."""
    names = [*map(str, range(of.heads.shape[1])), "attn", "mlp"]
    return names, np.concatenate([of.heads, of.attention[:, None], of.mlp[:, None]], 1)


def _scale(of: Contributions) -> Scale:
    sizes = [abs(each.contribution) for each in (*of.components, *of.named_heads)]
    return Scale.around_zero(round_top(max(*sizes, 0.01)))


def _grid(
    names: list[str], numbers: FloatArray, scale: Scale, cell: int, *, at: tuple[int, int]
) -> Iterator[str]:
    """Yield the map, a row for each block, the last one on top, with what a cell is as its title."""
    left, top = at
    label = math.ceil(4 * CHARACTER) + 2 * PAD
    narrow = cell == _NARROW
    for column, name in enumerate(names):
        shown = name if not narrow or column >= len(names) - 2 or int(name) % 4 == 0 else ""
        x = left + label + column * cell
        yield text_at(x + 2, top - PAD, clip(shown, 2 if narrow else None), fill=FAINT, size=FONT - 2)
    levels = scale.levels(numbers)
    for line, block in enumerate(reversed(range(len(numbers)))):
        y = top + line * ROW
        yield text_at(left + label - PAD, y + FONT + 1, str(block), fill=FAINT, anchor="end")
        for column, name in enumerate(names):
            x, value, level = (
                left + label + column * cell,
                float(numbers[block, column]),
                levels[block, column],
            )
            colour = NO_COLOUR if level == NO_LEVEL else LEVEL_COLOURS[level]
            what = escape(f"{block}.{name} {fixed_text(value, 3)}")
            yield f"<g><title>{what}</title>{rectangle(x, y, cell - 1, ROW - 1, colour)}</g>"
            if not narrow and not math.isnan(value):
                number = fixed_text(value, 2 if abs(value) < 10 else 1)
                yield text_at(
                    x + cell - PAD, y + FONT + 1, number, fill=readable(colour), anchor="end", size=FONT - 2
                )


def _ranked(why: Why) -> list[Component]:
    """Return the strongest of all that adds up: embedding, bias, heads and MLPs, attention without heads."""
    of = why.contributions
    split = {f"{block}.attn" for block, reason in enumerate(of.no_heads) if reason is None}
    rest = [each for each in of.components if each.name not in split]
    return list(strongest([*rest, *of.named_heads], why.top))


def _list(why: Why, listed: list[Component], *, at: tuple[int, int]) -> Iterator[str]:
    """Yield the list: names, bars, numbers, and the column that most of a head's came from."""
    left, top = at
    yield text_at(left, top - PAD, "strongest", fill=FAINT, size=FONT - 2)
    largest = max((abs(each.contribution) for each in listed), default=1.0) or 1.0
    for line, each in enumerate(listed):
        y = top + line * ROW
        yield text_at(left, y + FONT + 1, each.name)
        colour = LEVEL_COLOURS[20 if each.contribution > 0 else 14]
        bar = max(1, round(_BAR * abs(each.contribution) / largest))
        yield rectangle(left + 60, y + 2, bar, ROW - 5, colour)
        x = left + 60 + _BAR + PAD
        yield text_at(x + 50, y + FONT + 1, fixed_text(each.contribution, 3), anchor="end")
        if source := next(iter(_sources(why, each)), None):
            token = clip(why.texts[why.contributions.ids[source]], _TOKEN)
            yield text_at(x + 60, y + FONT + 1, f"{token} ({source})", fill=FAINT)


def _sources(why: Why, each: Component) -> list[int]:
    """Return the columns that contribute most through an attention head; none for any other component."""
    is_head = all(part.isdigit() for part in each.name.split("."))
    return [column for column, _ in strongest_sources(why, each.name)] if is_head else []


def _list_width() -> int:
    return 60 + _BAR + PAD + 60 + math.ceil((_TOKEN + 8) * CHARACTER) + MARGIN


def _legend(scale: Scale, top: int) -> Iterator[str]:
    yield text_at(MARGIN, top - PAD, "contribution to the logit")
    for step, level in enumerate(scale.steps):
        yield rectangle(MARGIN + step * SWATCH, top, SWATCH, ROW - 3, LEVEL_COLOURS[level])
    width = len(scale.steps) * SWATCH
    for fraction, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        x = MARGIN + round(fraction * width)
        yield text_at(x, top + 2 * ROW - 6, fixed_text(scale.at(fraction), 2), anchor=anchor)


def _said(why: Why, command: str) -> Iterator[str]:
    """Yield a title and a description, which screen readers read aloud."""
    yield f"<title>{escape(printable(f'{why.cell}, {why.source.title}'))}</title>"
    said = (
        f"Prompt: {printable(why.prompt.text)}",
        *filter(None, [turns_text(why.prompt)]),
        f"{why.sum}",
        f"Model: {summary(why.source)} · {versions_text(why.source)}",
        f"Made by: {command}",
    )
    yield f"<desc>{escape(chr(10).join(said))}</desc>"
