"""Words of several tokens against a plain loop: one pass a token, the logits by the weights, in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoTokenizer

from lenstui.lens import (
    LensError,
    Model,
    Pin,
    TunedLens,
    encode,
    find_pins,
    load,
    open_lens,
    read,
    read_tiles,
    wire,
)
from lenstui.lens.jacobian import JacobianLens
from lenstui.lens.logit import LogitLens
from lenstui.model.tokens import Prompt, TokenTexts
from lenstui.readout import words as words_module
from lenstui.readout.continuation import tokens_behind, word_behind
from lenstui.readout.words import WordReading, iter_words, read_words
from lenstui.support.paths import bundled_model
from tests.by_hand import naive
from tests.tiny.families import FAMILIES, random_model, rms_norm

STORY = "Once upon a time there was a little girl named"
WORDS = ["Elizabeth Anne", "dragonfly", "zebracorn"]
Formula = Callable[[Tensor], Tensor]


def by_hand(
    model: Model,
    ids: Sequence[int],
    word: Sequence[int],
    h_last: str,
    logits: Formula,
    lens: TunedLens | None = None,
) -> np.ndarray:
    """`[rows, tokens]`: one pass for each token of the word, the row's logits at the last position."""
    read: list[Tensor] = []
    for place, token in enumerate(word):
        h = naive.stream(model.module, torch.tensor([[*ids, *word[:place]]]), h_last)  # [rows, cols, d]
        h = h if lens is None else naive.translated(h, lens)
        read.append(logits(h[:, -1]).log_softmax(-1)[:, token])
    return torch.stack(read, dim=1).numpy()


@pytest.fixture(scope="module")
def bundled() -> Model:
    return load("bundled", folder=bundled_model())


@pytest.fixture(scope="module")
def bpe(shared: Path) -> Model:
    """A random GPT-NeoX with Pythia's byte-level BPE."""
    config = FAMILIES["GPT-NeoX"].config
    tokenizer = AutoTokenizer.from_pretrained(shared / "tokenizers/pythia")
    config = type(config)(**{**config.to_dict(), "vocab_size": 50304})
    return wire("bpe", random_model(config), tokenizer)


def llama(model: Model) -> Formula:
    weights, epsilon = naive.weights(model.module), model.module.config.rms_norm_eps
    return lambda h: rms_norm(h, weights["model.norm.weight"], epsilon) @ weights["lm_head.weight"].T


def neox(model: Model) -> Formula:
    weights = naive.weights(model.module)
    return lambda h: FAMILIES["GPT-NeoX"].logits(weights, h)


def check(model: Model, h_last: str, logits: Formula, lens: TunedLens, tolerance: float) -> None:
    prompt = encode(model.tokenizer, STORY)
    for column in (0, 4, len(prompt.ids) - 1):
        read = read_words(model, prompt, WORDS, lens, column=column)
        assert [each.word for each in read] == WORDS
        for each in read:
            ids = prompt.ids[: column + 1]
            assert each.ids == tuple(word_behind(model.tokenizer, model.texts, ids, each.word))
            assert len(each.ids) > 1 and not each.missing and each.column == column
            for key, of_lens in (("logit", None), ("tuned", lens)):
                expected = by_hand(model, ids, each.ids, h_last, logits, of_lens)
                np.testing.assert_allclose(each.logprobs[key], expected, atol=tolerance)
                np.testing.assert_allclose(each.logprob(key), expected.sum(1), atol=5 * tolerance)


def test_a_real_llama(stories15m: Model) -> None:
    check(stories15m, "model.norm", llama(stories15m), naive.random_lens(stories15m, size=0.01), 2e-4)


def test_the_bundled_model_with_its_own_lens(bundled: Model) -> None:
    lens = open_lens(bundled_model() / "bundled.pt")
    assert isinstance(lens, TunedLens)
    check(bundled, FAMILIES["GPT-NeoX"].h_last, neox(bundled), lens, 5e-4)


def test_a_tiny_model_with_byte_level_bpe(bpe: Model) -> None:
    check(bpe, FAMILIES["GPT-NeoX"].h_last, neox(bpe), naive.random_lens(bpe), 1e-4)


