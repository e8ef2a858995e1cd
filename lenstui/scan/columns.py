"""The columns of the records of a scan: what each is called, what it holds, and its type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Type = Literal["int", "float", "text", "token", "row", "rows"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the records.

    Attributes:
        name: its name; of a lens without the lens's key and `_` in front.
        type: `int` and `float` are numbers, `text` is as it was read, a `token` is display text, a `row` is
            the number that labels it, -1 for `emb`, and `rows` are numbers by row, `emb` first.
        label: what it holds, in a few words.
    """

    name: str
    type: Type
    label: str


OF_POSITION = (
    Column("position", "int", "number of the position in the text, from 0"),
    Column("document", "int", "number of the document, from 0"),
    Column("block", "int", "number of the block, from 0"),
    Column("column", "int", "column in the block, from 0"),
    Column("before", "text", "text up to the token, and the token"),
    Column("after", "text", "text behind the token"),
    Column("token", "token", "token that is read"),
    Column("token_id", "int", "its id"),
    Column("next", "token", "token that really follows; missing in a block's last column"),
    Column("next_id", "int", "its id"),
    Column("next_prob", "float", "final probability of the next token"),
    Column("next_rank", "int", "final rank of the next token, 0 for the likeliest"),
    Column("final", "token", "likeliest token of the final distribution"),
    Column("final_id", "int", "its id"),
    Column("final_prob", "float", "its probability"),
    Column("final_entropy", "float", "entropy of the final distribution, nats"),
)

OF_LENS = (
    Column("crystallization", "row", "first row from which on the likeliest token is the final one"),
    Column("best_row", "row", "row where the rank of the next token is lowest"),
    Column("best_rank", "int", "rank of the next token there"),
    Column("best_prob", "float", "probability of the next token there"),
    Column("swing", "float", "largest change of the next token's log-probability between neighbours, nats"),
    Column("swing_row", "row", "upper one of the two rows"),
    Column("next_logprob", "rows", "log-probability of the next token, nats"),
    Column("kl", "rows", "KL(final ‖ lens), nats"),
    Column("entropy", "rows", "entropy of the lens's distribution, nats"),
)

BY_ROW = tuple(column.name for column in OF_LENS if column.type == "rows")


def of_lens(key: str, name: str) -> str:
    """Return the name of a lens's column in the records: `tuned_best_row`."""
    return f"{key}_{name}"


def all_columns(keys: Sequence[str]) -> list[Column]:
    """Return all columns of the records, in their order, under their names there.

    Args:
        keys: the lenses that were read, by their keys.
    """
    lenses = [Column(of_lens(key, each.name), each.type, each.label) for key in keys for each in OF_LENS]
    return [*OF_POSITION, *lenses]


def arrow_type(column: Column) -> Any:
    """Return the Arrow type of a column."""
    import pyarrow as pa

    types = {"int": pa.int64(), "float": pa.float32(), "row": pa.int32(), "rows": pa.list_(pa.float32())}
    return types.get(column.type, pa.string())
