"""Words of several tokens in one column: the log-probability of all their tokens, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np
import torch
from torch import Tensor

from lenstui.lens.kinds import reads_next
from lenstui.lens.lens import Lens, lens_keys, lenses_for
from lenstui.lens.logit import with_logit_lens
from lenstui.model.load import Model
from lenstui.model.rows import Row
from lenstui.model.tokens import Prompt
from lenstui.readout.cells import FloatArray
from lenstui.readout.continuation import word_behind
from lenstui.readout.pins import Pin
from lenstui.readout.streams import rows_to_read

_COLUMNS_A_PASS = 4096  # of all words of a batch together, so that a long prompt takes no more memory
_LOGITS_AT_ONCE = 64  # positions, each with a number for every token of the vocabulary


@dataclass(frozen=True, slots=True, eq=False)
class WordReading:
    """A word in one column of a prompt, read as what it is: all of its tokens, one after the other.

    Attributes:
        word: the word as typed.
        column: the index of the column that the word follows.
        ids: the word's tokens where it follows that column.
        rows: the labels of the rows, top of the network last.
        logprobs: the log-probability of each token at the position before it, the word's tokens before that
            being given, nats, `[rows, tokens]`, by lens, under the keys of `lens_keys`. NaN in rows that the
            lens does not read, and in those of sublayers. Lenses whose readouts are no distributions of the
            next token (Jacobian ones) are left out.
        missing: why there are no such numbers, a sentence; empty where there are.
    """

    word: str
    column: int
    ids: tuple[int, ...]
    rows: tuple[str, ...]
    logprobs: Mapping[str, FloatArray] = field(default_factory=dict)
    missing: str = ""

    def logprob(self, lens: str) -> FloatArray:
        """Return the word's log-probability by a lens, the sum along its tokens, nats, `[rows]`.

        NaN throughout for a lens that is left out.
        """
        if lens not in self.logprobs:
            return np.full(len(self.rows), np.nan, np.float32)
        total: FloatArray = self.logprobs[lens].astype(np.float64).sum(axis=1).astype(np.float32)
        return total


def read_words(
    model: Model,
    prompt: Prompt,
    words: Sequence[str | Pin],
    lens: Lens | Sequence[Lens] | None = None,
    *,
    column: int = -1,
    rows: Sequence[int] | None = None,
    final_norm: bool = True,
    sublayers: bool = False,
) -> tuple[WordReading, ...]:
    """Return how likely each of the words is behind a column of a prompt, by every lens, in every row.

    The model reads the prompt up to that column and the word's tokens behind it, all words in one batch as
    far as memory allows. At each row a lens then gives the log-probability of each token of the word at the
    position before it; those of the last row add up to the model's own log-probability of the word. A word
    that does not fit in the model's context has no numbers, and the reason.

    Args:
        model: from `load`.
        prompt: from `encode`.
        words: the words, each as typed (its tokens are those that it has where it follows the column), or a
            pin, which stands for its own tokens.
        lens: a lens for this model, beside the logit lens; a list for exactly its lenses; None for the logit
            lens alone.
        column: the index of the column; -1 for the last.
        rows: indices of the rows to read (0 is `emb`); the last row is always among them. None: all.
        final_norm: False leaves out the logit lens's final norm, except in the last row.
        sublayers: whether the rows of sublayers are among the rows, without numbers.

    Raises:
        LensError: if a lens, row or token does not fit the model.
    """
    return tuple(
        iter_words(
            model, prompt, words, lens, column=column, rows=rows, final_norm=final_norm, sublayers=sublayers
        )
    )


def iter_words(
    model: Model,
    prompt: Prompt,
    words: Sequence[str | Pin],
    lens: Lens | Sequence[Lens] | None = None,
    *,
    column: int = -1,
    rows: Sequence[int] | None = None,
    final_norm: bool = True,
    sublayers: bool = False,
) -> Iterator[WordReading]:
    """Yield what `read_words` returns, batch by batch. Closing the generator stops the work.

    Args:
        model: as in `read_words`, like all others.
        prompt: the prompt.
        words: the words.
        lens: the lenses.
        column: the column.
        rows: the rows.
        final_norm: whether the logit lens applies the final norm.
        sublayers: whether the rows of sublayers are among the rows.
    """
    lenses = lenses_for(model, with_logit_lens(lens, final_norm=final_norm))
    chosen = rows_to_read(model, rows, sublayers=sublayers)
    column = range(len(prompt.ids))[column]
    labels = tuple(row.label for row in chosen)
    before = prompt.ids[: column + 1]

    def reading_of(word: str | Pin) -> WordReading:
        if isinstance(word, Pin):
            return WordReading(word.word, column, word.ids, labels)
        ids = tuple(word_behind(model.tokenizer, model.texts, before, word))
        return WordReading(word, column, ids, labels)

    readings = list(map(reading_of, words))
    columns = max((len(before) + len(each.ids) for each in readings), default=1)
    together = max(1, _COLUMNS_A_PASS // columns)
    for start in range(0, len(readings), together):
        batch = readings[start : start + together]
        missing = [_why_not(model, each) for each in batch]
        fitting = [each.ids for each, reason in zip(batch, missing, strict=True) if not reason]
        numbers = iter(_read_batch(model, before, fitting, lenses, chosen))
        for each, reason in zip(batch, missing, strict=True):
            of_word = {} if reason else next(numbers)
            yield WordReading(each.word, column, each.ids, labels, of_word, reason)


def _why_not(model: Model, reading: WordReading) -> str:
    """Return why a word cannot be read in its column; nothing where it can."""
    count, unknown = len(reading.ids), getattr(model.tokenizer, "unk_token_id", None)
    if not count or unknown in reading.ids:
        return f"The tokenizer has no token for a part of {reading.word!r}."
    if model.remote is not None:
        return f"Words of several tokens are not read on {model.remote.service}."
    if max(reading.ids) >= model.known_ids:
        return f"The tokenizer has more tokens than the model, and cuts {reading.word!r} into one of these."
    if model.context is not None and reading.column + count > model.context:
        left = model.context - reading.column
        return (
            f"{reading.word!r} is {count} tokens, and behind column {reading.column} the context of "
            f"{model.context} columns has room for {left}."
        )
    return ""


def _read_batch(
    model: Model,
    before: Sequence[int],
    words: Sequence[tuple[int, ...]],
    lenses: Sequence[Lens],
    rows: Sequence[Row],
) -> list[dict[str, FloatArray]]:
    """Return, for each word of a batch, the log-probabilities of its tokens by lens, `[rows, tokens]`."""
    read = {key: lens for key, lens in zip(lens_keys(lenses), lenses, strict=True) if reads_next(lens.kind)}
    if not words or not read:
        return [{} for _ in words]
    h, tokens = _positions(model, before, words)
    ends = accumulate(map(len, words), initial=0)
    parts = [slice(*bounds) for bounds in pairwise(ends)]
    with torch.inference_mode():
        of_lenses = {key: _by_row(model, lens, h, tokens, rows) for key, lens in read.items()}
    return [{key: numbers[:, part] for key, numbers in of_lenses.items()} for part in parts]


def _positions(
    model: Model, before: Sequence[int], words: Sequence[tuple[int, ...]]
) -> tuple[Tensor, Tensor]:
    """Return the residual stream where each token of the words is predicted, and these tokens.

    Shorter words are filled up at their end, which no position before sees.

    Returns:
        `[L + 1, tokens, d]`, and `[tokens]`; the tokens of the first word come first.
    """
    longest = max(map(len, words))
    filled = [[*before, *ids[:-1], *[ids[0]] * (longest - len(ids))] for ids in words]
    h = model.stream(torch.tensor(filled))[:, :, len(before) - 1 :]  # [L + 1, words, longest, d]
    places = [(word, place) for word, ids in enumerate(words) for place in range(len(ids))]
    of_word, of_token = torch.tensor(places, device=h.device).T
    return h[:, of_word, of_token], torch.tensor([token for ids in words for token in ids], device=h.device)


def _by_row(model: Model, lens: Lens, h: Tensor, tokens: Tensor, rows: Sequence[Row]) -> FloatArray:
    """Return the log-probability of each token at its position, `[rows, tokens]`."""
    numbers = np.full((len(rows), len(tokens)), np.nan, np.float32)
    for place, row in enumerate(rows):
        is_last = row.h == model.num_blocks
        if row.part is None and (is_last or lens.reads(row)):
            states, wanted = torch.split(h[row.h], _LOGITS_AT_ONCE), torch.split(tokens, _LOGITS_AT_ONCE)
            found = [
                _logprobs(lens.logits(model, piece, row.h), own)
                for piece, own in zip(states, wanted, strict=True)
            ]
            numbers[place] = torch.cat(found).cpu().numpy()
    return numbers


def _logprobs(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the log-probability of one token a position, of logits `[positions, vocabulary]`."""
    total = logits.logsumexp(-1)
    own = logits.gather(1, tokens[:, None])[:, 0] - total
    return own.where(total.isfinite(), torch.nan)  # as `is_number` has it
