"""The registry of values: every number of a cell that colours, tables and files may show.

What a value is, is said in its one entry here. Whatever lists values asks for them when it needs them
(`all_values`, `values_for`, `value_named`), so that an entry is all that a new one takes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lenstui.readout.cells import NOT_READ, Cells, FloatArray, IntArray, agreement
from lenstui.readout.number_texts import (
    agreement_text,
    logprob_text,
    nats_error_text,
    nats_text,
    probability_text,
    rank_text,
)
from lenstui.readout.scales import Scale, robust_top, round_top


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One of the numbers of a cell: what it is, what it needs, and how it is shown.

    Attributes:
        key: short name, as the command line spells it.
        label: name on screen. `pin 1` and `pin 2` in it stand for the texts of the first two pins.
        unit: unit on screen, or empty.
        numbers: the numbers of some cells as files hold them, `[rows, cols]`: float32, NaN where there is
            none, or of ranks int32, negative where there is none.
        of_tokens: the number of each of a cell's likeliest tokens, `[rows, cols, k]`, where each has its own.
        pins: how many pinned tokens there must be for it.
        of_next: it is of the token that really comes next, and so there is none in the last column.
        ends: smallest and largest number that its scale tells apart, from arrays of the numbers (of whole
            prompts, column 0 first, NaN where not yet read) and a vocabulary size.
        log: the steps of its scale are even in the logarithm.
        log_difference: the steps of the scale of its difference between two lenses are so.
        low_is_bright: small numbers are the good ones and take the bright end.
        diverges: its numbers are of either sign, and 0 has the neutral colour.
        is_yes_or_no: there are no numbers but 1, yes, and 0, no.
        format: one number as text.
        stored: the name under which JSON, CSV and Parquet hold it; None where they hold it otherwise.
        brief: name in lists of a cell's numbers; empty where these leave it out, because it stands beside a
            token or with the pins.
        spelled: name in such lists where there is room for words; empty where that is the label.
        spelled_format: one number as text in such lists; None where that is `format`.
        is_minor: lists that have no room for all leave it out before others.
        error_format: the standard error of its mean as text; None where prompt sets take no mean of it.
        option: what `--help` says behind its key, or nothing.
        meaning: what it is, for the manual.
        keys_line: what it is, for the list of keys; empty where that leaves it out.
    """

    key: str
    label: str
    numbers: Callable[[Cells], FloatArray | IntArray]
    ends: Callable[[Sequence[FloatArray], int], tuple[float, float]]
    format: Callable[[float], str]
    meaning: str
    unit: str = ""
    of_tokens: Callable[[Cells], FloatArray] | None = None
    pins: int = 0
    of_next: bool = False
    log: bool = False
    log_difference: bool = False
    low_is_bright: bool = False
    diverges: bool = False
    is_yes_or_no: bool = False
    stored: str | None = None
    brief: str = ""
    spelled: str = ""
    spelled_format: Callable[[float], str] | None = None
    is_minor: bool = False
    error_format: Callable[[float], str] | None = None
    option: str = ""
    keys_line: str = ""

    def of(self, cells: Cells) -> FloatArray:
        """Return the numbers of some cells, `[rows, cols]`, float32, NaN where there is none."""
        return known(self.numbers(cells))

    @property
    def has_mean(self) -> bool:
        """Whether prompt sets take its mean: it is of the cell alone, and files hold it."""
        return bool(self.stored and self.error_format) and not self.pins and not self.of_next

    def scale(self, arrays: Sequence[FloatArray], vocabulary: int) -> Scale:
        """Return the scale that shows these numbers.

        Args:
            arrays: the numbers of each lens, `[rows, cols]`, column 0 first, NaN where not yet read.
            vocabulary: number of token ids.
        """
        lo, hi = self.ends(arrays, vocabulary)
        return Scale(lo, hi, self.log, self.low_is_bright, self.diverges, self.is_yes_or_no)

    @property
    def name(self) -> str:
        """Name in lists of a cell's numbers, where there is room for words."""
        return self.spelled or self.label

    def amount(self, number: float, *, unit: bool = True) -> str:
        """Return a number as text for such a list: `2.21 nats`."""
        text = (self.spelled_format or self.format)(number)
        return f"{text} {self.unit}" if unit and self.unit else text


# ── the registry ─────────────────────────────────────────────────────────────────────────────────────────

