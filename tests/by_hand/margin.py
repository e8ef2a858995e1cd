"""A value that lenstui does not have: by how much the likeliest token leads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lenstui.readout.cells import Cells, FloatArray
from lenstui.readout.number_texts import percent_error_text, probability_text
from lenstui.readout.values import Value, all_values, register, unregister


def margin(cells: Cells) -> FloatArray:
    """Probability of the top-1 less that of the top-2, `[rows, cols]`; of one token alone its own."""
    return cells.top_probs[..., 0] - cells.top_probs[..., 1:2].sum(-1)


MARGIN = Value(
    key="margin",
    label="lead of the top-1",
    numbers=margin,
    ends=lambda arrays, vocabulary: (0, 1),
    format=probability_text,
    stored="margin",
    brief="margin",
    is_minor=True,
    error_format=percent_error_text,
    option="top-1 less top-2",
    meaning="probability of the top-1 less that of the top-2",
    keys_line="its probability less that of the second",
)


@contextmanager
def registered() -> Iterator[Value]:
    """Have the value in the registry, and out again."""
    before = all_values()
    register(MARGIN)
    try:
        yield MARGIN
    finally:
        unregister(MARGIN.key)
        assert all_values() == before
