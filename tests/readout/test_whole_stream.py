"""Where a column settles is said only where all rows were read: the numbers of some rows cannot tell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenstui.lens import Case, CaseReadout, Model, read, read_set
from lenstui.model.rows import RowChoice, choose_rows, is_whole_stream, with_parts
from lenstui.readout.cells import crystallization_rows, row_labels
from lenstui.readout.reading import Reading
from tests.by_hand import naive

TEXT = "Hello, you"


@given(blocks=st.integers(1, 6), data=st.data(), parts=st.booleans())
def test_all_rows_or_some(blocks: int, data: st.DataObject, parts: bool) -> None:
    rows = data.draw(st.sets(st.integers(0, blocks)))
    chosen = choose_rows(blocks, sorted(rows))
    taken_apart = [("attn", "mid", "mlp")] * blocks if parts else []
    labels = [row.label for row in with_parts(chosen, taken_apart)]
    assert is_whole_stream(labels) == (rows | {blocks} == set(range(blocks + 1)))


def test_what_a_row_between_would_have_changed_is_not_said() -> None:
    whole = np.array([[7, 1], [5, 5], [9, 5], [5, 5], [5, 5]], np.int32)  # settles in rows 3 and 1
    labels = row_labels(4)
    assert crystallization_rows(whole, labels).tolist() == [3, 1]
    for rows in ([0, 1, 3, 4], [0, 2, 4], [4], [1, 2, 3, 4]):
        some = [labels[row] for row in rows]
        assert crystallization_rows(whole[rows], some).tolist() == [-1, -1]


@pytest.mark.parametrize("rows", [[0, 1], [0, 2], [3], [1, 2], [0, 1, 2], None])
def test_a_readout_of_some_rows_has_no_crystallization(tiny: Model, rows: list[int] | None) -> None:
    lens = naive.random_lens(tiny)
    ours = read(tiny, TEXT, lens, rows=rows)
    for name, cells in ours.lenses.items():
        settled = ours.crystallization(name)
        if rows in ([0, 1, 2], None):  # the last is always among them
            top1 = cells.top_ids[:, :, 0].T.tolist()
            assert settled is not None
            assert settled.tolist() == [
                min(row for row in range(4) if len(set(column[row:])) == 1) for column in top1
            ]
        else:
            assert settled is None


def test_nor_has_a_case_of_a_prompt_set(tiny: Model) -> None:
    lens = naive.random_lens(tiny)
    for choice in (RowChoice(stride=2), RowChoice((("last", "last"),)), RowChoice((("emb", "0"),))):
        (readout,) = read_set(tiny, [Case(1, TEXT)], lens, reading=Reading(choice))
        assert isinstance(readout, CaseReadout)
        assert [column.crystallization for column in readout.lenses.values()] == [None, None]
    (readout,) = read_set(tiny, [Case(1, TEXT)], lens, reading=Reading(RowChoice((("emb", "last"),))))
    assert isinstance(readout, CaseReadout)
    whole = read(tiny, TEXT, lens)
    for name, column in readout.lenses.items():
        settled = whole.crystallization(name)
        assert settled is not None
        assert column.crystallization == settled[-1]
