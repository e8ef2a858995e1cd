"""A prompt set read case by case: the last column of each prompt, all rows, every lens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lenstui.lens.kinds import reads_next
from lenstui.lens.lens import Lens, lenses_for
from lenstui.lens.logit import with_logit_lens
from lenstui.model.load import Model
from lenstui.model.reasoning import LAST, up_to
from lenstui.readout.cells import (
    NOT_A_NUMBER,
    NOT_READ,
    Cells,
    FloatArray,
    IntArray,
    Tile,
    crystallization_rows,
)
from lenstui.readout.continuation import text_behind
from lenstui.readout.pins import Pin, find_target
from lenstui.readout.reading import Reading
from lenstui.readout.sets.foils import FoilColumn, find_foil, minus
from lenstui.readout.sets.prompt_fields import Case
from lenstui.readout.tiles import read_tiles
from lenstui.readout.values import all_values
from lenstui.readout.words import WordReading, read_words
from lenstui.support.errors import SHORTER_PROMPT, LensError, failure


@dataclass(frozen=True, slots=True, eq=False)
class LastColumn:
    """The numbers of one lens at the end of one prompt, by row, all in nats, float32.

    A row that is not a number has NaN and `NOT_A_NUMBER`, as in `Cells`.

    Attributes:
        top1: the likeliest token, `[rows]`.
        top_id: the token to show, `[rows]`: the likeliest one, or with the readout filter the likeliest word.
        top_prob: its probability, `[rows]`.
        values: the values that need no pin and no next token, by their names in files (`entropy`, `kl`, …),
            each `[rows]`.
        target_logprob: the log-probability of the target, `[rows]`; NaN without a target.
        target_rank: the rank of the target, `[rows]`; -1 without a target.
        whole_logprob: the log-probability of the whole target, summed along its tokens, `[rows]`; where it is
            one token, that of this. NaN without a target, and for a lens whose readouts are no distributions
            of the next token.
        crystallization: the index of the row where the top-1 settles; None where not all rows were read, or
            the last one is not a number.
        foil: the numbers of the foil; None where there is none.
        rows: the indices of the rows in the residual stream, 0 for `emb`.
    """

    top1: IntArray
    top_id: IntArray
    top_prob: FloatArray
    values: Mapping[str, FloatArray | IntArray]
    target_logprob: FloatArray
    target_rank: IntArray
    whole_logprob: FloatArray
    crystallization: int | None
    foil: FoilColumn | None = None
    rows: Sequence[int] = ()

    @property
    def logit_diff(self) -> FloatArray:
        """The logit of the target minus that of the foil, first tokens, `[rows]`; NaN without a foil."""
        return self._none if self.foil is None else self.foil.logit_diff

    @property
    def whole_diff(self) -> FloatArray:
        """The log-probability of the whole target minus that of the whole foil, nats, `[rows]`; or NaN."""
        return self._none if self.foil is None else minus(self.whole_logprob, self.foil.whole_logprob)

    @property
    def _none(self) -> FloatArray:
        return np.full(len(self.top_prob), np.nan, np.float32)

    @property
    def target_prob(self) -> FloatArray:
        """The probability of the target, `[rows]`; NaN without a target."""
        return np.exp(self.target_logprob)

    @property
    def not_numbers(self) -> bool:
        """Whether any row is not a number."""
        return bool((self.top1 == NOT_A_NUMBER).any())


@dataclass(frozen=True, slots=True, eq=False)
class CaseReadout:
    """The readout of a case.

    Attributes:
        case: the case.
        tokens: the number of columns of its prompt as the model read it.
        dropped: the number of tokens cut from its front because the model's context is shorter.
        final_id: the final top-1 token, or with the readout filter the final likeliest word; None where the
            last row is not a number.
        final_text: the display text of that token; None likewise.
        final_prob: the probability of that token; NaN likewise.
        target: the token that stands for the target, with `whole` True if it is the whole word; None without
            a target.
        target_text: the display text of that token.
        not_whole: why a target of several tokens is not read whole, a sentence; empty where it is.
        lenses: the last column by lens, under the keys of `lens_keys`.
        clean: the readout of the clean run, where this one is under edits; else None.
        next_logprob: the mean over the prompt's columns of the log-probability of the next token, by lens,
            nats, `[rows]`, NaN for a prompt of one token; empty unless trajectories were asked for.
        scores: the outlier scores by method, under the keys of `outlier_methods`; empty where there are none.
        not_scored: why there are no scores against a reference set, a sentence; empty where there are, or
            none were asked for.
        first: the readout by the first side, where this one is by the second of two; else None.
        foil: the token that stands for the foil; None without one.
        foil_text: the display text of that token.
        no_difference: why there is no logit difference of target and foil, a sentence; empty where there is,
            or the case has no foil.
    """

    case: Case
    tokens: int
    dropped: int
    final_id: int | None
    final_text: str | None
    final_prob: float
    target: Pin | None
    target_text: str | None
    lenses: Mapping[str, LastColumn]
    not_whole: str = ""
    clean: CaseReadout | None = None
    next_logprob: Mapping[str, FloatArray] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    not_scored: str = ""
    first: CaseReadout | None = None
    foil: Pin | None = None
    foil_text: str | None = None
    no_difference: str = ""

    @property
    def before(self) -> CaseReadout | None:
        """The other readout of a pair: the clean run of an edited one, or that by the first side."""
        return self.clean if self.first is None else self.first

    @property
    def has_long_target(self) -> bool:
        """Whether the target is several tokens, the first of which `target` is."""
        return self.target is not None and bool(self.target.rest)

    @property
    def has_long_foil(self) -> bool:
        """Whether the foil is several tokens, the first of which `foil` is."""
        return self.foil is not None and bool(self.foil.rest)

    @property
    def not_numbers(self) -> bool:
        """Whether any row is not a number, by any lens."""
        return any(column.not_numbers for column in self.lenses.values())


@dataclass(frozen=True, slots=True)
class FailedCase:
    """A case that cannot be read.

    Attributes:
        case: the case.
        reason: why it cannot be read, a sentence.
    """

    case: Case
    reason: str


def read_set(
    model: Model,
    cases: Iterable[Case],
    lens: Lens | Sequence[Lens] | None = None,
    *,
    reading: Reading | None = None,
    exact_targets: bool = False,
    trajectories: bool = False,
) -> Iterator[CaseReadout | FailedCase]:
    """Read one column of every case, the last or the one that it names. Closing the generator stops the work.

    Args:
        model: from `load`.
        cases: from `open_prompts` or `read_cases`.
        lens: a lens for this model, beside the logit lens; a list for exactly its lenses; None for the logit
            lens alone.
        reading: rows, final norm, BOS, chat template and readout filter; None for the defaults.
        exact_targets: whether to take targets as written, without putting a space before them.
        trajectories: whether to read all columns of each prompt, for the `next_logprob` of its readout.

    Yields:
        The readout of each case, in order, or the reason why it cannot be read.

    Raises:
        LensError: if a lens or the reading does not fit the model.
    """
    reading = Reading() if reading is None else reading
    lenses = lenses_of_set(model, lens, reading)  # once, not for each case
    for case in cases:
        yield read_case(model, case, lenses, reading, exact_targets=exact_targets, trajectory=trajectories)


def lenses_of_set(model: Model, lens: Lens | Sequence[Lens] | None, reading: Reading) -> tuple[Lens, ...]:
    """Return the lenses that a set is read through, as `read_set` takes them, on the model's device.

    Raises:
        LensError: if a lens or the reading does not fit the model.
    """
    for reason in reading.refused(model.allowed, model.num_blocks).values():
        raise LensError(reason)
    if reading.sublayers:
        raise LensError("Prompt sets are read without sublayers.")
    return lenses_for(model, with_logit_lens(lens, final_norm=reading.final_norm))


def read_case(
    model: Model,
    case: Case,
    lenses: Sequence[Lens],
    reading: Reading,
    *,
    exact_targets: bool,
    trajectory: bool = False,
) -> CaseReadout | FailedCase:
    """Return the readout of a case, or why it cannot be read.

    Args:
        model: from `load`, or an edited one.
        case: the case.
        lenses: from `lenses_of_set`.
        reading: how the prompt is read.
        exact_targets: whether to take its target as written.
        trajectory: whether to read all columns, for its `next_logprob`.
    """
    try:
        return _read_case(model, case, lenses, reading, exact_targets=exact_targets, trajectory=trajectory)
    except LensError as error:
        return FailedCase(case, str(error))
    except (IndexError, MemoryError, RuntimeError) as error:  # torch's out-of-memory errors are RuntimeErrors
        return FailedCase(case, failure("Reading failed", error, SHORTER_PROMPT))


def _read_case(
    model: Model,
    case: Case,
    lenses: Sequence[Lens],
    reading: Reading,
    *,
    exact_targets: bool,
    trajectory: bool,
) -> CaseReadout:
    if not case.text:
        raise LensError("The prompt is empty.")
    texts = model.texts
    prompt = reading.prompt(model, case.typed)
    is_whole = case.at is None or case.at == LAST
    prompt = prompt if case.at is None else up_to(case.at, prompt, texts)
    behind = text_behind(prompt, chat=is_whole and (reading.chat or case.turns is not None))

    def find(word: str) -> Pin:
        tokenizer, vocabulary = model.tokenizer, model.vocabulary
        return find_target(tokenizer, texts, word, prompt=behind, vocabulary=vocabulary, exact=exact_targets)

    target = None if case.target is None else find(case.target)
    foil, no_difference = find_foil(case.foil, target, find)
    pins = [pin for pin in (target, foil) if pin is not None]
    columns = len(prompt.ids)
    rows = reading.rows.of(model.num_blocks)
    last_column = range(columns - 1, columns)
    tile, *before = read_tiles(
        model,
        prompt,
        lenses,
        top_k=1,
        pins=[pin.id for pin in pins],
        rows=rows,
        first=last_column,  # in a tile of its own, so that its numbers are those without the other columns
        columns=None if trajectory else last_column,
        words_only=reading.words_only,
    )
    long = [pin for pin in pins if pin.rest]
    words = dict(zip(long, read_words(model, prompt, long, lenses, rows=rows), strict=True)) if long else {}
    every = len(rows) == model.num_blocks + 1
    read = {
        name: _last_column(
            cells,
            pins,
            [_whole(name, cells, at, words.get(pin)) for at, pin in enumerate(pins)],
            rows,
            settles=every,
        )
        for name, cells in tile.lenses.items()
    }
    last = next(iter(read.values()))  # the last row is the model's own, for every lens
    final = int(last.top_id[-1]) if last.top_id[-1] >= 0 else None
    return CaseReadout(
        case=case,
        tokens=columns,
        dropped=prompt.dropped,
        final_id=final,
        final_text=None if final is None else texts[final],
        final_prob=float(last.top_prob[-1]),
        target=target,
        target_text=None if target is None else texts[target.id],
        lenses=read,
        not_whole=next((word.missing for word in words.values() if word.missing), ""),
        next_logprob=_mean_next(before, tuple(read), len(rows)) if trajectory else {},
        foil=foil,
        foil_text=None if foil is None else texts[foil.id],
        no_difference=no_difference,
    )


def _mean_next(tiles: Sequence[Tile], lenses: Sequence[str], rows: int) -> dict[str, FloatArray]:
    """Return the mean log-probability of the next token over the columns of tiles, by lens, `[rows]`."""
    if not tiles:
        return {lens: np.full(rows, np.nan, np.float32) for lens in lenses}
    of_all = {
        lens: np.concatenate([tile.lenses[lens].next_logprob for tile in tiles], axis=1) for lens in lenses
    }
    return {
        lens: of_lens.mean(axis=1, dtype=np.float64).astype(np.float32) for lens, of_lens in of_all.items()
    }


def _whole(lens: str, cells: Cells, pin: int, word: WordReading | None) -> FloatArray:
    """Return the log-probability of a whole word by a lens, `[rows]`, from cells of one column.

    Args:
        lens: the key of the lens.
        cells: the cells.
        pin: the place of the word among their pins.
        word: the word, if it is several tokens.
    """
    if word is not None:
        return word.logprob(lens)
    if reads_next(lens.partition(":")[0]):
        return cells.pin_logprobs[:, 0, pin]
    return np.full(len(cells.entropy), np.nan, np.float32)


def _last_column(
    cells: Cells, pins: Sequence[Pin], wholes: Sequence[FloatArray], places: Sequence[int], *, settles: bool
) -> LastColumn:
    """Return a lens's last column.

    Args:
        cells: the cells of one column.
        pins: their pins: the target and the foil, as far as there are any.
        wholes: the log-probability of each of these as a whole word, `[rows]`.
        places: the indices of the rows in the residual stream.
        settles: whether the row where the top-1 settles is known.
    """
    rows = len(cells.entropy)
    pinned = bool(pins)
    settled = int(crystallization_rows(cells.top1)[0]) if settles else -1
    return LastColumn(
        top1=cells.top1[:, 0],
        top_id=cells.top_ids[:, 0, 0],
        top_prob=cells.top_probs[:, 0, 0],
        values={
            value.stored: value.numbers(cells)[:, 0]
            for value in all_values()
            if value.stored and not value.pins and not value.of_next
        },
        target_logprob=cells.pin_logprobs[:, 0, 0] if pinned else np.full(rows, np.nan, np.float32),
        target_rank=cells.pin_ranks[:, 0, 0] if pinned else np.full(rows, NOT_READ, np.int32),
        whole_logprob=wholes[0] if pinned else np.full(rows, np.nan, np.float32),
        crystallization=None if settled < 0 else settled,
        foil=_foil_column(cells, pins, wholes[1]) if len(pins) > 1 else None,
        rows=tuple(places),
    )


def _foil_column(cells: Cells, pins: Sequence[Pin], whole_logprob: FloatArray) -> FoilColumn:
    """Return the foil's numbers from cells of one column, whose pins are the target and the foil."""
    logits = cells.pin_logits[:, 0]  # [rows, 2]
    target, foil = pins
    difference = minus(logits[:, 0], logits[:, 1])
    return FoilColumn(
        logprob=cells.pin_logprobs[:, 0, 1],
        rank=cells.pin_ranks[:, 0, 1],
        logit_diff=np.full_like(difference, np.nan) if target.id == foil.id else difference,
        whole_logprob=whole_logprob,
    )
