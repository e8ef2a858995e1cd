"""A readout as JSON. The keys and their meaning are a contract: any change to them changes `VERSION`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lenstui.export.crystallization import settled_labels
from lenstui.export.first_row import Sought, first_labels
from lenstui.export.tidy import TokenText, word_logprobs
from lenstui.lens.kinds import lens_kinds
from lenstui.opening.source import Source, facts
from lenstui.readout.cells import Cells, FloatArray
from lenstui.readout.pins import Pin
from lenstui.readout.values import all_values

if TYPE_CHECKING:
    from lenstui.readout.tiles import Readout
    from lenstui.readout.words import WordReading

VERSION = 1


def json_text(
    readout: Readout,
    texts: TokenText,
    source: Source,
    pins: Sequence[Pin] = (),
    first: Sequence[Sought] = (),
    *,
    words: Mapping[int, WordReading] | None = None,
) -> str:
    """Return a readout as one line of JSON, ASCII alone, so that it is safe in any terminal and encoding."""
    return _line({"version": VERSION, **content(readout, texts, source, pins, first, words=words)})


def two_models_text(sides: Mapping[str, Mapping[str, Any]], final_kl: FloatArray) -> str:
    """Return the readouts of two models of one prompt as one line of JSON.

    Args:
        sides: the `content` of each readout by the name of its side.
        final_kl: KL(first ‖ second) of the final distributions, nats, `[cols]`.
    """
    named = [{"side": name, **of_side} for name, of_side in sides.items()]
    return _line({"version": VERSION, "sides": named, "final_kl": numbers(final_kl)})


def _line(values: Mapping[str, Any]) -> str:
    return json.dumps(values, allow_nan=False) + "\n"


def content(
    readout: Readout,
    texts: TokenText,
    source: Source,
    pins: Sequence[Pin] = (),
    first: Sequence[Sought] = (),
    *,
    words: Mapping[int, WordReading] | None = None,
) -> dict[str, Any]:
    """Return a readout as plain values by name.

    A lens that was not read is null, and so is a missing number: of the next token in the last column, of a
    fitted lens in sublayer rows, of a cell whose logits are not finite, and of a comparison with a last row
    whose logits are not finite. The log-probability -inf of a token that the head forbids is null too, unlike
    its rank. `crystallization`, the label of the row from which on the top-1 of each column stays the final
    one, is null unless all rows of the residual stream were read: the top-1 may differ in one that was not.
    `first` is about the rows that were read. A pin's `logprob` and `rank` are those of its first token, `id`;
    its `word_logprob`, by row and in the last column alone, is summed along all `ids`. That is null for a
    lens whose readouts are no distributions of the next token, and where the context has no room for the
    word. With sublayer rows `left_over` says, for each column, by how much the final logits differ from the
    sum of the parts, `emb` and the biases (the largest difference over the vocabulary, nats).

    Args:
        readout: the readout.
        texts: display texts of all tokens in it.
        source: the source of its numbers.
        pins: the words of its pinned tokens.
        first: words whose first rows on top are written; without any there is no such key.
        words: the pinned words of several tokens, by their place among the pins.
    """
    keys = keys_with(readout.lenses)
    values: dict[str, Any] = {
        **facts(source, readout.prompt),
        "tokens": [texts[token] for token in readout.prompt.ids],
        "token_ids": list(readout.prompt.ids),
        "rows": list(readout.rows),
        "lenses": {name: _lens(readout, name, texts) for name in keys},
        "pins": [
            {
                "word": pin.word,
                "id": pin.id,
                "ids": list(pin.ids),
                **{name: _pin(readout.lenses.get(name), name, index, pin, words or {}) for name in keys},
            }
            for index, pin in enumerate(pins)
        ],
    }
    if readout.left_over is not None:
        values["left_over"] = numbers(readout.left_over)
    if first:
        values["first"] = [
            {
                "word": sought.word,
                "ids": sought.ids,
                **{
                    name: first_labels(readout, name, sought) if name in readout.lenses else None
                    for name in keys
                },
            }
            for sought in first
        ]
    return values


def keys_with(lenses: Iterable[str]) -> tuple[str, ...]:
    """Return the keys of lenses in JSON: all kinds, whether or not they were read, and the given ones."""
    return tuple(dict.fromkeys((*(kind.key for kind in lens_kinds()), *lenses)))


def _pin(
    cells: Cells | None, name: str, index: int, pin: Pin, words: Mapping[int, WordReading]
) -> dict[str, Any] | None:
    if cells is None:
        return None
    of_word = word_logprobs(cells, name, index, pin, words)
    return {
        "logprob": numbers(cells.pin_logprobs[:, :, index]),
        "rank": counts(cells.pin_ranks[:, :, index]),
        "word_logprob": None if of_word is None else numbers(of_word),
    }


def _lens(readout: Readout, name: str, texts: TokenText) -> dict[str, Any] | None:
    cells: Cells | None = readout.lenses.get(name)
    if cells is None:
        return None
    return {
        "top_ids": counts(cells.top_ids),
        "top_tokens": [
            [[texts[i] if i >= 0 else None for i in cell] for cell in row] for row in cells.top_ids.tolist()
        ],
        "top_logits": numbers(cells.top_logits),
        "top_probs": numbers(cells.top_probs),
        **{value.stored: plain(value.numbers(cells)) for value in all_values() if value.stored},
        "crystallization": settled_labels(readout, name),
    }


def plain(values: npt.NDArray[Any]) -> list[Any]:
    """Return nested lists of numbers or of ranks, None where missing."""
    return numbers(values) if values.dtype.kind == "f" else counts(values)


def numbers(values: npt.NDArray[np.floating[Any]]) -> list[Any]:
    """Return nested lists of the numbers, None where missing.

    float32 goes through its shortest text, so that 0.1 is written as 0.1, not as 0.10000000149011612.
    """
    return nulls(values.astype(str).astype(np.float64), np.isfinite(values))


def without_nan(values: Iterable[float]) -> list[float | None]:
    """Return the numbers with None for those that are not finite, which JSON does not have."""
    return [value if math.isfinite(value) else None for value in values]


def counts(values: npt.NDArray[np.int32]) -> list[Any]:
    """Return nested lists of ids or ranks, None where missing."""
    return nulls(values, values >= 0)


def nulls(values: npt.NDArray[Any], known: npt.NDArray[np.bool_]) -> list[Any]:
    """Return nested lists of the values, None where `known` is false."""
    plain = values.astype(object)
    plain[~known] = None
    nested: list[Any] = plain.tolist()
    return nested
