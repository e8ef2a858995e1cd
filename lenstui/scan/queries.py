"""The named queries over the records of a scan, each a condition in the language of `condition`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

SURE = 0.9  # the probability from which on a model is sure
LATE = 0.75  # the share of the blocks from which on a column settles late


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A named query.

    Attributes:
        name: its name, as `--query` takes it.
        title: what it finds, in words.
        condition: its condition, with `{lens}` for the lens's key, `{late}` for the first late row and
            `{last}` for the last row.
        sort: the column to sort by, with ` desc` for the greatest first.
    """

    name: str
    title: str
    condition: str
    sort: str


NAMED_QUERIES = (
    NamedQuery(
        "known-and-lost",
        "the next token leads in a row below the last, and not in the last",
        "{lens}_best_rank = 0 and next_rank > 0",
        "{lens}_best_prob desc",
    ),
    NamedQuery(
        "late",
        f"the final token leads for good only in the last {1 - LATE:.0%} of the blocks, below the last row",
        "{lens}_crystallization >= {late} and {lens}_crystallization < {last}",
        "final_prob desc",
    ),
    NamedQuery(
        "never-settled",
        "the final token leads for good in no row below the last",
        "{lens}_crystallization = {last}",
        "final_prob desc",
    ),
    NamedQuery(
        "sure-and-wrong",
        f"the likeliest final token has at least {SURE:.0%}, and another one follows",
        f"final_prob >= {SURE} and next_rank > 0",
        "next_prob",
    ),
)

QUERY_NAMES = tuple(query.name for query in NAMED_QUERIES)


def query_named(name: str) -> NamedQuery:
    """Return the named query with a name of `QUERY_NAMES`."""
    return next(query for query in NAMED_QUERIES if query.name == name)


def condition_of(query: NamedQuery, lens: str, rows: Sequence[str]) -> tuple[str, str]:
    """Return the condition of a named query for a lens, and the column to sort by, as they can be typed.

    Args:
        query: the query.
        lens: the key of a lens.
        rows: the labels of the rows, `emb` first.
    """
    blocks = len(rows) - 1
    last = blocks - 1  # the number of the last row, that of its block
    # In row k, k + 1 of the blocks are done. The row before the last is late in any case.
    late = min(math.ceil(LATE * blocks) - 1, last - 1)
    parts = {"late": str(late), "last": str(last)}
    return _filled(query.condition, lens, parts), _filled(query.sort, lens, parts)


def _filled(text: str, lens: str, parts: dict[str, str]) -> str:
    """Return a text with its places filled, a column in backticks where its name takes them."""
    for name, value in parts.items():
        text = text.replace(f"{{{name}}}", value)
    columns = re.sub(r"\{lens\}(\w+)", lambda found: _quoted(f"{lens}{found[1]}"), text)
    return columns


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[^\W\d][\w:.]*", name) else f"`{name}`"
