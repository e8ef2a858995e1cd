"""A few hundred random events at the program; `tests.hostile.monkey` sends as many as one likes."""

from __future__ import annotations

import os
from pathlib import Path

from tests.hostile.long_run import failures
from tests.hostile.monkey import Monkey, started
from tests.programs.fresh import Fresh

EVENTS = int(os.environ.get("LENSTUI_MONKEY", "300"))
SEED = int(os.environ.get("LENSTUI_SEED", "0"))


def test_nothing_that_is_sent_ends_it_or_fails(neox_folder: Path, tmp_path: Path) -> None:
    Monkey(SEED).play(started(Fresh(tmp_path), neox_folder, tmp_path), EVENTS)
    assert failures(tmp_path) == ""
