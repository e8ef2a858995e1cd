"""The readout filter against sorted logits: the tokens of cells are words, and every other number stays."""

from __future__ import annotations

import unicodedata
from dataclasses import fields

import numpy as np
import pytest
import torch

from lenstui import LensError, Model, encode, read
from lenstui.model.rows import Row
from lenstui.readout.cells import Cells, agreement, crystallization_rows
from lenstui.readout.ranking import rank_cell
from lenstui.readout.reading import Reading
from lenstui.readout.reduction import final_of, reduce_rows
from lenstui.readout.sets.cases import CaseReadout, read_set
from lenstui.readout.sets.prompt_fields import Case
from tests.by_hand import naive

TEXT = "Well, 7 dogs?\nYes: naïve ones"
FILTERED = {"top_ids", "top_logits", "top_probs"}


def words_of(model: Model) -> list[int]:
    """Ids whose text has a letter or digit, by the categories of Unicode."""
    return [
        token
        for token in range(model.vocabulary)
        if token < model.texts.size
        and any(unicodedata.category(character)[0] in "LN" for character in model.texts.surface(token))
    ]


def logits_of(model: Model, text: str) -> np.ndarray:
    """The logit lens, `[rows, cols, vocabulary]`, in float64."""
    h = naive.stream(model.module, naive.ids_of(model, text), "gpt_neox.final_layer_norm")
    module = model.module.double()
    try:
        with torch.no_grad():
            logits: np.ndarray = module.get_output_embeddings()(module.gpt_neox.final_layer_norm(h)).numpy()
    finally:
        model.module.float()
    return logits


@pytest.mark.parametrize("top_k", [1, 3, 50])
def test_the_tokens_are_the_likeliest_words(tiny: Model, top_k: int) -> None:
    words = np.array(words_of(tiny))
    assert 50 < len(words) < tiny.vocabulary - 50
    logits = logits_of(tiny, TEXT)
    cells = read(tiny, TEXT, top_k=top_k, words_only=True).lenses["logit"]
    order = np.argsort(-logits[..., words], axis=-1, kind="stable")[..., :top_k]
    np.testing.assert_array_equal(cells.top_ids, words[order])
    of_words = np.take_along_axis(logits, words[order], -1)
    np.testing.assert_allclose(cells.top_logits, of_words, atol=2e-5)
    total = np.log(np.exp(logits).sum(-1, keepdims=True))  # over the whole vocabulary
    np.testing.assert_allclose(cells.top_probs, np.exp(of_words - total), rtol=2e-4)
    np.testing.assert_array_equal(cells.top1, logits.argmax(-1))
    assert (cells.top1 != cells.top_ids[..., 0]).any()  # else the test would show little


def test_every_other_number_stays(tiny: Model) -> None:
    lens = naive.random_lens(tiny)
    filtered, plain = (
        read(tiny, TEXT, lens, top_k=3, pins=[3, 70], sublayers=False, words_only=words_only)
        for words_only in (True, False)
    )
    for name, cells in filtered.lenses.items():
        before = plain.lenses[name]
        for field in fields(Cells):
            if field.name not in FILTERED:
                np.testing.assert_array_equal(getattr(cells, field.name), getattr(before, field.name))
        np.testing.assert_array_equal(cells.top1, before.top_ids[..., 0])
        top1 = before.top_ids[..., 0]
        np.testing.assert_array_equal(filtered.crystallization(name), crystallization_rows(top1))
        np.testing.assert_array_equal(agreement(cells.top1), agreement(before.top_ids[..., 0]))
        assert (cells.top_ids != before.top_ids).any()


def test_a_real_vocabulary(stories15m: Model) -> None:
    """32,000 tokens, of which SentencePiece's pieces have to be decoded."""
    words = words_of(stories15m)
    np.testing.assert_array_equal(np.flatnonzero(stories15m.texts.words), words)
    cells = read(stories15m, "Once upon a time, there was a", top_k=4, words_only=True).lenses["logit"]
    assert np.isin(cells.top_ids, words).all()
    texts = [stories15m.texts[int(token)] for token in cells.top_ids[-1, -1]]
    assert texts[0] == "·little"
    plain = read(stories15m, "Once upon a time, there was a", top_k=4).lenses["logit"]
    assert not np.isin(plain.top_ids, words).all()


