"""A readout as JSON. The keys and their meaning are a contract: what changes them changes `VERSION`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lenstui.export.crystallization import settled_labels
from lenstui.export.first_row import Sought, first_labels
from lenstui.export.tidy import TokenText
from lenstui.lens.kinds import lens_kinds
from lenstui.opening.source import Source, facts
from lenstui.readout.cells import Cells
from lenstui.readout.pins import Pin
from lenstui.readout.values import all_values

if TYPE_CHECKING:
    from lenstui.readout.tiles import Readout

VERSION = 1


def json_text(
    readout: Readout,
    texts: TokenText,
    source: Source,
    pins: Sequence[Pin] = (),
    first: Sequence[Sought] = (),
) -> str:
    """The readout as one line of JSON, ASCII alone, so that it is safe in any terminal and encoding.

    A lens that was not read is null, and so is a number that there is not: of the next token in the last
    column, of a fitted lens in rows of sublayers, of a cell whose logits are not finite, and what is held
    against a last row whose logits are not. The log-probability -inf of a token that the head forbids is null
    too; its rank is there. `crystallization`, the label of the row from which on
    the top-1 of each column stays the final one, is null where not all rows of the residual stream were read:
    the top-1 may differ in one that was not. Of the rows that were read alone is `first`. With rows of
    sublayers `left_over` says, for each column, by how much the final logits differ from what the parts,
    `emb` and the biases add up to (the largest over the vocabulary, nats).

    Args:
        readout: what was read.
        texts: display text of every token in it.
        source: where it comes from.
        pins: the words of its pinned tokens.
        first: words of which it says where they first come out on top; without any there is no such key.
    """
    keys = keys_with(readout.lenses)
    content = {
        "version": VERSION,
        **facts(source, readout.prompt),
        "tokens": [texts[token] for token in readout.prompt.ids],
        "token_ids": list(readout.prompt.ids),
        "rows": list(readout.rows),
        "lenses": {name: _lens(readout, name, texts) for name in keys},
        "pins": [
            {
                "word": pin.word,
                "id": pin.id,
                **{name: _pin(readout.lenses.get(name), index) for name in keys},
            }
            for index, pin in enumerate(pins)
        ],
    }
    if readout.left_over is not None:
        content["left_over"] = numbers(readout.left_over)
    if first:
        content["first"] = [
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
    return json.dumps(content, allow_nan=False) + "\n"


def keys_with(lenses: Iterable[str]) -> tuple[str, ...]:
    """Return the keys of lenses that JSON has: of every kind, though it was not read, and those that were."""
    return tuple(dict.fromkeys((*(kind.key for kind in lens_kinds()), *lenses)))


def _pin(cells: Cells | None, index: int) -> dict[str, Any] | None:
    if cells is None:
        return None
    return {
        "logprob": numbers(cells.pin_logprobs[:, :, index]),
        "rank": counts(cells.pin_ranks[:, :, index]),
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
    """Nested lists of numbers or of ranks, null where there is none."""
    return numbers(values) if values.dtype.kind == "f" else counts(values)


def numbers(values: npt.NDArray[np.floating[Any]]) -> list[Any]:
    """Nested lists of the numbers, null where there is none.

    float32 goes through its shortest text, so that 0.1 is written as 0.1, not as 0.10000000149011612.
    """
    return nulls(values.astype(str).astype(np.float64), np.isfinite(values))


def counts(values: npt.NDArray[np.int32]) -> list[Any]:
    """Nested lists of ids or ranks, null where there is none."""
    return nulls(values, values >= 0)


def nulls(values: npt.NDArray[Any], known: npt.NDArray[np.bool_]) -> list[Any]:
    """Nested lists of the values, null where there is none."""
    plain = values.astype(object)
    plain[~known] = None
    nested: list[Any] = plain.tolist()
    return nested
