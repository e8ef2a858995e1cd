"""The columns of the table of matches of a scan: what each shows, and what a caption says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lenstui.scan.columns import of_lens
from lenstui.support.fixed_text import NONE, fixed_text

PARTS = "row from which on the likeliest tokens of both differ"
JOINS = "row from which on they are the same"


@dataclass(frozen=True, slots=True)
class ShownColumn:
    """A column of the table of matches.

    Attributes:
        head: its head.
        name: its name in the records.
        form: how a value is shown: the number of decimals, or as a `token`, a `row` or a whole number.
        meaning: what a caption says of it, in a few words; empty where its head says all.
    """

    head: str
    name: str
    form: int | str = "whole"
    meaning: str = ""

    def text(self, record: Mapping[str, Any]) -> str:
        """Return the text of a record's value."""
        value = record[self.name]
        if value is None:
            return NONE
        if self.form == "row":
            return "emb" if value < 0 else str(value)
        return fixed_text(value, self.form) if isinstance(self.form, int) else str(value)


_NEXT = ShownColumn("next", "next", "token")
_OF_NEXT = (ShownColumn("prob", "next_prob", 3), ShownColumn("rank", "next_rank"))
_FINAL = (ShownColumn("final", "final", "token"), ShownColumn("prob", "final_prob", 3))
_SECOND = (
    ShownColumn("second", "against_final", "token", "the second model's final token, and its probability"),
    ShownColumn("prob", "against_final_prob", 3),
    ShownColumn("KL", "against_kl", 3, "KL(first ‖ second) of the final distributions"),
)
_OF_NEXT_BY_BOTH = (
    ShownColumn("p(next)", "next_prob", 3, "final probability and rank of the next token, by each model"),
    ShownColumn("rank", "next_rank"),
    ShownColumn("second's", "against_next_prob", 3),
    ShownColumn("rank", "against_next_rank"),
)


def columns_of_one(lens: str) -> tuple[ShownColumn, ...]:
    """Return what is shown of a position, by a lens."""
    return (
        _NEXT,
        *_OF_NEXT,
        *_FINAL,
        ShownColumn("settles", of_lens(lens, "crystallization"), "row", "crystallization row"),
        ShownColumn("best", of_lens(lens, "best_row"), "row", "row where the next token's rank is lowest"),
        ShownColumn("rank", of_lens(lens, "best_rank")),
        ShownColumn("prob", of_lens(lens, "best_prob"), 3),
        ShownColumn("swing", of_lens(lens, "swing"), 2, "largest change of its log-probability between rows"),
    )


def columns_of_both(lens: str | None, *, is_model: bool) -> tuple[ShownColumn, ...]:
    """Return what is shown of a position where two sides are compared, the difference first.

    Args:
        lens: the lens, if it is compared with one of the second side.
        is_model: whether the second side is another model.
    """
    rows: tuple[ShownColumn, ...] = ()
    if lens is not None:
        most = "largest KL(first ‖ second) of a row, and that row"
        rows += (ShownColumn("farthest", of_lens(lens, "farthest"), 3, most),)
        rows += (ShownColumn("row", of_lens(lens, "farthest_row"), "row"),)
        if is_model:  # two lenses of one model join in the last row at the latest
            rows += (ShownColumn("parts", of_lens(lens, "parts"), "row", PARTS),)
        rows += (ShownColumn("joins", of_lens(lens, "joins"), "row", JOINS),)
    if is_model:
        return (_NEXT, *_FINAL, *_SECOND, *rows, *_OF_NEXT_BY_BOTH)
    return (_NEXT, *_FINAL, *rows)
