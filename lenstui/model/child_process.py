"""Child processes that run a program of lenstui's own: what asks the hub, and what a model's files bring."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# lenstui comes from where the parent has it; nothing else in that folder may shadow what the child imports.
_START = """\
import sys
from runpy import run_module
root = sys.argv[1]
sys.path.insert(0, root)
import lenstui
sys.path.remove(root)
del sys.argv[:2]
run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def child(
    program: str, words: Sequence[str] = (), *, complaints: Any, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program that takes its orders from a pipe and answers into another.

    Args:
        program: the name of the module.
        words: its arguments.
        complaints: the file for what it prints beside its answers.
        environment: its environment variables; None for those of this process.
    """
    # With -P: the current folder's modules may not shadow what it imports either.
    root = str(Path(__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _START, root, program, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        env=environment,
        start_new_session=True,  # Ctrl+C belongs to the parent, which then closes the child's input
    )
