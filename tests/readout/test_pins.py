"""From words to pinned tokens, with real tokenizers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from lenstui.lens import LensError, Pin, find_pins
from lenstui.model.tokens import TokenTexts
from lenstui.readout.pins import pins_of, words_first
from lenstui.support.paths import bundled_model

PROMPT = "The sky is"


def pins(tokenizer: Any, *words: str, prompt: str = PROMPT, vocabulary: int | None = None) -> tuple[Pin, ...]:
    size = len(tokenizer) if vocabulary is None else vocabulary
    return find_pins(tokenizer, TokenTexts(tokenizer), words, prompt=prompt, vocabulary=size)


def shown(tokenizer: Any, *words: str, prompt: str = PROMPT) -> list[str]:
    texts = TokenTexts(tokenizer)
    return [texts[pin.id] for pin in pins(tokenizer, *words, prompt=prompt)]


@pytest.fixture(scope="module", params=["models/stories15M", "tokenizers/pythia"])
def tokenizer(request: pytest.FixtureRequest, shared: Path) -> Any:
    return AutoTokenizer.from_pretrained(shared / request.param)


@pytest.fixture(scope="module")
def pythia(shared: Path) -> Any:
    return AutoTokenizer.from_pretrained(shared / "tokenizers/pythia")


@pytest.fixture(scope="module")
def sentencepiece(shared: Path) -> Any:
    return AutoTokenizer.from_pretrained(shared / "models/stories15M")


def test_a_word_is_its_tokens_with_and_without_a_space(tokenizer: Any) -> None:
    pieces = tokenizer.get_vocab()
    mark = "▁" if "▁" in pieces else "Ġ"
    assert pins(tokenizer, "blue") == (Pin("blue", pieces[f"{mark}blue"]), Pin("blue", pieces["blue"]))
    assert pins(tokenizer, " blue") == (Pin(" blue", pieces[f"{mark}blue"]),)


def test_words_keep_their_order_and_a_token_is_pinned_once(tokenizer: Any) -> None:
    assert shown(tokenizer, " green", "blue", " blue", "blue") == ["·green", "·blue", "blue"]
    assert pins(tokenizer) == ()


def test_a_token_as_it_is_displayed(tokenizer: Any) -> None:
    assert pins(tokenizer, "·blue") == tuple(Pin("·blue", pin.id) for pin in pins(tokenizer, " blue")), (
        "which nobody types, but many copy"
    )
    assert shown(tokenizer, "⏎") == ["⏎"]


def test_a_word_that_no_token_is_gives_its_first_one_behind_the_prompt(pythia: Any) -> None:
    (pin,) = pins(pythia, "zebracorn")
    first, *rest = pythia(" zebracorn")["input_ids"]
    assert pin == Pin("zebracorn", first, whole=False, rest=tuple(rest))
    assert pin.ids == (first, *rest) and len(rest) > 1
    for prompt in (PROMPT, PROMPT + "."):
        assert shown(pythia, "zebracorn", prompt=prompt) == ["·ze"]
        assert shown(pythia, " zebracorn", prompt=prompt) == ["·ze"]
    for prompt in (PROMPT + "\n", PROMPT + " "):  # the model has read the space as a token
        assert shown(pythia, "zebracorn", prompt=prompt) == ["ze"]


def test_words_that_begin_with_the_same_token_are_pinned_each(pythia: Any) -> None:
    first = pythia(" zebracorn")["input_ids"][0]
    corn, cake, alone = pins(pythia, "zebracorn", "zebracake", f"[id {first}]")
    assert corn.id == cake.id == alone.id == first
    assert len({corn.rest, cake.rest, alone.rest}) == 3 and alone.rest == ()
    assert pins(pythia, "zebracorn", " zebracorn") == (corn,)


def test_a_word_that_begins_with_a_token_of_a_mere_space_is_refused(sentencepiece: Any, shared: Path) -> None:
    small = AutoTokenizer.from_pretrained(shared / "models/stories260K")
    bundled = AutoTokenizer.from_pretrained(bundled_model())
    for tokenizer, word, pieces in (
        (small, "zebra", "· z e b r a"),
        (bundled, "xylophone", "· x y l op h one"),
        (sentencepiece, "😀", r"· \xf0 \x9f \x98 \x80"),
    ):
        for prompt in (PROMPT, ""):
            with pytest.raises(LensError) as refused:
                pins(tokenizer, word, prompt=prompt)
            assert pieces in str(refused.value)
        for piece in pieces.split()[1:3]:  # which can be pinned as they are shown
            assert piece in shown(tokenizer, piece)
        assert shown(tokenizer, word, prompt=PROMPT + " ") == pieces.split()[1:2]


def test_between_characters_of_a_script_without_spaces_there_is_none(sentencepiece: Any) -> None:
    assert shown(sentencepiece, "言語", prompt="日本") == ["言"]
    with pytest.raises(LensError, match="· 言 語"):
        pins(sentencepiece, "言語")


def test_a_tokenizer_that_ends_every_text(byte_tokenizer: Any) -> None:
    class Ending:
        """The byte tokenizer with an EOS behind everything."""

        def __call__(self, text: str, **options: Any) -> dict[str, list[int]]:
            ids = byte_tokenizer(text, **options)["input_ids"]
            ending = [byte_tokenizer.eos_token_id] if options.get("add_special_tokens", True) else []
            return {"input_ids": [*ids, *ending]}

    texts = TokenTexts(byte_tokenizer)
    (pin,) = find_pins(Ending(), texts, ["zebra"], prompt=PROMPT + " ", vocabulary=258)
    assert (texts[pin.id], pin.whole) == ("z", False)
    assert texts.join(pin.ids) == "zebra"


def test_ids_that_the_model_has_no_logit_for_are_left_out(pythia: Any) -> None:
    both = [pin.id for pin in pins(pythia, "blue")]
    assert [pin.id for pin in pins(pythia, "blue", vocabulary=max(both))] == [min(both)]
    assert [pin.id for pin in pins(pythia, "blue", vocabulary=max(both) + 1)] == both
    with pytest.raises(LensError, match=r"no logit for 'zebracorn': .* the id \d+, .* has ids 0 … 4\."):
        pins(pythia, "zebracorn", vocabulary=5)


def test_padding_past_the_tokenizers_end_does_no_harm(pythia: Any) -> None:
    assert pins(pythia, "blue", vocabulary=len(pythia) + 50) == pins(pythia, "blue")


def test_each_word_first_then_its_other_tokens() -> None:
    blue, bare, green, red = Pin("blue", 1), Pin("blue", 2), Pin("green", 3), Pin("red", 4, whole=False)
    assert words_first([blue, bare, green, red]) == (blue, green, red, bare)
    assert words_first([]) == ()


@pytest.mark.parametrize("swapped", [False, True])
def test_tokens_whose_order_counts_have_a_word_each(pythia: Any, swapped: bool) -> None:
    texts = TokenTexts(pythia)
    tokens = [pin.id for pin in pins(pythia, "blue", "green")][:: -1 if swapped else 1]
    apart = pins_of(texts, tokens, vocabulary=len(pythia), apart=True)
    assert len({pin.word for pin in apart}) == len(tokens) == 4
    assert [pin.id for pin in words_first(pins(pythia, *(pin.word for pin in apart)))] == tokens
    together = pins_of(texts, tokens, vocabulary=len(pythia))
    assert len({pin.word for pin in together}) == (4 if swapped else 2)


def test_a_number_in_its_brackets_is_that_token(tokenizer: Any) -> None:
    size = len(tokenizer)
    assert [pin.id for pin in pins(tokenizer, "[id 278]", f"[id {size - 1}]")] == [278, size - 1]
    with pytest.raises(LensError, match=f"no token {size}: the vocabulary"):
        pins(tokenizer, f"[id {size}]")


def test_the_words_of_tokens_find_these_and_no_others() -> None:
    tokenizer = AutoTokenizer.from_pretrained(bundled_model())
    texts, size = TokenTexts(tokenizer), len(tokenizer)
    blue = [texts.tokens_of(form)[0] for form in (" blue", "blue") if texts.tokens_of(form)]
    sets = [blue, blue[::-1], blue[:1], blue[1:], [*range(8)], [size - 1, 0, 100]]
    rng = np.random.default_rng(0)
    sets += [rng.choice(size, 8, replace=False).tolist() for _ in range(40)]
    for tokens in sets:
        found = pins_of(texts, tokens, vocabulary=size)
        assert [pin.id for pin in found] == tokens
        words = list(dict.fromkeys(pin.word for pin in found))
        again = find_pins(tokenizer, texts, words, prompt=PROMPT, vocabulary=size)
        assert again == found
