"""Readouts made by hand: every number is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from lenstui.export.tidy import Heading
from lenstui.lens import Pin, Prompt, Readout, Tile
from lenstui.opening.source import LensSource, Source
from lenstui.readout.cells import Cells
from lenstui.readout.words import WordReading

MINE = LensSource("tuned", "tuned", "mine", "mine.pt", {})
SOURCE = Source(
    model="owner/name",
    revision=None,
    dtype="float32",
    wiring=(0.0, 1.5e-7),
)


def cells(top_ids: list[list[list[int]]], **changed: Any) -> Cells:
    """Cells with these tokens, `[rows][cols][k]`, and plausible numbers."""
    ids = np.array(top_ids, np.int32)
    rows, columns, k = ids.shape
    flat = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    next_logprob = -flat / 10 - np.float32(0.1)
    next_logprob[:, -1] = np.nan
    next_rank = np.full((rows, columns), 2, np.int32)
    next_rank[:, -1] = -1
    probs = np.broadcast_to(np.float32(0.5) ** np.arange(1, k + 1, dtype=np.float32), ids.shape)
    numbers: dict[str, Any] = {
        "top_ids": ids,
        "top_logits": np.broadcast_to(np.float32(0.1) - np.arange(k, dtype=np.float32), ids.shape),
        "top_probs": probs,
        "entropy": flat / 3,
        "kl": flat[::-1] / 7,
        "js": flat[::-1] / 400,
        "final_rank": np.arange(rows * columns, dtype=np.int32).reshape(rows, columns),
        "next_logprob": next_logprob,
        "next_rank": next_rank,
        "pin_logits": np.zeros((rows, columns, 0), np.float32),
        "pin_logprobs": np.zeros((rows, columns, 0), np.float32),
        "pin_ranks": np.zeros((rows, columns, 0), np.int32),
    }
    return Cells(**(numbers | changed))


# Display texts that some format might take for its own; and tokens that a reader might take for no token.
HOSTILE = {
    0: "</script><script>alert(1)</script>",
    1: "\"'`,;|\\",
    2: "``|`",
    3: "שלום",
    4: "NA",
    5: "null",
    6: "<!--",
    7: "]]>&amp;&#60;",
    8: "=1+1",
    9: "日本語",
    10: "·the",
    11: "\\x1b[2J",
    12: "👩🏽",
    13: "${x}$y$",
    14: "@name #1 *a* _b_ [c](d)",
    15: "·",
}
HOSTILE_PROMPT = 'a\x1b[2J\u202eb\n"</script>,|`'
HOSTILE_SOURCE = Source(
    model="</title><script>alert(2)</script>\u202e",
    revision="\"&'",
    dtype="float32",
    lenses=(LensSource("tuned", "tuned", "x", "\x1b]0;`|x`.pt", {}),),
    wiring=(0.0, 1.5e-7),
    versions=(("torch", "1.2"), ("transformers", "3.4")),
)
PINS = (Pin("the", 10), Pin('"zebra\n', 3, whole=False, rest=(5, 7)))
PIN_TEXTS = (HOSTILE[10], f"{HOSTILE[3]}…")
WHOLE = 'whole "zebra⏎'


def hostile_readout(columns: int = 9, rows: int = 4, k: int = 2) -> Readout:
    """Both lenses, two pins, every hostile token; no two numbers of a field are the same."""
    ids = [[[(3 * r + c + i) % 16 for i in range(k)] for c in range(columns)] for r in range(rows)]
    count = rows * columns

    def numbers(start: float, *more: int) -> np.ndarray:
        size = count * int(np.prod(more))
        return -np.linspace(start, start + 3, size, dtype=np.float32).reshape(rows, columns, *more)

    def lens(start: float) -> Cells:
        return cells(
            ids,
            top_logits=numbers(start, k),
            top_probs=np.exp(numbers(start, k)),
            entropy=-numbers(start),
            kl=-numbers(start + 1),
            pin_logits=numbers(start, 2),
            pin_logprobs=numbers(start + 2, 2),
            pin_ranks=np.arange(2 * count, dtype=np.int32).reshape(rows, columns, 2),
        )

    prompt = Prompt(HOSTILE_PROMPT, tuple(c % 16 for c in range(columns)))
    labels = ("emb", *map(str, range(rows - 1)))
    return Readout(prompt, labels, {"logit": lens(0.1), "tuned": lens(0.2)}, tuple(pin.id for pin in PINS))


def hostile_words(readout: Readout) -> dict[int, WordReading]:
    """The second pin's word of three tokens, in the last column: its first token as in the cells."""

    def logprobs(lens: Cells) -> np.ndarray:
        first = lens.pin_logprobs[:, -1, 1]
        return np.stack([first, first - 1.25, first - 0.5], axis=1)

    of_lenses = {name: logprobs(lens) for name, lens in readout.lenses.items()}
    last, pin = len(readout.prompt.ids) - 1, PINS[1]
    return {1: WordReading(pin.word, last, pin.ids, readout.rows, of_lenses)}


def settled(lens: Cells) -> list[str]:
    """The label of the row where each column settles: down from the last as long as it is the same token."""
    labels = []
    for tokens in lens.top_ids[:, :, 0].T.tolist():
        row = len(tokens) - 1
        while row > 0 and tokens[row - 1] == tokens[-1]:
            row -= 1
        labels.append("emb" if row == 0 else str(row - 1))
    return labels


def heading(readout: Readout, pins: tuple[Pin, ...] = PINS) -> Heading:
    words = hostile_words(readout) if pins == PINS else {}
    return Heading(readout.prompt, readout.rows, HOSTILE_SOURCE, pins, words=words)


def tiles(readout: Readout, width: int = 4) -> Iterator[Tile]:
    """The readout in tiles."""
    columns = len(readout.prompt.ids)
    for start in range(0, columns, width):
        stop = min(start + width, columns)
        part = {
            name: Cells(**{f.name: getattr(whole, f.name)[:, start:stop] for f in fields(Cells)})
            for name, whole in readout.lenses.items()
        }
        yield Tile(start, stop, part)