def test_ids_past_the_tokenizers_end_are_no_words(tiny: Model) -> None:
    """The vocabulary of logits may be padded, or shorter than the tokenizer's."""
    words = tiny.texts.words
    assert len(words) == tiny.texts.size
    cells = read(tiny, TEXT, top_k=tiny.vocabulary, words_only=True).lenses["logit"]
    assert cells.top_ids.shape[2] == len(words_of(tiny))


def test_equal_logits_and_logits_that_forbid_tokens() -> None:
    """Among equals the lowest id comes first; a forbidden word comes last, and never a token that is none."""
    words = torch.tensor([1, 4, 5, 300])
    logits = torch.full((2, 400), 5.0)
    logits[0, [1, 4, 5, 300]] = torch.tensor([2.0, 3.0, 3.0, -torch.inf])
    logits[1, [1, 4, 5, 300]] = -torch.inf
    final = final_of(torch.zeros(2, 400), torch.tensor([7]))
    (numbers,) = reduce_rows(logits[None], final, 9, (), words)
    assert numbers["top_ids"][0].tolist() == [4, 5, 1, 300]
    assert sorted(numbers["top_ids"][1].tolist()) == words.tolist()
    assert numbers["top_probs"][1].tolist() == [0, 0, 0, 0]
    assert numbers["top1"].tolist() == [0, 0]


def test_the_list_of_a_cell_has_ranks_of_the_whole_vocabulary(tiny: Model) -> None:
    logits, words = logits_of(tiny, TEXT)[2, 5], np.array(words_of(tiny))
    prompt = encode(tiny.tokenizer, TEXT)
    row = Row(2)
    ranking = rank_cell(tiny, prompt, row, 5, count=20, words_only=True)["logit"]
    wanted = words[np.argsort(-logits[words], kind="stable")][:20]
    np.testing.assert_array_equal(ranking.ids, wanted)
    np.testing.assert_array_equal(ranking.ranks, [(logits > logits[token]).sum() for token in wanted])
    assert ranking.ranks[-1] > 19
    probs = np.exp(logits - np.log(np.exp(logits).sum()))[wanted]
    np.testing.assert_allclose(ranking.probs, probs, rtol=1e-4)
    whole = rank_cell(tiny, prompt, row, 5, count=20)["logit"]
    np.testing.assert_array_equal(whole.ranks, np.arange(20))


def test_prompt_sets(tiny: Model) -> None:
    cases = [Case(1, "a b", target="7"), Case(2, "What?"), Case(3, "Oh,")]

    def read_with(reading: Reading) -> list[CaseReadout]:
        found = read_set(tiny, cases, reading=reading, exact_targets=True)
        return [each for each in found if isinstance(each, CaseReadout)]

    filtered, plain = read_with(Reading(words_only=True)), read_with(Reading())
    assert len(filtered) == 3
    words, changed = words_of(tiny), 0
    for case, before in zip(filtered, plain, strict=True):
        logits = logits_of(tiny, case.case.text)[:, -1]
        column, as_before = case.lenses["logit"], before.lenses["logit"]
        best = np.array(words)[logits[:, words].argmax(-1)]
        np.testing.assert_array_equal(column.top_id, best)
        np.testing.assert_array_equal(column.top1, logits.argmax(-1))
        assert case.final_id == best[-1]
        assert case.final_prob == pytest.approx(
            np.exp(logits[-1, best[-1]]) / np.exp(logits[-1]).sum(), rel=1e-4
        )
        np.testing.assert_array_equal(column.target_rank, as_before.target_rank)
        np.testing.assert_array_equal(column.values["final_rank"], as_before.values["final_rank"])
        assert column.crystallization == as_before.crystallization
        changed += case.final_id != before.final_id
    assert changed


def test_a_vocabulary_without_words_is_refused(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny.texts, "_words", np.zeros(tiny.texts.size, bool))
    with pytest.raises(LensError, match="No token of this vocabulary has a letter or digit"):
        read(tiny, TEXT, words_only=True)
