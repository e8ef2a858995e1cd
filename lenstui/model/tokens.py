"""Tokenization of text, and display text of token ids that is safe to show."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lenstui.model.chat_template import templated
from lenstui.model.tokenization import cut, plain_ids
from lenstui.model.turns import TurnColumns, render
from lenstui.support.errors import LensError
from lenstui.support.printable import is_hidden, with_marks
from lenstui.support.turns import Conversation, conversation_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lenstui.support.turns import Turns

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_WORD_END = "</w>"
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")  # of any script: Unicode's categories L* and N*
_ASCII_LETTER_OR_DIGIT = re.compile(r"[A-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A tokenized prompt.

    Attributes:
        text: the text as typed; of turns, the text that the chat template makes of them.
        ids: the token ids, one per column.
        dropped: the number of tokens left out because the model's context is shorter: those at the front, or
            those of the oldest turns.
        appended: the number of tokens at the end that were appended by id; tokenizing `text` may not give
            them.
        turns: which columns are of which turn; None for a prompt that is one text.
    """

    text: str
    ids: tuple[int, ...]
    dropped: int = 0
    appended: int = 0
    turns: TurnColumns | None = None

    @property
    def typed(self) -> str | Conversation:
        """The text or the turns that the prompt is made of."""
        return self.text if self.turns is None else self.turns.conversation

    def saying(self, text: str) -> Prompt:
        """Return the prompt with the text of its appended tokens, which of turns is said by the assistant."""
        turns = self.turns
        if turns is not None:
            turns = replace(turns, conversation=turns.conversation.grown(text))
        return replace(self, text=self.text + text, turns=turns)


def encode(
    tokenizer: Any,
    text: str | Turns,
    *,
    bos: bool | None = None,
    chat: bool = False,
    context: int | None = None,
    tail: Sequence[int] = (),
) -> Prompt:
    """Tokenize a text, or the turns of a chat, into a prompt.

    Args:
        tokenizer: a Hugging Face tokenizer.
        text: the prompt; or a `Conversation`, or its turns as `Turn`s or objects with `role` and `content`.
        bos: whether to begin with the BOS token; None leaves it to the tokenizer, or to the chat template.
            Special tokens that the tokenizer puts behind a text are left out, so that the text can go on.
        chat: whether to put the text into the tokenizer's chat template, as the user's message, with the
            assistant's turn next.
        context: the most columns that the model can read. A longer prompt keeps its last tokens, behind the
            BOS token, or whatever the tokenizer puts in front of a text; turns lose the oldest of them whole,
            though not a system turn.
        tail: token ids to append to those of the text.

    Raises:
        LensError: if the prompt is empty or no text, or cannot be put into the chat template, if the
            tokenizer lacks the BOS token or chat template that is asked for, or if both a chat and `bos` are
            given.
    """
    begin = tokenizer.bos_token_id
    if (chat or not isinstance(text, str)) and bos is not None:
        raise LensError("With the chat template, BOS is as the template has it: leave one out.")
    if not isinstance(text, str):
        return _of_turns(tokenizer, conversation_of(text), context, tail)
    read = templated(tokenizer, [{"role": "user", "content": text}]) if chat and text else text
    # A template writes the special tokens itself, BOS with them.
    ids = plain_ids(tokenizer, read)
    if bos and begin is None:
        raise LensError("This tokenizer has no BOS token: leave --bos out.")
    if not ids or not text:
        raise LensError("The prompt is empty: type a text for the model to read.")
    front, ids = ([], ids) if bos is False or chat else _with_front(tokenizer, read, ids)
    if not front and ids[0] == begin and bos is not False:  # BOS was typed, or is in the template
        front, ids = ids[:1], ids[1:]
    if bos and front[:1] != [begin]:
        front = [begin, *front]
    ids = [*front, *ids, *tail]
    dropped = 0
    if context is not None and len(ids) > context:
        dropped = len(ids) - context
        front = front[:context]
        ids = [*front, *ids[len(ids) - context + len(front) :]]
    return Prompt(text, tuple(ids), dropped, min(len(tail), len(ids) - len(front)))


def exact_prompt(
    text: str, ids: Sequence[int], *, context: int | None = None, tail: Sequence[int] = ()
) -> Prompt:
    """Return a prompt of exactly these tokens, whatever its text would be cut into.

    Args:
        text: the text that the ids stand for.
        ids: the token ids, one at least, with BOS or whatever else they begin with.
        context: the most columns that the model can read. A longer prompt keeps its last tokens.
        tail: token ids to append.
    """
    whole = (*ids, *tail)
    dropped = 0 if context is None else max(len(whole) - context, 0)
    return Prompt(text, whole[dropped:], dropped, min(len(tail), len(whole) - dropped))


