"""pass@k against ranks by sorting the logits of the model's own head."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lenstui import JacobianLens, LensError, LogitLens, Model, TunedLens, WordItem, pass_at_k
from tests.by_hand import naive
from tests.by_hand.jacobian import matrices

KS = (1, 5, 10)
NORM = "gpt_neox.final_layer_norm"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PROMPTS = [f"{n} dogs ran.\nThey saw {LETTERS[n : n + 4]}" for n in range(14)]
ITEMS = [
    WordItem(prompt, (LETTERS[n], LETTERS[n + 5], "seven"), at="newline" if n % 3 == 0 else None)
    for n, prompt in enumerate(PROMPTS)
]

# What a byte tokenizer has of each word.
FORMS = {**{letter: (letter, letter.upper()) for letter in LETTERS}, "seven": ("7",), "*": ("*",)}


@pytest.fixture(scope="module")
def jacobian(tiny: Model) -> JacobianLens:
    """A lens with matrices for `emb` and row 1 of rows emb, 0, 1, 2."""
    some = matrices(2, tiny.d_model)
    return JacobianLens({0: some[0], 2: some[1]}, {"num_hidden_layers": tiny.num_blocks}, {"target": "last"})


@pytest.fixture(scope="module")
def tuned(tiny: Model) -> TunedLens:
    return naive.random_lens(tiny, size=0.3)


def logits(model: Model, prompt: str, lens: Any) -> Tensor:
    """`[rows, cols, vocabulary]` in float64, by the model's own norm and head."""
    h = naive.stream(model.module, naive.ids_of(model, prompt), NORM)
    if isinstance(lens, TunedLens):
        h = naive.translated(h, lens)
    elif isinstance(lens, JacobianLens):
        h = torch.stack(
            [
                states @ lens.matrices[row].double().T if row in lens.matrices else states
                for row, states in enumerate(h)
            ]
        )
    module = model.module.double()
    try:
        with torch.no_grad():
            read: Tensor = module.get_output_embeddings()(module.get_submodule(NORM)(h))
    finally:
        model.module.float()
    return read


def place(model: Model, item: WordItem) -> int:
    """The column that is read: one byte is one token."""
    end = item.prompt.rindex("\n") + 1 if item.at == "newline" else len(item.prompt)
    return len(model.tokenizer(item.prompt[:end])["input_ids"]) - 1


def ranks(model: Model, item: WordItem, lens: Any) -> np.ndarray:
    """The rank of each intermediate in each row, `[rows, intermediates]`: its place in the sorted logits."""
    of_column = logits(model, item.prompt, lens)[:, place(model, item)].numpy()
    order = np.argsort(-of_column, axis=-1)
    found = []
    for word in item.intermediates:
        tokens = [model.tokenizer(form)["input_ids"][0] for form in FORMS[word]]
        found.append([min(list(row).index(token) for token in tokens) for row in order])
    return np.array(found).T


def wanted(model: Model, items: Sequence[WordItem], lens: Any, rows: Sequence[int]) -> dict[str, Any]:
    """pass@k, its standard errors, and the shares by row, for rows by their index from `emb`."""
    of_items = [ranks(model, item, lens)[list(rows)] for item in items]
    shares = {k: np.array([(of.min(0) < k).mean() for of in of_items]) for k in KS}
    return {
        "passed": {k: share.mean() for k, share in shares.items()},
        "stderr": {k: share.std(ddof=1) / math.sqrt(len(share)) for k, share in shares.items()},
        "by_row": {k: np.mean([(of < k).mean(1) for of in of_items], 0) for k in KS},
    }


def assert_same(passes: Any, expected: dict[str, Any]) -> None:
    for name, by_k in expected.items():
        for k, value in by_k.items():
            np.testing.assert_allclose(getattr(passes, name)[k], value, atol=1e-9, err_msg=f"{name} {k}")


def test_the_shares_of_two_lenses(tiny: Model, tuned: TunedLens) -> None:
    result = pass_at_k(tiny, ITEMS, tuned)
    assert (result.rows, result.band, result.items) == (("0", "1"), ("0", "1"), 14)
    assert list(result.lenses) == ["logit", "tuned"]
    assert_same(result.lenses["logit"], wanted(tiny, ITEMS, None, [1, 2]))
    assert_same(result.lenses["tuned"], wanted(tiny, ITEMS, tuned, [1, 2]))
    assert 0 < result.lenses["logit"].passed[10] < 1  # else the test would show little
    assert result.lenses["logit"].by_row[10] != result.lenses["tuned"].by_row[10]