_entries: dict[str, Value] = {}


def register(value: Value) -> None:
    """Add a value, behind those that need no more pins than it.

    Raises:
        ValueError: if there is one with its key.
    """
    if value.key in _entries:
        raise ValueError(f"There is a value {value.key!r} already.")
    _entries[value.key] = value


def unregister(key: str) -> None:
    """Take a value out again.

    Raises:
        KeyError: if there is none with this key.
    """
    del _entries[key]


def all_values() -> tuple[Value, ...]:
    """Return every value, in the order of all lists: those that need pins last, by how many they need."""
    return tuple(sorted(_entries.values(), key=lambda value: value.pins))


def value_named(key: str) -> Value:
    """Return the value with a key.

    Raises:
        KeyError: if there is none.
    """
    return _entries[key]


def values_for(pins: Sequence[str]) -> tuple[Value, ...]:
    """Return the values that there are with these pins, in the order of all lists.

    Args:
        pins: display texts of the pinned tokens, which labels then name.
    """

    def named(value: Value) -> Value:
        label = re.sub("pin ([12])", lambda pin: pins[int(pin[1]) - 1], value.label)
        return replace(value, label=label)

    return tuple(named(value) if value.pins else value for value in all_values() if value.pins <= len(pins))


def known(numbers: FloatArray | IntArray) -> FloatArray:
    """Return numbers as float32, NaN where there is none: ranks have a negative number there."""
    if numbers.dtype.kind == "f":
        return numbers.astype(np.float32, copy=False)
    return np.where(numbers < 0, np.nan, numbers).astype(np.float32)


def cell_numbers(cells: Cells, row: int, column: int) -> Iterator[tuple[Value, float]]:
    """Yield the values that lists of a cell's numbers have, and the numbers of one cell.

    A number of the next token is left out where there is none.
    """
    of_column = cells.columns_in(range(column, column + 1))
    for value in all_values():
        if value.brief:
            number = float(value.of(of_column)[row, 0])
            if not (value.of_next and math.isnan(number)):
                yield value, number


# ── the entries ──────────────────────────────────────────────────────────────────────────────────────────


def _rank_ends(arrays: Sequence[FloatArray], vocabulary: int) -> tuple[float, float]:
    return 0, vocabulary


def _logprob_ends(arrays: Sequence[FloatArray], vocabulary: int) -> tuple[float, float]:
    """Down to where most numbers are, and at the least to that of a mere guess. -0.1, -1 and -10 differ."""
    lowest = robust_top([-array for array in arrays])
    return -max(lowest, round_top(math.log(max(vocabulary, 2)))), 0


def _ends_around_zero(arrays: Sequence[FloatArray], vocabulary: int) -> tuple[float, float]:
    top = robust_top([np.abs(array) for array in arrays])
    return -top, top


def _floats_of_pin(numbers: FloatArray, place: int) -> FloatArray:
    """The numbers of one pin, `[rows, cols]`, NaN where there is no such pin."""
    if place < numbers.shape[2]:
        return numbers[..., place]
    return np.full(numbers.shape[:2], np.nan, np.float32)


def _ranks_of_pin(ranks: IntArray, place: int) -> IntArray:
    """The ranks of one pin, `[rows, cols]`, negative where there is no such pin."""
    if place < ranks.shape[2]:
        return ranks[..., place]
    return np.full(ranks.shape[:2], NOT_READ, np.int32)


