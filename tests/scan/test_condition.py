"""Conditions over the records: what they find against plain Python, and what is wrong with others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenstui.scan.columns import all_columns, arrow_type
from lenstui.scan.condition import parse_condition
from lenstui.support.errors import LensError

KEYS = ["logit", "tuned:my own"]
COLUMNS = all_columns(KEYS)
ROWS: list[dict[str, Any]] = [
    {"next": next_, "next_rank": rank, "final_prob": prob, "logit_best_row": row, "before": before}
    for next_, rank, prob, row, before in [
        ("·the", 0, 0.9, -1, "on\nthe"),
        ("·a", 3, 0.5, 2, "it's a"),
        (None, None, 0.25, None, ""),
        ("⏎", 1, None, 0, 'say "x"'),
        ("·a", 12, 0.9, 3, "A b"),
    ]
]


def table() -> pa.Table:
    arrays = [pa.array([row.get(each.name) for row in ROWS], arrow_type(each)) for each in COLUMNS]
    return pa.table(arrays, names=[each.name for each in COLUMNS])


def found(condition: str) -> list[int]:
    """The places of the rows that a condition finds."""
    numbered = table().append_column("place", pa.array(range(len(ROWS))))
    return list(numbered.filter(parse_condition(condition, COLUMNS))["place"].to_pylist())


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("next_rank = 0", lambda r: r["next_rank"] == 0),
        ("next_rank == 3", lambda r: r["next_rank"] == 3),
        ("next_rank != 3", lambda r: r["next_rank"] not in {3, None}),
        ("next_rank>0 and final_prob>=.9", lambda r: r["next_rank"] == 12),
        ("NOT next_rank > 0", lambda r: r["next_rank"] == 0),
        ("next_rank < 1 or next_rank > 1e1", lambda r: r["next_rank"] in {0, 12}),
        ("next_rank = 0 or next_rank = 1 and final_prob < 1", lambda r: r["next_rank"] == 0),
        ("(next_rank = 0 or next_rank = 3) and final_prob < 0.6", lambda r: r["next_rank"] == 3),
        ("not (next_rank = 0 or next_rank = 3)", lambda r: r["next_rank"] in {1, 12}),
        ("logit_best_row = emb", lambda r: r["logit_best_row"] == -1),
        ("logit_best_row > -1", lambda r: (r["logit_best_row"] or 0) >= 0 and r["next"] is not None),
        ("logit_best_row < next_rank", lambda r: r["next_rank"] in {0, 1, 3, 12}),
        ("final_prob is missing", lambda r: r["final_prob"] is None),
        ("next is not missing", lambda r: r["next"] is not None),
        ('next = " the"', lambda r: r["next"] == "·the"),
        ("next = '·the'", lambda r: r["next"] == "·the"),
        ('next in (" a", "\n")', lambda r: r["next"] in {"·a", "⏎"}),
        ("next_rank in (1, 12)", lambda r: r["next_rank"] in {1, 12}),
        ('before contains "it\'s"', lambda r: "it's" in r["before"]),
        ("before contains '\"x'", lambda r: '"x' in r["before"]),
        ("`tuned:my own_best_row` is missing", lambda r: True),
        ('next != "·a"', lambda r: r["next"] not in {"·a", None}),
    ],
)
def test_what_a_condition_finds(condition: str, wanted: Callable[[dict[str, Any]], bool]) -> None:
    assert found(condition) == [place for place, row in enumerate(ROWS) if wanted(row)]


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("", "The condition is empty."),
        ("next_rnk > 0", "wrong at next_rnk (character 1): there is no column next_rnk: the nearest "),
        ("next_rank > 0 and best = 0", "wrong at best (character 19): there is no column best: the nearest "),
        ("xyz = 0", "there is no column xyz: it is one of position, document, "),
        ("next_rank > ", "wrong at the end: there should be a value"),
        ("next_rank > 0 next = 'a'", "at next (character 15): there should be `and`, `or` or the end"),
        ("(next_rank > 0", "wrong at the end: there should be `)`"),
        ("next_rank > 'a'", "wrong at 'a' (character 13): next_rank is compared with a number"),
        ("next = 3", "wrong at 3 (character 8): next is compared with a text in quotes"),
        ("next < 'a'", "wrong at < (character 6): next is a text"),
        ("next_rank contains 'a'", "wrong at contains (character 11): there should be a comparison"),
        ("next contains 3", "wrong at 3 (character 15): there should be a text in quotes"),
        ("next = 'a", "wrong at ' (character 8): this is a text that does not end"),
        ("next_rank > 0; 1", "wrong at ; (character 14): this is no part of a condition"),
        ("__import__('os') = 1", "wrong at __import__ (character 1): there is no column __import__"),
        ("logit_kl > 1", "wrong at logit_kl (character 1): logit_kl has a number for each row"),
        ("next_rank is 3", "wrong at 3 (character 14): there should be `missing`"),
        ("not and", "wrong at and (character 5): there should be a column"),
        ("(" * 60 + "next_rank = 0" + ")" * 60, "it is too deep in parentheses"),
        ("next_rank = next", "next_rank is compared with a number"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(condition: str, said: str) -> None:
    with pytest.raises(LensError) as error:
        parse_condition(condition, COLUMNS)
    assert said in str(error.value)


def test_the_nearest_names_are_named() -> None:
    for typed, meant in (
        ("next_rnk", "next_rank"),
        ("Final_Prob", "final_prob"),
        ("best_rank", "logit_best_rank"),
    ):
        with pytest.raises(LensError) as error:
            parse_condition(f"{typed} = 0", COLUMNS)
        assert meant in str(error.value).partition("nearest")[2]


PIECES = ["next", "next_rank", "final_prob", "and", "or", "not", "(", ")", "=", "<", "in", ",", "is", "emb"]
PIECES += ["missing", "contains", "'a'", '"', "3", "-1.5", "`", "logit_kl", "1e999", "9" * 30, "."]


@given(st.one_of(st.text(max_size=30), st.lists(st.sampled_from(PIECES), max_size=9).map(" ".join)))
def test_any_text_is_a_condition_or_one_clear_error(text: str) -> None:
    try:
        expression = parse_condition(text, COLUMNS)
    except LensError as error:
        assert str(error)
    else:
        table().filter(expression)
