"""All numbers of a readout held against logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from torch import Tensor

from lenstui.lens import Cells
from tests.by_hand import naive

PINS = (3, 71, 71, 270)


def assert_cells(
    cells: Cells, logits: Tensor, ids: Sequence[int], top_k: int = 3, tolerance: float = 2e-5
) -> None:
    """Every field, from logits `[rows, cols, vocabulary]`. A rank may be off by near ties."""
    wanted = naive.numbers(logits, ids, PINS, top_k)
    lowest, highest = (naive.numbers(logits, ids, PINS, top_k, margin=m) for m in (tolerance, -tolerance))
    for field in fields(Cells):
        name, ours, value = field.name, getattr(cells, field.name), wanted[field.name]
        assert ours.shape == value.shape, name
        assert ours.dtype == (np.int32 if name.endswith(("top1", "ids", "rank", "ranks")) else np.float32), (
            name
        )
        if name.endswith(("rank", "ranks")):
            assert ((lowest[name] <= ours) & (ours <= highest[name])).all(), name
        else:
            np.testing.assert_allclose(ours, value, rtol=tolerance, atol=tolerance, err_msg=name)
