"""Random bytes at the program in a pseudo-terminal: keys in bursts, the mouse, pastes, windows of any size.

    python -m tests.hostile.monkey MODEL [--events 20000] [--seed 0]

MODEL is a folder with a small model. What the program keeps and writes is in a temporary folder, where it is
started, too. It may end only where it was asked to, with status 0, and is started again then. Now and then a
way leads from Explore to a screen or a long piece of work, for keys at random open few. Every thousand events
it must show that it still listens. At the end, and wherever something is wrong, what it was sent last is
printed, and how often each screen was seen.
"""

from __future__ import annotations

import os
import random
import re
import signal
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.hostile.long_run import failures, parser
from tests.hostile.on_screen import SCREENS, is_home, seen
from tests.programs.forked import Forked
from tests.programs.fresh import Fresh
from tests.programs.pty_terminal import LIMIT, Terminal

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
    "\udcff\udcc3(",  # bytes that are no text
)
ROOMY = ((200, 50), (120, 40), (80, 24))
SIZES = (*ROOMY, *ROOMY, (40, 12), (20, 5), (3, 2), (1, 1), (300, 4), (4, 90))
PATIENCE = 2 * LIMIT  # seconds for all that was sent before: a key in a prompt of many pages takes its time
SPEED = 10_000  # bytes of a paste that it takes in a second, at least
SETTLES = 0.15  # seconds after which Esc is a key of its own, and begins no sequence

WAYS = (
    *("m", "m\r", "m\x1b[B\r", "M", "M\r", "o", "o\r", "ok", "O", "L", "+", "d", "s"),
    *("t", "t\r", "t\rp", "tn\r", "t\x1b[B\x1b[B\x1b[C\r", "E", "E\r", "Ee\r"),
    *("C", "Cn", "Cn\r", "Co\r", "e", "ef\r", "w", "wa", "W", "Wablate 3.mlp\r", "T", "Tthe dog was\r"),
    *("B", "Ba dog\r", "I", "Ia", "G", "G\r", "b", "\r", "x", "x\r", "xj\r", "K", "P", "Pdog\r", "Pdog\ru"),
    *("/", "g", "F", "?", " ", ":", ":theme\r", "ithe dog saw a ball\r", "iOnce upon a time\r"),
)
"""Keys that lead from Explore to a screen, or to something that takes its time."""


