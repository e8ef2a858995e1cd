"""From turns of a chat to token ids, and from each token back to its turn.

A chat template is a program, and says nothing of where in its text a turn lies. So it is applied again to
turns in which letters are replaced by a mark, one for each turn: the two texts have to agree in all else, and
where a mark is, the first text has a letter of that turn. Where they do not agree, which tokens are of which
turn stays unknown.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby, pairwise, takewhile
from typing import Any

from lenstui.model.chat_template import templated
from lenstui.model.tokenization import cut
from lenstui.support.errors import LensError
from lenstui.support.turns import ASSISTANT, Conversation

NO_TURN = -1
_PRIVATE = (range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE))  # Unicode's planes for private use
# What a template may look for in a turn (`<think>`) or take off its ends is not replaced.
_KEPT = re.compile(r"\s+|<[^<>\s]*>|\[[^\[\]\s]*\]")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class TurnColumns:
    """What is known of the turns of a tokenized prompt.

    Attributes:
        conversation: the turns, all of them.
        turns: the index of the turn that each column belongs to; `NO_TURN` for a token between or before
            them, the number of turns for one that the assistant has begun behind them. Empty if unknown.
        template: whether each column is a token of the template, not of what is said. Empty if unknown.
        left_out: the indices of turns that were left out, the oldest, since the context is shorter.
        unknown: why it is unknown which columns are of which turn, a clause; else empty.
    """

    conversation: Conversation
    turns: tuple[int, ...]
    template: tuple[bool, ...]
    left_out: tuple[int, ...] = ()
    unknown: str = ""

    def spread(self, gap: range) -> TurnColumns:
        """Return the same by column on screen, where a gap holds no token."""
        if not self.turns:
            return self
        return replace(
            self,
            turns=(*self.turns[: gap.start], *(NO_TURN for _ in gap), *self.turns[gap.start :]),
            template=(*self.template[: gap.start], *(False for _ in gap), *self.template[gap.start :]),
        )

    @property
    def begins(self) -> Mapping[int, int]:
        """The first column of each turn that has one, by its index."""
        first: dict[int, int] = {}
        for column, turn in enumerate(self.turns):
            if turn != NO_TURN:
                first.setdefault(turn, column)
        return first

    def role(self, column: int) -> str:
        """Return the role of the turn of a column; empty if it belongs to none."""
        turn = self.turns[column] if self.turns else NO_TURN
        return "" if turn == NO_TURN else self.conversation.role(turn)


def turns_named(turns: Sequence[int]) -> str:
    """Return consecutive turns in words, with a verb: `turn 1 was`, `turns 1–3 were`."""
    return f"turn {turns[0]} was" if len(turns) == 1 else f"turns {turns[0]}–{turns[-1]} were"


@dataclass(frozen=True, slots=True)
class Rendered:
    """Turns as a chat template has them.

    Attributes:
        text: the text.
        ids: its tokens.
        columns: which of them are of which turn.
        dropped: the number of tokens of turns that were left out.
    """

    text: str
    ids: tuple[int, ...]
    columns: TurnColumns
    dropped: int = 0


def render(tokenizer: Any, conversation: Conversation, most: int | None = None) -> Rendered:
    """Return the tokens of turns, without the oldest ones where the context has no room for all.

    A system turn at the beginning stays, and so does the last turn; the first of those that stay between is
    the user's, if the first of all was.

    Args:
        tokenizer: a Hugging Face tokenizer.
        conversation: the turns.
        most: the most tokens; None for any number.

    Raises:
        LensError: as `templated` does, or if even the last turn has more tokens.
    """
    text = _text(tokenizer, conversation)
    whole = len(_tokens(tokenizer, text)[0])
    if most is None or whole <= most:
        return _rendered(tokenizer, conversation, text, range(len(conversation.turns)))
    system, firsts = _shorter(conversation)

    def kept_from(first: int) -> tuple[int, ...]:
        return (*system, *range(first, len(conversation.turns)))

    def count(first: int) -> int:
        return len(_tokens(tokenizer, _text(tokenizer, _part(conversation, kept_from(first))))[0])

    place = bisect_left(firsts, True, key=lambda first: count(first) <= most)
    if place == len(firsts):
        fewest = count(firsts[-1]) if firsts else whole
        raise LensError(f"The last turn alone makes {fewest} tokens, and the model reads {most}: shorten it.")
    kept = kept_from(firsts[place])
    text = _text(tokenizer, _part(conversation, kept))
    rendered = _rendered(tokenizer, conversation, text, kept)
    return replace(rendered, dropped=whole - len(rendered.ids))


def end_of_turn(tokenizer: Any, conversation: Conversation) -> frozenset[int]:
    """Return the tokens that end a turn of the assistant: EOS, and what the chat template writes behind it.

    Args:
        tokenizer: a Hugging Face tokenizer.
        conversation: the turns, the last of which the assistant goes on with, or begins its own behind.
    """
    added = getattr(tokenizer, "added_tokens_decoder", {})
    special = {*tokenizer.all_special_ids, *(token for token, each in added.items() if each.special)}
    found, said = [tokenizer.eos_token_id], conversation.grown("a")
    with suppress(LensError):  # where it cannot be closed, EOS is what is left
        going_on, closed = (_text(tokenizer, replace(said, closed=is_closed)) for is_closed in (False, True))
        behind, _ = _tokens(tokenizer, closed[len(going_on) :] if closed.startswith(going_on) else "")
        found += [token for token in behind if token in special][:1]
    return frozenset(token for token in found if token is not None)


def _shorter(conversation: Conversation) -> tuple[Sequence[int], Sequence[int]]:
    """Return the turns that always stay, and those that the others may begin with, by their indices."""
    roles = [turn.role for turn in conversation.turns]
    system = [0] if roles[0] == "system" else []
    others = range(len(system), len(roles))
    begins = [turn for turn in others if roles[turn] == "user"] or others
    return system, [first for first in begins if first > others.start]


def _part(conversation: Conversation, kept: Sequence[int]) -> Conversation:
    return replace(conversation, turns=tuple(conversation.turns[turn] for turn in kept))


def _text(tokenizer: Any, conversation: Conversation) -> str:
    return templated(
        tokenizer,
        conversation.messages,
        begins_answer=not conversation.closed,
        goes_on=conversation.goes_on,
        thinking=conversation.thinking,
    )


def _tokens(tokenizer: Any, text: str) -> tuple[list[int], list[tuple[int, int]] | None]:
    """Return the tokens of a template's text, which has its own BOS, and where they lie in it if known."""
    known = bool(getattr(tokenizer, "is_fast", False))
    read = cut(tokenizer, text, add_special_tokens=False, return_offsets_mapping=known)
    return list(read["input_ids"]), [tuple(place) for place in read["offset_mapping"]] if known else None


