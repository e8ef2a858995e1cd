"""A child process for what a model's files have a library do: apply a chat template, try a pattern.

Both are programs, and nothing within this process can end them: `"x" * 10**10` is one step of Python, a
pattern that tries every way through a text is one call of Rust, and either may take all memory. In the child
they are ended; `lenstui.model.confined_program` is its side.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import threading
import time
from contextlib import suppress
from typing import Any

from lenstui.model.child_process import child
from lenstui.support.errors import LensError

SECONDS = 5.0  # for one order; a template takes milliseconds
_START_SECONDS = 60.0  # for the imports, on a busy machine
_CHUNK = 1 << 20  # bytes


class Unconfined(LensError):  # noqa: N818, what has happened is no error of ours
    """What was ordered took too long or too much memory, or ended its process; the message is a clause."""


class _Child:
    """The child, started with the first order; another is started after one that was ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, order: dict[str, Any], seconds: float) -> Any:
        """Return the answer to an order, plain values; as `confined` does it."""
        with self._lock:
            try:
                if self._process is None or self._process.poll() is not None:  # somebody may have ended it
                    self._process = self._started()
                answer = _answer(self._process, order, seconds)
            except BaseException:
                self._end()
                raise
        if "error" in answer:
            raise Unconfined(answer["error"])
        return answer["result"]

    def _started(self) -> subprocess.Popen[bytes]:
        # One thread, whose stack and allocator count once against its memory.
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
        self._end()
        process = self._process = child(
            "lenstui.model.confined_program",
            complaints=subprocess.DEVNULL,
            environment={**os.environ, **threads, "TOKENIZERS_PARALLELISM": "false"},
        )
        _answer(process, {}, _START_SECONDS)
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with suppress(BrokenPipeError):  # what it did not take is lost with it
                process.communicate()


_child = _Child()


def confined(order: dict[str, Any]) -> Any:
    """Return the answer to an order that the child process takes.

    Args:
        order: what to do: its name as `do`, and what that takes.

    Raises:
        Unconfined: if it took longer, or more memory than the child has, or ended its process; or with what
            the library said of it.
    """
    return _child.ask(order, SECONDS)


def _answer(process: subprocess.Popen[bytes], order: dict[str, Any], seconds: float) -> Any:
    """Give the child an order, and return its answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    end = time.monotonic() + seconds
    try:
        process.stdin.write(json.dumps(order, default=str).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError as error:
        raise Unconfined(_why(process)) from error
    said = bytearray()
    while not said.endswith(b"\n"):
        if not select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))[0]:
            raise Unconfined(f"it took longer than {seconds:g} s")
        chunk = os.read(process.stdout.fileno(), _CHUNK)
        if not chunk:
            raise Unconfined(_why(process))
        said += chunk
    return json.loads(said)


def _why(process: subprocess.Popen[bytes]) -> str:
    """Return, as a clause, why the child has ended."""
    status = process.wait()
    if status == -signal.SIGXCPU:
        return f"it took longer than {SECONDS:g} s"
    return f"it ended its process ({signal.Signals(-status).name if status < 0 else f'status {status}'})"
