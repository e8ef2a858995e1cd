"""Where reasoning lies in a prompt: against the characters between the marks, however tokens cut the text."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenstui.model.reasoning import column_at, reasoning_in, up_to
from lenstui.model.tokens import Prompt, TokenTexts
from lenstui.model.turns import TurnColumns
from lenstui.support.errors import LensError
from lenstui.support.turns import Conversation, Turn

MARKS = [
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel|>analysis<|message|>", "<|end|>"),
]


def cut(text: str, places: Sequence[int]) -> list[str]:
    """A text cut before some of its characters."""
    inner = sorted({place % len(text) for place in places} - {0})
    return [text[start:stop] for start, stop in zip([0, *inner], [*inner, len(text)], strict=True)]


@pytest.mark.parametrize("marks", MARKS)
@given(
    before=st.text("ab ", max_size=5),
    within=st.text("xy \n", max_size=9),
    behind=st.text("cd ", min_size=1, max_size=5),
    places=st.lists(st.integers(0, 200), max_size=40),
)
def test_a_column_is_reasoning_if_all_of_its_characters_are(
    marks: tuple[str, str], before: str, within: str, behind: str, places: list[int]
) -> None:
    texts = cut(f"{before}{marks[0]}{within}{marks[1]}{behind}", places)
    begin = len(before) + len(marks[0])
    wanted, place = [], 0
    for column, text in enumerate(texts):
        if place >= begin and place + len(text) <= begin + len(within):
            wanted.append(column)
        place += len(text)
    (run,) = reasoning_in(texts)
    assert list(run.columns) == wanted
    assert run.is_over


def test_several_runs_the_last_without_an_end() -> None:
    texts = ["q", "<think>", "a", "b", "</think>", "c", "<th", "ink>", "d", "e"]
    assert [(list(run.columns), run.is_over) for run in reasoning_in(texts)] == [
        ([2, 3], True),
        ([8, 9], False),
    ]
    assert reasoning_in(["a", "</think>", "b"]) == ()
    assert reasoning_in([]) == ()


def test_the_columns_that_names_stand_for() -> None:
    texts = ["q", "<think>", "a", "b", "</think>", "c", "d"]
    assert [column_at(place, texts) for place in ("last", "reasoning", "answer")] == [6, 3, 6]
    turns = TurnColumns(
        Conversation((Turn("user", "q"), Turn("assistant", "<think>ab</think>c"))),
        (0, 1, 1, 1, 1, 1, 1),
        (False, False, False, False, False, False, True),
    )
    assert column_at("answer", texts, turns) == 5  # the template's end of the turn is no answer


@pytest.mark.parametrize(
    ("texts", "place", "reason"),
    [
        (["a", "b"], "reasoning", "The prompt has no reasoning, between marks such as <think> and </think>."),
        (["<think>", "</think>"], "reasoning", "no reasoning"),
        (["<think>", "a"], "answer", "The prompt has no answer: its reasoning has no end."),
    ],
)
def test_what_is_not_there_is_said(texts: list[str], place: str, reason: str) -> None:
    with pytest.raises(LensError, match=reason.replace(".", r"\.")):
        column_at(place, texts)


def test_a_prompt_ends_where_its_reasoning_does(byte_tokenizer: object) -> None:
    texts = TokenTexts(byte_tokenizer)
    text = "Hi<think>So.</think>Yes"
    prompt = Prompt(text, tuple(byte_tokenizer(text)["input_ids"]))  # type: ignore[operator]
    short = up_to("reasoning", prompt, texts)
    assert short.text == "Hi<think>So."
    assert short.ids == prompt.ids[: len(short.ids)]
    assert up_to("last", prompt, texts) is prompt
    assert up_to("answer", prompt, texts).ids == prompt.ids
