"""pass@k of lenses as JSON, and as tables of text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lenstui.export.columns import column_lines
from lenstui.export.json_contract import keys_with, without_nan
from lenstui.export.table import summary
from lenstui.export.text_width import wrapped
from lenstui.opening.source import Source
from lenstui.readout.reading import WORDS_ONLY
from lenstui.support.fixed_text import fixed_text
from lenstui.support.version import __version__

if TYPE_CHECKING:
    from lenstui.evaluation.pass_at_k import PassAtK, Passes

VERSION = 1

_BY_ROW = 10  # the k whose shares are shown row by row


def word_evaluation_json(result: PassAtK, source: Source, words: str) -> str:
    """Return pass@k as one line of JSON, ASCII alone.

    A lens that was not read is null, and so is a share of no items.

    Args:
        result: from `pass_at_k`.
        source: the model and lenses.
        words: the file of items, as the user named it.
    """
    content = {
        "version": VERSION,
        "lenstui": __version__,
        "model": source.model,
        "revision": source.revision,
        "adapter": None if source.adapter is None else source.adapter.facts,
        "dtype": source.dtype,
        "lens": source.lens,
        "lens_files": {each.key: each.facts for each in source.lenses},
        "words": words,
        "words_only": result.words_only,
        "k": list(_ks(result)),
        "rows": list(result.rows),
        "band": list(result.band),
        **_reading(result),
        "skipped": result.skipped,
        "skipped_items": result.skipped_items,
        "ending_in_space": result.ending_in_space,
        "stripped": None if result.stripped is None else _reading(result.stripped),
    }
    return json.dumps(content, allow_nan=False) + "\n"


def word_evaluation_table(result: PassAtK, source: Source, width: int | None = None) -> str:
    """Return pass@k as tables of text: by k with standard errors, then by row, the last one first.

    Args:
        result: from `pass_at_k`.
        source: the model and lenses.
        width: the width of a line in terminal cells; None for as wide as it takes.
    """
    lines = list(_tables(result, width))
    if result.stripped is not None:
        spaced = result.ending_in_space
        their = "prompt ends in a space" if spaced == 1 else "prompts end in a space"
        lines += [wrapped(f"{spaced} {their}, read as written above; stripped:", width), ""]
        lines += _tables(result.stripped, width)
    lines += [wrapped(caption, width) for caption in (*_captions(result), summary(source))]
    return "".join(f"{line}\n" for line in lines)


def _ks(result: PassAtK) -> tuple[int, ...]:
    return tuple(next(iter(result.lenses.values())).passed)


def _tables(result: PassAtK, width: int | None) -> Iterator[str]:
    lenses, ks = result.lenses, _ks(result)
    by_k = [[key, *(_share(of, k) for k in ks)] for key, of in lenses.items()]
    yield from column_lines(["pass@", *map(str, ks)], by_k, width)
    by_row = [
        [key, *(fixed_text(share, 3) for share in of.by_row[_BY_ROW][::-1])] for key, of in lenses.items()
    ]
    yield from column_lines([f"@{_BY_ROW}, row", *result.rows[::-1]], by_row, width)


def _share(passes: Passes, k: int) -> str:
    error = passes.stderr[k]
    return f"{fixed_text(passes.passed[k], 3)} ± {fixed_text(error, 3)}"


def _captions(result: PassAtK) -> Iterator[str]:
    band = result.band
    rows = f"row {band[0]}" if len(band) == 1 else f"the best of {len(band)} rows, {band[0]} to {band[-1]}"
    yield f"mean share of an item's words whose rank is below k in {rows}, ± its standard error"
    if result.words_only:
        yield f"{WORDS_ONLY}: tokens without a letter or digit count in no rank, but for forms of the words"
    stripped = "" if result.stripped is None else f", {result.stripped.items} stripped"
    counted = [_counted(result.items, "item") + (stripped if result.incorrect is not None else "")]
    if result.incorrect is not None:
        counted.append("those that the model answers correctly")
    if result.skipped:
        counted.append(
            f"skipped: {_counted(result.skipped, 'word')} without a single token, and with them "
            f"{_counted(result.skipped_items, 'item')}"
        )
    yield " · ".join(counted)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _reading(result: PassAtK) -> dict[str, Any]:
    """Return what differs between prompts as written and stripped."""
    return {
        "items": result.items,
        "incorrect": result.incorrect,
        "not_finite": result.not_numbers,
        "lenses": {
            key: _lens(result.lenses[key]) if key in result.lenses else None
            for key in keys_with(result.lenses)
        },
    }


def _lens(passes: Passes) -> dict[str, Any]:
    return {
        "pass": dict(zip(map(str, passes.passed), without_nan(passes.passed.values()), strict=True)),
        "stderr": dict(zip(map(str, passes.stderr), without_nan(passes.stderr.values()), strict=True)),
        "by_row": {str(k): without_nan(of_rows) for k, of_rows in passes.by_row.items()},
    }
