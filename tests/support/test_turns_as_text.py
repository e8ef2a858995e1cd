"""Turns as values: in brief, in files, and grown by what the assistant says."""

from __future__ import annotations

import json

import pytest

from lenstui.support.turns import Conversation, Turn


def turns(*said: tuple[str, str], **more: bool) -> Conversation:
    return Conversation(tuple(Turn(role, content) for role, content in said), **more)


def test_in_brief_the_first_and_the_last_of_many() -> None:
    assert turns(("user", "Hi\n you")).brief == "1 turn: user: Hi you"
    many = turns(*(("user", "a" * 30) for _ in range(5)), ("assistant", "b"))
    long = f"user: {'a' * 23}…"
    assert many.brief == f"6 turns: {long} · … · {long} · assistant: b"


@pytest.mark.parametrize("thinking", [None, True, False])
@pytest.mark.parametrize("closed", [True, False])
def test_a_file_has_them_whole(thinking: bool | None, closed: bool) -> None:
    whole = Conversation((Turn("system", "Be\n"), Turn("user", "Hé")), thinking, closed)
    assert Conversation.of_plain(json.loads(json.dumps(whole.plain))) == whole


@pytest.mark.parametrize(
    "found",
    [
        None,
        "Hi",
        {},
        {"turns": []},
        {"turns": "Hi"},
        {"turns": [{"role": "user", "content": " "}]},
        {"turns": [{"role": "tool", "content": "Hi"}]},
    ],
)
def test_what_is_damaged_is_no_turns(found: object) -> None:
    assert Conversation.of_plain(found) is None


def test_what_the_assistant_says_is_one_turn() -> None:
    asked = turns(("user", "Hi"))
    assert asked.grown("Oh") == turns(("user", "Hi"), ("assistant", "Oh"))
    assert asked.grown("Oh").grown(", you") == turns(("user", "Hi"), ("assistant", "Oh, you"))
    assert asked.grown(" \n") == asked
    closed = turns(("user", "Hi"), closed=True)
    assert closed.grown("Oh") == turns(("user", "Hi"), ("assistant", "Oh"))