def front_of(tokenizer: Any) -> list[int]:
    """Return the special tokens that a tokenizer puts in front of every text: often BOS, sometimes none."""
    return _with_front(tokenizer, "a", plain_ids(tokenizer, "a"))[0]


def _with_front(tokenizer: Any, text: str, plain: list[int]) -> tuple[list[int], list[int]]:
    """Return the special tokens in front of `text`, and its own tokens; those behind it are dropped."""
    whole = list(cut(tokenizer, text)["input_ids"])
    for start in range(len(whole) - len(plain) + 1):
        if whole[start : start + len(plain)] == plain:
            return whole[:start], plain
    return [], whole


def _of_turns(tokenizer: Any, turns: Conversation, context: int | None, tail: Sequence[int]) -> Prompt:
    """Return a prompt of turns, of which the appended tokens go on with the last or are the next."""
    rendered = render(tokenizer, turns, None if context is None else context - len(tail))
    columns = rendered.columns
    if columns.turns:
        special = {*tokenizer.all_special_ids}
        columns = replace(
            columns,
            turns=(*columns.turns, *[turns.next_turn] * len(tail)),
            template=(*columns.template, *(token in special for token in tail)),
        )
    return Prompt(rendered.text, (*rendered.ids, *tail), rendered.dropped, len(tail), columns)


class TokenTexts:
    """A cache of the display texts of token ids, escaped to be safe on a terminal."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._texts: dict[int, str] = {}
        self._byte_counts: dict[int, int | None] = {}
        self._by_surface: dict[str, list[int]] | None = None  # made on first use
        self._words: npt.NDArray[np.bool_] | None = None  # likewise
        # By name, since some tokenizers would decode special tokens with a space in front.
        self._special = {
            token: str(added.content)
            for token, added in getattr(tokenizer, "added_tokens_decoder", {}).items()
            if added.special
        }
        # Greater than the tokenizer's length where its vocabulary has holes.
        self._size = max(tokenizer.get_vocab().values(), default=-1) + 1
        # SentencePiece drops the leading space of an id that is decoded alone: decode it behind an anchor.
        self._anchor: list[int] = plain_ids(tokenizer, "a")[-1:] or self._letter()
        self._anchor_text = self._decode(self._anchor)
        # Tokenizers such as GPT-1's mark the ends of words: between two tokens without the mark, a token's
        # own mark shows.
        ends = [str(piece).endswith(_WORD_END) for piece in tokenizer.convert_ids_to_tokens(self._anchor)]
        self._within: list[int] = self._letter() if any(ends) else []

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, clean_up_tokenization_spaces=False, skip_special_tokens=False)
        return text

    def _letter(self) -> list[int]:
        """Return the first token that is a single letter, as a list; an empty list where there is none."""
        pieces = sorted((token, str(piece)) for piece, token in self._tokenizer.get_vocab().items())
        return next(([token] for token, piece in pieces if len(piece) == 1 and piece.isalpha()), [])

    @property
    def size(self) -> int:
        """The number of ids that the tokenizer gives: one more than the highest."""
        return self._size

    def is_special(self, token: int) -> bool:
        """Return whether `token` is a special one, such as BOS, which is no part of a text."""
        return token in self._special

    def surface(self, token: int) -> str:
        """Return the characters that `token` adds to a text; undecodable bytes as U+FFFD."""
        if token in self._special:
            return self._special[token]
        if self._within:
            around = len(self._decode(self._within))
            return self._decode([*self._within, token, *self._within])[around:-around]
        return self.join([token])

    def join(self, tokens: Sequence[int]) -> str:
        """Return the characters that `tokens` add to a text; undecodable bytes as U+FFFD."""
        return self._decode([*self._anchor, *tokens])[len(self._anchor_text) :]

    def byte_count(self, token: int) -> int | None:
        """Return how many bytes of UTF-8 `token` adds to a text.

        None where it is no part of a text: for BOS, EOS, any other special token, and an id without a token.
        """
        if token not in self._byte_counts:
            self._byte_counts[token] = self._count_bytes(token)
        return self._byte_counts[token]

    def _count_bytes(self, token: int) -> int | None:
        ends = (self._tokenizer.bos_token_id, self._tokenizer.eos_token_id)
        piece = self._tokenizer.convert_ids_to_tokens(token) if 0 <= token < self._size else None
        if piece is None or token in self._special or token in ends:
            return None
        surface = self.surface(token)
        # A part of a character decodes to U+FFFD, whose own bytes are others.
        raw = _token_bytes(piece) if "\ufffd" in surface else None
        return len(surface.encode() if raw is None else raw)

    def tokens_of(self, surface: str) -> Sequence[int]:
        """Return every token that adds exactly these characters to a text, in order of id.

        Where a tokenizer marks the end of words, a leading space in `surface` stands for a whole word.
        """
        if self._within and surface.startswith(" "):
            surface = f"{surface[1:]} "
        if self._by_surface is None:
            by_surface: dict[str, list[int]] = {}
            for token in range(self._size):
                by_surface.setdefault(self.surface(token), []).append(token)
            self._by_surface = by_surface
        return self._by_surface.get(surface, ())

    @property
    def words(self) -> npt.NDArray[np.bool_]:
        """Whether each token adds a letter or digit, in any script, to a text, `[size]`.

        A part of a character adds neither. Special tokens count by the text that they are written as.
        """
        if self._words is None:
            import numpy as np  # late: commands that parse their arguments only can do without

            self._words = np.fromiter(map(self._is_word, range(self._size)), np.bool_, self._size)
        return self._words

    def _is_word(self, token: int) -> bool:
        piece = self._tokenizer.convert_ids_to_tokens(token)
        if piece is None:  # a hole in the vocabulary
            return False
        # Every alphabet of pieces leaves ASCII as it is: most tokens need not be decoded, which takes longer.
        if isinstance(piece, str) and piece.isascii() and "<" not in piece:  # `<0x41>`, `</w>`
            return _ASCII_LETTER_OR_DIGIT.search(piece) is not None
        return _LETTER_OR_DIGIT.search(self.surface(token)) is not None

    def __getitem__(self, token: int) -> str:
        """Return the display text of `token`; a label for an id past the tokenizer's end."""
        if token not in self._texts:
            self._texts[token] = self._display(token)
        return self._texts[token]

    def of(self, tokens: Iterable[int]) -> dict[int, str]:
        """Return the display texts of all distinct `tokens`, by id."""
        return {token: self[token] for token in set(map(int, tokens))}

    def _display(self, token: int) -> str:
        piece = self._tokenizer.convert_ids_to_tokens(token) if 0 <= token < self._size else None
        if piece is None:  # past the end, or a hole in the vocabulary
            return f"[id {token}]"
        surface = self.surface(token)
        if "\ufffd" in surface or not surface:
            raw = _token_bytes(piece)
            if raw is not None:
                return "".join(
                    part if part.startswith("\\x") else visible(part)
                    for part in re.split(r"(\\x[0-9a-f]{2})", raw.decode("utf-8", errors="backslashreplace"))
                )
        return visible(surface) if surface else f"[{visible(str(piece))}]"


