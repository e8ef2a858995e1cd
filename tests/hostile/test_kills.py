"""Ten kills; `tests.hostile.kills` does as many as one likes of each kind. Fits: `test_train_killed.py`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.hostile.kills import kill_kind
from tests.programs.forked import Forked

TIMES = int(os.environ.get("LENSTUI_TEST_KILLS", "1"))


@pytest.mark.parametrize(
    ("kind", "kills"),
    [("jacobian", 2), ("scan", 2), ("trace", 1), ("export", 3), ("save", 1), ("download", 1)],
)
def test_killed_at_any_moment_nothing_is_lost(
    kind: str, kills: int, programs: Forked, neox_folder: Path, tmp_path: Path
) -> None:
    came = kill_kind(kind, programs, neox_folder, tmp_path, kills * TIMES, seed=0)
    assert came.total() == kills * TIMES
