"""A case of a prompt set, and the fields of files that cases are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lenstui.support.errors import LensError
from lenstui.support.turns import Conversation, conversation_of

PROMPT_NAMES = ("prompt", "text", "messages")
_OF_ALL = ("target", "group")  # optional fields, by their usual names
_OF_READINGS = ("foil", "at")  # those of readouts
_OF_PAIRS = ("corrupted", "minus")  # those of causal traces


@dataclass(frozen=True, slots=True)
class Case:
    """One prompt of a set.

    Attributes:
        number: the number of its line or row in the file, from 1.
        text: the prompt; an empty one fails only when it is read. Of turns, a line for each.
        target: the word that should come next, if known.
        group: the name of its group, if any.
        corrupted: the prompt that a causal trace patches parts of this one into, if any.
        minus: the word whose logit a trace takes off that of the target, if any.
        turns: the prompt as the turns of a chat; None where it is one text.
        corrupted_turns: the corrupted prompt likewise.
        foil: another word that could come next, which the target is held against, if any.
        at: the column that is read, one of the `PLACES` of `lenstui.model.reasoning`; None for the last.
    """

    number: int
    text: str
    target: str | None = None
    group: str | None = None
    corrupted: str | None = None
    minus: str | None = None
    turns: Conversation | None = None
    corrupted_turns: Conversation | None = None
    foil: str | None = None
    at: str | None = None

    @property
    def typed(self) -> str | Conversation:
        """The prompt: its text, or its turns."""
        return self.text if self.turns is None else self.turns

    @property
    def typed_corrupted(self) -> str | Conversation | None:
        """The corrupted prompt, if any: its text, or its turns."""
        return self.corrupted if self.corrupted_turns is None else self.corrupted_turns

    def with_thinking(self, thinking: bool) -> Case:
        """Return the case with the thinking switch of its turns set."""
        clean, corrupted = (
            None if turns is None else replace(turns, thinking=thinking)
            for turns in (self.turns, self.corrupted_turns)
        )
        return replace(self, turns=clean, corrupted_turns=corrupted)


@dataclass(frozen=True, slots=True)
class PromptFile:
    """A choice of a file of prompts, and of its columns. The prompts are not held in memory.

    The ending determines the kind of file: `.parquet` and `.pq`; `.jsonl`, `.ndjson` and `.json` (one object
    a line); `.csv` and `.tsv`, tables whose first line names the columns; any other file is plain text: one
    prompt a line, blank lines skipped, a target behind the last tab. What a device or a pipe holds is seen by
    its first line: an object, the head of a table, or text. Spreadsheets (`.xlsx`, …) are refused. A
    field or column of prompts may hold the turns of chats: lists of objects with `role` and `content`, in
    tables as JSON. A file of readouts that `lenstui read --prompts` wrote is a set, too, as CSV and Parquet.

    Attributes:
        path: the file.
        prompt: the column or field of the prompt; None for `prompt`, or `text` or `messages` where there is
            no such column.
        target: the column or field of the target; None for `target`, which may be missing.
        group: the column or field of the group; None for `group`, which may be missing.
        corrupted: that of the corrupted prompt of a causal trace; None for `corrupted`, which may be missing.
        minus: that of the word that a trace takes off; None for `minus`, which may be missing.
        of_pairs: whether these two are taken, and what is of readouts is not.
        foil: the column or field of the foil; None for `foil`, which may be missing.
        at: that of the column to read; None for `at`, which may be missing.
    """

    path: Path
    prompt: str | None = None
    target: str | None = None
    group: str | None = None
    corrupted: str | None = None
    minus: str | None = None
    of_pairs: bool = False
    foil: str | None = None
    at: str | None = None

    @property
    def optional(self) -> dict[str, str | None]:
        """The optional fields of a `Case`, each with the name that the user gave its column, or None."""
        taken = (*_OF_ALL, *(_OF_PAIRS if self.of_pairs else _OF_READINGS))
        return {what: getattr(self, what) for what in taken}

    def unread(self, names: Iterable[str]) -> list[str]:
        """Return the names of fields that are read neither from this file nor by another command."""
        prompts = PROMPT_NAMES if self.prompt is None else (self.prompt,)
        taken = {name or what for what, name in self.optional.items()}
        others = {*_OF_READINGS, *_OF_PAIRS} - set(self.optional)
        return [name for name in names if name and name not in {*prompts, *taken, *others}]


def turns_of(messages: list[Any]) -> Conversation:
    """Return turns, and raise a `ValueError` with the reason where these are none."""
    try:
        return conversation_of(messages)
    except LensError as error:
        raise ValueError(str(error).rstrip(".")) from error


def case_of(
    number: int,
    clean: str | Conversation,
    corrupted: str | Conversation | None,
    words: Mapping[str, str | None],
) -> Case:
    """Return a case of prompts that are texts or turns, and of its words."""
    return Case(
        number,
        clean if isinstance(clean, str) else clean.text,
        corrupted=(corrupted.text if isinstance(corrupted, Conversation) else corrupted) or None,
        turns=None if isinstance(clean, str) else clean,
        corrupted_turns=corrupted if isinstance(corrupted, Conversation) else None,
        **words,
    )
