"""A readout as tidy data: one observation for each cell and lens, every number of it a variable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from lenstui.export.first_row import Sought
from lenstui.lens.kinds import reads_next
from lenstui.model.rows import Row, is_sublayer
from lenstui.model.tokens import Prompt
from lenstui.opening.source import Source
from lenstui.readout.cells import NOT_A_NUMBER, NOT_READ, Cells, FloatArray, Tile, crystallization_rows
from lenstui.readout.pins import Pin
from lenstui.readout.values import all_values
from lenstui.support.fixed_text import NONE

if TYPE_CHECKING:
    from lenstui.readout.words import WordReading

# An array of `str`, int32 or float32; None, a negative int or NaN stand for missing.
Column = npt.NDArray[Any]


class TokenText(Protocol):
    """A source of the display texts of tokens."""

    def __getitem__(self, token: int, /) -> str:
        """Return the display text of a token."""


def top_text(texts: TokenText, token: int) -> str:
    """Return a cell's token as text: a dash where the cell is not a number, nothing where it is not read."""
    if token >= 0:
        return texts[token]
    return NONE if token == NOT_A_NUMBER else ""


def pin_text(texts: TokenText, pin: Pin) -> str:
    """Return the display text of a pinned token, with an ellipsis where it only begins the word."""
    return f"{texts[pin.id]}{'' if pin.whole else '…'}"


@dataclass(frozen=True, slots=True)
class Heading:
    """The facts that all tiles of a readout share.

    Attributes:
        prompt: the prompt.
        rows: labels of the rows that were read, top of the network last.
        source: the source of the numbers.
        pins: the pinned tokens, in the order of the cells' last axis.
        first: words whose first rows on top are to be written.
        words: the pinned words of several tokens, by their place among the pins, as read in the last column.
        side: `first` or `second`, where two models read the prompt; else empty.
        final_kl: KL(first ‖ second) of their final distributions, nats, `[cols]`; None for one model.
    """

    prompt: Prompt
    rows: tuple[str, ...]
    source: Source
    pins: tuple[Pin, ...] = ()
    first: tuple[Sought, ...] = ()
    words: Mapping[int, WordReading] = field(default_factory=dict)
    side: str = ""
    final_kl: FloatArray | None = None


def word_logprobs(
    cells: Cells, lens: str, place: int, pin: Pin, words: Mapping[int, WordReading]
) -> FloatArray | None:
    """Return the log-probability of a pinned word in the last column, by row, nats, `[rows]`.

    That of a word of several tokens is summed along these; a single token has its own.

    Args:
        cells: cells of the lens, the prompt's last column among them.
        lens: the key of the lens.
        place: the place of the pin.
        pin: the pin.
        words: the pinned words of several tokens, by their place among the pins.

    Returns:
        None for a lens whose readouts are no distributions of the next token, or if the word was not read.
    """
    if not reads_next(lens.partition(":")[0]):
        return None
    if not pin.rest:
        return cells.pin_logprobs[:, -1, place]
    return words[place].logprob(lens) if place in words and not words[place].missing else None


