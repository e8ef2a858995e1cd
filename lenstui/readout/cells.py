"""The numbers of the cells of a readout: plain NumPy arrays, reduced in float32, all in nats."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeAlias

from lenstui.model.rows import Row, is_whole_stream, stream_places
from lenstui.support.late_numpy import np

if TYPE_CHECKING:
    import numpy.typing as npt

FloatArray: TypeAlias = "npt.NDArray[np.float32]"
IntArray: TypeAlias = "npt.NDArray[np.int32]"

# Markers for a missing token id or rank, which are never negative themselves.
NOT_READ = -1  # the lens does not read the row, or there is no token
NOT_A_NUMBER = -2  # the cell's logits are not finite


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one lens, for every row and a run of columns.

    Ranks count the tokens with a strictly greater logit (0 = first). Among equal logits the lowest id comes
    first. A missing number is NaN, a missing token or rank is negative:

    - In a row that the lens does not read, all cells are NaN and `NOT_READ` (-1).
    - A cell is not a number where its logits include a NaN or +inf, or are all -inf: it is NaN and
    `NOT_A_NUMBER` (-2) throughout. Some logits may be -inf: a head may forbid tokens.
    - A column whose last row is not a number has no final distribution: `kl` and `js` are NaN and
    `final_rank` is -2 in all of its rows. The other numbers of its cells are kept.

    Attributes:
        top1: the likeliest token of the whole vocabulary, `[rows, cols]`.
        top_ids: the k likeliest tokens, best first, `[rows, cols, k]`; with the readout filter the k
            likeliest words, tokens with a letter or digit. All other numbers are of the whole vocabulary.
        top_logits: their logits, `[rows, cols, k]`.
        top_probs: their probabilities, `[rows, cols, k]`.
        entropy: the entropy of the lens's distribution, nats, `[rows, cols]`.
        kl: KL(final ‖ lens), nats, `[rows, cols]`.
        js: the Jensen-Shannon divergence of the lens's distribution and the final one, 0 to ln 2 nats,
            `[rows, cols]`.
        final_rank: the rank of the final distribution's top-1 token, `[rows, cols]`.
        next_logprob: the log-probability of the prompt's next token, `[rows, cols]`; NaN in the last column.
        next_rank: the rank of the prompt's next token, `[rows, cols]`; -1 in the last column.
        pin_logits: the logits of the pinned tokens, `[rows, cols, pins]`; -inf for a token that the head
            forbids.
        pin_logprobs: their log-probabilities, `[rows, cols, pins]`; -inf likewise.
        pin_ranks: their ranks, `[rows, cols, pins]`.
    """

    top1: IntArray
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
        """The number of columns."""
        return int(self.entropy.shape[1])

    @property
    def has_rows(self) -> npt.NDArray[np.bool_]:
        """Whether the lens reads each row, `[rows]`."""
        has: npt.NDArray[np.bool_] = np.any(self.top1 != NOT_READ, axis=1)
        return has

    @property
    def not_numbers(self) -> npt.NDArray[np.bool_]:
        """Whether each cell is not a number, `[rows, cols]`."""
        found: npt.NDArray[np.bool_] = np.equal(self.top1, NOT_A_NUMBER)
        return found

    def take(self, rows: npt.NDArray[np.bool_] | Sequence[int]) -> Cells:
        """Return the cells of some of the rows."""
        return Cells(**{f.name: getattr(self, f.name)[rows] for f in fields(Cells)})

    def columns_in(self, columns: range) -> Cells:
        """Return the cells of a run of columns."""
        run = slice(columns.start, columns.stop)
        return Cells(**{f.name: getattr(self, f.name)[:, run] for f in fields(Cells)})

    @classmethod
    def join(cls, parts: Iterable[Cells]) -> Cells:
        """Return the cells of neighbouring runs of columns as one, in column order."""
        parts = list(parts)
        return cls(
            **{f.name: np.concatenate([getattr(p, f.name) for p in parts], axis=1) for f in fields(cls)}
        )


