"""From a block of text that was read to its records, one for each position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lenstui.model.tokens import TokenTexts
from lenstui.readout.against import SecondCells
from lenstui.readout.cells import NOT_A_NUMBER, NOT_READ, Cells, crystallization_rows
from lenstui.scan.columns import all_columns, arrow_type, of_lens

BEFORE, AFTER = 24, 12  # tokens of the text around a position

_NO_RANK = np.iinfo(np.int32).max
_MISSING_ID = -1

Values = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class ReadBlock:
    """A block of text with the cells of every lens.

    Attributes:
        number: the number of the block in the text, from 0.
        ids: its tokens, `[cols]`.
        documents: the number of the document of each column, `[cols]`.
        lenses: the cells of all rows and columns by lens, under the keys of `lens_keys`.
        second: the cells of the second side, if there is one.
    """

    number: int
    ids: Sequence[int]
    documents: Sequence[int]
    lenses: Mapping[str, Cells]
    second: SecondCells | None = None


class TextAround:
    """The text around the positions of a block, from the texts of its tokens."""

    def __init__(self, texts: TokenTexts) -> None:
        self._texts = texts
        self._surfaces: dict[int, str] = {}

    def of(self, ids: Sequence[int]) -> str:
        """Return the text of neighbouring tokens."""
        for token in ids:
            if token not in self._surfaces:
                self._surfaces[token] = self._texts.surface(token)
        text = "".join(map(self._surfaces.__getitem__, ids))
        # A part of a character has no text of its own: such tokens have to be decoded together.
        return self._texts.join(ids) if "\ufffd" in text else text


def records_of(block: ReadBlock, texts: TokenTexts, around: TextAround) -> pa.Table:
    """Return the records of a block, one for each of its columns.

    Args:
        block: the block.
        texts: display texts of the model's tokens.
        around: what makes the text around a position, the same for all blocks.
    """
    values = _of_position(block, texts, around)
    for key, cells in block.lenses.items():
        values |= {of_lens(key, name): array for name, array in _of_lens(cells).items()}
    final, pairs = (None, {}) if block.second is None else (block.second.final, block.second.pairs)
    if final is not None:
        values |= _of_second(final, texts)
    for key, cells in pairs.items():
        of_pair = _of_pair(block.lenses[key], cells)
        values |= {of_lens(key, name): array for name, array in of_pair.items()}
    columns = all_columns(list(block.lenses), pairs, second_model=final is not None)
    arrays = [_arrow(values[column.name], arrow_type(column)) for column in columns]
    return pa.table(arrays, names=[column.name for column in columns])


def _of_position(block: ReadBlock, texts: TokenTexts, around: TextAround) -> dict[str, Values]:
    """Return the columns that are not of one lens; missing numbers are NaN, missing texts None."""
    ids, count = block.ids, len(block.ids)
    columns = np.arange(count)
    cells = next(iter(block.lenses.values()))  # the last row is the same by every lens
    following = np.array([*ids[1:], _MISSING_ID])
    final = cells.top1[-1]
    rank = cells.next_rank[-1]

    return {
        "position": block.number * count + columns,
        "document": np.array(block.documents),
        "block": np.full(count, block.number),
        "column": columns,
        "before": np.array([around.of(ids[max(0, c + 1 - BEFORE) : c + 1]) for c in range(count)], object),
        "after": np.array([around.of(ids[c + 1 : c + 1 + AFTER]) for c in range(count)], object),
        "token": _texts_of(np.array(ids), texts),
        "token_id": np.array(ids),
        "next": _texts_of(following, texts),
        "next_id": _unless(following < 0, following),
        "next_prob": np.exp(cells.next_logprob[-1]),
        "next_rank": _unless(rank < 0, rank),
        "final": _texts_of(final, texts),
        "final_id": _unless(final < 0, final),
        "final_prob": cells.top_probs[-1, :, 0],
        "final_entropy": cells.entropy[-1],
    }


def _texts_of(tokens: Values, texts: TokenTexts) -> Values:
    """Return the display texts of tokens, None for those that are missing, `[cols]`."""
    return np.array([texts[token] if token >= 0 else None for token in tokens.tolist()], object)


def _of_second(cells: Cells, texts: TokenTexts) -> dict[str, Values]:
    """Return the columns of a second model's final distribution, from its cells `[1, cols]`."""
    final, rank = cells.top1[0], cells.next_rank[0]
    return {
        "against_final": _texts_of(final, texts),
        "against_final_id": _unless(final < 0, final),
        "against_final_prob": cells.top_probs[0, :, 0],
        "against_final_entropy": cells.entropy[0],
        "against_next_prob": np.exp(cells.next_logprob[0]),
        "against_next_rank": _unless(rank < 0, rank),
        "against_kl": cells.kl[0],
    }


