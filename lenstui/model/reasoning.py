"""The reasoning of thinking models: where in a prompt it lies, by the marks around it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from lenstui.model.tokens import Prompt, TokenTexts, exact_prompt
from lenstui.support.errors import LensError

if TYPE_CHECKING:
    from lenstui.model.turns import TurnColumns

LAST, REASONING, ANSWER = "last", "reasoning", "answer"
PLACES = (LAST, REASONING, ANSWER)
"""The columns that a prompt may be read at: its last, or the last one of its reasoning or its answer."""

_MARKS = {  # without spaces, so that they are the same in display texts
    "<think>": "</think>",  # DeepSeek-R1, Qwen3, SmolLM3, GLM
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "[THINK]": "[/THINK]",  # Magistral
    "<seed:think>": "</seed:think>",
    "<|START_THINKING|>": "<|END_THINKING|>",  # Command A Reasoning
    "<|channel|>analysis<|message|>": "<|end|>",  # GPT-OSS
}


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A run of reasoning in a prompt.

    Attributes:
        columns: its columns, without those of the marks around it.
        is_over: whether the mark that ends it is in the prompt.
    """

    columns: range
    is_over: bool


def reasoning_in(texts: Sequence[str]) -> tuple[Reasoning, ...]:
    """Return the runs of reasoning in a prompt, in order; without a mark that ends it a run has the rest.

    A column that has a part of a mark is of no run, and a run may be empty.

    Args:
        texts: the texts of the columns' tokens, as they are or as they are displayed.
    """
    ends = [0, *accumulate(map(len, texts))]  # of the columns, in the text of all of them
    text = "".join(texts)
    found, place = list[Reasoning](), 0
    while begun := _next_mark(text, place):
        start, opening = begun
        stop = text.find(_MARKS[opening], start)
        is_over = stop >= 0
        place = stop if is_over else len(text)
        first, behind = bisect_left(ends, start), bisect_right(ends, place) - 1
        found.append(Reasoning(range(first, max(first, behind)), is_over))
        if not is_over:
            break
    return tuple(found)


def _next_mark(text: str, place: int) -> tuple[int, str] | None:
    """Return where the next reasoning begins, and the mark before it; None where there is none."""
    marks = [(at, mark) for mark in _MARKS if (at := text.find(mark, place)) >= 0]
    if not marks:
        return None
    at, mark = min(marks)
    return at + len(mark), mark


def column_at(place: str, texts: Sequence[str], turns: TurnColumns | None = None) -> int:
    """Return the column of a prompt that one of `PLACES` names.

    Args:
        place: the name.
        texts: the texts of the columns' tokens, as they are or as they are displayed.
        turns: which columns are of which turn, if the prompt is made of turns.

    Raises:
        LensError: if it is no such name, or the prompt has no reasoning, or no answer behind it.
    """
    if place not in PLACES:
        raise LensError(f"A prompt is read at {', '.join(PLACES[:-1])} or {PLACES[-1]}, not at {place!r}.")
    last = len(texts) - 1
    if place == LAST:
        return last
    runs = [run for run in reasoning_in(texts) if run.columns]
    if place == REASONING:
        if not runs:
            raise LensError("The prompt has no reasoning, between marks such as <think> and </think>.")
        return runs[-1].columns[-1]
    if runs and not runs[-1].is_over:
        raise LensError("The prompt has no answer: its reasoning has no end.")
    if turns is not None and turns.turns:
        said = [
            column
            for column, is_template in enumerate(turns.template)
            if not is_template and turns.role(column) == "assistant"
        ]
        last = said[-1] if said else -1
    if last < 0 or (runs and last <= runs[-1].columns[-1]):
        raise LensError("The prompt has no answer: no turn of the assistant says anything.")
    return last


def up_to(place: str, prompt: Prompt, texts: TokenTexts) -> Prompt:
    """Return a prompt up to one of `PLACES`, so that its last column is the one that is named.

    Raises:
        LensError: as `column_at` does.
    """
    if place == LAST:
        return prompt
    column = column_at(place, [texts.surface(token) for token in prompt.ids], prompt.turns)
    ids = prompt.ids[: column + 1]
    return exact_prompt(texts.join(ids), ids)
