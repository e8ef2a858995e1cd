"""The prompts that were read before, in a file that every lenstui of this user adds to."""

from __future__ import annotations

from pathlib import Path

from lenstui.support.state_file import read_state, write_state

VERSION = 1
MOST = 300  # prompts that are kept
LONGEST = 20_000  # characters of a prompt; a longer one is not kept


class History:
    """Earlier prompts, newest last, kept in a file; without a file, as long as the program runs."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.trouble: str | None = None  # the first trouble with the file
        self.prompts: tuple[str, ...] = self._read()
        self._first = ""  # the prompt that this program started with; nobody may have typed it
        self._since = 0  # how many prompts this program has added

    def begin(self, prompt: str) -> None:
        """Start with a prompt that can be walked back to, but is not written to the file."""
        self._first = prompt

    @property
    def walked(self) -> tuple[str, ...]:
        """Earlier prompts, newest last, and among them the prompt that this program started with."""
        at = max(len(self.prompts) - self._since, 0)
        before, after = self.prompts[:at], self.prompts[at:]
        if not self._first or self._first in {*before[-1:], *after[:1]}:
            return self.prompts
        return (*before, self._first, *after)

    def add(self, prompt: str) -> None:
        """Keep a prompt that was read, beside those that other programs have added meanwhile."""
        if not prompt or len(prompt) > LONGEST:
            return
        known = self._read() or self.prompts
        if known[-1:] == (prompt,):
            self.prompts = known
            return
        self.prompts = (*known, prompt)[-MOST:]
        self._since += 1
        if self._path is not None:
            self._note(write_state(self._path, VERSION, {"prompts": self.prompts}))

    def _read(self) -> tuple[str, ...]:
        if self._path is None:
            return ()
        found, trouble = read_state(self._path, VERSION)
        self._note(trouble)
        prompts = found.get("prompts")
        if not isinstance(prompts, list):
            return ()
        return tuple(prompt for prompt in prompts if isinstance(prompt, str) and prompt)[-MOST:]

    def _note(self, trouble: str | None) -> None:
        self.trouble = self.trouble or trouble


class Walk:
    """A way back through the history, from the prompt that is being typed, and forth again."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._prompts: tuple[str, ...] = ()
        self._at: int | None = None  # where in these, while on the way
        self._draft = ""

    def step(self, back: int, typed: str) -> str | None:
        """Return the prompt before (1) or after (-1) the one that is shown.

        Args:
            back: 1 for the prompt before, -1 for the one after.
            typed: the text in the prompt box. The walk begins anew where that was changed on the way.

        Returns:
            The prompt; None at either end.
        """
        if self._at is None or self._prompts[self._at] != typed:
            if back < 0:
                return None
            self._draft = typed
            self._prompts = self._history.walked
            self._at = len(self._prompts)
            if self._prompts[-1:] == (typed,):  # it has just been read
                self._at -= 1
        at = self._at - back
        if at < 0 or not self._prompts:
            self._at = self._at if self._at < len(self._prompts) else None
            return None
        self._at = at if at < len(self._prompts) else None
        return self._draft if self._at is None else self._prompts[self._at]
