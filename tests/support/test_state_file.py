"""Files of state: what another version wrote is no loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from lenstui.support.state_file import read_state, write_state


@pytest.mark.parametrize("before", ['{"version": 2, "prompts": ["of tomorrow"]}', "{damaged", "[]"])
def test_what_cannot_be_used_is_kept_aside(before: str, tmp_path: Path) -> None:
    file = tmp_path / "history.json"
    file.write_text(before)
    assert read_state(file, 1)[1] is not None
    assert write_state(file, 1, {"prompts": ["of today"]}) is None
    assert write_state(file, 1, {"prompts": ["of today", "and after"]}) is None
    assert read_state(file, 1) == ({"version": 1, "prompts": ["of today", "and after"]}, None)
    assert (tmp_path / "history.json.aside").read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["history.json", "history.json.aside"]
