"""Every family in every dtype, on a stream as large as real ones: each number against float64.

The states are those that were recorded in that dtype, so that a tolerance for their rounding hides no error
in what is made of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch

from lenstui.model.wiring import TOLERANCES
from tests.tiny.dtype_reading import DTYPES, can_be_read, dtype_reading
from tests.tiny.families import FAMILIES

FLOAT32 = 3e-6  # of the largest value


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))
@pytest.mark.parametrize("name", FAMILIES)
def test_every_number_in_every_dtype(name: str, dtype: torch.dtype) -> None:
    if not can_be_read(name, dtype):
        pytest.skip("this transformers lacks the family, or its code does not run in this dtype")
    found = dtype_reading(name, dtype)
    assert found.stream <= (1e-4 if dtype == torch.float32 else 0)
    assert found.logits < (1e-5 if dtype == torch.float32 else TOLERANCES[dtype])
    assert found.cells < FLOAT32
    assert math.isnan(found.parts) == (FAMILIES[name].mid is None)
    if not math.isnan(found.parts):
        assert found.parts <= 1e-4  # routers compute in float32, by another library in lenstui's pass
    if not math.isnan(found.contributions):
        assert found.contributions < FLOAT32
        assert found.left_over < FLOAT32
        assert found.sum_of_parts < 2 * TOLERANCES[dtype]
