"""The named queries over the records of a scan, each a condition in the language of `condition`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lenstui.lens.names import lens_title
from lenstui.scan.columns import Second
from lenstui.support.errors import LensError

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
        needs: what the records have to compare: two models (`model`), the lens with another (`lens`), or
            nothing.
    """

    name: str
    title: str
    condition: str
    sort: str
    needs: Literal["", "model", "lens"] = ""


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
    NamedQuery(
        "largest-difference",
        "the final distributions of the two models are far apart, the farthest first",
        "against_kl is not missing",
        "against_kl desc",
        needs="model",
    ),
    NamedQuery(
        "parted",
        "the likeliest final tokens of the two models differ",
        "final_id != against_final_id",
        "against_kl desc",
        needs="model",
    ),
    NamedQuery(
        "largest-by-row",
        "the two sides are far apart in some row, through the lens, the farthest first",
        "{lens}_farthest is not missing",
        "{lens}_farthest desc",
        needs="lens",
    ),
)

QUERY_NAMES = tuple(query.name for query in NAMED_QUERIES)


def query_named(name: str) -> NamedQuery:
    """Return the named query with a name of `QUERY_NAMES`."""
    return next(query for query in NAMED_QUERIES if query.name == name)


def queries_for(second: Second | None, lens: str) -> tuple[NamedQuery, ...]:
    """Return the named queries whose columns the records have.

    Args:
        second: the second side that the records compare with, if any.
        lens: the key of the lens of the query.
    """
    has = {
        "": True,
        "model": second is not None and second.is_model,
        "lens": second is not None and lens in second.lenses,
    }
    return tuple(query for query in NAMED_QUERIES if has[query.needs])


def check_query_for(query: NamedQuery, second: Second | None, lens: str) -> None:
    """Refuse a named query whose columns the records lack.

    Raises:
        LensError: if they lack one; the message says what would have to be compared.
    """
    if query in queries_for(second, lens):
        return
    if second is None:
        why = "these records compare nothing: scan with --against-model or --against-lens"
    elif query.needs == "model":
        why = "these records compare two lenses of one model: largest-by-row is of those"
    elif second.lenses:
        why = f"the {lens_title(lens)} is not compared: --by {' or '.join(second.lenses)}"
    else:
        why = "the two models are not of the same depth: largest-difference is of those"
    raise LensError(f"{query.name} finds nothing here, as {why}.")


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
