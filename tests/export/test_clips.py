"""Parts of a readout as text: fields between tabs, each against the arrays that it was made from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lenstui.export.clips import Clip, cell_text, column_text, row_text, table_text, top_line
from lenstui.readout.values import ENTROPY, KL, PROBABILITY, RANK, Value
from tests.by_hand.known_readouts import HOSTILE, PINS, hostile_readout

READOUT = hostile_readout(columns=6, rows=3)
HEADS = tuple(HOSTILE[token] for token in READOUT.prompt.ids)


def clip(value: Value = KL) -> Clip:
    pins = tuple(HOSTILE[pin.id] for pin in PINS)
    return Clip(READOUT.rows, HEADS, READOUT.lenses, HOSTILE, value, pins)


def fields(text: str) -> list[list[str]]:
    assert text.endswith("\n")
    return [line.split("\t") for line in text.removesuffix("\n").split("\n")]


@pytest.mark.parametrize("value", [PROBABILITY, ENTROPY, KL, RANK])
def test_a_row_and_a_column_hold_the_numbers(value: Value) -> None:
    row, column = fields(row_text(clip(value), 1)), fields(column_text(clip(value), 4))
    assert len(row) == 1 + len(HEADS)
    assert len(column) == 1 + len(READOUT.rows)
    for at, line in enumerate(row[1:]):
        assert line[:2] == [str(at), HEADS[at]]
    assert [line[0] for line in column[1:]] == list(READOUT.rows)
    for lines, first, places in (
        (row, 2, [(1, c) for c in range(len(HEADS))]),
        (column, 1, [(r, 4) for r in range(len(READOUT.rows))]),
    ):
        for line, place in zip(lines[1:], places, strict=True):
            rest = line[first:]
            for cells in READOUT.lenses.values():
                token, number, *probs, rest = *rest[:4], rest[4:]
                assert token == HOSTILE[int(cells.top_ids[(*place, 0)])]
                np.testing.assert_allclose(float(number), float(value.of(cells)[place]), rtol=1e-5)
                np.testing.assert_allclose(
                    [float(prob) for prob in probs], np.exp(cells.pin_logprobs[place]), rtol=1e-5
                )
            assert rest == []


def test_the_head_names_every_field() -> None:
    first, second = (HOSTILE[pin.id] for pin in PINS)
    assert fields(column_text(clip(KL), 0))[0] == [
        "row",
        *("logit top-1", "logit KL from final, nats", f"logit p({first})", f"logit p({second})"),
        *("tuned top-1", "tuned KL from final, nats", f"tuned p({first})", f"tuned p({second})"),
    ]


def test_the_table_is_the_grid_top_of_the_network_first() -> None:
    head, *lines = fields(table_text(clip(RANK)))
    assert head == ["lens", "row", *HEADS]
    assert [line[:2] for line in lines] == [
        [lens, row] for lens in READOUT.lenses for row in ("1", "0", "emb")
    ]
    for line in lines:
        cells, row = READOUT.lenses[line[0]], READOUT.rows.index(line[1])
        for column, shown in enumerate(line[2:]):
            token, _, rank = shown.rpartition(" ")
            assert token == HOSTILE[int(cells.top_ids[row, column, 0])]
            assert rank == str(int(cells.final_rank[row, column]))


def test_the_table_of_the_difference() -> None:
    logit, tuned = READOUT.lenses.values()
    ids = tuned.top_ids.copy()
    ids[0, 2] = ids[0, 2][::-1]  # another token leads here
    lenses = {"logit": logit, "tuned": replace(tuned, top1=ids[..., 0], top_ids=ids)}
    _, *lines = fields(table_text(replace(clip(KL), lenses=lenses), diff=True))
    assert [line[1] for line in lines] == ["1", "0", "emb"]
    for line in lines:
        row = READOUT.rows.index(line[1])
        for column, shown in enumerate(line[2:]):
            token = HOSTILE[int(ids[row, column, 0])]
            number = shown.removeprefix(f"{token} ").removesuffix(" ≠").replace("−", "-")
            assert abs(float(number) - float(tuned.kl[row, column] - logit.kl[row, column])) < 0.006
            assert shown.endswith("≠") == ((row, column) == (0, 2))


def test_a_cell_says_which_it_is_and_holds_both_lenses() -> None:
    lines = cell_text(clip(), 2, 3).splitlines()
    assert lines[0] == f'row 1 · layer 2 of 2 · column 3 "{HEADS[3]}" → next "{HEADS[4]}"'
    cells = READOUT.lenses["tuned"]
    assert lines[5] == f"tuned lens: {top_line(cells, HOSTILE, 2, 3, 2)}"
    assert f"entropy {float(cells.entropy[2, 3]):.2f} nats" in lines[6]
    assert lines[7].startswith('tuned lens: pinned "·the" ')
    assert "→" not in cell_text(clip(), 2, 5).splitlines()[0]


def test_a_row_that_a_lens_has_not_stays_empty() -> None:
    tuned = READOUT.lenses["tuned"]
    ids, kl, logprobs = tuned.top_ids.copy(), tuned.kl.copy(), tuned.pin_logprobs.copy()
    ids[1], kl[1], logprobs[1] = -1, np.nan, np.nan
    part = replace(tuned, top1=ids[..., 0], top_ids=ids, kl=kl, pin_logprobs=logprobs)
    without = replace(clip(), lenses={"logit": READOUT.lenses["logit"], "tuned": part})
    assert without.unread() is None
    assert fields(column_text(without, 0))[2][5:] == ["", "", "", ""]
    assert "tuned" not in cell_text(without, 1, 0)
    (line,) = [line for line in fields(table_text(without)) if line[:2] == ["tuned", "0"]]
    assert line[2:] == [""] * len(HEADS)


def test_what_is_not_read_is_known() -> None:
    assert clip().unread() is None
    tuned = READOUT.lenses["tuned"]
    ids, ranks = tuned.top_ids.copy(), tuned.pin_ranks.copy()
    ids[:, 4] = -1
    ranks[:, 2, 1] = -1
    for part, first in (
        (replace(tuned, top1=ids[..., 0], top_ids=ids), 4),
        (replace(tuned, pin_ranks=ranks), 2),
    ):
        partly = replace(clip(), lenses={**READOUT.lenses, "tuned": part})
        assert partly.unread() == first
        assert partly.unread(first) == first
        assert partly.unread(0) is None
    assert replace(clip(), pins=("one",)).unread() == 0  # numbers of other pins