def test_only_rows_that_all_lenses_have(tiny: Model, tuned: TunedLens, jacobian: JacobianLens) -> None:
    """Neither `emb`, which it has a matrix for, nor the last row, which is every lens's."""
    result = pass_at_k(tiny, ITEMS, [LogitLens(), tuned, jacobian])
    assert result.rows == result.band == ("1",)
    for key, lens in (("logit", None), ("tuned", tuned), ("jacobian", jacobian)):
        assert_same(result.lenses[key], wanted(tiny, ITEMS, lens, [2]))


def test_a_band(tiny: Model) -> None:
    """The best row is of the band; the shares by row are of all rows."""
    result = pass_at_k(tiny, ITEMS, band=[0, 1])
    assert (result.rows, result.band) == (("0", "1"), ("0",))
    passes = result.lenses["logit"]
    assert_same(
        passes, {**wanted(tiny, ITEMS, None, [1]), "by_row": wanted(tiny, ITEMS, None, [1, 2])["by_row"]}
    )
    with pytest.raises(LensError, match="There is no row 7: this model has rows emb, 0 … 2"):
        pass_at_k(tiny, ITEMS, band=[8])
    with pytest.raises(LensError, match="No row of the band is one that all lenses have"):
        pass_at_k(tiny, ITEMS, band=[0])


def test_words_without_a_single_token_are_skipped_and_counted(tiny: Model) -> None:
    more = [
        replace(ITEMS[0], intermediates=("a", "zebra", "lion")),
        replace(ITEMS[1], intermediates=("zebra",)),
        replace(ITEMS[2], intermediates=("zebra",), forms={"zebra": ("*",)}),
    ]
    result = pass_at_k(tiny, more)
    assert (result.items, result.skipped, result.skipped_items) == (2, 3, 1)
    known = [replace(more[0], intermediates=("a",)), replace(more[2], intermediates=("*",))]
    assert_same(result.lenses["logit"], wanted(tiny, known, None, [1, 2]))
    with pytest.raises(LensError, match="No intermediate of these items is a single token"):
        pass_at_k(tiny, more[1:2])


def test_a_prompt_that_ends_in_a_space_is_read_in_both_ways(tiny: Model) -> None:
    bare = [replace(item, at=None) for item in ITEMS]
    items = [replace(item, prompt=f"{item.prompt}  ") if n < 6 else item for n, item in enumerate(bare)]
    result = pass_at_k(tiny, items)
    assert result.ending_in_space == 6
    assert_same(result.lenses["logit"], wanted(tiny, items, None, [1, 2]))
    assert result.stripped is not None
    assert_same(result.stripped.lenses["logit"], wanted(tiny, bare, None, [1, 2]))
    assert result.lenses["logit"].by_row != result.stripped.lenses["logit"].by_row
    assert pass_at_k(tiny, bare).stripped is None


def answer(model: Model, prompt: str) -> str:
    """The model's likeliest next token behind a prompt."""
    text: str = model.tokenizer.decode([int(logits(model, prompt, None)[-1, -1].argmax())])
    return text


def test_only_items_that_the_model_answers_correctly(tiny: Model) -> None:
    said = [answer(tiny, item.prompt) for item in ITEMS]
    assert sum(text.isprintable() and not text.isspace() for text in said) > 3
    other = {text: next(letter for letter in LETTERS if letter != text) for text in said}
    targets = [f"{text if n % 2 else other[text]} more" for n, text in enumerate(said)]
    items = [replace(item, target=target) for item, target in zip(ITEMS, targets, strict=True)]
    items.append(ITEMS[3])  # without a target
    is_text = [bool(text.strip()) and "\ufffd" not in text for text in said]
    known = [item for n, item in enumerate(items[:-1]) if n % 2 and is_text[n]]
    result = pass_at_k(tiny, items, correct_only=True)
    assert (result.items, result.incorrect) == (len(known), len(items) - len(known))
    assert_same(result.lenses["logit"], wanted(tiny, known, None, [1, 2]))
    assert pass_at_k(tiny, items).incorrect is None
    wrong = [replace(item, target=f"{other[text]} more") for item, text in zip(ITEMS, said, strict=True)]
    with pytest.raises(LensError, match="begins the target of no item"):
        pass_at_k(tiny, wrong, correct_only=True)
    with pytest.raises(LensError, match="No item has a target"):
        pass_at_k(tiny, ITEMS, correct_only=True)