def _rendered(tokenizer: Any, conversation: Conversation, text: str, kept: Sequence[int]) -> Rendered:
    """Return turns as rendered, with what is known of their columns.

    Args:
        tokenizer: a Hugging Face tokenizer.
        conversation: all turns.
        text: the text of those that are kept.
        kept: the indices of these.
    """
    ids, places = _tokens(tokenizer, text)
    left_out = tuple(sorted({*range(len(conversation.turns))} - {*kept}))
    unknown, turns, template = "", list[int](), list[bool]()
    try:
        of_chars, is_said = _characters(tokenizer, _part(conversation, kept), text)
        turns, template = _columns(text, places, of_chars, is_said)
    except _UnknownError as error:
        unknown = str(error)
    begin = tokenizer.bos_token_id
    if turns and ids[0] == begin and ids.count(begin) == 1:  # else it begins each turn
        turns[0] = NO_TURN
    numbers = (*kept, len(conversation.turns))  # those in the whole conversation
    turns = [turn if turn == NO_TURN else numbers[turn] for turn in turns]
    columns = TurnColumns(conversation, tuple(turns), tuple(template), left_out, unknown)
    return Rendered(text, tuple(ids), columns)


class _UnknownError(Exception):
    """A reason why it is not known which tokens are of which turn."""


