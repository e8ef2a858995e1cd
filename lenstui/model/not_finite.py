"""Remarks on logits that are not finite: which columns or prompts, and what may help."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

LEFT_OUT = "left out: tokens that count in no mean of the row, their logits or the final ones not finite"
IN_CELL = "Not a number: the logits are not finite here."
_MOST_RUNS = 8  # of columns, to be named in a remark


def not_numbers_remark(columns: Sequence[int], count: int, dtype: str) -> str:
    """Return the remark that some columns of a prompt have cells without a number.

    Args:
        columns: the columns, in order, at least one.
        count: the number of all columns.
        dtype: the name of the model's dtype.
    """
    many = len(columns) > 1
    which = f"all {count} columns" if many and len(columns) == count else _named(columns)
    return (
        f"Not a number in {which}: logits are not finite{_where(dtype)}. Cells without a number show –, and "
        f"count in no mean, share or rank.{_advice(dtype)}"
    )


def case_not_numbers_remark(count: int, of: int, which: str, dtype: str) -> str:
    """Return the remark that some prompts of a set have rows without a number at their end.

    Args:
        count: the number of such prompts.
        of: the number of all prompts.
        which: the first of such prompts, by name.
        dtype: the name of the model's dtype.
    """
    return (
        f"{count} of {of} prompts ({which}) have rows without a number: logits are not finite"
        f"{_where(dtype)}. They show –, and are in no mean of these rows.{_advice(dtype)}"
    )


def items_not_numbers_remark(count: int, of: int, dtype: str) -> str:
    """Return the remark that in some items of pass@k a row is without a number.

    Args:
        count: the number of such items.
        of: the number of all items.
        dtype: the name of the model's dtype.
    """
    return (
        f"{count} of {of} items have rows without a number: logits are not finite{_where(dtype)}. No word is "
        f"found there.{_advice(dtype)}"
    )


def no_logits(column: int, dtype: str) -> str:
    """Return the reason why no token follows a column."""
    said = f"No token follows column {column}: its logits are not finite{_where(dtype)}."
    return said + _advice(dtype)


def no_wiring(name: str, dtype: str) -> str:
    """Return the reason why a wiring check has nothing to compare.

    Args:
        name: the name of the check.
        dtype: the name of the model's dtype.
    """
    return (
        f"Wiring check failed: {name}: the model's own numbers of a short text are not "
        f"finite{_where(dtype)}, so nothing is shown.{_advice(dtype) or ' Choose another model.'}"
    )


def tokens_left_out_remark(counts: Sequence[int], of: int, dtype: str) -> str:
    """Return the remark that some tokens of a text are left out of the means.

    Args:
        counts: the number of such tokens, by row; not all are 0.
        of: the number of all tokens.
        dtype: the name of the model's dtype.
    """
    some = f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else f"{max(counts)}"
    return (
        f"{some} of {of} tokens, by row, are left out of the means: their logits are not finite"
        f"{_where(dtype)}.{_advice(dtype)}"
    )


def _named(columns: Sequence[int]) -> str:
    """Return columns as runs, `column 3` or `columns 3–7, 9`; of many runs the first ones."""
    runs = [[columns[0], columns[0]]]
    for before, column in pairwise(columns):
        if column == before + 1:
            runs[-1][1] = column
        else:
            runs.append([column, column])
    named = [str(first) if first == last else f"{first}–{last}" for first, last in runs[:_MOST_RUNS]]
    more = f" and {len(runs) - _MOST_RUNS} more runs" if len(runs) > _MOST_RUNS else ""
    return f"column{'s' * (len(columns) > 1)} {', '.join(named)}{more}"


def _where(dtype: str) -> str:
    return f" in {dtype}"


def _advice(dtype: str) -> str:
    """Return which dtypes have more range than float16; nothing for other dtypes."""
    if dtype.startswith("float16"):
        return " bfloat16 or float32 may hold them (--dtype)."
    return ""