def test_an_answer_may_begin_with_a_part_of_a_character(tiny: Model) -> None:
    arabic, greek = "\u0637", "\u03b1"  # whose first bytes differ
    first = int(logits(tiny, "6 dogs", None)[-1, -1].argmax())
    assert tiny.tokenizer(arabic)["input_ids"][0] == first
    result = pass_at_k(
        tiny, [WordItem("6 dogs", ("a",), word) for word in (arabic, greek)], correct_only=True
    )
    assert (result.items, result.incorrect) == (1, 1)


def test_a_single_item_has_no_standard_error(tiny: Model) -> None:
    assert all(math.isnan(pass_at_k(tiny, ITEMS[:1]).lenses["logit"].stderr[k]) for k in KS)


def test_rows_that_are_no_number_find_nothing(tiny: Model, tuned: TunedLens) -> None:
    broken = TunedLens(torch.full_like(tuned.weight, float("nan")), tuned.bias)
    result = pass_at_k(tiny, ITEMS, broken)
    assert result.not_numbers == 14
    assert result.lenses["tuned"].passed == dict.fromkeys(KS, 0.0)
    assert_same(result.lenses["logit"], wanted(tiny, ITEMS, None, [1, 2]))


def test_what_is_wrong_with_an_item_names_it(tiny: Model) -> None:
    with pytest.raises(LensError, match=r"Item 2: its prompt has \d+ tokens, and the model reads 64"):
        pass_at_k(tiny, [ITEMS[0], replace(ITEMS[1], prompt="a" * 3000)])
    with pytest.raises(LensError, match="Item 1: no token of its prompt contains a newline"):
        pass_at_k(tiny, [WordItem("abc", ("a",), at="newline")])
    with pytest.raises(LensError, match="There are no items"):
        pass_at_k(tiny, [])


def test_the_readout_filter_spares_the_forms_of_the_words(tiny: Model, tuned: TunedLens) -> None:
    """Tokens without a letter or digit count in no rank, but for `*`, which is a word of these items."""
    items = [
        WordItem(item.prompt, (*item.intermediates, "*"), forms={"*": ("*",)}, at=item.at) for item in ITEMS
    ]
    texts = tiny.texts
    letters = [
        token
        for token in range(tiny.vocabulary)
        if token < texts.size and any(character.isalnum() for character in texts.surface(token))
    ]
    kept = sorted({*letters, tiny.tokenizer("*")["input_ids"][0]})
    assert 50 < len(kept) < tiny.vocabulary - 50

    def filtered_ranks(item: WordItem) -> np.ndarray:
        of_column = logits(tiny, item.prompt, tuned)[:, place(tiny, item)].numpy()
        found = []
        for word in item.intermediates:
            tokens = [tiny.tokenizer(form)["input_ids"][0] for form in FORMS[word]]
            best = of_column[:, tokens].max(-1, keepdims=True)
            found.append((of_column[:, kept] > best).sum(-1))
        return np.array(found).T[1:3]

    result = pass_at_k(tiny, items, [tuned], words_only=True)
    of_items = [filtered_ranks(item) for item in items]
    for k in KS:
        shares = [(of.min(0) < k).mean() for of in of_items]
        assert result.lenses["tuned"].passed[k] == pytest.approx(np.mean(shares), abs=1e-9)
        rows = np.mean([(of < k).mean(1) for of in of_items], 0)
        np.testing.assert_allclose(result.lenses["tuned"].by_row[k], rows, atol=1e-9)
    plain = pass_at_k(tiny, items, [tuned])
    assert result.words_only and not plain.words_only
    assert result.lenses["tuned"].passed[10] > plain.lenses["tuned"].passed[10]
