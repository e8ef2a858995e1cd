"""`lenstui`, in this process and as a program of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from lenstui.cli import main
from tests.programs import ROOT


def run(*words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """`lenstui` as a program of its own, offline, its output piped."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, "-m", "lenstui", *words],
        capture_output="stdout" not in options,
        env=environment | options.pop("env", {}),
        check=False,
        timeout=120,
        **options,
    )


def status(*words: object) -> int:
    """`lenstui` in this process; what it printed is for capsys."""
    try:
        return main([str(word) for word in words])
    except SystemExit as leaving:
        return int(leaving.code or 0)
