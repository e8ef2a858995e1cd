"""What importing the science costs and what it must not drag in: asked of a fresh Python each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for file in (ROOT / "lenstui" / "lens").rglob("*.py")
)


def modules_after(code: str) -> set[str]:
    """The top-level packages that are imported after `code` has run."""
    command = [
        sys.executable,
        "-c",
        f"{code}\nimport sys; print(*{{m.partition('.')[0] for m in sys.modules}})",
    ]
    return set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("module", ["lenstui.lens", "lenstui.model.hub", "lenstui.support.errors"])
def test_these_are_light(module: str) -> None:
    loaded = modules_after(f"import {module}")
    assert "lenstui" in loaded
    assert not loaded & {"torch", "transformers", "numpy", "huggingface_hub", "pyarrow", "textual", "rich"}


def test_the_science_knows_nothing_of_the_terminal() -> None:
    loaded = modules_after("\n".join(f"import {module.removesuffix('.__init__')}" for module in MODULES))
    assert len(MODULES) > 10
    assert "torch" in loaded
    assert not loaded & {"textual", "rich"}


def test_everything_that_is_exported_is_there_whatever_was_imported_before() -> None:
    """A module of the same name would take the place of what is exported."""
    modules_after(
        "\n".join(f"import {module.removesuffix('.__init__')}" for module in MODULES)
        + "\nimport lenstui.lens as lens"
        + "\nfor name in lens.__all__: assert callable(getattr(lens, name)), name"
        + "\nassert sorted(lens._HOMES) == lens.__all__"
        + "\nassert not hasattr(lens, 'nothing')"
    )
