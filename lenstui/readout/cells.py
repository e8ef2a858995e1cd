"""The numbers of the cells of a readout: plain NumPy arrays, reduced in float32, all in nats."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from lenstui.model.rows import Row, is_whole_stream, stream_places

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]

# What stands for a token id or a rank that is not there. Both are negative, as no id and no rank is.
NOT_READ = -1  # nothing is read, or there is nothing to read
NOT_A_NUMBER = -2  # it is read, and what it was read from is not finite


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one lens, for every row and a run of columns.

    Ranks count the tokens with a strictly greater logit (0 = first). Among equal logits the lowest id comes
    first. A number that is not there is NaN, a token or a rank that is not there is negative:

    - Where a lens does not read a row, its cells are NaN and `NOT_READ` (-1) throughout.
    - A cell is not a number where its logits have a NaN or +inf among them, or nothing but -inf: it is NaN
      and `NOT_A_NUMBER` (-2) throughout. Some logits of -inf are fine: a head may forbid tokens.
    - A column whose last row is not a number has no final distribution: `kl` and `js` are NaN and
      `final_rank` is -2 in all of its rows. What else the cells below have stays.

    Attributes:
        top_ids: the k likeliest tokens, best first, `[rows, cols, k]`.
        top_logits: their logits, `[rows, cols, k]`.
        top_probs: their probabilities, `[rows, cols, k]`.
        entropy: of the lens's distribution, nats, `[rows, cols]`.
        kl: KL(final ‖ lens), nats, `[rows, cols]`.
        js: Jensen-Shannon divergence of the lens's distribution and the final one, 0 to ln 2 nats,
            `[rows, cols]`.
        final_rank: rank of the final distribution's top-1 token, `[rows, cols]`.
        next_logprob: log-probability of the token that really comes next, `[rows, cols]`; NaN in the
            prompt's last column.
        next_rank: its rank, `[rows, cols]`; -1 in the prompt's last column.
        pin_logits: logits of the pinned tokens, `[rows, cols, pins]`; -inf of one that the head forbids.
        pin_logprobs: their log-probabilities, `[rows, cols, pins]`; likewise.
        pin_ranks: their ranks, `[rows, cols, pins]`.
    """

    top_ids: IntArray
    top_logits: FloatArray
    top_probs: FloatArray
    entropy: FloatArray
    kl: FloatArray
    js: FloatArray
    final_rank: IntArray
    next_logprob: FloatArray
    next_rank: IntArray
    pin_logits: FloatArray
    pin_logprobs: FloatArray
    pin_ranks: IntArray

    @property
    def columns(self) -> int:
        """How many columns these cells cover."""
        return int(self.entropy.shape[1])

    @property
    def has_rows(self) -> npt.NDArray[np.bool_]:
        """Which rows the lens reads, `[rows]`."""
        has: npt.NDArray[np.bool_] = np.any(self.top_ids[:, :, 0] != NOT_READ, axis=1)
        return has

    @property
    def not_numbers(self) -> npt.NDArray[np.bool_]:
        """Which cells are not a number, `[rows, cols]`."""
        found: npt.NDArray[np.bool_] = np.equal(self.top_ids[:, :, 0], NOT_A_NUMBER)
        return found

    def take(self, rows: npt.NDArray[np.bool_] | Sequence[int]) -> Cells:
        """Some of the rows."""
        return Cells(**{f.name: getattr(self, f.name)[rows] for f in fields(Cells)})

    def columns_in(self, columns: range) -> Cells:
        """Some neighbouring columns."""
        run = slice(columns.start, columns.stop)
        return Cells(**{f.name: getattr(self, f.name)[:, run] for f in fields(Cells)})

    @classmethod
    def join(cls, parts: Iterable[Cells]) -> Cells:
        """One block of cells from neighbouring ones, in column order."""
        parts = list(parts)
        return cls(
            **{f.name: np.concatenate([getattr(p, f.name) for p in parts], axis=1) for f in fields(cls)}
        )


