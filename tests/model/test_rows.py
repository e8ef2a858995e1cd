"""Which rows are read, by the words of the command line and the screen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenstui.lens import LensError
from lenstui.model.rows import RowChoice, parse_rows, parse_runs

LABELS = st.sampled_from(["emb", "0", "3", "12", "last"])
RUNS = st.lists(st.tuples(LABELS, LABELS), min_size=1).map(
    lambda runs: tuple(tuple(sorted(run, key=["emb", "0", "3", "12", "last"].index)) for run in runs)
)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("all", range(7)),
        (" All ", range(7)),
        ("every 1", range(7)),
        ("every 3", [0, 3, 6]),
        ("EVERY4", [0, 4, 6]),
        ("every 99", [0, 6]),
        ("emb", [0, 6]),
        ("last", [6]),
        ("emb,0-2,last", [0, 1, 2, 3, 6]),
        ("5, 3-4", [4, 5, 6]),
        ("emb-last", range(7)),
        ("2-last,0", [1, 3, 4, 5, 6]),
    ],
)
def test_rows_of_six_blocks(text: str, rows: list[int]) -> None:
    assert parse_rows(text).of(6) == tuple(rows)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "'' is no row"),
        ("0,,4", "'' is no row"),
        ("some", "'some' is no row"),
        ("every 0", "'every 0' is no row"),
        ("every -2", "is no row"),
        ("every ²", "is no row"),
        ("-1", "'-1' is no row"),
        ("3-0", "'3-0' runs downwards"),
        ("last-3", "runs downwards"),
        ("\x1b[2J", r"'\\x1b\[2J' is no row"),
        ("x" * 900, f"'{'x' * 20}…' is no row"),
    ],
)
def test_what_is_no_row_is_told(text: str, why: str) -> None:
    with pytest.raises(LensError, match=why):
        parse_rows(text)


@pytest.mark.parametrize("text", ["6", "0-6", "99", ",".join(["0-999999"] * 500)])
def test_rows_that_a_model_has_not_are_told(text: str) -> None:
    with pytest.raises(LensError, match=r"There is no row .*: this model has rows emb, 0 … 5"):
        parse_rows(text).of(6)


def test_all_rows_are_all_however_they_are_said() -> None:
    assert parse_rows("every 1") == parse_rows("all") == RowChoice()


@given(runs=RUNS, stride=st.integers(1, 10**6 - 1))
def test_the_text_is_parsed_back(runs: tuple[tuple[str, str], ...], stride: int) -> None:
    for choice in (RowChoice(runs), RowChoice(stride=stride)):
        assert parse_rows(choice.text) == choice
    assert parse_runs(RowChoice(runs).text) == runs


@given(text=st.text(alphabet="emblastvry 0123456789,-²"))
def test_any_text_is_rows_or_is_told(text: str) -> None:
    try:
        rows = parse_rows(text).of(6)
    except LensError as error:
        assert str(error).isprintable()
    else:
        assert rows[-1] == 6
        assert list(rows) == sorted(set(rows))
