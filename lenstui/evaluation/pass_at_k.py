"""pass@k: how often a lens has words that a model should think of among its k likeliest tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lenstui.evaluation.word_forms import tokens_of_word
from lenstui.evaluation.word_items import WordItem
from lenstui.lens.lens import Lens, lens_keys, lenses_for
from lenstui.lens.logit import with_logit_lens
from lenstui.model.load import Model
from lenstui.model.rows import Row, choose_rows
from lenstui.model.tokenization import plain_ids
from lenstui.model.tokens import encode
from lenstui.readout.cells import IntArray
from lenstui.readout.reduction import is_number
from lenstui.readout.streams import Streams
from lenstui.readout.word_filter import word_ids
from lenstui.support.errors import LensError

KS = (1, 5, 10)
_NO_RANK = torch.iinfo(torch.int32).max  # of a cell that is not a number: found by no k

Ranks = Mapping[str, IntArray]
"""The ranks of the intermediates of one item by lens, each `[rows, intermediates]`, the best of all forms."""


@dataclass(frozen=True, slots=True)
class Passes:
    """pass@k of one lens, a share from 0 to 1 for each k.

    Attributes:
        passed: the mean over items of the share of their intermediates that are found: whose rank is below k
            in the best row of the band.
        stderr: its standard error over items; NaN for a single item.
        by_row: the same mean for each row alone.
    """

    passed: Mapping[int, float]
    stderr: Mapping[int, float]
    by_row: Mapping[int, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class PassAtK:
    """pass@k of lenses over items.

    Attributes:
        lenses: by lens, under the keys of `lens_keys`.
        rows: the labels of the rows that all lenses have; `emb` and the last row are never among them.
        band: the labels of those of them whose best one counts.
        items: the number of items in the means.
        skipped: the number of intermediates that are no single token, and count nowhere.
        skipped_items: the number of items that have no other intermediates.
        incorrect: the number of items left out because the model does not begin their target; None if all
            were to be read.
        not_numbers: the number of items with a cell in these rows whose logits are not finite; nothing is
            found in such a cell.
        ending_in_space: the number of items that are read at the end of a prompt that ends in a space.
        stripped: the same with such prompts stripped; None if there are none.
        words_only: whether the tokens without a letter or digit were left out of the ranks.
    """

    lenses: Mapping[str, Passes]
    rows: tuple[str, ...]
    band: tuple[str, ...]
    items: int
    skipped: int
    skipped_items: int
    incorrect: int | None = None
    not_numbers: int = 0
    ending_in_space: int = 0
    stripped: PassAtK | None = None
    words_only: bool = False


@dataclass(frozen=True, slots=True)
class _Read:
    """An item that was read."""

    ranks: Ranks
    is_correct: bool


def pass_at_k(
    model: Model,
    items: Sequence[WordItem],
    lens: Lens | Sequence[Lens] | None = None,
    *,
    band: Sequence[int] | None = None,
    correct_only: bool = False,
    words_only: bool = False,
    on_item: Callable[[int], None] = lambda done: None,
) -> PassAtK:
    """Return how often lenses have the intermediates of items among their k likeliest tokens, k = 1, 5, 10.

    The rank of an intermediate is the best of all single tokens that are a form of it (`surfaces_of`). Each
    prompt is run once, and once more without its spaces at the end if it is read there.

    Args:
        model: from `load`.
        items: from `open_items`, or made in memory.
        lens: a lens for this model, beside the logit lens; a list for exactly its lenses.
        band: indices of the rows whose best one counts (0 is `emb`); those that a lens lacks, `emb` and the
            last row are passed over. None: all rows that all lenses have.
        correct_only: whether to leave out items whose target the model's likeliest next token does not begin.
        words_only: the readout filter: whether tokens without a letter or digit are passed over when ranks
            are counted, except those that are forms of the item's own intermediates.
        on_item: is called after each item with the number of items that are done.

    Raises:
        LensError: if a lens, the band or an item does not fit the model, no item is left to be read, or no
            token is a word.
    """
    if not items:
        raise LensError("There are no items.")
    if correct_only and all(item.target is None for item in items):
        raise LensError("No item has a target, so that none can be answered correctly.")
    lenses = lenses_for(model, with_logit_lens(lens))
    rows, places = _rows(model, lenses, band)
    tokens = [_tokens(model, item) for item in items]
    if not any(map(any, tokens)):
        raise LensError("No intermediate of these items is a single token of this model.")
    ranked = word_ids(model) if words_only else None
    read: list[tuple[_Read, _Read]] = []  # as written, and stripped
    for number, (item, words) in enumerate(zip(items, tokens, strict=True), 1):
        if any(words):
            try:
                read.append(_read_both(model, item, list(filter(None, words)), lenses, rows, ranked=ranked))
            except LensError as error:
                raise LensError(f"Item {number}: {error}") from error
        on_item(number)
    labels = tuple(Row(h).label for h in rows)
    counts = PassAtK(
        lenses={},
        rows=labels,
        band=tuple(labels[place] for place in places),
        items=0,
        skipped=sum(not word for words in tokens for word in words),
        skipped_items=len(items) - len(read),
        words_only=words_only,
    )
    as_written, stripped = (
        _over(some, counts, places, correct_only=correct_only) for some in zip(*read, strict=True)
    )
    if not as_written.items + stripped.items:
        raise LensError("The model's likeliest next token begins the target of no item.")
    spaced = sum(item.ends_in_space and any(words) for item, words in zip(items, tokens, strict=True))
    return replace(as_written, ending_in_space=spaced, stripped=stripped if spaced else None)


def _tokens(model: Model, item: WordItem) -> list[tuple[int, ...]]:
    """Return the tokens of each intermediate of an item, none for one without a single token."""
    return [
        tokens_of_word(model.texts, word, item.forms.get(word, ()), vocabulary=model.vocabulary)
        for word in item.intermediates
    ]


def _rows(
    model: Model, lenses: Sequence[Lens], band: Sequence[int] | None
) -> tuple[list[int], Sequence[int]]:
    """Return the rows that all lenses have, but for `emb` and the last, and which of these are in the band.

    Raises:
        LensError: if there are none.
    """
    rows = [h for h in range(1, model.num_blocks) if all(lens.reads(Row(h)) for lens in lenses)]
    if not rows:
        raise LensError("There is no row that all these lenses have, but for emb and the last one.")
    chosen = rows if band is None else choose_rows(model.num_blocks, band)
    places = [place for place, row in enumerate(rows) if row in chosen]
    if not places:
        have = f"{Row(rows[0]).label} to {Row(rows[-1]).label}"
        raise LensError(f"No row of the band is one that all lenses have, which is some of {have}.")
    return rows, places


def _read_both(
    model: Model,
    item: WordItem,
    words: Sequence[tuple[int, ...]],
    lenses: Sequence[Lens],
    rows: Sequence[int],
    *,
    ranked: Tensor | None,
) -> tuple[_Read, _Read]:
    """Read an item as it is written, and once more with its prompt stripped where that may matter."""
    as_written = _read(model, item, words, lenses, rows, ranked=ranked)
    if not item.ends_in_space:
        return as_written, as_written
    stripped = replace(item, prompt=item.prompt.rstrip(" "))
    return as_written, _read(model, stripped, words, lenses, rows, ranked=ranked)


def _read(
    model: Model,
    item: WordItem,
    words: Sequence[tuple[int, ...]],
    lenses: Sequence[Lens],
    rows: Sequence[int],
    *,
    ranked: Tensor | None,
) -> _Read:
    """Read one item.

    Args:
        model: from `load`.
        item: the item.
        words: the tokens of each of its intermediates.
        lenses: from `lenses_for`.
        rows: the rows to read.
        ranked: the ids of the tokens that count in a rank, beside those of the words; None for all.
    """
    prompt = encode(model.tokenizer, item.prompt)
    if model.context is not None and len(prompt.ids) > model.context:
        raise LensError(f"its prompt has {len(prompt.ids)} tokens, and the model reads {model.context}.")
    column, answer = item.column(prompt, model.texts), item.answer_column(prompt, model.texts)
    places, last = [Row(h) for h in rows], Row(model.num_blocks)
    streams = Streams.of(model, prompt.ids, lenses, places)
    if ranked is not None:
        scored = [token for tokens in words for token in tokens]
        ranked = torch.unique(torch.cat([ranked, ranked.new_tensor(scored)]))
    with torch.inference_mode():
        ranks = {
            key: _ranks(streams.column(lens, places, column), words, ranked)
            for key, lens in zip(lens_keys(lenses), lenses, strict=True)
        }
        final = streams.column(lenses[0], [last], answer)  # [1, vocabulary], the same for every lens
    is_correct = bool(is_number(final)) and _begins(model, int(final.argmax()), item.target)
    return _Read(ranks, is_correct)


def _ranks(logits: Tensor, words: Sequence[tuple[int, ...]], ranked: Tensor | None) -> IntArray:
    """Return how many logits are greater than the greatest of each word's tokens, by row.

    Args:
        logits: `[rows, vocabulary]`.
        words: the tokens of each word.
        ranked: the ids of the tokens that count; None for all.

    Returns:
        `[rows, words]`, `_NO_RANK` in rows whose logits are not finite.
    """
    best = torch.stack([logits[:, list(tokens)].amax(-1) for tokens in words], dim=-1)  # [rows, words]
    others = logits if ranked is None else logits.index_select(1, ranked)
    greater = [(others > own[:, None]).sum(-1, dtype=torch.int32) for own in best.unbind(-1)]
    ranks = torch.stack(greater, dim=-1).masked_fill(~is_number(logits)[:, None], _NO_RANK)
    return ranks.cpu().numpy()


def _begins(model: Model, token: int, target: str | None) -> bool:
    """Return whether a token begins the target, behind a space or not."""
    if target is None:
        return False
    bare, text = target.strip(), model.texts.surface(token).strip()
    if "\ufffd" not in text:
        return bool(text) and bare.startswith(text)
    # A part of a character has no text of its own.
    firsts = (plain_ids(model.tokenizer, form)[:1] for form in (bare, f" {bare}"))
    return [token] in firsts


def _over(read: Sequence[_Read], counts: PassAtK, band: Sequence[int], *, correct_only: bool) -> PassAtK:
    """Return the means over items.

    Args:
        read: what was read of each item.
        counts: rows and counts that do not depend on what was read.
        band: the places of the band among the rows.
        correct_only: whether to leave out the items that the model does not answer correctly.
    """
    kept = [each for each in read if each.is_correct] if correct_only else read
    return replace(
        counts,
        lenses={
            key: _passes([each.ranks[key] for each in kept], len(counts.rows), band) for key in read[0].ranks
        },
        items=len(kept),
        incorrect=len(read) - len(kept) if correct_only else None,
        not_numbers=sum(any((of == _NO_RANK).any() for of in each.ranks.values()) for each in kept),
    )


def _passes(ranks: Sequence[IntArray], rows: int, band: Sequence[int]) -> Passes:
    """Return pass@k from the ranks of each item, `[rows, intermediates]`; NaN for no items."""
    best = [of_item[list(band)].min(axis=0) for of_item in ranks]  # [intermediates] each
    shares = {k: np.array([(of_item < k).mean() for of_item in best]) for k in KS}  # [items]
    by_row = {k: [(of_item < k).mean(axis=1) for of_item in ranks] for k in KS}  # [items, rows]
    none = np.full(rows, np.nan)
    return Passes(
        passed={k: float(share.mean()) if len(share) else math.nan for k, share in shares.items()},
        stderr={k: _standard_error(share) for k, share in shares.items()},
        by_row={k: tuple((np.mean(of, axis=0) if of else none).tolist()) for k, of in by_row.items()},
    )


def _standard_error(values: npt.NDArray[np.float64]) -> float:
    """Return the standard error of the mean of `values` `[items]`, NaN for fewer than two."""
    return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
