"""Legends: their ends say where there is more beyond, their shares what they are of."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenstui.export.difference import Difference
from lenstui.export.figures.grid import grid_figure
from lenstui.export.figures.style import FigureStyle
from lenstui.export.html_page import _data
from lenstui.export.legend import beyond, end_texts, shares_note, shares_text
from lenstui.lens import Readout
from lenstui.readout.scales import Scale
from lenstui.readout.values import AGREEMENT, KL, NEXT_LOGPROB, PROBABILITY, Value, all_values
from tests.by_hand import drawn
from tests.by_hand.known_readouts import HOSTILE, SOURCE, hostile_readout

NUMBERS = st.lists(st.one_of(st.just(math.nan), st.floats(-20, 20, width=32)), min_size=1, max_size=8)


@given(numbers=NUMBERS, top=st.floats(0.5, 10), low_is_bright=st.booleans(), diverging=st.booleans())
def test_an_end_says_that_there_is_more(
    numbers: list[float], top: float, low_is_bright: bool, diverging: bool
) -> None:
    lo = -top if diverging else 0.0
    scale = Scale(lo, top, low_is_bright=low_is_bright, diverging=diverging)
    near = [n for n in numbers if min(abs(n - lo), abs(n - top)) < 1e-3]
    if near:  # rounding decides
        return
    arrays = [np.array([[number]], np.float32) for number in numbers]
    low = f"≤ {lo:.1f}" if any(number < lo for number in numbers) else f"{lo:.1f}"
    high = f"≥ {top:.1f}" if any(number > top for number in numbers) else f"{top:.1f}"
    wanted = (high, low) if low_is_bright and not diverging else (low, high)
    assert end_texts("{:.1f}".format, scale, beyond(scale, arrays)) == wanted
    plain = end_texts("{:.1f}".format, scale)
    assert plain == tuple(f"{scale.at(end):.1f}" for end in (0, 1))


def test_rounding_and_infinity() -> None:
    one = np.array([[np.nextafter(np.float32(1), np.float32(2)), -1e-9, math.nan]], np.float32)
    assert beyond(Scale(0, 1), [one]) == (False, False)
    assert beyond(Scale(-10, 0), [np.array([[-math.inf, -3]], np.float32)]) == (True, False)
    assert beyond(Scale(0, 1), []) == (False, False)


def shown(readout: Readout) -> dict[str, list[str]]:
    """The ends in a page, by value, `diff:` before those of the difference."""
    found = {}
    for diff in (False, True):
        data = _data(readout, HOSTILE, PROBABILITY, (), 16, diff=diff)
        for value in data["values"]:
            found["diff:" * diff + value["key"]] = value["legend"][::2]
    return found


def ends_of(readout: Readout, value: Value, *, diff: bool) -> list[str]:
    """The ends in a figure."""
    style = FigureStyle()
    figure = grid_figure(
        "svg", readout, HOSTILE, SOURCE, value, style=style, diff=diff, vocabulary=16, command=""
    )
    return drawn.said(figure.content)[-3::2]


@pytest.mark.parametrize("far", [False, True])
def test_page_and_figure_say_it_of_every_cell_also_of_the_first_column(far: bool) -> None:
    readout = hostile_readout(30, 4)  # so many that one is no twentieth
    tuned = readout.lenses["tuned"]
    kl, logprob = tuned.kl.copy(), tuned.next_logprob.copy()
    if far:
        kl[1, 0], logprob[2, 0] = 99, -99
    else:
        kl[:], logprob[:, :-1] = 1.0, -1.0
        readout.lenses["logit"].kl[:] = 1.0
    lenses = {**readout.lenses, "tuned": replace(tuned, kl=kl, next_logprob=logprob)}
    readout = replace(readout, lenses=lenses)
    for value, key, sign, place in ((KL, "kl", "≥ ", 0), (NEXT_LOGPROB, "next-logprob", "≤ ", 0)):
        for ends in (shown(readout)[key], ends_of(readout, value, diff=False)):
            assert ends[place].startswith(sign) == far
            assert ends[1 - place] == "0"
    for ends in (shown(readout)["diff:kl"], ends_of(readout, KL, diff=True)):
        assert ends[1].startswith("≥ +") == far
        assert ends[0].startswith("−")


def test_a_value_with_fixed_ends_is_never_beyond() -> None:
    readout = hostile_readout()
    for key, ends in shown(readout).items():
        if key in {"prob", "agree"}:
            assert not any(sign in end for end in ends for sign in "≤≥")
    assert Difference(AGREEMENT, "logit", "tuned").scale(np.array([[1.0]], np.float32), 16).hi == 1


def test_the_share_of_agreement_leaves_out_the_last_row_the_first_column_and_what_is_not_read() -> None:
    numbers = np.array([[1, 0, 1, math.nan], [1, 0, 1, 1], [1, 1, 1, 1]], np.float32)
    blank = np.full((3, 4), math.nan, np.float32)
    lenses = {"logit": numbers, "tuned": numbers[1:], "other": blank}
    assert shares_text(AGREEMENT, lenses) == "logit 60% yes · tuned 67% yes"
    assert shares_note(AGREEMENT, lenses) == (
        "logit 60% yes · tuned 67% yes, without the last row and the first column"
    )
    assert shares_text(AGREEMENT, {"logit": numbers[:, :1]}) == ""
    assert shares_note(PROBABILITY, lenses) == ""
    assert {value.key for value in all_values() if shares_text(value, lenses)} == {"agree"}
