"""The registry of values: every number of a cell that colours, tables and files may show.

Each value is defined by one entry here. Code that lists values asks the registry each time (`all_values`,
`values_for`, `value_named`), so that a new value needs nothing but its entry.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lenstui.readout.number_texts import (
    agreement_text,
    logprob_text,
    nats_error_text,
    nats_text,
    probability_text,
    rank_text,
)
from lenstui.readout.scales import Scale, robust_top, round_top
from lenstui.support.late_numpy import np

if TYPE_CHECKING:
    from lenstui.readout.cells import Cells, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One of the numbers of a cell: its meaning, its requirements, and its display.

    Attributes:
        key: the short name, as the command line spells it.
        label: the name on screen. `pin 1` and `pin 2` in it stand for the texts of the first two pins.
        unit: the unit on screen, or empty.
        numbers: returns the numbers of some cells as files hold them, `[rows, cols]`: float32, NaN where
            missing; ranks int32, negative where missing.
        of_tokens: returns the number of each of a cell's likeliest tokens, `[rows, cols, k]`; None for a
            value that tokens do not have.
        pins: the number of pinned tokens that the value needs.
        of_next: whether the value is that of the prompt's next token, and so missing in the last column.
        ends: returns the ends of the value's scale, from arrays of the numbers (of whole prompts, column 0
            first, NaN where not yet read) and a vocabulary size.
        log: whether the steps of its scale are even in the logarithm.
        log_difference: whether the steps of the scale of its difference between two lenses are even in the
            logarithm.
        low_is_bright: whether small numbers are the good ones and take the bright end.
        diverges: whether its numbers are of either sign, and 0 has the neutral colour.
        is_yes_or_no: whether its numbers are only 1, yes, and 0, no.
        format: returns one number as text.
        is_share: whether its numbers are shares of 1 and shown in percent, so that differences are in points.
        stored: the name in JSON, CSV and Parquet; None where these hold the value in another way.
        brief: the name in lists of a cell's numbers; empty where these leave it out, because it stands beside
            a token or with the pins.
        spelled: the name in such lists where there is room for words; empty where that is the label.
        spelled_format: returns one number as text in such lists; None where that is `format`.
        is_minor: whether lists without room for all values leave this one out before others.
        error_format: returns the standard error of its mean as text; None where prompt sets take no mean of
            it.
        option: the remark behind its key in `--help`, or nothing.
        meaning: the definition, for the manual.
        keys_line: the definition, for the list of keys; empty where that leaves it out.
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
    is_share: bool = False
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
        """Return the scale for these numbers.

        Args:
            arrays: the numbers of each lens, `[rows, cols]`, column 0 first, NaN where not yet read.
            vocabulary: the number of token ids.
        """
        lo, hi = self.ends(arrays, vocabulary)
        return Scale(lo, hi, self.log, self.low_is_bright, self.diverges, self.is_yes_or_no)

    @property
    def name(self) -> str:
        """The name in lists of a cell's numbers, where there is room for words."""
        return self.spelled or self.label

    def amount(self, number: float, *, unit: bool = True) -> str:
        """Return a number as text, with its unit, for lists of a cell's numbers: `2.21 nats`."""
        text = (self.spelled_format or self.format)(number)
        return f"{text} {self.unit}" if unit and self.unit else text


# ── the registry ─────────────────────────────────────────────────────────────────────────────────────────

_entries: dict[str, Value] = {}


def register(value: Value) -> None:
    """Add a value, after those that need no more pins.

    Raises:
        ValueError: if there already is a value with its key.
    """
    if value.key in _entries:
        raise ValueError(f"There is a value {value.key!r} already.")
    _entries[value.key] = value


def unregister(key: str) -> None:
    """Remove a value.

    Raises:
        KeyError: if there is no value with this key.
    """
    del _entries[key]


def all_values() -> tuple[Value, ...]:
    """Return every value, in the order of all lists: by the number of pins that they need."""
    return tuple(sorted(_entries.values(), key=lambda value: value.pins))


def value_named(key: str) -> Value:
    """Return the value with a key.

    Raises:
        KeyError: if there is none.
    """
    return _entries[key]


def values_for(pins: Sequence[str]) -> tuple[Value, ...]:
    """Return the values that are available with these pins, in the order of all lists.

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
    """Yield the values in lists of a cell's numbers, each with its number in one cell.

    A number of the next token is left out where it is missing.
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
    """Return ends down to where most numbers are, and at least to the log-probability of a uniform guess."""
    lowest = robust_top([-array for array in arrays])
    return -max(lowest, round_top(math.log(max(vocabulary, 2)))), 0


def _ends_around_zero(arrays: Sequence[FloatArray], vocabulary: int) -> tuple[float, float]:
    top = robust_top([np.abs(array) for array in arrays])
    return -top, top


def _agreement(cells: Cells) -> FloatArray:
    """Return whether each cell's top-1 is the final one, as 1 and 0, `[rows, cols]`, NaN where missing."""
    from lenstui.readout.cells import agreement

    return agreement(cells.top1)


def _floats_of_pin(numbers: FloatArray, place: int) -> FloatArray:
    """Return the numbers of one pin, `[rows, cols]`, NaN where there is no such pin."""
    if place < numbers.shape[2]:
        return numbers[..., place]
    return np.full(numbers.shape[:2], np.nan, np.float32)


def _ranks_of_pin(ranks: IntArray, place: int) -> IntArray:
    """Return the ranks of one pin, `[rows, cols]`, negative where there is no such pin."""
    if place < ranks.shape[2]:
        return ranks[..., place]
    from lenstui.readout.cells import NOT_READ

    return np.full(ranks.shape[:2], NOT_READ, np.int32)


PROBABILITY = Value(
    key="prob",
    label="probability",
    option="default",
    numbers=lambda cells: cells.top_probs[..., 0],
    of_tokens=lambda cells: cells.top_probs,
    ends=lambda arrays, vocabulary: (0, 1),
    format=probability_text,
    is_share=True,
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
    numbers=_agreement,
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