def _columns(
    text: str, places: Sequence[tuple[int, int]] | None, of_chars: Sequence[int], is_said: Sequence[bool]
) -> tuple[list[int], list[bool]]:
    """Return the turn of each token, and whether it is the template's, from those of the characters.

    Raises:
        _UnknownError: if it is not known where in the text the tokens are.
    """
    if places is None:
        raise _UnknownError("this tokenizer does not say where in a text its tokens are")
    turns, template, covered = [], [], [False] * len(text)
    for start, end in places:
        said = [place for place in range(start, end) if is_said[place]]
        turns.append(of_chars[said[0] if said else max(start, min(end, len(text)) - 1)])
        template.append(not said)
        covered[start:end] = [True] * (end - start)
    if any(
        here and not there and not character.isspace()
        for here, there, character in zip(is_said, covered, text, strict=True)
    ):
        raise _UnknownError("this tokenizer leaves a part of the text out")
    return turns, template


def _characters(tokenizer: Any, conversation: Conversation, text: str) -> tuple[list[int], list[bool]]:
    """Return for each character of a template's text the index of its turn, and whether it is said in it.

    Raises:
        _UnknownError: if the template does not treat turns with marks as it does the turns themselves.
    """
    marked = _Marked.of(tokenizer, conversation, text)
    owners = marked.owners()
    of_chars = list(owners)
    said = [(turn, list(group)) for turn, group in groupby(range(len(text)), key=owners.__getitem__)]
    runs = [(turn, group[0], group[-1] + 1) for turn, group in said if turn != NO_TURN]
    if not runs:
        raise _UnknownError("the chat template leaves all turns out")
    first, begin, _ = runs[0]
    gone = {*range(len(conversation.turns))} - {turn for turn, _, _ in runs}
    edge = marked.header_begins(first, text[:begin]) if not gone & {*range(first)} else begin
    of_chars[edge:begin] = [first] * (begin - edge)
    footers: dict[str, str | None] = {}
    end_of_all = (len(conversation.turns), len(text), len(text))
    for (turn, _, end), (after, stop, _) in pairwise([*runs, end_of_all]):
        role = conversation.turns[turn].role
        if footers.get(role) is None:
            footers[role] = marked.footer(turn)
        if (footer := footers[role]) is None and turn != after:
            continue  # the template does not take this turn for the last one
        edge = stop if turn == after else end + _shared(text[end:stop], footer or "")
        behind = NO_TURN if gone & {*range(turn, after)} else after
        of_chars[end:stop] = [turn] * (edge - end) + [behind] * (stop - edge)
    return of_chars, [owner != NO_TURN for owner in owners]