def tidy(tile: Tile, heading: Heading, texts: TokenText) -> dict[str, Column]:
    """Return the variables of a tile's cells by name, in order of column, lens and row.

    With this order a whole file does not depend on how it was cut into tiles. A row that a lens does not read
    is no observation. `row_index` is the index in the residual stream, which a sublayer row does not have.

    Args:
        tile: the tile.
        heading: the heading of the readout.
        texts: display texts of all tokens in the tile.
    """
    lenses, rows = tuple(tile.lenses), heading.rows
    shape = (tile.stop - tile.start, len(lenses), len(rows))

    def everywhere(values: list[Any], axis: int, dtype: type = object) -> Column:
        """Return values along one axis of `[columns, lenses, rows]`, flat."""
        lengths = [1, 1, 1]
        lengths[axis] = -1
        return np.broadcast_to(np.array(values, dtype).reshape(lengths), shape).ravel()

    def in_order(arrays: Iterable[Column]) -> Column:
        """Return the numbers of each lens, `[rows, columns, …]`, as `[observations, …]`."""
        stacked = np.moveaxis(np.stack(list(arrays)), 2, 0)
        return stacked.reshape(prod(shape), *stacked.shape[3:])

    def of(numbers: Callable[[Cells], Column]) -> Column:
        return in_order(map(numbers, tile.lenses.values()))

    def display(ids: Column) -> Column:
        return np.array([texts[token] if token >= 0 else "" for token in ids.tolist()], object)

    ids = everywhere(list(heading.prompt.ids[tile.start : tile.stop]), 0, np.int32)
    columns = {
        **({"side": everywhere([heading.side], 0)} if heading.side else {}),
        "lens": everywhere(list(lenses), 1),
        "row": everywhere(list(rows), 2),
        "row_index": everywhere([row_index(row) for row in rows], 2, np.int32),
        "column": everywhere(list(range(tile.start, tile.stop)), 0, np.int32),
        "token": display(ids),
        "token_id": ids,
        **{
            name: everywhere(column[tile.start : tile.stop].tolist(), 0, column.dtype.type)
            for name, column in turn_columns(heading.prompt).items()
        },
        **{value.stored: of(value.numbers) for value in all_values() if value.stored},
        "crystallization": of(lambda cells: _settled(cells, rows)),
    }
    if heading.final_kl is not None:
        index = np.array([row_index(row) for row in rows], np.float32)
        depths = np.where(index < 0, np.nan, index / index[-1])
        columns["depth"] = everywhere(depths.tolist(), 2, np.float32)
        columns["final_kl"] = everywhere(heading.final_kl[tile.start : tile.stop].tolist(), 0, np.float32)
    top_ids, top_logits = of(lambda cells: cells.top_ids), of(lambda cells: cells.top_logits)
    top_probs = of(lambda cells: cells.top_probs)
    for k in range(top_ids.shape[1]):
        columns |= {
            f"top_{k + 1}_id": top_ids[:, k],
            f"top_{k + 1}_token": display(top_ids[:, k]),
            f"top_{k + 1}_logit": top_logits[:, k],
            f"top_{k + 1}_prob": top_probs[:, k],
        }
    logprobs, ranks = of(lambda cells: cells.pin_logprobs), of(lambda cells: cells.pin_ranks)
    for p, pin in enumerate(heading.pins):
        columns |= {
            f"pin_{p + 1}_word": everywhere([pin.word], 0),
            f"pin_{p + 1}_id": everywhere([pin.id], 0, np.int32),
            f"pin_{p + 1}_token": everywhere([texts[pin.id]], 0),
            f"pin_{p + 1}_logprob": logprobs[:, p],
            f"pin_{p + 1}_rank": ranks[:, p],
            f"pin_{p + 1}_ids": everywhere([" ".join(map(str, pin.ids))], 0),
            f"pin_{p + 1}_word_logprob": in_order(_at_the_end(tile, heading, p)),
        }
    read = of(lambda cells: cells.top1) != NOT_READ
    return columns if read.all() else {name: column[read] for name, column in columns.items()}


def _at_the_end(tile: Tile, heading: Heading, place: int) -> Iterator[FloatArray]:
    """Yield the log-probability of a pinned word by lens, `[rows, cols]`: NaN but in the last column."""
    for lens, cells in tile.lenses.items():
        numbers = np.full(cells.entropy.shape, np.nan, np.float32)
        if tile.stop == len(heading.prompt.ids):
            of_word = word_logprobs(cells, lens, place, heading.pins[place], heading.words)
            numbers[:, -1] = np.nan if of_word is None else of_word
        yield numbers


def turn_columns(prompt: Prompt) -> dict[str, Column]:
    """Return the turn of each column, its role, and 1 for a token of the template, 0 for one that is said.

    -1 stands for no turn, and for what is unknown. Nothing for a prompt that is one text.
    """
    if (of := prompt.turns) is None:
        return {}
    unknown = [-1] * len(prompt.ids)
    return {
        "turn": np.array(of.turns or unknown, np.int32),
        "role": np.array([of.role(column) for column, _ in enumerate(prompt.ids)], object),
        "template": np.array(list(map(int, of.template)) or unknown, np.int32),
    }


def missing(column: Column) -> npt.NDArray[np.bool_]:
    """Return where a variable of numbers has none."""
    return np.isnan(column) if column.dtype.kind == "f" else column < 0


def row_index(label: str) -> int:
    """Return the index of a row of the residual stream by its label; -1 for a sublayer row."""
    return -1 if is_sublayer(label) else Row.of(label).h


def _settled(cells: Cells, rows: Sequence[str]) -> Column:
    """Return the label of each column's crystallization row, in all of its cells; None if there is none."""
    labels = np.array([*rows, None], object)[crystallization_rows(cells.top1, rows)]  # -1: None
    return np.broadcast_to(labels, cells.entropy.shape)
