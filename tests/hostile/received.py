"""What a terminal received of texts that are not ours: seen, never obeyed, never invisible."""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

from lenstui.support.printable import MOST_MARKS
from tests.programs.pty_terminal import QUIT, Terminal

# All that Textual and the screens send, and nothing else: modes, the cursor, colours, the pointer's shape.
_MODE = r"\x1b\[\?(?:25|7|1000|1003|1004|1006|1015|1016|1049|2004|2026|2048)[hl]"
_OWN = re.compile(
    rf"{_MODE}|\x1b\[\?(?:2026|2048)\$p|\x1b\[>\d+u|\x1b\[<u|\x1b\[\d+;\d+H|\x1b\[[\d;]*m"
    r"|\x1b\]22;(?:default|pointer|text)\x07|\x1b\[[JK]|\r"
)
# What the last filter before the terminal leaves of a text that came past `shown`.
_CAUGHT = "\N{REPLACEMENT CHARACTER}"


def acted_on(text: str) -> list[str]:
    """What a terminal would act on, show elsewhere, or not show; a newline is none."""
    kinds = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    fillers = "\u034f\u115f\u1160\u3164\uffa0\u2800\ufe0e\ufe0f"
    return [c for c in text if c != "\n" and (unicodedata.category(c) in kinds or c in fillers)]


def most_marks(text: str) -> int:
    """The most combining marks on one letter."""
    runs = groupby(text, lambda c: unicodedata.category(c) in {"Mn", "Me"})
    return max((sum(1 for _ in run) for is_mark, run in runs if is_mark), default=0)


def only_shown(received: str, where: str) -> None:
    """Fail where what a terminal received is not all ours or visible.

    Args:
        received: what came, whole escape sequences.
        where: what was done, for the failure.
    """
    rest = _OWN.sub("", received)
    assert acted_on(rest) == [], where
    assert _CAUGHT not in rest, f"{where}: {rest[max(rest.index(_CAUGHT) - 60, 0) :][:100]!r}"
    assert most_marks(rest) <= MOST_MARKS, where


class Visit:
    """One start of the program, and a way through its screens; each is looked at when it is there."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.received = ""
        self._where = "at first"

    def see(self, brings: str) -> None:
        """Wait until a text is on screen, or until all is calm where none is named, and look at what came."""
        if brings:
            self.terminal.until(brings)
        self.terminal.calm()
        self._look()

    def go(self, *way: tuple[str, str]) -> None:
        """Press keys, and look at what each brings."""
        for keys, brings in way:
            self._where = f"{keys!r}, {brings!r}"
            self.terminal.press(keys)
            self.see(brings)

    def quit(self) -> None:
        """Quit."""
        self._where = "at the end"
        self.terminal.press(QUIT)
        assert self.terminal.end() == 0
        self._look()

    def _look(self) -> None:
        received = self.terminal.received.decode("utf-8", errors="strict")
        self.terminal.received = b""
        only_shown(received, self._where)
        self.received += received
