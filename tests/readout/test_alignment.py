"""How two prompts stand side by side, whatever their tokens are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenstui.readout.alignment import gaps, in_prompt, on_screen, spread
from lenstui.readout.cells import Tile
from tests.by_hand.made_up import cells

NONE = -1
IDS = st.lists(st.integers(0, 2), min_size=1, max_size=9)


@pytest.mark.parametrize(
    ("left", "right", "shown_left", "shown_right"),
    [
        ("The cat sat", "The cat sat", "The cat sat", "The cat sat"),
        ("The cat sat", "The black cat sat", "The - cat sat", "The black cat sat"),
        ("Once the cat", "the cat", "Once the cat", "- the cat"),
        ("The city of", "The city of great light", "The city - - of", "The city of great light"),
        (
            "A dog ran home",
            "Two old dogs of mine ran home",
            "A dog - - - ran home",
            "Two old dogs of mine ran home",
        ),
        ("yes", "no it is not", "- - - yes", "no it is not"),
    ],
)
def test_what_is_alike_is_in_the_same_columns(
    left: str, right: str, shown_left: str, shown_right: str
) -> None:
    words = left.split(), right.split()
    numbers = {word: number for number, word in enumerate(dict.fromkeys([*words[0], *words[1]]))}
    found = gaps(*([numbers[word] for word in side] for side in words))
    shown = [" ".join(spread(side, gap, "-")) for side, gap in zip(words, found, strict=True)]
    assert shown == [shown_left, shown_right]


@given(IDS, IDS)
def test_both_are_of_one_length_and_end_together(left: list[int], right: list[int]) -> None:
    sides = [spread(ids, gap, NONE) for ids, gap in zip((left, right), gaps(left, right), strict=True)]
    assert len(sides[0]) == len(sides[1]) == max(len(left), len(right))
    assert (sides[0][-1], sides[1][-1]) == (left[-1], right[-1])
    for ids, side in zip((left, right), sides, strict=True):
        assert [token for token in side if token != NONE] == ids


@given(IDS, IDS, IDS)
def test_a_run_put_in_is_all_that_differs(before: list[int], run: list[int], after: list[int]) -> None:
    long = [*before, *(3 + token for token in run), *after]
    gap, other = gaps([*before, *after], long)
    assert not other and gap == range(len(before), len(before) + len(run))


@given(IDS, IDS)
def test_columns_there_and_back(left: list[int], right: list[int]) -> None:
    for ids, gap in zip((left, right), gaps(left, right), strict=True):
        shown = spread(range(len(ids)), gap, NONE)
        assert [in_prompt(column, gap) for column, here in enumerate(shown) if here != NONE] == [
            *range(len(ids))
        ]
        assert all(in_prompt(column, gap) == gap.start for column in gap)


@given(st.integers(0, 7), st.integers(1, 8), st.integers(0, 8), st.integers(0, 4))
def test_a_tile_is_cut_where_the_gap_is(start: int, width: int, at: int, length: int) -> None:
    stop, gap = min(start + width, 8), range(at, at + length)
    tile = Tile(start, stop, {"logit": cells(1.0).columns_in(range(start, stop))})
    shown = spread(range(8), gap, NONE)
    seen = []
    for part in on_screen(tile, gap):
        entropy = part.lenses["logit"].entropy
        assert entropy.shape[1] == part.stop - part.start
        for column in range(part.start, part.stop):
            seen.append(shown[column])
            whole = cells(1.0).entropy[:, shown[column]]
            np.testing.assert_array_equal(entropy[:, column - part.start], whole)
    assert seen == [*range(start, stop)]
