"""The detail's lines of numbers at any width: nothing is cut, and what colours the cells is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from rich.style import Style

from lenstui.readout.values import Value, all_values
from lenstui.tui.explore.cell_facts import CellFacts
from lenstui.tui.explore.detail import _numbers
from tests.by_hand.margin import MARGIN, registered

WIDEST = 10.84  # nats; what is of the next token is negative


@pytest.fixture(autouse=True)
def value() -> Iterator[Value]:
    with registered() as one:
        yield one


def lines(width: int, coloured: str = "", *, last_column: bool = False) -> list[str]:
    numbers = tuple(
        (one, -WIDEST if one.stored == "next_logprob" else 345.0 if "rank" in one.key else WIDEST)
        for one in all_values()
        if one.brief and not (one.of_next and last_column)
    )
    shown = _numbers(CellFacts("logit", (), numbers), coloured, Style(), Style(), width)
    return [line.plain for line in shown]


def listed(line: str) -> list[str]:
    """Names and numbers of a line, checked to come in pairs."""
    parts = line[5:].split("  ")[1:]
    assert all(part.rpartition(" ")[0] and part.rpartition(" ")[2] for part in parts)
    return parts


@pytest.mark.parametrize("last_column", [True, False])
@pytest.mark.parametrize("coloured", [one.key for one in all_values() if one.brief] + ["margin"])
def test_nothing_is_cut_at_any_width(coloured: str, last_column: bool) -> None:
    (one,) = (one for one in all_values() if one.key == coloured)
    brief = {"next-logprob": "10.84", "next-rank": "345"}.get(coloured, one.brief)
    for width in range(36, 200):
        shown = lines(width, coloured, last_column=last_column)
        assert all(len(line) <= width for line in shown)
        parts = [part for line in shown for part in listed(line)]
        if not (one.of_next and last_column):
            assert any(brief in part or one.name in part for part in parts)
        assert len(shown) == (2 if width < 64 and not last_column else 1)


def test_minor_ones_give_way_first_and_then_the_last() -> None:
    assert listed(lines(37, "prob")[0]) == ["entropy 10.8", "KL 10.8"]
    assert listed(lines(39, "prob")[0]) == ["entropy 10.8", "KL 10.8", "rank 345"]
    assert listed(lines(37, "rank")[0]) == ["entropy 10.8", "rank 345"]
    assert listed(lines(37, "margin")[0]) == ["entropy 10.8", f"margin {MARGIN.format(WIDEST)}"]
    assert listed(lines(97, "prob")[0])[-2:] == [f"margin {MARGIN.format(WIDEST)}", "next −10.84, rank 345"]


def test_units_where_there_is_room() -> None:
    (line,) = lines(180)
    assert {"KL from final 10.8 nats", "final top-1 at rank 345"} < set(listed(line))
    assert listed(line)[-1] == "log p(next) −10.84 nats, rank 345"
    assert replace(MARGIN, unit="nats").amount(0.25) == "25% nats"
