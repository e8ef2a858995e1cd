"""What importing the science costs and what it must not drag in: asked of a fresh Python each."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.programs import ROOT

SCIENCE = ("model", "texts", "lens", "readout", "causal", "opening", "fitting", "evaluation")
MODULES = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for room in SCIENCE
    for file in (ROOT / "lenstui" / room).rglob("*.py")
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
    loaded = modules_after("\n".join(f"import {module}" for module in MODULES))
    assert len(MODULES) > 50
    assert "torch" in loaded
    assert not loaded & {"textual", "rich"}


def test_everything_that_is_exported_is_there_whatever_was_imported_before() -> None:
    """A module of the same name would take the place of what is exported."""
    modules_after(
        "\n".join(f"import {module}" for module in MODULES)
        + "\nassert len(lenstui._HOMES) > 20"
        + "\nfor name in lenstui._HOMES: assert getattr(lenstui, name) is not None, name"
        + "\nassert lenstui.lens.read is lenstui.read"
        + "\nassert not hasattr(lenstui, 'nothing')"
    )