@dataclass(frozen=True, slots=True)
class Ranking:
    """The likeliest tokens of one cell, best first, among equals the lowest id first.

    Attributes:
        ids: the tokens, `[k]`; none where the cell is not a number.
        logits: theirs, `[k]`.
        probs: their probabilities, `[k]`.
    """

    ids: IntArray
    logits: FloatArray
    probs: npt.NDArray[np.float64]

    @property
    def ranks(self) -> npt.NDArray[np.intp]:
        """How many tokens have a strictly greater logit than each, `[k]`."""
        return np.searchsorted(-self.logits, -self.logits)

    @property
    def cumulative(self) -> npt.NDArray[np.float64]:
        """The probability of each and all before it, `[k]`."""
        return np.cumsum(self.probs)


@dataclass(frozen=True, slots=True)
class Tile:
    """All rows of the columns `start … stop - 1`, for every lens that was read.

    Attributes:
        start: first column.
        stop: one past the last column.
        lenses: cells by lens, under the keys of `lens_keys`: `"logit"`, `"tuned"`, …
        left_over: what the parts of the blocks, the embedding and the biases leave over of the final logits,
            the largest over the vocabulary, nats, `[cols]`; None without rows of sublayers.
    """

    start: int
    stop: int
    lenses: Mapping[str, Cells]
    left_over: FloatArray | None = None

    @property
    def not_numbers(self) -> list[int]:
        """The columns that have a cell which is not a number, in any row, by any lens."""
        found = [cells.not_numbers.any(axis=0) for cells in self.lenses.values()]
        return (self.start + np.flatnonzero(np.any(found, axis=0))).tolist()


def row_labels(num_blocks: int) -> tuple[str, ...]:
    """Labels of the residual stream's rows: `emb`, then `k` for what block `k` hands on."""
    return tuple(Row(h).label for h in range(num_blocks + 1))


def agreement(top1: IntArray) -> FloatArray:
    """1 where the top-1 token is the last row's, else 0; NaN where either is not there.

    Args:
        top1: top-1 tokens, `[rows, cols]`.
    """
    known = (top1 >= 0) & (top1[-1] >= 0)
    return np.where(known, top1 == top1[-1], np.nan).astype(np.float32)


def crystallization_rows(top1: IntArray, labels: Sequence[str] | None = None) -> IntArray:
    """Per column, the first row from which the top-1 token equals the last row's in every later row too.

    That is known only where all rows of the residual stream are read: the top-1 may differ in another.

    Args:
        top1: top-1 tokens, `[rows, cols]`.
        labels: of the rows; those of sublayers do not count. None for all rows of the stream and no others.

    Returns:
        Row indices, `[cols]`; -1 throughout where a row of the stream is missing, and in columns whose last
        row has no top-1. A row below that has none does not agree.
    """
    if labels is not None and not is_whole_stream(labels):
        return np.full(top1.shape[1], -1, np.int32)
    places: IntArray = np.array(range(len(top1)) if labels is None else stream_places(labels), np.int32)
    stream = top1[places]
    differs = stream != stream[-1]
    last_different = np.where(differs.any(axis=0), len(stream) - 1 - differs[::-1].argmax(axis=0), -1)
    settled: IntArray = np.where(stream[-1] < 0, -1, places[last_different + 1])
    return settled


def first_rows(top1: IntArray, tokens: Collection[int]) -> IntArray:
    """Per column, the first row whose top-1 token is one of `tokens`.

    Args:
        top1: top-1 tokens, `[rows, cols]`.
        tokens: the ones that are looked for.

    Returns:
        Row indices, -1 where there is no such row, `[cols]`.
    """
    found = np.isin(top1, list(tokens))
    return np.where(found.any(axis=0), found.argmax(axis=0), -1).astype(np.int32)