PROBABILITY = Value(
    key="prob",
    label="probability",
    option="default",
    numbers=lambda cells: cells.top_probs[..., 0],
    of_tokens=lambda cells: cells.top_probs,
    ends=lambda arrays, vocabulary: (0, 1),
    format=probability_text,
    meaning="probability of the likeliest token",
    keys_line="of the cell's likeliest token",
)
ENTROPY = Value(
    key="entropy",
    label="entropy",
    unit="nats",
    numbers=lambda cells: cells.entropy,
    ends=lambda arrays, vocabulary: (0, math.log(max(vocabulary, 1))),
    low_is_bright=True,
    format=nats_text,
    stored="entropy",
    brief="entropy",
    error_format=nats_error_text,
    meaning="entropy of the cell's distribution, `−Σ p log p`",
    keys_line="of the cell's distribution, nats",
)
KL = Value(
    key="kl",
    label="KL from final",
    unit="nats",
    numbers=lambda cells: cells.kl,
    ends=lambda arrays, vocabulary: (0, robust_top(arrays)),
    low_is_bright=True,
    format=nats_text,
    stored="kl",
    brief="KL",
    error_format=nats_error_text,
    meaning="KL(final ‖ lens), `Σ p_final (log p_final − log p_lens)`; 0 in the last row",
    keys_line="KL(final ‖ lens), nats",
)
JS = Value(
    key="js",
    label="JS from final",
    unit="nats",
    numbers=lambda cells: cells.js,
    ends=lambda arrays, vocabulary: (0, math.log(2)),
    low_is_bright=True,
    format=nats_text,
    stored="js",
    brief="JS",
    is_minor=True,
    error_format=nats_error_text,
    option="Jensen-Shannon divergence from the final distribution",
    meaning="Jensen-Shannon divergence, `½ KL(final ‖ m) + ½ KL(lens ‖ m)`, `m = (p_final + p_lens) / 2`; "
    "0 in the last row, ln 2 at the most",
    keys_line="as KL, but symmetric, and at most 0.69",
)
RANK = Value(
    key="rank",
    label="rank of final top-1",
    numbers=lambda cells: cells.final_rank,
    ends=_rank_ends,
    log=True,
    log_difference=True,
    low_is_bright=True,
    format=rank_text,
    stored="final_rank",
    brief="rank",
    spelled="final top-1 at rank",
    option="of the final top-1",
    meaning="how many tokens have a strictly greater logit than the final top-1; 0 is first",
    keys_line="tokens likelier than the final top-1; 0: none",
)
AGREEMENT = Value(
    key="agree",
    label="top-1 is the final one",
    numbers=lambda cells: agreement(cells.top_ids[..., 0]),
    ends=lambda arrays, vocabulary: (0, 1),
    is_yes_or_no=True,
    format=agreement_text,
    option="with the final top-1",
    meaning="whether the likeliest token is the final one, yes or no",
)
NEXT_LOGPROB = Value(
    key="next-logprob",
    label="log p(next token)",
    unit="nats",
    numbers=lambda cells: cells.next_logprob,
    of_next=True,
    ends=_logprob_ends,
    log=True,
    format=nats_text,
    stored="next_logprob",
    brief="log p(next)",
    spelled="log p(next)",
    spelled_format=logprob_text,
    option="of the token that follows",
    meaning="log-probability of the token that really follows in the prompt",
)
NEXT_RANK = Value(
    key="next-rank",
    label="rank of next token",
    numbers=lambda cells: cells.next_rank,
    of_next=True,
    ends=_rank_ends,
    log=True,
    log_difference=True,
    low_is_bright=True,
    format=rank_text,
    stored="next_rank",
    brief="rank",
    spelled="rank",
    option="of the token that follows",
    meaning="rank of the token that really follows in the prompt",
)
PIN_LOGPROB = Value(
    key="pin-logprob",
    label="log p(pin 1)",
    unit="nats",
    numbers=lambda cells: _floats_of_pin(cells.pin_logprobs, 0),
    pins=1,
    ends=_logprob_ends,
    log=True,
    format=nats_text,
    option="of the first --pin",
    meaning="log-probability of the first pinned token",
)
PIN_RANK = Value(
    key="pin-rank",
    label="rank of pin 1",
    numbers=lambda cells: _ranks_of_pin(cells.pin_ranks, 0),
    pins=1,
    ends=_rank_ends,
    log=True,
    log_difference=True,
    low_is_bright=True,
    format=rank_text,
    option="of the first --pin",
    meaning="rank of the first pinned token",
)
PIN_DIFFERENCE = Value(
    key="pin-diff",
    label="logit of pin 1 − pin 2",
    numbers=lambda cells: _floats_of_pin(cells.pin_logits, 0) - _floats_of_pin(cells.pin_logits, 1),
    pins=2,
    ends=_ends_around_zero,
    diverges=True,
    format=nats_text,
    option="logit of the first word minus that of the second",
    meaning="logit of the first pinned token minus that of the second, as the model's head gives them",
)

for _entry in (
    *(PROBABILITY, ENTROPY, KL, JS, RANK, AGREEMENT, NEXT_LOGPROB, NEXT_RANK),
    *(PIN_LOGPROB, PIN_RANK, PIN_DIFFERENCE),
):
    register(_entry)