@dataclass
class Monkey:
    """What sends the events, and what it has sent.

    Attributes:
        seed: what the events follow from.
        sent: numbers of events by kind.
        seen: how often each screen was there when one looked.
        last: the last ones.
    """

    seed: int
    sent: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    last: deque[str] = field(default_factory=lambda: deque(maxlen=60))

    def __post_init__(self) -> None:
        self._pick = random.Random(self.seed)

    def play(self, start: Callable[[], Terminal], events: int) -> None:
        """Send events, and check the end: the status, the terminal, and that nothing failed in between."""
        terminal = start()
        terminal.until(terminal.is_taken)
        try:
            asked = 0
            while (sent := self.sent.total()) < events:
                self._act(terminal)
                terminal.read(self._pick.choice((0.0, 0.0, 0.01, 0.1)))
                if sent >= asked + 1000 and terminal.status() is None:
                    self._ask(terminal)
                    asked = sent
                if (status := terminal.status()) is not None:
                    assert status == 0, (status, self.last, terminal.text)
                    assert terminal.settings() == terminal.before
                    self.sent["starts"] += 1
                    terminal = start()
                    terminal.until(terminal.is_taken)
            self._ask(terminal)
            if terminal.status() is None:
                terminal.program.send(signal.SIGTERM)
            assert terminal.end() in (0, 128 + signal.SIGTERM), (self.last, terminal.text)
            assert terminal.settings() == terminal.before
        finally:
            terminal.kill()

    def _act(self, terminal: Terminal) -> None:
        pick = self._pick
        kinds = ("keys", "way", "mouse", "paste", "resize", "wild")
        kind = pick.choices(kinds, (66, 12, 10, 2, 4, 6))[0]
        if kind == "keys":
            burst = [self._key() for _ in range(pick.choice((1, 1, 2, 5, 30)))]
            self._send(terminal, kind, "".join(burst), len(burst))
        elif kind == "way":
            self._go(terminal, pick.choice(WAYS))
        elif kind == "mouse":
            button, place = (
                pick.choice((0, 1, 2, 32, 35, 64, 65)),
                (pick.randrange(1, 210), pick.randrange(1, 60)),
            )
            self._send(terminal, kind, f"\x1b[<{button};{place[0]};{place[1]}{pick.choice('Mm')}")
        elif kind == "paste":
            text = pick.choice(("word ", "a\nb\t", "中é", "\x1b[31m"))
            text *= pick.choices((1, 40, 5000, 200_000), (8, 8, 3, 1))[0]  # a megabyte now and then
            self._send(terminal, kind, f"\x1b[200~{text}\x1b[201~")
        elif kind == "resize":
            self._resize(terminal, *pick.choice(SIZES))
        else:
            self._send(terminal, kind, pick.choice(WILD))

    def _go(self, terminal: Terminal, way: str) -> None:
        """Leave whatever is in front, go a way from Explore, and look what is there then."""
        for _ in range(3):
            self._send(terminal, "way", "\x1b")
            terminal.rest(SETTLES)
        for key in re.findall(r"\x1b\[\w|[^\r]+|\r", way):
            self._send(terminal, "way", key)
            terminal.rest(self._pick.choice((0.0, SETTLES, SETTLES, 2.0)))
        self.seen.update(seen(terminal.text))

    def _resize(self, terminal: Terminal, width: int, height: int) -> None:
        terminal.resize(width, height)
        terminal.program.send(signal.SIGWINCH)
        self._note("resize", f"{width}x{height}")

    def _ask(self, terminal: Terminal) -> None:
        """Fail if it does not go back to Explore, or does not show its keys there, when it is asked to.

        It may end instead, where that was asked for before.
        """
        self._resize(terminal, 120, 40)
        end, key = time.monotonic() + PATIENCE, "\x1b"
        while terminal.status() is None and not (key == "?" and "keys" in seen(terminal.text)):
            assert time.monotonic() < end, f"it does not answer to {key!r}:\n{terminal.text}"
            is_due = key == "\x1b" and is_home(terminal.text)  # behind Esc, which leaves the prompt
            key = "?" if is_due else "\x1b"
            self._send(terminal, "way", key)
            terminal.rest(4 * SETTLES)
        self.seen.update(seen(terminal.text))

    def _key(self) -> str:
        return self._pick.choice(self._pick.choices((LETTERS, NAMED, CONTROL), (10, 6, 1))[0])

    def _send(self, terminal: Terminal, kind: str, text: str, count: int = 1) -> None:
        """Send a text as fast as it is taken. What the program no longer takes at its end is for nobody."""
        self._note(kind, repr(text[:60]), count)
        content = text.encode("utf-8", "surrogateescape")
        end = time.monotonic() + LIMIT + len(content) / SPEED
        terminal.received = b""
        os.set_blocking(terminal.ours, False)
        while content and terminal.status() is None:
            assert time.monotonic() < end, f"it takes no keys:\n{terminal.text}"
            with suppress(BlockingIOError):  # a terminal keeps some kilobytes that nobody has read
                content = content[os.write(terminal.ours, content) :]
            if content:
                terminal.read(0.01)

    def _note(self, kind: str, what: str, count: int = 1) -> None:
        self.sent[kind] += count
        self.last.append(f"{kind} {what}")


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
    words = parser(__doc__)
    words.add_argument("--events", type=int, default=20_000)
    given = words.parse_args()
    monkey = Monkey(given.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            monkey.play(started(Fresh(folder), given.model, folder), given.events)
        finally:
            print(f"seed {given.seed}: {dict(monkey.sent)}; last:", *monkey.last, sep="\n  ")
            print(f"seen: {dict(monkey.seen.most_common())}")
            print(f"never seen: {sorted(SCREENS.keys() - monkey.seen.keys())}")
            print(failures(folder) or "the log is empty")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