def _byte_alphabet() -> dict[str, int]:
    """Return byte-level BPE's alphabet: printable Latin-1 for itself, U+0100 onwards for the other bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(0x100 + i): b for i, b in enumerate(others)}


_BYTES = _byte_alphabet()


def _token_bytes(piece: str) -> bytes | None:
    """Return the bytes of a vocabulary entry that is a byte token or byte-level BPE; None for any other."""
    if match := _BYTE_TOKEN.fullmatch(piece):
        return bytes([int(match[1], 16)])
    if piece and all(character in _BYTES for character in piece):
        return bytes(_BYTES[character] for character in piece)
    return None


def visible(text: str) -> str:
    """Return `text` on one line, with every character that could hide or move a terminal's cursor escaped.

    Spaces become `·`, newlines `⏎`, tabs `⇥`. All else that `is_hidden`, and marks that pile up, are escaped;
    a combining mark with nothing before it gets a dotted circle to stand on.
    """
    shown: list[str] = []
    for character, is_piled in with_marks(text):
        if character in _VISIBLE:
            shown.append(_VISIBLE[character])
        elif is_piled or is_hidden(character):
            shown.append(_escape(character))
        elif unicodedata.category(character)[0] == "M" and _is_alone(shown):
            shown.append(f"◌{character}")
        else:
            shown.append(character)
    return "".join(shown)


def _is_alone(shown: Sequence[str]) -> bool:
    """Return whether a mark would come after nothing, or after what stands for a space or an escape."""
    return not shown or shown[-1] in "·⏎⇥" or shown[-1].startswith("\\")


_VISIBLE = {" ": "·", "\n": "⏎", "\t": "⇥"}


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
