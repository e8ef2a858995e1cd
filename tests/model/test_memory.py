"""Memory: what is asked of the machine, and what a model will take."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from lenstui.model import memory
from lenstui.model.memory import READOUT, free_memory, needed_memory, peak_memory
from lenstui.model.size import ModelSize


def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    assert free_memory() == 1000
    (tmp_path / "memory.current").write_text("300\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory() == 1000
    (tmp_path / "memory.max").write_text("900\n")
    assert free_memory("mps") == 600
    (tmp_path / "memory.max").write_text("200\n")
    assert free_memory() == 0


def test_what_a_model_will_take() -> None:
    size = ModelSize(parameters=1000, stored=2000, files=2100)
    assert needed_memory(size, "auto") == 4000 + READOUT
    assert needed_memory(size, "auto", "cuda:0") == 2000 + READOUT
    assert needed_memory(size, "float16") == 2000 + READOUT
    assert needed_memory(ModelSize(None, 0, 5), "auto") is None


def test_the_peak_is_no_less_than_what_was_taken_meanwhile() -> None:
    taken = np.ones((256 << 20) // 8)
    resident = psutil.Process().memory_info().rss
    del taken
    assert resident * 0.99 <= peak_memory() < 100 * resident  # bytes, not kilobytes
