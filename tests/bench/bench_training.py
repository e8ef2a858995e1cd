"""How fast Explore answers a key while a lens is in training, and how soon a fit that is stopped is idle.

Run by hand: `python -m tests.bench.bench_training [--model FOLDER] [--data FILE] [--size 120x40] [--keys 200]
[--device cuda]`.
The program runs in a pseudo-terminal; this presses `t`, begins a long fit, goes back to Explore and presses
cursor keys at uneven times. The latency of a key is the time to the first bytes that change the grid: the top
line is repainted all the while, and does not count; what the lens repaints may come first. Stopping
is timed from `y` to the form, which comes when the model thread has nothing left to do.
"""

from __future__ import annotations

import fcntl
import os
import pty
import random
import re
import select
import shlex
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time

import psutil

from tests.bench.measuring import arguments, started, table, with_model

SYNC_QUERY, SYNC_REPLY = b"\x1b[?2026$p", b"\x1b[?2026;2$y"
POSITION = re.compile(rb"\x1b\[(\d+);(\d+)H")
LIMIT = 120.0  # seconds


class Terminal:
    """The other end of the program's terminal."""

    def __init__(self, arguments: list[str], width: int, height: int, data: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        environment |= {f"XDG_{kind}_HOME": data for kind in ("DATA", "CONFIG", "STATE")}
        command = [sys.executable, "-m", "lenstui", *arguments]
        self.child = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def read(self, patience: float) -> bytes:
        """What has come, after `patience` seconds at most."""
        if not select.select([self._ours], [], [], max(patience, 0))[0]:
            return b""
        try:
            received = os.read(self._ours, 1 << 20)
        except OSError:  # it has ended
            return b""
        if SYNC_QUERY in received:
            os.write(self._ours, SYNC_REPLY)
        return received

    def until(self, text: bytes, seconds: float = LIMIT) -> float:
        """Wait for what matches `text`; how long that took."""
        begin, received = time.perf_counter(), b""
        while not re.search(text, received):
            received += self.read(0.05)
            if time.perf_counter() - begin > seconds:
                raise SystemExit(f"{text!r} never came; the end of what did: {received[-400:]!r}")
        return time.perf_counter() - begin

    def drain(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self.read(left)

    def latency(self, key: str) -> float:
        """Seconds from a key to the first bytes below the top line."""
        begin = time.perf_counter()
        self.press(key)
        while time.perf_counter() - begin < 5:
            received = self.read(5)
            if any(int(line) > 1 for line, _ in POSITION.findall(received)):
                return time.perf_counter() - begin
        raise SystemExit("a key was not answered within 5 s")


def latencies(terminal: Terminal, count: int) -> list[float]:
    """Of cursor keys, left and right in turn, at uneven times."""
    uneven = random.Random(0)
    times = []
    for number in range(count):
        terminal.drain(0.15 + 0.2 * uneven.random())
        times.append(terminal.latency("h" if number % 2 == 0 else "l"))
    return times


def row(name: str, times: list[float], budget: str) -> list[object]:
    high = statistics.quantiles(times, n=20)[-1]
    return [
        name,
        *(f"{1000 * number:.1f}" for number in (statistics.median(times), high, max(times))),
        budget,
    ]


def main() -> None:
    """Measure and print."""
    parser = with_model(arguments(__doc__))
    parser.add_argument("--size", default="120x40")
    parser.add_argument("--keys", type=int, default=200)
    options = parser.parse_args()
    started(options)
    width, height = map(int, options.size.split("x"))
    prompt = "Once upon a time there was a little girl who liked to play outside in the park"
    with tempfile.TemporaryDirectory() as data:
        terminal = Terminal(
            [prompt, "--model", options.model, "--device", options.device], width, height, data
        )
        terminal.until(b"tokens \xc2\xb7 [0-9]")
        terminal.drain(1.0)
        quiet = latencies(terminal, options.keys)
        terminal.press("t")
        terminal.until(b"to fit on")
        terminal.press("\x1b[Z\x1b[Z")  # to the line of the files
        terminal.press(shlex.quote(options.data))
        terminal.press("\t\x1b[C")  # preset standard: long enough
        terminal.until(b"eight times")
        terminal.press("\t\r")
        terminal.until(b"tokens/s")
        terminal.press("\x1b")
        terminal.until(b"prompt")
        terminal.drain(3.0)
        busy = latencies(terminal, options.keys)
        memory = psutil.Process(terminal.child.pid).memory_info().rss / 1e6
        terminal.press("t")
        terminal.until(b"tokens/s")
        terminal.drain(1.0)
        terminal.press("x")
        terminal.until(b"discard the lens")
        terminal.press("y")
        stopped = terminal.until(b"preset")
        terminal.press("\x11")  # Ctrl+Q
        while terminal.child.poll() is None:
            terminal.drain(0.1)
    print(f"Cursor keys in Explore at {options.size}, {options.keys} each, in ms:\n")
    rows: list[list[object]] = [
        row("nothing in training", quiet, "p95 ≤ 16 ms"),
        row("while a lens is in training", busy, "p95 ≤ 50 ms"),
        ["from 'discard' to idle", f"{1000 * stopped:.1f}", "–", "–", "≤ 1000 ms"],
    ]
    print(table(("what", "median", "p95", "most", "budget"), rows))
    print(f"\nThe program takes {memory:.0f} MB while it trains.")


if __name__ == "__main__":
    main()
