"""Random bytes at the program in a pseudo-terminal: keys in bursts, the mouse, pastes, windows of any size.

    python -m tests.hostile.monkey MODEL [--events 20000] [--seed 0]

MODEL is a folder with a small model. What the program keeps and writes is in a temporary folder, where it is
started, too. It may end only where it was asked to, with status 0, and is started again then. At the end, and
wherever something is wrong, what it was sent last is printed.
"""

from __future__ import annotations

import argparse
import random
import signal
import tempfile
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.programs.forked import Forked
from tests.programs.fresh import Fresh
from tests.programs.pty_terminal import Terminal

# No `/` and no `~`: nothing that is typed leads out of the folder. No Ctrl+Z, which stops the program.
LETTERS = "".join(chr(code) for code in range(33, 127) if chr(code) not in "/~")
NAMED = (
    *("\r", "\t", "\x1b", "\x7f", " ", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[H", "\x1b[F", "\x1b[5~"),
    *("\x1b[6~", "\x1b[3~", "\x1b[Z", "\x1bOP", "\x1b[1;2A", "\x1b[1;5C", "\x1b\r", "\x1b[15~", "\x1b[1;3B"),
)
CONTROL = "".join(chr(code) for code in range(1, 27) if chr(code) not in "\x03\x11\x13\x1a\x1b")
WILD = (
    "é",
    "中",
    "\u0301",
    "\u202e",
    "\U0001f9d1\u200d\U0001f680",
    "\x1b]52;c;aGk=\x07",
    "\x1b[?1049l",
    "\x9b",
    "\x00",
)
SIZES = ((200, 50), (120, 40), (80, 24), (40, 12), (20, 5), (3, 2), (1, 1), (300, 4), (4, 90))


@dataclass
class Monkey:
    """What sends the events, and what it has sent.

    Attributes:
        seed: what the events follow from.
        sent: numbers of events by kind.
        last: the last ones.
    """

    seed: int
    sent: Counter[str] = field(default_factory=Counter)
    last: deque[str] = field(default_factory=lambda: deque(maxlen=60))

    def __post_init__(self) -> None:
        self._pick = random.Random(self.seed)

    def play(self, start: Callable[[], Terminal], events: int) -> None:
        """Send events, and check the end: the status, the terminal, and that nothing failed in between."""
        terminal = start()
        terminal.until(terminal.is_taken)
        try:
            while self.sent.total() < events:
                self._act(terminal)
                terminal.read(self._pick.choice((0.0, 0.0, 0.01, 0.1)))
                if (status := terminal.status()) is not None:
                    assert status == 0, (status, self.last, terminal.text)
                    self.sent["starts"] += 1
                    terminal = start()
                    terminal.until(terminal.is_taken)
            terminal.program.send(signal.SIGTERM)
            assert terminal.end() in (0, 128 + signal.SIGTERM), (self.last, terminal.text)
            assert terminal.settings() == terminal.before
        finally:
            terminal.kill()

    def _act(self, terminal: Terminal) -> None:
        pick = self._pick
        kind = pick.choices(("keys", "mouse", "paste", "resize", "wild"), (80, 8, 2, 4, 6))[0]
        if kind == "keys":
            burst = [self._key() for _ in range(pick.choice((1, 1, 2, 5, 30)))]
            self._send(terminal, kind, "".join(burst), len(burst))
        elif kind == "mouse":
            button, place = (
                pick.choice((0, 1, 2, 32, 35, 64, 65)),
                (pick.randrange(1, 210), pick.randrange(1, 60)),
            )
            self._send(terminal, kind, f"\x1b[<{button};{place[0]};{place[1]}{pick.choice('Mm')}")
        elif kind == "paste":
            text = pick.choice(("word ", "a\nb\t", "中é", "\x1b[31m")) * pick.choice((1, 40, 5000))
            self._send(terminal, kind, f"\x1b[200~{text}\x1b[201~")
        elif kind == "resize":
            width, height = pick.choice(SIZES)
            terminal.resize(width, height)
            terminal.program.send(signal.SIGWINCH)
            self._note(kind, f"{width}x{height}")
        else:
            self._send(terminal, kind, pick.choice(WILD))

    def _key(self) -> str:
        return self._pick.choice(self._pick.choices((LETTERS, NAMED, CONTROL), (10, 6, 1))[0])

    def _send(self, terminal: Terminal, kind: str, text: str, count: int = 1) -> None:
        content = text.encode()
        for begin in range(0, len(content), 1024):  # a terminal takes some kilobytes before they are read
            terminal.press(content[begin : begin + 1024])
            if len(content) > 1024:
                terminal.read(0.01)
        self._note(kind, repr(text[:60]), count)

    def _note(self, kind: str, what: str, count: int = 1) -> None:
        self.sent[kind] += count
        self.last.append(f"{kind} {what}")


def failures(folder: Path) -> str:
    """What the program's log has: nothing, if nothing failed."""
    logs = [*folder.rglob("lenstui.log*")]
    return "\n".join(log.read_text() for log in logs)


def started(programs: Forked | Fresh, model: Path, folder: Path) -> Callable[[], Terminal]:
    """Return what starts the program with a folder for all that it keeps."""
    words = ["Hello, you", "--model", str(model)]
    environment = {
        "HOME": str(folder),
        "COLUMNS": "",
        "LINES": "",
    }  # else these stand for any size of the window
    return lambda: Terminal(programs, words, folder, width=120, height=40, environment=environment)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    monkey = Monkey(given.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            monkey.play(started(Fresh(folder), given.model.resolve(), folder), given.events)
        finally:
            print(f"seed {given.seed}: {dict(monkey.sent)}; last:", *monkey.last, sep="\n  ")
            print(failures(folder) or "the log is empty")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
