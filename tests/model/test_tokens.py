"""Text to ids, and ids to text that is safe to show."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from lenstui.lens import LensError, encode
from lenstui.model.tokens import TokenTexts, visible

same_tokenizer = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# Unicode's Default_Ignorable_Code_Point: what shows as nothing at all, whatever its category.
IGNORABLE = frozenset([
    0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), *range(0x200B, 0x2010),
    *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0x3164, *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0,
    *range(0xFFF0, 0xFFF9), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000),
])  # fmt: skip


@pytest.fixture(scope="module", params=["models/stories15M", "models/stories260K", "tokenizers/pythia"])
def tokenizer(request: pytest.FixtureRequest, shared: Path) -> Any:
    return AutoTokenizer.from_pretrained(shared / request.param)


@pytest.fixture(scope="module")
def sentencepiece(shared: Path) -> Any:
    return AutoTokenizer.from_pretrained(shared / "models/stories15M")


@pytest.fixture(scope="module")
def pythia(shared: Path) -> Any:
    return AutoTokenizer.from_pretrained(shared / "tokenizers/pythia")


def shown(tokenizer: Any, text: str) -> list[str]:
    texts = TokenTexts(tokenizer)
    return [texts[token] for token in encode(tokenizer, text).ids]


def is_safe(text: str) -> bool:
    """One line on which nothing moves a cursor, turns the direction of writing or hides."""
    return not any(unicodedata.category(c)[0] in "CZ" or ord(c) in IGNORABLE for c in text)


# Display text


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Once upon a", ["<s>", "·Once", "·upon", "·a"]),
        ("a\nb\tc", ["<s>", "·a", "⏎", "b", "⇥", "c"]),
        ("  x", ["<s>", "··", "·x"]),
        ("\x1b[31m", ["<s>", "·", "\\x1b", "[", "3", "1", "m"]),
        ("é日😀", ["<s>", "·é", "日", "\\xf0", "\\x9f", "\\x98", "\\x80"]),
        ("x\u0301", ["<s>", "·x", "◌\u0301"]),
        ("\u202eabc", ["<s>", "·", "\\xe2", "\\x80", "\\xae", "abc"]),
    ],
)
def test_sentencepiece(sentencepiece: Any, text: str, tokens: list[str]) -> None:
    assert shown(sentencepiece, text) == tokens


def test_sentencepiece_in_small(shared: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(shared / "models/stories260K")
    assert shown(tokenizer, "Once upon") == ["<s>", "·Once", "·upon"]
    assert shown(tokenizer, "日")[-3:] == ["\\xe6", "\\x97", "\\xa5"]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Once upon a", ["Once", "·upon", "·a"]),
        ("a\nb\tc", ["a", "⏎", "b", "⇥", "c"]),
        ("\x1b[31m", ["\\x1b[", "31", "m"]),
        ("日本", ["日本"]),
        (
            " 😀",
            ["·\\xf0\\x9f\\x98", "\\x80"],
        ),  # the leading space is shown even where the rest is half a character
        ("<|endoftext|>", ["<|endoftext|>"]),
    ],
)
def test_byte_level(pythia: Any, text: str, tokens: list[str]) -> None:
    assert shown(pythia, text) == tokens


def test_a_leading_space_tells_two_tokens_apart(tokenizer: Any) -> None:
    texts = TokenTexts(tokenizer)
    pieces = tokenizer.get_vocab()
    mark = "▁" if "▁" in pieces else "Ġ"
    pairs = [
        (pieces[mark + p], pieces[p]) for p in pieces if p.isascii() and p.isalpha() and mark + p in pieces
    ]
    assert len(pairs) > 20
    for spaced, plain in pairs[:500]:
        assert texts[spaced] == "·" + texts[plain]


def test_every_display_text_is_safe_and_there(tokenizer: Any) -> None:
    texts = TokenTexts(tokenizer)
    for token in range(0, len(tokenizer), 1 + len(tokenizer) // 4000):
        assert texts[token], token
        assert is_safe(texts[token]), token


@same_tokenizer
@given(text=st.text(min_size=1))
def test_display_texts_say_the_whole_prompt(byte_tokenizer: Any, text: str) -> None:
    """Joined, the bytes of the tokens are those of the text."""
    texts = TokenTexts(byte_tokenizer)
    back = {
        **{f"\\x{b:02x}": b for b in range(256)},
        **{chr(b): b for b in range(0x21, 0x7F)},
        "·": 0x20,
        "⏎": 10,
        "⇥": 9,
    }
    raw = text.encode(errors="replace")
    assert bytes(back[texts[token]] for token in encode(byte_tokenizer, raw.decode()).ids) == raw


@pytest.mark.parametrize("text", ["Once upon a time\n", "é日本😀\u202e naïve", "tab\there, ½\ufffd"])
def test_the_bytes_of_tokens_are_those_of_the_text(tokenizer: Any, byte_tokenizer: Any, text: str) -> None:
    for each in (tokenizer, byte_tokenizer):
        texts = TokenTexts(each)
        ids = each(text, add_special_tokens=False)["input_ids"]
        # SentencePiece puts a space in front of a text.
        space = "▁" in each.get_vocab()
        assert sum(texts.byte_count(token) or 0 for token in ids) == len(text.encode()) + space


def test_special_tokens_have_no_bytes(tokenizer: Any, byte_tokenizer: Any) -> None:
    for each in (tokenizer, byte_tokenizer):
        texts = TokenTexts(each)
        for token in (each.bos_token_id, each.eos_token_id, texts.size):
            assert texts.byte_count(token) is None


def test_ids_past_the_tokenizers_end_have_a_label(tokenizer: Any, byte_tokenizer: Any) -> None:
    texts = TokenTexts(tokenizer)
    assert texts[len(tokenizer)] == f"[id {len(tokenizer)}]"
    assert texts[len(tokenizer) + 1000] == f"[id {len(tokenizer) + 1000}]"
    assert TokenTexts(byte_tokenizer)[258] == "[id 258]"


def test_a_vocabulary_with_a_hole_keeps_its_last_tokens() -> None:
    from tokenizers import Tokenizer, decoders, models

    backend = Tokenizer(models.BPE(vocab={"a": 0, "b": 1, "Ġhi": 300}, merges=[]))
    backend.decoder = decoders.ByteLevel()
    texts = TokenTexts(PreTrainedTokenizerFast(tokenizer_object=backend))
    assert [texts[0], texts[2], texts[300], texts[301]] == ["a", "[id 2]", "·hi", "[id 301]"]


def test_texts_of_many_tokens(byte_tokenizer: Any) -> None:
    assert TokenTexts(byte_tokenizer).of([0, 1, 1, 258]) == {0: "<bos>", 1: "<eos>", 258: "[id 258]"}


# visible


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a b", "a·b"),
        ("\n\t\r", "⏎⇥\\x0d"),
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("\x9b2J", "\\x9b2J"),  # the C1 form of ESC [
        ("\u2028\u2029\x85", "\\u2028\\u2029\\x85"),
        ("\u202d\u2066\u200f", "\\u202d\\u2066\\u200f"),
        ("a\u200bb\u2060c\ufeff", "a\\u200bb\\u2060c\\ufeff"),
        ("\u00a0\u3000", "\\xa0\\u3000"),
        ("👩\u200d👧", "👩\\u200d👧"),
        ("❤\ufe0f", "❤\\ufe0f"),
        ("\U000e0041\U000e0100", "\\U000e0041\\U000e0100"),
        ("日本 한국", "日本·한국"),
        ("e\u0301", "e\u0301"),
        ("\u0301", "◌\u0301"),
        (" \u0301", "·◌\u0301"),
        ("\n\u0301", "⏎◌\u0301"),
        ("\x00\u0301\u0302", "\\x00◌\u0301\u0302"),
        ("\ud800", "\\ud800"),
        ("naïve Ωμέγα עברית ไทย 😀 §1", "naïve·Ωμέγα·עברית·ไทย·😀·§1"),
        ("", ""),
    ],
)
def test_visible(text: str, wanted: str) -> None:
    assert visible(text) == wanted


def test_every_character_there_is_comes_out_safe() -> None:
    for start in range(0, 0x110000, 256):
        run = "".join(map(chr, range(start, start + 256)))
        assert is_safe(visible(run)), hex(start)


def test_ignorable_characters_are_escaped_each() -> None:
    for code in IGNORABLE:
        assert visible(f"a{chr(code)}b") in {f"a\\x{code:02x}b", f"a\\u{code:04x}b", f"a\\U{code:08x}b"}


@given(text=st.text(st.characters()))
def test_visible_is_safe_and_short_of_nothing(text: str) -> None:
    assert is_safe(visible(text))
    assert len(visible(text)) >= len(text)
    assert visible(text).isprintable()


# encode


def test_bos_is_the_tokenizers_habit_unless_told(sentencepiece: Any, byte_tokenizer: Any) -> None:
    assert encode(sentencepiece, "hi").ids == (1, *encode(sentencepiece, "hi", bos=False).ids)
    assert encode(sentencepiece, "hi", bos=True).ids == encode(sentencepiece, "hi").ids
    plain = encode(byte_tokenizer, "hi").ids
    assert len(plain) == 2
    assert encode(byte_tokenizer, "hi", bos=False).ids == plain
    assert encode(byte_tokenizer, "hi", bos=True).ids == (0, *plain)


def test_bos_of_a_tokenizer_that_has_none_is_refused(byte_tokenizer: Any) -> None:
    without = PreTrainedTokenizerFast(tokenizer_object=byte_tokenizer.backend_tokenizer)
    assert encode(without, "hi", bos=False).ids == encode(without, "hi").ids
    with pytest.raises(LensError, match="no BOS token"):
        encode(without, "hi", bos=True)


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda t: "refuse" not in t))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_chat_is_as_the_template_has_it_and_bos_is_not_doubled(chat_tokenizer: Any, text: str) -> None:
    said = [{"role": "user", "content": text}]
    theirs = chat_tokenizer.apply_chat_template(said, add_generation_prompt=True, return_dict=False)
    prompt = encode(chat_tokenizer, text, chat=True)
    assert (prompt.text, list(prompt.ids)) == (text, theirs)
    assert prompt.ids[0] == 0
    assert prompt.ids.count(0) == 1 + text.count("<bos>")
    longer = encode(chat_tokenizer, text, chat=True, tail=(7, 8))
    assert (longer.ids, longer.appended, prompt.appended) == ((*theirs, 7, 8), 2, 0)
    cut = encode(chat_tokenizer, text, chat=True, tail=(7,) * 20, context=9)
    assert (cut.ids, cut.appended) == ((0, *(7,) * 8), 8)
    cut = encode(chat_tokenizer, text, chat=True, context=9)
    assert cut.ids == (0, *theirs[-8:])
    assert cut.dropped == len(theirs) - 9


def test_a_chat_that_cannot_be_is_refused(chat_tokenizer: Any, byte_tokenizer: Any) -> None:
    for tokenizer, text, bos, why in (
        (byte_tokenizer, "hi", None, "no chat template"),
        (chat_tokenizer, "I refuse", None, "cannot be applied: I will not"),
        (chat_tokenizer, "hi", True, "BOS is as the template has it"),
        (chat_tokenizer, "", None, "prompt is empty"),
    ):
        with pytest.raises(LensError, match=why) as refused:
            encode(tokenizer, text, bos=bos, chat=True)
        assert str(refused.value).isprintable()


@pytest.mark.parametrize("bos", [None, True, False])
def test_an_empty_prompt_is_refused(tokenizer: Any, bos: bool | None) -> None:
    with pytest.raises(LensError, match="prompt is empty"):
        encode(tokenizer, "", bos=bos)


@same_tokenizer
@given(
    text=st.text(st.characters(codec="ascii"), min_size=1, max_size=30),
    context=st.integers(1, 40),
    bos=st.sampled_from([None, True, False]),
)
def test_a_long_prompt_keeps_its_last_tokens(
    byte_tokenizer: Any, text: str, context: int, bos: bool | None
) -> None:
    whole = encode(byte_tokenizer, text, bos=bos)
    cut = encode(byte_tokenizer, text, bos=bos, context=context)
    assert len(cut.ids) == min(context, len(whole.ids))
    assert cut.dropped == len(whole.ids) - len(cut.ids)
    assert cut.text == text
    begin = (0,) if bos else ()
    assert cut.ids[: len(begin)] == begin
    kept = cut.ids[len(begin) :]
    assert whole.ids[len(whole.ids) - len(kept) :] == kept


def test_a_long_prompt_keeps_the_bos_that_the_tokenizer_adds(sentencepiece: Any) -> None:
    whole = encode(sentencepiece, "one two three four five").ids
    assert encode(sentencepiece, "one two three four five", context=4).ids == (1, *whole[-3:])
    assert encode(sentencepiece, "one two three four five", bos=False, context=4).ids == whole[-4:]


def test_a_text_without_end_is_refused(byte_tokenizer: Any) -> None:
    """Of 50 MB a tokenizer makes several GB."""
    with pytest.raises(LensError, match="has 1,000,001 characters, and 1,000,000 are read"):
        encode(byte_tokenizer, "a" * 1_000_001)