@dataclass(frozen=True, slots=True)
class Ranking:
    """The likeliest tokens of one cell, best first; among equal logits the lowest id comes first.

    With the readout filter they are the likeliest words; ranks and probabilities are of the whole vocabulary.

    Attributes:
        ids: the token ids, `[k]`; none where the cell is not a number.
        logits: their logits, `[k]`.
        probs: their probabilities, `[k]`.
        ranks: their ranks, the number of tokens of the whole vocabulary with a strictly greater logit, `[k]`.
    """

    ids: IntArray
    logits: FloatArray
    probs: npt.NDArray[np.float64]
    ranks: IntArray

    @property
    def cumulative(self) -> npt.NDArray[np.float64]:
        """The cumulative probability of each token and all before it in the list, `[k]`."""
        return np.cumsum(self.probs)


@dataclass(frozen=True, slots=True)
class Tile:
    """All rows of the columns `start … stop - 1`, for every lens of the readout.

    Attributes:
        start: the first column.
        stop: one past the last column.
        lenses: cells by lens, under the keys of `lens_keys`: `"logit"`, `"tuned"`, …
        left_over: the part of the final logits that the blocks' parts, the embedding and the biases do not
            account for, the largest over the vocabulary, nats, `[cols]`; None without sublayer rows.
    """

    start: int
    stop: int
    lenses: Mapping[str, Cells]
    left_over: FloatArray | None = None

    @classmethod
    def join(cls, parts: Iterable[Tile]) -> Tile:
        """Return neighbouring tiles, in column order, as one."""
        parts = list(parts)
        if len(parts) == 1:
            return parts[0]
        lenses = {key: Cells.join(part.lenses[key] for part in parts) for key in parts[0].lenses}
        left_over = [part.left_over for part in parts if part.left_over is not None]
        return cls(parts[0].start, parts[-1].stop, lenses, np.concatenate(left_over) if left_over else None)

    @property
    def not_numbers(self) -> list[int]:
        """The columns that have a cell which is not a number, in any row, by any lens."""
        found = [cells.not_numbers.any(axis=0) for cells in self.lenses.values()]
        return (self.start + np.flatnonzero(np.any(found, axis=0))).tolist()


def row_labels(num_blocks: int) -> tuple[str, ...]:
    """Return the labels of the residual stream's rows: `emb`, then `k` for the output of block `k`."""
    return tuple(Row(h).label for h in range(num_blocks + 1))


def agreement(top1: IntArray) -> FloatArray:
    """Return 1 where the top-1 token is the last row's, 0 where it is not, NaN where either is missing.

    Args:
        top1: top-1 tokens, `[rows, cols]`.
    """
    known = (top1 >= 0) & (top1[-1] >= 0)
    return np.where(known, top1 == top1[-1], np.nan).astype(np.float32)


def crystallization_rows(top1: IntArray, labels: Sequence[str] | None = None) -> IntArray:
    """Return each column's first row from which on the top-1 token stays that of the last row.

    The row is known only where all rows of the residual stream are read, as the top-1 may differ in a row
    between.

    Args:
        top1: top-1 tokens, `[rows, cols]`.
        labels: the labels of the rows, of which sublayer rows do not count; None if the rows are exactly
            those of the stream.

    Returns:
        Row indices, `[cols]`; -1 throughout where a row of the stream is missing, and in columns whose last
            row has no top-1. Rows that the lens does not read do not count below all that it reads; above one
            of them they make it -1. A lower row that is not a number counts as different.
    """
    if labels is not None and not is_whole_stream(labels):
        return np.full(top1.shape[1], -1, np.int32)
    places: IntArray = np.array(range(len(top1)) if labels is None else stream_places(labels), np.int32)
    stream = top1[places]
    differs = stream != stream[-1]
    last_different = np.where(differs.any(axis=0), len(stream) - 1 - differs[::-1].argmax(axis=0), -1)
    unread = stream == NOT_READ
    has_hole = (unread & np.maximum.accumulate(~unread, axis=0)).any(axis=0)
    settled: IntArray = np.where((stream[-1] < 0) | has_hole, -1, places[last_different + 1])
    return settled


def first_rows(top1: IntArray, tokens: Collection[int]) -> IntArray:
    """Return each column's first row whose top-1 token is one of `tokens`.

    Args:
        top1: top-1 tokens, `[rows, cols]`.
        tokens: the token ids to look for.

    Returns:
        Row indices, -1 where there is no such row, `[cols]`.
    """
    found = np.isin(top1, list(tokens))
    return np.where(found.any(axis=0), found.argmax(axis=0), -1).astype(np.int32)
