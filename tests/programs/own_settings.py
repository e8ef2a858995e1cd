"""The settings that programs have in tests."""

from __future__ import annotations

from pathlib import Path


def without_instant_lens(config: Path) -> None:
    """Turn instant lenses off in a folder for settings, unless there are settings of a test's own."""
    file = config / "lenstui" / "config.toml"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("instant_lens = false\n")
