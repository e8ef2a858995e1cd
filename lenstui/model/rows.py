"""Rows of a readout, and choices of rows as typed on the command line and the screen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lenstui.support.errors import LensError

ATTENTION, MID, MLP = "attn", "mid", "mlp"
_PARTS_IN_WORDS = {
    ATTENTION: "the logits that attention adds",
    MID: "the stream between attention and MLP",
    MLP: "the logits that the MLP adds",
}

Runs = tuple[tuple[str, str], ...]
"""Runs of rows, each by the labels of its first and last row (or `last`), which may be the same."""

_RUN = r"(emb|last|[0-9]{1,6})(?:-(emb|last|[0-9]{1,6}))?"
_MOST_SHOWN = 20  # characters of a wrong text that a message repeats
_EVERY = r"(?i:every\s*0*([1-9][0-9]{0,5}))"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a readout.

    Attributes:
        h: the index in the residual stream, 0 for `emb`; for a sublayer row, that of its block's output.
        part: None for the residual stream itself; `attn` or `mlp` for the addition of that part of the block,
            `mid` for the stream between the two.
    """

    h: int
    part: str | None = None

    @property
    def label(self) -> str:
        """The row's label: `emb`, `3`, `3.attn`."""
        name = str(self.h - 1) if self.h else "emb"
        return name if self.part is None else f"{name}.{self.part}"

    @property
    def is_contribution(self) -> bool:
        """Whether the row is the addition of attention or MLP, not a stream."""
        return self.part in {ATTENTION, MLP}

    @classmethod
    def of(cls, label: str) -> Row:
        """Return the row with a label."""
        name, _, part = label.partition(".")
        return cls(0 if name == "emb" else int(name) + 1, part or None)


@dataclass(frozen=True, slots=True)
class RowChoice:
    """A choice of rows for any model. The last row is always among them.

    Attributes:
        runs: the chosen runs of rows; None for all rows, or for those that `stride` gives.
        stride: the distance between chosen rows, from `emb` on.
    """

    runs: Runs | None = None
    stride: int = 1

    @property
    def text(self) -> str:
        """The choice in the syntax of `parse_rows`: `all`, `every 4`, `emb,0-4,last`."""
        if self.runs is not None:
            return ",".join("-".join(dict.fromkeys(run)) for run in self.runs)
        return "all" if self.stride == 1 else f"every {self.stride}"

    def of(self, num_blocks: int) -> tuple[int, ...]:
        """Return the indices of the chosen rows in a model with `num_blocks` blocks, 0 for `emb`.

        Raises:
            LensError: if the model does not have one of the rows.
        """
        if self.runs is None:
            return choose_rows(num_blocks, range(0, num_blocks + 1, self.stride))
        named = {"emb": 0, "last": num_blocks}
        ends = [[named[label] if label in named else int(label) + 1 for label in run] for run in self.runs]
        choose_rows(num_blocks, [row for run in ends for row in run])  # the ends first: runs may be huge
        return choose_rows(num_blocks, [row for first, last in ends for row in range(first, last + 1)])


def choose_rows(num_blocks: int, rows: Sequence[int] | None) -> tuple[int, ...]:
    """Return the indices of `rows` in order, with the last row always among them; all rows for None.

    Raises:
        LensError: if the model does not have one of the rows.
    """
    if rows is None:
        return tuple(range(num_blocks + 1))
    for row in rows:
        if not 0 <= row <= num_blocks:
            raise LensError(f"There is no row {row - 1}: this model has rows emb, 0 … {num_blocks - 1}.")
    return tuple(sorted({*rows, num_blocks}))


def with_parts(chosen: Sequence[int], parts: Sequence[Sequence[str]]) -> tuple[Row, ...]:
    """Return the chosen rows of the residual stream, each after the sublayer rows of its block.

    Args:
        chosen: from `choose_rows`.
        parts: names of the sublayer rows of each block; empty for none.
    """
    rows: list[Row] = []
    for h in chosen:
        rows += [Row(h, part) for part in (parts[h - 1] if h and parts else ())]
        rows.append(Row(h))
    return tuple(rows)


def meaning_of(label: str, last: str) -> str:
    """Return what a row is: `layer 6 of 6`, as papers count, `embedding`, or what a part of a block adds.

    Args:
        label: the row's label.
        last: the label of the model's last row.
    """
    row = Row.of(label)
    if row.part is not None:
        return _PARTS_IN_WORDS[row.part]
    return f"layer {row.h} of {Row.of(last).h}" if row.h else "embedding"


def is_sublayer(label: str) -> bool:
    """Return whether a label is that of a sublayer row."""
    return "." in label


def stream_places(labels: Sequence[str]) -> list[int]:
    """Return the indices, among some rows, of those of the residual stream."""
    return [place for place, label in enumerate(labels) if not is_sublayer(label)]


def is_whole_stream(labels: Sequence[str]) -> bool:
    """Return whether some rows, which end in the last row, include all rows of the residual stream."""
    places = stream_places(labels)
    return [Row.of(labels[place]).h for place in places] == list(range(len(places)))


def parse_rows(text: str) -> RowChoice:
    """Parse a choice of rows: `all`, `every 4`, or a list such as `emb,0-4,last`.

    Raises:
        LensError: for any other text.
    """
    words = text.strip()
    if words.casefold() == "all":
        return RowChoice()
    if match := re.fullmatch(_EVERY, words):
        return RowChoice(stride=int(match[1]))
    return RowChoice(parse_runs(words))


def parse_runs(text: str) -> Runs:
    """Parse a list of rows and runs such as `emb,0-4,last`.

    Raises:
        LensError: for any other text.
    """
    return tuple(_run(word.strip()) for word in text.split(","))


def _run(text: str) -> tuple[str, str]:
    if not (match := re.fullmatch(_RUN, text)):
        raise LensError(f"{_brief(text)} is no row: emb, a number, last, or a run such as 0-3")
    first, last = match[1], match[2] or match[1]
    if _height(first) > _height(last):
        raise LensError(f"{_brief(text)} runs downwards: name its lower end first")
    return first, last


def _brief(text: str) -> str:
    return repr(text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…")


def _height(label: str) -> float:
    named = {"emb": -1.0, "last": float("inf")}
    return named[label] if label in named else int(label)
