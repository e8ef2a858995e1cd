"""First rows of a word: the first row of each column whose top-1 is one of its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenstui.model.rows import is_whole_stream, stream_places
from lenstui.model.tokens import visible
from lenstui.readout.cells import IntArray, first_rows

if TYPE_CHECKING:
    from lenstui.readout.tiles import Readout


@dataclass(frozen=True, slots=True)
class Sought:
    """A word that is looked for.

    Attributes:
        word: the word as typed.
        tokens: the tokens that the word means, with their display texts.
        whole: True if each token is the whole word, False if there is one token, the first of several of the
            word.
    """

    word: str
    tokens: tuple[tuple[int, str], ...]
    whole: bool = True

    @property
    def ids(self) -> list[int]:
        """The ids of the tokens that stand for the word."""
        return [token for token, _ in self.tokens]


def first_labels(readout: Readout, lens: str, sought: Sought) -> list[str | None]:
    """Return the label of each column's first residual-stream row with the word on top; None for never."""
    labels, top1 = stream_of(readout, lens)
    return [labels[row] if row >= 0 else None for row in first_rows(top1, sought.ids).tolist()]


def stream_of(readout: Readout, lens: str) -> tuple[list[str], IntArray]:
    """Return labels and top-1 tokens of the residual stream's rows, the latter `[rows, cols]`."""
    places = stream_places(readout.rows)
    return [readout.rows[place] for place in places], readout.lenses[lens].top1[places]


def first_row_text(
    sought: Sought,
    read: Mapping[str, IntArray],
    labels: Sequence[str],
    column: int,
    *,
    others: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Return a sentence on the first row of a word in one column, without a full stop.

    Args:
        sought: the word.
        read: top-1 tokens of the residual stream's rows, `[rows, cols]`, by the lens's name in a sentence, in
            the order of the sentence.
        labels: the labels of these rows.
        column: the column.
        others: the labels, by name, where they are others.
    """
    rows = {name: int(first_rows(top1, sought.ids)[column]) for name, top1 in read.items()}
    there = {int(read[name][row, column]) for name, row in rows.items() if row >= 0}
    said = " or ".join(f'"{text}"' for token, text in sought.tokens if token in there or not there)
    if not sought.whole:
        said = f'No token is "{visible(sought.word)}", its first one is {said}'
    labels_of = {name: (others or {}).get(name, labels) for name in read}
    chosen = "" if all(map(is_whole_stream, labels_of.values())) else "of the rows read, "
    return f"{said}: {chosen}{_by_lens(rows, labels_of, column)}"


def _by_lens(rows: Mapping[str, int], labels: Mapping[str, Sequence[str]], column: int) -> str:
    """Return the first rows by lens in words; a row of -1 means never."""
    (first, row), *others = rows.items()
    if row >= 0:
        said, never = f"first top-1 at row {labels[first][row]} in the {first}", "never"
    else:
        said, never = f"never top-1 in column {column} in the {first}", "nor"
    for lens, row in others:
        said += f", {f'at row {labels[lens][row]}' if row >= 0 else never} in the {lens}"
    return said
