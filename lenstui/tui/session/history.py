"""The prompts that were read before, in a file that every lenstui of this user adds to."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.support.state_file import changing, read_state, write_state

if TYPE_CHECKING:
    from lenstui.support.turns import Conversation

VERSION = 1
MOST = 300  # prompts that are kept
LONGEST = 20_000  # characters of a prompt; a longer one is not kept


class History:
    """Earlier prompts, newest last, kept in a file; without a file, as long as the program runs."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.trouble: str | None = None  # the first trouble with the file
        self.prompts: tuple[str | Conversation, ...] = self._read()
        # The prompt that this program started with; nobody may have typed it.
        self._first: str | Conversation = ""
        self._since = 0  # how many prompts this program has added

    def begin(self, prompt: str | Conversation) -> None:
        """Start with a prompt that can be walked back to, but is not written to the file."""
        self._first = prompt

    @property
    def walked(self) -> tuple[str | Conversation, ...]:
        """Earlier prompts, newest last, and among them the prompt that this program started with."""
        at = max(len(self.prompts) - self._since, 0)
        before, after = self.prompts[:at], self.prompts[at:]
        if not self._first or self._first in {*before[-1:], *after[:1]}:
            return self.prompts
        return (*before, self._first, *after)

    def add(self, prompt: str | Conversation) -> None:
        """Keep a prompt that was read, beside those that other programs have added meanwhile."""
        text = _text(prompt)
        if not text or len(text) > LONGEST:
            return
        with nullcontext() if self._path is None else changing(self._path):
            known = self._read() or self.prompts
            if known[-1:] == (prompt,):
                self.prompts = known
                return
            self.prompts = (*known, prompt)[-MOST:]
            self._since += 1
            if self._path is not None:
                plain = [prompt if isinstance(prompt, str) else prompt.plain for prompt in self.prompts]
                self._note(write_state(self._path, VERSION, {"prompts": plain}))

    def _read(self) -> tuple[str | Conversation, ...]:
        if self._path is None:
            return ()
        found, trouble = read_state(self._path, VERSION)
        self._note(trouble)
        prompts = found.get("prompts")
        if not isinstance(prompts, list):
            return ()
        read = (each if isinstance(each, str) else _turns(each) for each in prompts)
        return tuple(prompt for prompt in read if prompt and len(_text(prompt)) <= LONGEST)[-MOST:]

    def _note(self, trouble: str | None) -> None:
        self.trouble = self.trouble or trouble


def _text(prompt: str | Conversation) -> str:
    return prompt if isinstance(prompt, str) else prompt.text


def _turns(plain: object) -> Conversation | None:
    """Return turns from plain values; None if they are none."""
    from lenstui.support.turns import Conversation  # most prompts are texts, and the first paint waits

    return Conversation.of_plain(plain)


class Walk:
    """A way back through the history, from the prompt that is being typed, and forth again."""

    def __init__(self, history: History, *, takes_turns: bool = False) -> None:
        """Begin at the prompt that is being typed.

        Args:
            history: the prompts that were read before.
            takes_turns: whether the way also leads past those that are turns.
        """
        self._history = history
        self._takes_turns = takes_turns
        self._prompts: tuple[str | Conversation, ...] = ()
        self._at: int | None = None  # where in these, while on the way
        self._draft: str | Conversation = ""

    def step(self, back: int, typed: str | Conversation) -> str | Conversation | None:
        """Return the prompt before (1) or after (-1) the one that is shown.

        Args:
            back: 1 for the prompt before, -1 for the one after.
            typed: the prompt in the prompt box. The walk begins anew where that was changed on the way.

        Returns:
            The prompt; None at either end.
        """
        if self._at is None or self._prompts[self._at] != typed:
            if back < 0:
                return None
            self._draft = typed
            walked = self._history.walked
            self._prompts = tuple(each for each in walked if self._takes_turns or isinstance(each, str))
            self._at = len(self._prompts)
            if self._prompts[-1:] == (typed,):  # it has just been read
                self._at -= 1
        at = self._at - back
        if at < 0 or not self._prompts:
            self._at = self._at if self._at < len(self._prompts) else None
            return None
        self._at = at if at < len(self._prompts) else None
        return self._draft if self._at is None else self._prompts[self._at]
