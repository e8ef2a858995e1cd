"""Every kind of tokenizer: display text, what tokens add to a text, words as targets, what is in front."""

from __future__ import annotations

import copy
import unicodedata
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from lenstui.lens import LensError, encode, find_pins
from lenstui.model.tokens import _LETTER_OR_DIGIT, TokenTexts
from lenstui.readout.pins import find_target
from lenstui.texts.blocks import token_blocks
from tests.tiny.tiny_tokenizers import KINDS, tiny_tokenizer

TEXT = "the sky is blue and a zebra is running"
FORCED = {"tiktoken": "<|begin_of_text|>", "WordPiece": "[CLS]", "WordPiece, cased": "[CLS]"} | {
    kind: "<s>" for kind in KINDS if kind.startswith("unigram")
}
NO_BOS = ("WordPiece", "WordPiece, cased", "word end")


def shown(kind: str, text: str, **how: Any) -> list[str]:
    tokenizer = tiny_tokenizer(kind)
    texts = TokenTexts(tokenizer)
    return [texts[token] for token in encode(tokenizer, text, **how).ids]


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        ("byte-level BPE", "the sky  is\nblue", "the ·sky · ·is ⏎ bl ue"),
        ("byte-level BPE", "the 日本 😀", "the ·日本 ·😀"),
        ("byte-level BPE", "ü", "\\xc3 \\xbc"),
        ("byte-level BPE, space in front", "the sky", "·the ·sky"),
        ("tiktoken", "the sky  is\nblue", "<|begin_of_text|> the ·sky · ·is ⏎ bl ue"),
        ("unigram", "blue\n日", "<s> ·blue ⏎ \\xe6 \\x97 \\xa5"),
        ("unigram", "  blueblue", "<s> · ·blue blue"),
        ("unigram, never", "blue blue", "<s> blue ·blue"),
        ("WordPiece", "the Sky, think", "[CLS] ·the ·sky , ·th in k"),
        ("WordPiece", "the ☂", "[CLS] ·the [UNK]"),
        ("WordPiece, cased", "café", "[CLS] ·café"),
        ("word end", "the sky, think", "the· sky· ,· t h in <unk>"),
        ("added tokens", "sky <|end|> is <think>    x", "s ky <|end|> i s · <think> ···· x"),
    ],
)
def test_display_texts(kind: str, text: str, wanted: str) -> None:
    assert shown(kind, text) == wanted.split(" ")


@pytest.mark.parametrize("kind", KINDS)
def test_what_tokens_add_to_a_text_joins_up_to_it(kind: str) -> None:
    """Token by token, and all at once; in front there may be a space that the tokenizer puts there."""
    tokenizer = tiny_tokenizer(kind)
    texts = TokenTexts(tokenizer)
    ids = encode(tokenizer, TEXT, bos=False).ids
    assert "".join(map(texts.surface, ids)).strip() == TEXT
    assert texts.join(ids).strip() == TEXT
    for cut in range(1, len(ids)):
        assert (texts.join(ids[:cut]) + texts.join(ids[cut:])).strip() == TEXT


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_is_found_with_and_without_a_space_and_as_a_target(kind: str) -> None:
    tokenizer = tiny_tokenizer(kind)
    texts = TokenTexts(tokenizer)
    followed = encode(tokenizer, "the sky is blue", bos=False).ids[-1]
    pins = find_pins(tokenizer, texts, ["blue"], prompt="the sky is", vocabulary=len(tokenizer))
    assert pins[0].id == followed
    assert {texts.surface(pin.id).strip() for pin in pins} == {"blue"}
    assert all(pin.whole for pin in pins)
    by_hand = [token for token in range(len(tokenizer)) if tokenizer.decode([token]).strip() == "blue"]
    assert {pin.id for pin in pins} == set(by_hand)
    target = find_target(tokenizer, texts, "blue", prompt="the sky is", vocabulary=len(tokenizer))
    assert (target.id, target.whole) == (followed, True)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_in_front_is_the_tokenizers_habit_unless_told(kind: str) -> None:
    tokenizer = tiny_tokenizer(kind)
    plain = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    front = [tokenizer.convert_tokens_to_ids(FORCED[kind])] if kind in FORCED else []
    assert list(encode(tokenizer, TEXT).ids) == [*front, *plain]
    assert list(encode(tokenizer, TEXT, bos=False).ids) == plain
    if kind in NO_BOS:
        with pytest.raises(LensError, match="no BOS token"):
            encode(tokenizer, TEXT, bos=True)
    else:
        assert list(encode(tokenizer, TEXT, bos=True).ids) == [tokenizer.bos_token_id, *plain]
    kept = encode(tokenizer, TEXT, context=4)
    assert list(kept.ids) == [*front, *plain[len(front) - 4 :]]
    assert kept.dropped == len(front) + len(plain) - 4
    tail = encode(tokenizer, TEXT, tail=plain[:2])
    assert list(tail.ids) == [*front, *plain, *plain[:2]]


