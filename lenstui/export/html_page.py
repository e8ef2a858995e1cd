"""A readout as one HTML page that needs no network and no other file.

The page holds the numbers as JSON, in four significant digits, and a small script that draws the grids.
Nothing in a prompt, a name or a token can become markup or a script: JSON has `<`, `>` and `&` as escapes,
the script sets text only as text, and a content security policy lets no other script run.
"""

from __future__ import annotations

import hashlib
import json
import math
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lenstui.export.colours import LEVEL_COLOURS, readable
from lenstui.export.crystallization import settled_rows
from lenstui.export.difference import DIFFERENT, Difference
from lenstui.export.legend import beyond, end_texts, scale_note, shares_note
from lenstui.export.pinned import Words
from lenstui.export.table import summary
from lenstui.export.tidy import TokenText, pin_text, top_text
from lenstui.lens.kinds import reads_next
from lenstui.lens.names import lens_title, no_row, no_sum
from lenstui.model.not_finite import IN_CELL
from lenstui.model.tokens import Prompt, visible
from lenstui.model.turns import NO_TURN
from lenstui.opening.source import (
    Source,
    depth_text,
    filter_text,
    parting_text,
    sublayers_text,
    turns_text,
    versions_text,
)
from lenstui.readout.cells import Cells, FloatArray, IntArray
from lenstui.readout.pins import Pin
from lenstui.readout.reading import WORDS_ONLY
from lenstui.readout.scales import Scale
from lenstui.readout.values import PROBABILITY, Value, values_for
from lenstui.support.printable import printable
from lenstui.support.version import __version__

if TYPE_CHECKING:
    from lenstui.readout.tiles import Readout
    from lenstui.readout.words import WordReading

_FOLDER = Path(__file__).parent
_FOR_SCRIPTS = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def html_page(
    readout: Readout,
    texts: TokenText,
    source: Source,
    value: Value,
    *,
    pins: Sequence[Pin] = (),
    words: Words | None = None,
    diff: bool = False,
    vocabulary: int,
    command: str,
) -> str:
    """Return a page of the lenses as coloured grids, with a switch for the value and the numbers of one cell.

    Args:
        readout: the readout.
        texts: display texts of all tokens in it.
        source: the source of its numbers.
        value: the value that the colours show at first.
        pins: the words of its pinned tokens.
        words: those of several tokens, by their place among the pins.
        diff: whether to show the second lens minus the first in place of both; one cell shows in full by
            both.
        vocabulary: the number of tokens, for the scales of the values.
        command: the command that writes this page again.
    """
    style = _file("page.css") + _steps()
    script = _file("page.js")
    heading = _lenses_in_words(readout, value, diff=diff)  # names of models among it keep their letters
    return Template(_file("page.html")).substitute(
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        generator=f"lenstui {__version__}",
        title=_safe(f"{source.title} · {readout.prompt.text}"),
        lenses=_safe(heading[:1].upper() + heading[1:] + f" · {WORDS_ONLY}" * source.words_only),
        summary=_safe(summary(source)),
        versions=_safe(versions_text(source)),
        remarks="".join(f"<p>{_safe(remark)}</p>" for remark in _remarks(readout, source)),
        prompt=_safe(readout.prompt.text),
        command=_safe(command),
        data=json.dumps(
            _data(readout, texts, value, pins, vocabulary, words=words, diff=diff),
            separators=(",", ":"),
            allow_nan=False,
        ).translate(_FOR_SCRIPTS),
    )


def _remarks(readout: Readout, source: Source) -> Iterator[str]:
    """Yield what has to be said of the numbers."""
    if turns := turns_text(readout.prompt):
        yield turns
    if source.sublayers:
        yield sublayers_text(source, readout.left_over)
    if source.words_only:
        yield filter_text(source)
    yield from filter(None, (depth_text(source), parting_text(source)))


