"""Turns of a chat: who says what, and how the last one ends."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lenstui.support.errors import LensError
from lenstui.support.printable import is_unicode

ROLES = ("system", "user", "assistant")
ASSISTANT = "assistant"
_BRIEF = 24  # characters of a turn in one line of many


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a chat.

    Attributes:
        role: `system`, `user` or `assistant`.
        content: what is said.
    """

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A prompt of turns, to be put into a chat template.

    A last turn of the assistant is unfinished: the model goes on with it. Behind any other last turn the
    assistant's turn begins.

    Attributes:
        turns: the turns.
        thinking: the tokenizer's thinking switch, where its chat template has one; None leaves it as it is.
        closed: whether the last turn ends instead, and nothing is begun behind it.

    Raises:
        LensError: if there is no turn, or a turn is empty, has an unknown role, or is no valid text.
    """

    turns: tuple[Turn, ...]
    thinking: bool | None = None
    closed: bool = False

    def __post_init__(self) -> None:
        if not self.turns:
            raise LensError("There is no turn: give at least one.")
        for number, turn in enumerate(self.turns):
            if turn.role not in ROLES:
                raise LensError(f"Turn {number} has the role {turn.role!r}: it can be {_one_of(ROLES)}.")
            if not turn.content.strip():
                raise LensError(
                    f"Turn {number} ({turn.role}) is empty: say something in it, or leave it out."
                )
            if not is_unicode(turn.content):
                raise LensError(
                    f"Turn {number} ({turn.role}) has half of a surrogate pair, which is no text."
                )

    @property
    def goes_on(self) -> bool:
        """Whether the last turn is an unfinished one of the assistant."""
        return not self.closed and self.turns[-1].role == ASSISTANT

    @property
    def next_turn(self) -> int:
        """The index of the turn that the tokens behind the prompt belong to."""
        return len(self.turns) - self.goes_on

    @property
    def messages(self) -> list[dict[str, str]]:
        """The turns as chat templates take them."""
        return [{"role": turn.role, "content": turn.content} for turn in self.turns]

    @property
    def text(self) -> str:
        """The turns as text for people, a line for each: `user: Hi`."""
        return "\n".join(f"{turn.role}: {turn.content}" for turn in self.turns)

    @property
    def brief(self) -> str:
        """The number of turns and how they begin, on one line: the first and the last ones of many."""
        turns = [_in_brief(turn) for turn in self.turns]
        shown = turns if len(turns) <= 3 else [turns[0], "…", *turns[-2:]]
        return f"{len(turns)} turn{'s' * (len(turns) > 1)}: {' · '.join(shown)}"

    def grown(self, text: str) -> Conversation:
        """Return the turns with what the assistant has said behind them, as one turn.

        An unfinished turn of the assistant goes on with it. Blank text is no turn yet.
        """
        if not text.strip():
            return self
        if self.goes_on:
            last = Turn(ASSISTANT, self.turns[-1].content + text)
            return replace(self, turns=(*self.turns[:-1], last))
        return replace(self, turns=(*self.turns, Turn(ASSISTANT, text)), closed=False)

    def role(self, turn: int) -> str:
        """Return the role of a turn, of which the assistant's next one may be behind the last."""
        return self.turns[turn].role if turn < len(self.turns) else ASSISTANT

    @property
    def json(self) -> str:
        """The turns as JSON on one line, as `conversation_of_json` takes them."""
        return json.dumps(self.messages, ensure_ascii=False)

    @property
    def plain(self) -> dict[str, Any]:
        """The turns as plain values by name, for a file, as `of_plain` takes them."""
        return {"turns": self.messages, "thinking": self.thinking, "closed": self.closed}

    @classmethod
    def of_plain(cls, found: object) -> Conversation | None:
        """Return turns from plain values; None if they are none."""
        if not isinstance(found, dict) or not isinstance(found.get("turns"), list):
            return None
        try:
            read = conversation_of(found["turns"])
        except LensError:
            return None
        thinking = found.get("thinking")
        return replace(
            read,
            thinking=thinking if isinstance(thinking, bool) else None,
            closed=found.get("closed") is True,
        )


# What is taken for turns: objects have `role` and `content`.
Turns = Conversation | Sequence[Turn | Mapping[str, object]]


def text_of(typed: str | Conversation) -> str:
    """Return a prompt as text for people: a text as it is, of turns a line for each."""
    return typed if isinstance(typed, str) else typed.text


def _in_brief(turn: Turn) -> str:
    said = " ".join(turn.content.split())
    return f"{turn.role}: {said if len(said) <= _BRIEF else said[: _BRIEF - 1].rstrip() + '…'}"


def _one_of(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def conversation_of(turns: Turns) -> Conversation:
    """Return a conversation of turns, which may be objects with `role` and `content`.

    Raises:
        LensError: if they are no turns, or as `Conversation` does.
    """
    if isinstance(turns, Conversation):
        return turns
    return Conversation(tuple(_turn(given, number) for number, given in enumerate(turns)))


def conversation_of_json(text: str, name: str) -> Conversation:
    """Return a conversation from JSON, a list of objects with `role` and `content`.

    Args:
        text: the JSON.
        name: what messages call it.

    Raises:
        LensError: if it is no such list, or as `Conversation` does.
    """
    expected = 'a list of turns is expected, as in [{"role": "user", "content": "Hi"}]'
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LensError(f"{name} is not JSON: {expected}.") from error
    if not isinstance(content, list):
        raise LensError(f"{name} is no list in JSON: {expected}.")
    return conversation_of(content)


def _turn(given: object, number: int) -> Turn:
    """Return the turn that an object is."""
    if isinstance(given, Turn):
        return given
    if not isinstance(given, Mapping):
        raise LensError(f"Turn {number} is no object: it needs 'role' and 'content'.")
    for name in ("role", "content"):
        if not isinstance(given.get(name), str):
            raise LensError(f"Turn {number} has no {name!r} that is text.")
    if more := [str(name) for name, value in given.items() if name not in {"role", "content"} and value]:
        raise LensError(f"Turn {number} has {more[0]!r}, which is not read: leave it out.")
    return Turn(given["role"], given["content"])
