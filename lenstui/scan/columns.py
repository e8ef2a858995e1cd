"""The columns of the records of a scan: what each is called, what it holds, and its type."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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

# What no record lacks; all else may be missing.
ALWAYS = ("position", "document", "block", "column", "before", "after", "token", "token_id")

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

# Of the second of two models, whose final distribution is another.
OF_SECOND = (
    Column("against_final", "token", "likeliest token of the second's final distribution"),
    Column("against_final_id", "int", "its id"),
    Column("against_final_prob", "float", "its probability there"),
    Column("against_final_entropy", "float", "entropy of the second's final distribution, nats"),
    Column("against_next_prob", "float", "the second's final probability of the next token"),
    Column("against_next_rank", "int", "the second's final rank of the next token"),
    Column("against_kl", "float", "KL(final of the first ‖ final of the second), nats"),
)

# Of a lens that is compared with one of the second side.
OF_PAIR = (
    Column("parts", "row", "first row from which on the likeliest tokens of the two differ"),
    Column("joins", "row", "first row from which on the likeliest tokens of the two are the same"),
    Column("farthest", "float", "largest KL(first ‖ second) of a row, nats"),
    Column("farthest_row", "row", "that row"),
    Column("against_crystallization", "row", "first row from which on the second has its own final token"),
    Column("against_next_logprob", "rows", "the second's log-probability of the next token, nats"),
    Column("against_kl", "rows", "KL(first ‖ second), nats"),
    Column("same_top1", "rows", "1 where the likeliest tokens of the two are the same, else 0"),
)

BY_ROW = tuple(column.name for column in OF_LENS if column.type == "rows")
PAIR_BY_ROW = tuple(column.name for column in OF_PAIR if column.type == "rows")


@dataclass(frozen=True, slots=True)
class Second:
    """The second side that the first is compared with: another model, or another lens of the same one.

    Attributes:
        source: the model and the lenses in words, as in other files.
        is_model: whether it is another model, whose final distribution is another.
        lenses: the keys of its lenses, by the key of the first side's lens that each is compared with; none
            for a model of another depth, of which the final distribution alone is compared.
    """

    source: Mapping[str, Any]
    is_model: bool
    lenses: Mapping[str, str]


def of_lens(key: str, name: str) -> str:
    """Return the name of a lens's column in the records: `tuned_best_row`."""
    return f"{key}_{name}"


def all_columns(
    keys: Sequence[str], compared: Collection[str] = (), *, second_model: bool = False
) -> list[Column]:
    """Return all columns of the records, in their order, under their names there.

    Args:
        keys: the lenses that were read, by their keys.
        compared: those of them that are compared with one of a second side.
        second_model: whether that has another model.
    """
    columns = [*OF_POSITION, *(OF_SECOND if second_model else ())]
    for key in keys:
        of_key = (*OF_LENS, *(OF_PAIR if key in compared else ()))
        columns += [Column(of_lens(key, each.name), each.type, each.label) for each in of_key]
    return columns


def compared_columns(second: Second | None) -> frozenset[str]:
    """Return the names of those columns that compare the first side with the second."""
    if second is None:
        return frozenset()
    pairs = (of_lens(key, each.name) for key in second.lenses for each in OF_PAIR)
    return frozenset([*(each.name for each in OF_SECOND if second.is_model), *pairs])


def arrow_type(column: Column) -> Any:
    """Return the Arrow type of a column."""
    import pyarrow as pa

    types = {"int": pa.int64(), "float": pa.float32(), "row": pa.int32(), "rows": pa.list_(pa.float32())}
    return types.get(column.type, pa.string())
