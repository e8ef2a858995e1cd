"""The program as a process on a terminal, with an app of the test's own in place of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.programs import ROOT

WITH_APP = """
import signal, sys, time
sys.path[:0] = [{root!r}]
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.ending import Ending
{app}
Ending(App(Start(prompt="a"))).run()
"""


def start_app(app: str, terminal: int, state: Path) -> subprocess.Popen[bytes]:
    """Start the program.

    Args:
        app: the source of a class `App`, and of what is to happen before it runs.
        terminal: the descriptor of its terminal.
        state: the folder of its state.
    """
    environment = {**os.environ, "TERM": "xterm-256color", "XDG_STATE_HOME": str(state)}
    words = [sys.executable, "-c", WITH_APP.format(root=str(ROOT), app=app)]
    return subprocess.Popen(words, stdin=terminal, stdout=terminal, stderr=terminal, env=environment)