def _of_pair(first: Cells, second: Cells) -> dict[str, Values]:
    """Return the columns of a lens that is compared with one of the second side, missing numbers as NaN."""
    same = _same_top1(first.top1, second.top1)
    since = crystallization_rows(same)  # from where on it stays what it is in the last row
    settled = crystallization_rows(second.top1)
    known = np.where(np.isnan(second.kl), -np.inf, second.kl)
    farthest = known.argmax(axis=0)
    missing = np.isneginf(known.max(axis=0))
    return {
        "parts": _unless((since < 0) | (same[-1] != 0), since - 1),
        "joins": _unless((since < 0) | (same[-1] != 1), since - 1),
        "farthest": _unless(missing, known.max(axis=0)),
        "farthest_row": _unless(missing, farthest - 1),
        "against_crystallization": _unless(settled < 0, settled - 1),
        "against_next_logprob": second.next_logprob.T,
        "against_kl": second.kl.T,
        "same_top1": _unless(same < 0, same).T,
    }


def _same_top1(first: Values, second: Values) -> Values:
    """Return 1 where two top-1 tokens are the same, else 0, `[rows, cols]`; negative where one is missing.

    As in `Cells`: `NOT_READ` where one side's lens does not read the row, `NOT_A_NUMBER` where logits are
    not finite.
    """
    unread = (first == NOT_READ) | (second == NOT_READ)
    missing = np.where(unread, NOT_READ, NOT_A_NUMBER)
    return np.where((first < 0) | (second < 0), missing, first == second).astype(np.int32)


def _of_lens(cells: Cells) -> dict[str, Values]:
    """Return the columns of one lens, missing numbers as NaN."""
    settled = crystallization_rows(cells.top1)
    best, best_rank, best_logprob = _best_rows(cells)
    swing, upper = _swings(cells)
    return {
        "crystallization": _unless(settled < 0, settled - 1),  # a row's label is one less than its index
        "best_row": best - 1,
        "best_rank": best_rank,
        "best_prob": np.exp(best_logprob),
        "swing": swing,
        "swing_row": upper - 1,
        "next_logprob": cells.next_logprob.T,
        "kl": cells.kl.T,
        "entropy": cells.entropy.T,
    }


def _best_rows(cells: Cells) -> tuple[Values, Values, Values]:
    """Return index, rank and log-probability of each column's best row of the next token, `[cols]` each.

    It is the row where the next token's rank is lowest; of several where its probability is highest; of
    several still the lowest. The last row is among them. NaN where no row has a rank.
    """
    ranks = np.where(cells.next_rank >= 0, cells.next_rank, _NO_RANK)
    lowest = ranks.min(axis=0)
    logprobs = np.where(ranks == lowest, cells.next_logprob, -np.inf)
    best = np.nan_to_num(logprobs, nan=-np.inf, neginf=-np.inf).argmax(axis=0)
    # Where a token is forbidden in all of them, -inf is the same for all: the first of the lowest rank.
    best = np.where(np.isneginf(logprobs.max(axis=0)), (ranks == lowest).argmax(axis=0), best)
    missing = lowest == _NO_RANK
    logprob = np.take_along_axis(cells.next_logprob, best[None], axis=0)[0]
    return _unless(missing, best), _unless(missing, lowest), _unless(missing, logprob)


def _swings(cells: Cells) -> tuple[Values, Values]:
    """Return the largest swing of each column and the index of its upper row, `[cols]` each.

    A swing is the change of the next token's log-probability from one row that the lens reads to the next
    such row; the largest is the one that is farthest from 0, with its sign; the lowest of several. Changes
    from or to what is not finite do not count. NaN where there is none.
    """
    rows = np.flatnonzero(cells.has_rows)
    if len(rows) < 2:
        none = np.full(cells.columns, np.nan)
        return none, none
    with np.errstate(invalid="ignore"):  # -inf minus -inf
        changes = np.diff(cells.next_logprob[rows], axis=0)  # [rows - 1, cols]
    sizes = np.where(np.isfinite(changes), np.abs(changes), -1)
    largest = sizes.argmax(axis=0)
    missing = sizes.max(axis=0) < 0
    swing = np.take_along_axis(changes, largest[None], axis=0)[0]
    return _unless(missing, swing), _unless(missing, rows[1:][largest])


def _unless(missing: npt.NDArray[np.bool_], values: Values) -> Values:
    """Return values with NaN where they are missing."""
    return np.where(missing, np.nan, values)


def _arrow(values: Values, kind: pa.DataType) -> pa.Array:
    """Return values as an Arrow array in which NaN and None are null."""
    if pa.types.is_list(kind):
        positions, rows = values.shape
        flat = pa.array(values.ravel(), kind.value_type, from_pandas=True)
        offsets = pa.array(np.arange(positions + 1, dtype=np.int32) * rows)
        return pa.ListArray.from_arrays(offsets, flat)
    if values.dtype == object:
        return pa.array(values.tolist(), kind)
    return pa.array(values, from_pandas=True).cast(kind)
