"""`lenstui` as a process of its own, from its first import on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.programs import ROOT


@dataclass(frozen=True)
class FreshProgram:
    """One that was started."""

    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    def send(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def ended(self) -> int | None:
        """Its exit status as soon as it has ended."""
        return self.process.poll()

    def status(self) -> int:
        """Wait for its end: the exit status, or less than 0 for the signal that killed it."""
        return self.process.wait()


class Fresh:
    """Where programs are started afresh, with nothing imported."""

    def __init__(self, folder: Path | None = None, shell: str = 'exec "$@"') -> None:
        """Have them started in a folder, by default in this one, by a line of a shell that has them as $@."""
        self._folder = folder
        self._shell = shell

    def start(
        self, *words: object, terminal: str, keyboard: bool, environment: Mapping[str, str]
    ) -> FreshProgram:
        """Start `lenstui` with these words on a terminal, which is its keyboard too."""
        assert keyboard
        with Path(terminal).open("r+b", buffering=0) as file:
            process = subprocess.Popen(
                ["sh", "-c", self._shell, "sh", sys.executable, "-m", "lenstui", *map(str, words)],
                stdin=file,
                stdout=file,
                stderr=file,
                start_new_session=True,
                cwd=self._folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", **environment},
            )
        return FreshProgram(process)