@dataclass(frozen=True, slots=True)
class _Marked:
    """Turns with marks for letters, and what a chat template makes of them.

    Attributes:
        tokenizer: the tokenizer.
        conversation: the turns without marks.
        text: what the template makes of them.
        marks: the mark of each turn.
    """

    tokenizer: Any
    conversation: Conversation
    text: str
    marks: tuple[str, ...]

    @classmethod
    def of(cls, tokenizer: Any, conversation: Conversation, text: str) -> _Marked:
        """Return the turns with marks that are not in their text."""
        free = (chr(code) for plane in _PRIVATE for code in plane if chr(code) not in text)
        marks = tuple(mark for mark, _ in zip(free, conversation.turns, strict=False))
        if len(marks) < len(conversation.turns):
            raise _UnknownError("there are too many turns")
        return cls(tokenizer, conversation, text, marks)

    def owners(self) -> list[int]:
        """Return for each character of the text the index of the turn that says it, or `NO_TURN`."""
        turns = self.conversation.turns
        marked = replace(
            self.conversation,
            turns=tuple(
                replace(turn, content=_with_mark(turn.content, mark))
                for turn, mark in zip(turns, self.marks, strict=True)
            ),
        )
        try:
            text = _text(self.tokenizer, marked)
        except LensError as error:
            raise _UnknownError("the chat template looks into the turns") from error
        of_mark = {mark: turn for turn, mark in enumerate(self.marks)}
        owners = [of_mark.get(character, NO_TURN) for character in text]
        rest = [iter(turn.content) for turn in turns]  # each character is said once, in order
        if len(text) != len(self.text) or not all(
            theirs == ours if owner == NO_TURN else ours in rest[owner]
            for ours, theirs, owner in zip(self.text, text, owners, strict=True)
        ):
            raise _UnknownError("the chat template changes the turns, or looks into them")
        places: list[list[int]] = [[] for _ in turns]
        for place, owner in enumerate(owners):
            if owner != NO_TURN:
                places[owner].append(place)
        trimmed = self._trimmed()
        for turn, of_turn in enumerate(places):
            if of_turn:  # else the template leaves it out
                content = turns[turn].content
                content = content.strip() if turns[turn].role in trimmed else content
                self._fill(owners, turn, of_turn, content)
        return owners

    def _fill(self, owners: list[int], turn: int, places: Sequence[int], content: str) -> None:
        """Give to a turn what it says but has no mark: spaces and tags, within and at its ends.

        Args:
            owners: by character of the text, to be changed.
            turn: the index of the turn.
            places: where it has marks.
            content: what it says, as far as the template takes it.
        """
        text = self.text
        first, last = places[0], places[-1] + 1
        for is_marked, group in groupby(range(first, last), key=lambda place: owners[place] == turn):
            run = list(group)
            if not is_marked and text[run[0] : run[-1] + 1] in content:
                owners[run[0] : run[-1] + 1] = [turn] * len(run)
        # Its ends, unless what is said there is left out.
        letters = [place for place, each in enumerate(_with_mark(content, "\0")) if each == "\0"]
        said = [text[place] for place in places]
        before, after = content[: letters[0]], content[letters[-1] + 1 :]
        if said == [content[place] for place in letters[: len(said)]] and text[:first].endswith(before):
            owners[first - len(before) : first] = [turn] * len(before)
        if said == [content[place] for place in letters[-len(said) :]] and text[last:].startswith(after):
            owners[last : last + len(after)] = [turn] * len(after)

    def _trimmed(self) -> set[str]:
        """Return the roles in whose turns the template takes spaces off the ends."""
        turns = self.conversation.turns
        found = set()
        for role in {turn.role for turn in turns if turn.content != turn.content.strip()}:
            stripped = tuple(
                replace(turn, content=turn.content.strip()) if turn.role == role else turn for turn in turns
            )
            if _text(self.tokenizer, replace(self.conversation, turns=stripped)) == self.text:
                found.add(role)
        return found

    def footer(self, turn: int) -> str | None:
        """Return what the template writes behind a turn if it is the last; None if it cannot be."""
        turns = self.conversation.turns[: turn + 1]
        return self._behind([(each.role, mark) for each, mark in zip(turns, self.marks, strict=False)])

    def header_begins(self, turn: int, front: str) -> int:
        """Return where in the text before the first turn its header begins.

        Before the header of a user's turn a template may have put a system prompt of its own: the header is
        what it writes before a later turn of the user.

        Args:
            turn: the index of that turn.
            front: the text.
        """
        role, mark, one, other = self.conversation.turns[turn].role, self.marks[turn], "\ufdd0", "\ufdd1"
        first, answer = (role, mark), (ASSISTANT, one)
        ending = self._behind([first, answer])
        longer = self._text_of([first, answer, (role, other)])
        if role != "user" or ending is None or longer is None:
            return 0
        between = longer.partition(one)[2].partition(other)[0]
        header = between[_shared(between, ending) :]
        return len(front) - len(header) if header and front.endswith(header) else 0

    def _behind(self, said: Sequence[tuple[str, str]]) -> str | None:
        """Return what the template writes behind the last of turns, given as roles and contents."""
        text = self._text_of(said)
        if text is None or said[-1][1] not in text:
            return None
        return text.rpartition(said[-1][1])[2]

    def _text_of(self, said: Sequence[tuple[str, str]]) -> str | None:
        messages = [{"role": role, "content": content} for role, content in said]
        thinking = self.conversation.thinking
        try:
            return templated(self.tokenizer, messages, begins_answer=False, thinking=thinking)
        except LensError:
            return None


def _with_mark(content: str, mark: str) -> str:
    """Return a turn with its letters replaced by a mark; spaces stay, and tags, if it has more than tags."""
    kept = _KEPT if _KEPT.sub("", content) else _SPACE
    pieces, end = [], 0
    for found in kept.finditer(content):
        pieces += [mark * (found.start() - end), found[0]]
        end = found.end()
    return "".join([*pieces, mark * (len(content) - end)])


def _shared(one: str, other: str) -> int:
    """Return with how many equal characters two texts begin."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