def test_several_tokens_in_front_are_kept_when_a_prompt_is_cut() -> None:
    """GLM's kind: `[gMASK]<sop>`."""
    from tokenizers import processors

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.add_special_tokens(["[gMASK]", "<sop>"])
    backend.post_processor = processors.TemplateProcessing(
        single="[gMASK] <sop> $A", special_tokens=[("[gMASK]", 256), ("<sop>", 257)]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    last = encode(tokenizer, "d", bos=False).ids
    assert encode(tokenizer, "abcd", context=3).ids == (256, 257, *last)
    assert encode(tokenizer, "abcd", context=1).ids == (256,)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "word end"])  # which has no EOS
def test_blocks_to_fit_on_begin_as_a_prompt_does(kind: str) -> None:
    tokenizer = tiny_tokenizer(kind)
    if tokenizer.eos_token_id is None:
        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.eos_token = "[SEP]"
    plain = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    first = next(iter(token_blocks(tokenizer, [TEXT, TEXT], 5)))
    assert first.tolist() == [*encode(tokenizer, TEXT).ids[:5]]
    assert first.tolist()[-2:] == plain[: 5 - (kind in FORCED)][-2:]


@pytest.mark.parametrize("kind", ["WordPiece", "word end"])
def test_a_word_that_the_tokenizer_cannot_write_is_refused(kind: str) -> None:
    tokenizer = tiny_tokenizer(kind)
    texts = TokenTexts(tokenizer)
    for word in ("☂", "☂☂"):
        with pytest.raises(LensError, match=f"no token for '{word}'"):
            find_pins(tokenizer, texts, [word], prompt="the", vocabulary=len(tokenizer))
        with pytest.raises(LensError, match=f"no token for '{word}'"):
            find_target(tokenizer, texts, word, prompt="the", vocabulary=len(tokenizer))
    unknown = tokenizer.unk_token
    (pin,) = find_pins(tokenizer, texts, [unknown], prompt="the", vocabulary=len(tokenizer))
    assert (pin.id, pin.whole) == (tokenizer.unk_token_id, True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_padded_vocabulary_has_labels(kind: str) -> None:
    tokenizer = tiny_tokenizer(kind)
    texts, size = TokenTexts(tokenizer), max(tokenizer.get_vocab().values()) + 1
    assert [texts[size], texts[size + 7]] == [f"[id {size}]", f"[id {size + 7}]"]
    assert find_pins(tokenizer, texts, ["blue"], prompt=TEXT, vocabulary=size + 64)
    (pin,) = find_pins(tokenizer, texts, [f"[id {size}]"], prompt=TEXT, vocabulary=size + 64)
    assert pin.id == size


def test_a_vocabulary_without_a_latin_letter_still_shows_its_spaces() -> None:
    pieces = ["▁", "日", "本", "▁日", "▁本"]
    backend = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[]))
    backend.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    texts = TokenTexts(PreTrainedTokenizerFast(tokenizer_object=backend))
    assert [texts[token] for token in range(5)] == ["·", "日", "本", "·日", "·本"]


@pytest.mark.parametrize("kind", KINDS)
def test_words_are_the_tokens_that_add_a_letter_or_digit(kind: str) -> None:
    texts = TokenTexts(tiny_tokenizer(kind))
    wanted = [
        any(unicodedata.category(character)[0] in "LN" for character in texts.surface(token))
        for token in range(texts.size)
    ]
    assert texts.words.tolist() == wanted
    assert any(wanted) and not all(wanted)


@pytest.mark.parametrize(
    ("text", "is_word"),
    [(" the", True), ("日本", True), (",", False), ("\n\n", False), ("😀", False), ("4", True)],
)
def test_a_word_of_any_script(text: str, is_word: bool) -> None:
    texts = TokenTexts(tiny_tokenizer("byte-level BPE"))
    tokens = [token for token in range(texts.size) if texts.surface(token) == text]
    if not tokens:
        pytest.skip(f"{text!r} is no token here")
    assert bool(texts.words[tokens[0]]) is is_word


def test_letters_and_digits_of_all_scripts() -> None:
    """The pattern is Unicode's categories L and N, and the part of a character is neither."""
    for code in range(0x110000):
        category = unicodedata.category(chr(code))[0]
        assert (_LETTER_OR_DIGIT.search(chr(code)) is not None) == (category in "LN"), hex(code)
    texts = TokenTexts(tiny_tokenizer("unigram"))
    byte = texts._tokenizer.convert_tokens_to_ids("<0xE6>")
    assert not texts.words[byte]