def _file(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    """Return the hash of a style or script in the form of a content security policy."""
    return f"sha256-{b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def _safe(text: str) -> str:
    return escape(printable(text))


def _steps() -> str:
    """Return the colours of the palette as CSS classes."""
    return "".join(
        f".l{step} {{ background: {colour}; color: {readable(colour)}; }}\n"
        for step, colour in enumerate(LEVEL_COLOURS)
    )


def _data(
    readout: Readout,
    texts: TokenText,
    value: Value,
    pins: Sequence[Pin],
    vocabulary: int,
    *,
    words: Words | None = None,
    diff: bool,
) -> dict[str, Any]:
    """Return the data for the script: flat arrays by row (`emb` first), column and rank; texts by number."""
    lenses, pinned, words = tuple(readout.lenses.values()), [pin.id for pin in pins], words or {}
    streams = {name: readout.stream(name) for name in readout.lenses}  # these rows alone set the scales
    named = [pin_text(texts, pin) for pin in pins]
    ids = np.unique(
        np.concatenate([readout.prompt.ids, pinned, *(cells.top_ids.ravel() for cells in lenses)])
    ).astype(np.int64)

    def numbers_of(tokens: npt.ArrayLike) -> list[int]:
        numbers: list[int] = np.searchsorted(ids, tokens).ravel().tolist()
        return numbers

    probabilities = [_probability_of(*pin) for pin in enumerate(named)]
    values = (*values_for(named), *probabilities)
    return {
        "rows": list(readout.rows),
        "tokens": numbers_of(readout.prompt.ids),
        "texts": [top_text(texts, token) for token in ids.tolist()],
        "k": lenses[0].top_ids.shape[2],
        "value": value.key,
        "values": [
            _difference(one, readout.lenses, vocabulary) if diff else _value(one, streams, lenses, vocabulary)
            for one in values
        ],
        "difference": _sides(Difference.of_two(value, readout.lenses)) if diff else None,
        "turns": _turns(readout.prompt),
        "not_a_number": IN_CELL,
        "pins": [
            {
                "word": pin.word,
                "id": pin.id,
                "text": number,
                "whole": visible(pin.word) if place in words else None,
                "probability": probabilities[place].key,
            }
            for place, (pin, number) in enumerate(zip(pins, numbers_of(pinned), strict=True))
        ],
        "lenses": {
            name: {
                "title": lens_title(name),
                "no_row": _why_no_rows(readout, name),
                "top": numbers_of(cells.top_ids),
                "probs": _short(cells.top_probs),
                "values": {one.key: _short(one.numbers(cells)) for one in values},
                "pin_ranks": [_short(cells.pin_ranks[:, :, place]) for place in range(len(pins))],
                "words": [_of_word(name, words.get(place)) for place in range(len(pins))],
                "crystallization": settled_rows(readout, name),
            }
            for name, cells in readout.lenses.items()
        },
    }


def _turns(prompt: Prompt) -> list[dict[str, Any]] | None:
    """Return by column the turn it is of, whether one begins there, and whether it is the template's."""
    if (of := prompt.turns) is None or not of.turns:
        return None
    columns = zip(of.turns, (NO_TURN, *of.turns), of.template, strict=False)
    return [
        {
            "name": "" if turn == NO_TURN else f"turn {turn} {of.role(column)}" + ", template" * template,
            "begins": turn not in (NO_TURN, before),
            "template": template,
        }
        for column, (turn, before, template) in enumerate(columns)
    ]


def _of_word(lens: str, word: WordReading | None) -> dict[str, Any] | None:
    """Return the log-probability of a word in the last column, by row, or why there is none."""
    if word is None:
        return None
    kind = lens.partition(":")[0]
    missing = word.missing if reads_next(kind) else no_sum(kind)
    return {"logprob": None if missing else _short(word.logprob(lens)), "missing": missing}


def _why_no_rows(readout: Readout, name: str) -> list[str | None]:
    """Return for each row why a lens has no numbers there; None where it has some."""
    kind, has = name.partition(":")[0], readout.lenses[name].has_rows
    return [None if there else no_row(kind, label) for label, there in zip(readout.rows, has, strict=True)]


def _lenses_in_words(readout: Readout, value: Value, *, diff: bool) -> str:
    if diff:
        return Difference.of_two(value, readout.lenses).title
    return " and ".join(map(lens_title, readout.lenses))


def _sides(difference: Difference) -> dict[str, str]:
    """Return the title, mark and names of a difference, for the script."""
    return {
        "title": difference.title,
        "mark": DIFFERENT,
        "left": difference.left,
        "right": difference.right,
        "brief": difference.brief,
    }


def _probability_of(place: int, text: str) -> Value:
    """Return the value for the probability of a pin."""
    return replace(
        PROBABILITY,
        key=f"pin{place}",
        label=f"probability of {text}",
        numbers=lambda cells: np.exp(cells.pin_logprobs[:, :, place]),
    )


def _value(
    value: Value, streams: Mapping[str, Cells], shown: Sequence[Cells], vocabulary: int
) -> dict[str, Any]:
    numbers = {name: value.of(cells) for name, cells in streams.items()}
    scale: Scale = value.scale(list(numbers.values()), vocabulary)
    first, last = end_texts(value.format, scale, beyond(scale, map(value.of, shown)))
    return {
        **_about(value, scale),
        "legend": [first, value.format(scale.at(0.5)), last],
        "note": scale_note(scale) or shares_note(value, numbers),
    }


def _difference(value: Value, lenses: Mapping[str, Cells], vocabulary: int) -> dict[str, Any]:
    """Return the data of a value's difference, which the lenses' rounded numbers do not give exactly."""
    shown = Difference.of_two(value, lenses)
    differences = shown.of(*shown.pair(lenses))
    scale = shown.scale(differences, vocabulary)
    first, last = end_texts(shown.format, scale, beyond(scale, [differences]))
    return {
        **_about(value, scale),
        "legend": [first, shown.format(scale.at(0.5)), last],
        "note": shown.note(scale),
        "difference_unit": shown.unit,
        "differences": _short(100 * differences if value.is_share else differences),
    }


def _about(value: Value, scale: Scale) -> dict[str, Any]:
    """Return the data of a value: its names, unit and scale, and whether a cell lists it."""
    return {
        "key": value.key,
        "label": value.label,
        "unit": value.unit,
        "brief": value.brief,
        "of_next": value.of_next,
        "scale": asdict(scale),
        "steps": list(scale.steps),
    }


def _short(values: FloatArray | IntArray) -> list[float | None]:
    """Return the numbers flat, ranks as they are, others in four significant digits; None where missing."""
    if values.dtype.kind == "i":
        return [rank if rank >= 0 else None for rank in values.ravel().tolist()]
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values.ravel().tolist()]