def test_the_last_row_is_the_models_own(stories15m: Model) -> None:
    prompt = encode(stories15m.tokenizer, STORY)
    (read,) = read_words(stories15m, prompt, ["Elizabeth Anne"])
    with torch.no_grad():
        logits = stories15m.module(torch.tensor([[*prompt.ids, *read.ids]])).logits[0].double()
    log_probs = logits.log_softmax(-1)
    last = len(prompt.ids) - 1
    own = sum(float(log_probs[last + place, token]) for place, token in enumerate(read.ids))
    assert read.logprob("logit")[-1] == pytest.approx(own, abs=1e-4)


def test_a_batch_of_words_is_as_one_by_one(stories15m: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt, lens = encode(stories15m.tokenizer, STORY), naive.random_lens(stories15m, size=0.01)
    words = [*WORDS, "girl", "a very long word, of many tokens indeed"]

    def numbers(found: Sequence[WordReading]) -> list[np.ndarray]:
        return [np.stack([each.logprobs["logit"], each.logprobs["tuned"]]) for each in found]

    together = numbers(read_words(stories15m, prompt, words, lens, column=5))
    singly = numbers([read_words(stories15m, prompt, [word], lens, column=5)[0] for word in words])
    monkeypatch.setattr(words_module, "_COLUMNS_A_PASS", 40)
    monkeypatch.setattr(words_module, "_LOGITS_AT_ONCE", 3)
    in_parts = numbers(read_words(stories15m, prompt, words, lens, column=5))
    for one, other, part in zip(together, singly, in_parts, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4)
        np.testing.assert_allclose(one, part, atol=2e-4)


def test_nothing_is_read_ahead_of_what_is_asked_for(
    stories15m: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt, passes, positions = encode(stories15m.tokenizer, STORY), list[Any](), words_module._positions

    def counted(*args: Any) -> tuple[Tensor, Tensor]:
        passes.append(args)
        return positions(*args)

    monkeypatch.setattr(words_module, "_COLUMNS_A_PASS", 1)
    monkeypatch.setattr(words_module, "_positions", counted)
    assert next(iter_words(stories15m, prompt, WORDS)).ids and len(passes) == 1
    assert len(list(iter_words(stories15m, prompt, WORDS))) == 3 and len(passes) == 4


def test_its_first_token_and_a_single_token_are_those_of_the_cells(stories15m: Model) -> None:
    model, lens = stories15m, naive.random_lens(stories15m, size=0.01)
    pins = find_pins(model.tokenizer, model.texts, ["zebracorn", " girl"], prompt=STORY, vocabulary=32000)
    ids = [pin.id for pin in pins]
    readout = read(model, STORY, lens, pins=ids, words=[*pins, "girl"])
    several, single, typed = readout.words
    assert (several.ids, single.ids) == (pins[0].ids, (pins[1].id,)) and typed.ids == single.ids
    for key, cells in readout.lenses.items():
        np.testing.assert_allclose(several.logprobs[key][:, 0], cells.pin_logprobs[:, -1, 0], atol=2e-4)
        np.testing.assert_allclose(single.logprob(key), cells.pin_logprobs[:, -1, 1], atol=2e-4)
        assert (several.logprob(key) < several.logprobs[key][:, 0]).all()
    assert read(model, STORY).words == ()


def test_rows_sublayers_and_the_final_norm_are_as_in_the_readout(stories15m: Model) -> None:
    model = stories15m
    ids = find_pins(model.tokenizer, model.texts, ["girl"], prompt=STORY, vocabulary=32000)[0].id
    chosen = {"rows": [0, 3], "final_norm": False, "sublayers": True}
    readout = read(model, STORY, pins=[ids], words=["girl", "zebracorn"], **chosen)
    single, several = readout.words
    assert single.rows == several.rows == readout.rows and "2.attn" in readout.rows
    parts = np.array(["." in label for label in readout.rows])
    assert np.isnan(several.logprob("logit")[parts]).all() and parts.any()
    assert np.isfinite(several.logprob("logit")[~parts]).all()
    expected = readout.lenses["logit"].pin_logprobs[~parts, -1, 0]
    np.testing.assert_allclose(single.logprob("logit")[~parts], expected, atol=2e-4)


def test_a_jacobian_lens_has_no_sum(stories15m: Model) -> None:
    jacobian = JacobianLens({row: torch.eye(288) for row in range(1, 6)}, fit={"target": "last"})
    prompt = encode(stories15m.tokenizer, STORY)
    (read,) = read_words(stories15m, prompt, ["zebracorn"], [LogitLens(), jacobian])
    assert list(read.logprobs) == ["logit"]
    assert np.isnan(read.logprob("jacobian")).all() and not read.missing


def test_a_word_longer_than_the_context_left(tiny: Model) -> None:
    context, letter = tiny.context, tiny.tokenizer("x")["input_ids"][0]
    assert context is not None
    for columns, long_fits, short_fits in (
        (context - 4, True, True),  # a space and four letters, of which the last is not read
        (context - 3, False, True),
        (context - 1, False, True),
        (context, False, False),
    ):
        prompt = Prompt("x" * columns, (letter,) * columns)
        long, short = read_words(tiny, prompt, ["abcd", "e"])
        assert (len(long.ids), len(short.ids)) == (5, 2)
        assert [not long.missing, not short.missing] == [long_fits, short_fits]
        assert [bool(long.logprobs), bool(short.logprobs)] == [long_fits, short_fits]
        assert np.isfinite(long.logprob("logit")).all() == long_fits
    assert long.missing == (
        f"'abcd' is 5 tokens, and behind column {context - 1} the context of {context} columns "
        "has room for 1."
    )
    (there,) = read_words(tiny, prompt, ["abcd"], column=3)
    assert not there.missing


def test_words_that_the_tokenizer_or_the_model_does_not_know(tiny: Model, stories15m: Model) -> None:
    prompt = encode(tiny.tokenizer, "Hello")
    beyond = Pin("zz", 5, whole=False, rest=(tiny.vocabulary,))
    known, unknown = read_words(tiny, prompt, ["zz", beyond])
    assert not known.missing and "more tokens than the model" in unknown.missing
    nobody = Pin("?", 5, whole=False, rest=(stories15m.tokenizer.unk_token_id,))
    (read,) = read_words(stories15m, encode(stories15m.tokenizer, STORY), [nobody])
    assert read.missing == "The tokenizer has no token for a part of '?'."
    with pytest.raises(IndexError):
        read_words(tiny, prompt, ["zz"], column=5)


# ── where a word follows ─────────────────────────────────────────────────────────────────────────────────


TOKENIZERS = ["models/stories15M", "models/stories260K", "tokenizers/pythia", "demo"]
TEXTS = ["The sky is", "The sky is ", "The sky.\n", "Call me (", "unbeliev", "日本", "a  b", "é", "🎈 x"]


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(request: pytest.FixtureRequest, shared: Path) -> Any:
    name = str(request.param)
    return AutoTokenizer.from_pretrained(bundled_model() if name == "demo" else shared / name)


def test_behind_every_column_the_word_is_read_as_text_would_be(tokenizer: Any) -> None:
    texts = TokenTexts(tokenizer)
    for text in TEXTS:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        for column in range(len(ids)):
            before = ids[: column + 1]
            word = word_behind(tokenizer, texts, before, "zebracorn")
            assert texts.join(word) in {"zebracorn", " zebracorn"}
            spaced = texts.join(before)[-1].isspace()
            assert texts.join(word).startswith(" ") == (not spaced), (text, column)
            assert texts.join([*before, *word]) == texts.join(before) + texts.join(word)


def test_the_word_at_the_end_is_cut_as_with_the_prompt(tokenizer: Any) -> None:
    texts = TokenTexts(tokenizer)
    for text, space in (("The sky is", " "), ("The sky.\n", ""), ("Lily and her", " ")):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        joined = tokenizer(f"{text}{space}zebracorn", add_special_tokens=False)["input_ids"]
        assert joined == [*ids, *word_behind(tokenizer, texts, ids, "zebracorn")]


def test_what_would_merge_with_the_prompt_is_cut_for_itself(shared: Path) -> None:
    pythia = AutoTokenizer.from_pretrained(shared / "tokenizers/pythia")
    texts = TokenTexts(pythia)

    def shown(text: str, added: str) -> list[str]:
        return [texts[token] for token in tokens_behind(pythia, text, added)]

    assert pythia("say hello")["input_ids"][:2] != pythia("say hel")["input_ids"][:2]
    assert "".join(shown("say hel", "lo")) == "lo"
    assert shown("The sky is ", "blue") == ["blue"], "and not ·blue, which has the prompt's space in it"
    assert shown("The sky is", " blue") == ["·blue"]


def test_behind_a_special_token_a_text_begins(stories15m: Model, chat_tokenizer: Any) -> None:
    texts = TokenTexts(chat_tokenizer)
    assert texts.join(word_behind(chat_tokenizer, texts, [0], "Paris")) == "Paris"
    ids = chat_tokenizer("a")["input_ids"]
    assert texts.join(word_behind(chat_tokenizer, texts, ids, "Paris")) == " Paris"
    llama = stories15m
    assert [llama.texts[i] for i in word_behind(llama.tokenizer, llama.texts, [1], "girl")] == ["·girl"]


def test_a_word_that_is_only_a_space_or_has_one_before_it(stories15m: Model) -> None:
    model, prompt = stories15m, encode(stories15m.tokenizer, STORY)
    spaced, bare = read_words(model, prompt, [" zebracorn", "zebracorn"])
    assert spaced.ids == bare.ids and spaced.word == " zebracorn"
    (space,) = read_words(model, prompt, [" "])
    assert space.missing or np.isfinite(space.logprob("logit")).all()


def test_a_lens_of_another_model_is_refused(tiny: Model, stories15m: Model) -> None:
    with pytest.raises(LensError, match="blocks"):
        read_words(tiny, encode(tiny.tokenizer, "Hi"), ["zz"], naive.random_lens(stories15m))


# ── under edits ──────────────────────────────────────────────────────────────────────────────────────────

EDITS = ["ablate 2.mlp", "ablate 1.attn @2-4", "ablate 3.2", 'steer " happy" rows 2-3 by 1', "cut 2.1 5<-2"]


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_model_reads_words_under_its_edits(stories15m: Model, edit: str) -> None:
    from lenstui.edits.edited import edited

    prompt = encode(stories15m.tokenizer, STORY)
    changed = edited(stories15m, [edit], prompt)
    found = read_words(changed, prompt, WORDS)
    for word, of_clean in zip(found, read_words(stories15m, prompt, WORDS), strict=True):
        rows = []
        for place, token in enumerate(word.ids):  # one pass a token, without a batch
            h = changed.stream(torch.tensor([[*prompt.ids, *word.ids[:place]]]))[-1, :, -1]
            rows.append(float(changed.head(h).detach()[0].log_softmax(-1)[token]))
        np.testing.assert_allclose(word.logprobs["logit"][-1], rows, atol=2e-4)
        assert word.ids == of_clean.ids
        assert abs(word.logprob("logit")[-1] - of_clean.logprob("logit")[-1]) > 1e-3


# ── families ─────────────────────────────────────────────────────────────────────────────────────────────

SEVERAL = ["GPT-2", "OPT", "BLOOM", "Falcon", "Gemma-2", "Qwen3", "Mixtral", "Mamba", "RWKV", "Qwen3-Next"]


@pytest.mark.parametrize("family", SEVERAL)
def test_what_fills_a_batch_up_is_seen_by_no_word(family: str, byte_tokenizer: Any) -> None:
    """Words of several lengths, against each text with its word read as one prompt."""
    model = wire(family, random_model(FAMILIES[family].config), byte_tokenizer)
    ids = tuple(byte_tokenizer("Hello, you")["input_ids"])
    words = [tuple(byte_tokenizer(word)["input_ids"]) for word in ("abcd", "xy", "q")]
    found = read_words(model, Prompt("", ids), [Pin("", word[0], False, word[1:]) for word in words])
    for word, reading in zip(words, found, strict=True):
        tiles = read_tiles(model, Prompt("", ids + word))
        along = np.concatenate([tile.lenses["logit"].next_logprob for tile in tiles], axis=1)
        np.testing.assert_allclose(reading.logprobs["logit"], along[:, len(ids) - 1 : -1], atol=1e-4)
