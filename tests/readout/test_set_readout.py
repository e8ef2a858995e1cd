"""Every number of a prompt set against the model's own logits, and the means against plain formulas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from lenstui.lens import (
    Case,
    CaseReadout,
    FailedCase,
    LensError,
    Model,
    example_prompts,
    mean_over,
    means_by_group,
    read,
    read_set,
)
from lenstui.lens.jacobian import JacobianLens
from lenstui.lens.logit import LogitLens
from lenstui.model.rows import RowChoice
from lenstui.model.tokens import TokenTexts
from lenstui.readout.number_texts import rank_text
from lenstui.readout.pins import find_target
from lenstui.readout.reading import Reading
from lenstui.readout.values import register, unregister, value_named
from lenstui.support.paths import bundled_model
from tests.by_hand import naive
from tests.tiny.families import FAMILIES

NORM = FAMILIES["GPT-NeoX"].h_last
CASES = (
    Case(1, "Call me Ishmael. Some years ", "a", "sea"),
    Case(2, "x\n", "y", "letters"),
    Case(3, "The sky is ", "blue", "sea"),
    Case(5, "no target", None, "letters"),
    Case(6, "é and ", "日", None),
    Case(7, "a b ", "c", "letters"),
)


def logits_of(tiny: Model, text: str, lens: Any) -> dict[str, torch.Tensor]:
    """By lens, of the last column, `[rows, vocabulary]`, float64."""
    h = naive.stream(tiny.module, naive.ids_of(tiny, text), NORM)
    formula = FAMILIES["GPT-NeoX"].logits
    weights = naive.weights(tiny.module)
    return {
        "logit": formula(weights, h)[:, -1],
        "tuned": formula(weights, naive.translated(h, lens))[:, -1],
    }


def whole_logprobs(tiny: Model, text: str, word: Sequence[int], lens: Any) -> dict[str, np.ndarray]:
    """By lens, of all tokens of a word behind a text, one pass a token, `[rows]`, float64."""
    sums: dict[str, np.ndarray] = {"logit": np.zeros(4), "tuned": np.zeros(4)}
    formula, weights, ids = FAMILIES["GPT-NeoX"].logits, naive.weights(tiny.module), naive.ids_of(tiny, text)
    for token in word:
        h = naive.stream(tiny.module, ids, NORM)
        for name, states in (("logit", h), ("tuned", naive.translated(h, lens))):
            sums[name] += formula(weights, states)[:, -1].log_softmax(-1)[:, token].numpy()
        ids = torch.cat([ids, torch.tensor([[token]])], dim=1)
    return sums


def test_every_number_of_every_case(tiny: Model) -> None:
    lens = naive.random_lens(tiny)
    readouts = list(read_set(tiny, CASES, lens))
    # A byte a token: the first byte of a word stands for it.
    targets = [
        tiny.tokenizer(first)["input_ids"][0] if first else None for first in ("a", "y", "b", None, "日", "c")
    ]
    for case, target, readout in zip(CASES, targets, readouts, strict=True):
        assert isinstance(readout, CaseReadout)
        assert readout.case is case
        assert readout.tokens == len(tiny.tokenizer(case.text)["input_ids"])
        assert readout.dropped == 0
        assert (readout.target.id if readout.target else None) == target
        wanted = logits_of(tiny, case.text, lens)
        own = tiny.module(naive.ids_of(tiny, case.text)).logits[0, -1].detach().double().softmax(-1)
        assert readout.final_id == int(own.argmax())
        assert readout.final_prob == pytest.approx(float(own.max()), rel=1e-4)
        assert readout.final_text == tiny.texts[readout.final_id]
        for name, logits in wanted.items():
            ours = readout.lenses[name]
            log_probs = logits.log_softmax(-1)
            entropy = -(log_probs.exp() * log_probs).sum(-1)
            kl = (log_probs[-1].exp() * (log_probs[-1] - log_probs)).sum(-1)
            np.testing.assert_allclose(ours.values["entropy"], entropy, rtol=2e-5, atol=2e-5)
            np.testing.assert_allclose(ours.values["kl"], kl, rtol=2e-5, atol=2e-5)
            np.testing.assert_array_equal(ours.top1, logits.argmax(-1))
            np.testing.assert_allclose(ours.top1_prob, log_probs.exp().amax(-1), rtol=2e-5)
            np.testing.assert_array_equal(
                ours.values["final_rank"], (logits > logits[:, readout.final_id, None]).sum(-1)
            )
            top1 = logits.argmax(-1).tolist()
            settled = min(row for row in range(4) if len(set(top1[row:])) == 1)
            assert ours.crystallization == settled
            whole = tiny.tokenizer(case.target)["input_ids"] if case.target else []
            assert list(readout.target.ids if readout.target else []) == whole
            sums = whole_logprobs(tiny, case.text, whole, lens)[name] if whole else np.full(4, np.nan)
            np.testing.assert_allclose(ours.whole_logprob, sums, rtol=2e-5, atol=2e-5)
            assert readout.has_long_target == (len(whole) > 1)
            if target is None:
                assert np.isnan(ours.target_logprob).all()
                assert (ours.target_rank == -1).all()
            else:
                np.testing.assert_allclose(ours.target_logprob, log_probs[:, target], rtol=2e-5, atol=2e-5)
                np.testing.assert_allclose(ours.target_prob, log_probs[:, target].exp(), rtol=2e-5)
                np.testing.assert_array_equal(ours.target_rank, (logits > logits[:, target, None]).sum(-1))


def test_it_is_the_last_column_of_a_readout(tiny: Model) -> None:
    lens = naive.random_lens(tiny)
    reading = Reading(RowChoice((("0", "0"),)), bos=True)
    for readout in read_set(tiny, CASES, [lens], reading=reading):
        assert isinstance(readout, CaseReadout)
        pins = [readout.target.id] if readout.target else []
        cells = read(tiny, readout.case.text, lens, rows=[1], pins=pins, bos=True).lenses["tuned"]
        (ours,) = readout.lenses.values()
        np.testing.assert_allclose(ours.values["kl"], cells.kl[:, -1], atol=1e-5)
        np.testing.assert_array_equal(ours.top1, cells.top_ids[:, -1, 0])
        assert len(ours.values["kl"]) == 2


def test_a_case_that_fails_says_why_and_the_others_go_on(tiny: Model) -> None:
    cases = [Case(1, ""), Case(2, "a"), Case(3, "", "b", "g")]
    first, second, third = read_set(tiny, cases)
    assert isinstance(first, FailedCase)
    assert first.reason == "The prompt is empty."
    assert isinstance(second, CaseReadout)
    assert isinstance(third, FailedCase)
    assert mean_over([first, third]).n == 0
    assert mean_over([first, second, third]).n == 1
    assert means_by_group([first, second, third])["g"].n == 0


def test_a_target_behind_a_space_of_its_own_is_no_next_token(tiny: Model) -> None:
    (failed,) = read_set(tiny, [Case(1, "The sky is", "blue")])
    assert isinstance(failed, FailedCase)
    assert "puts a space of its own before 'blue'" in failed.reason
    (as_written,) = read_set(tiny, [Case(1, "The sky is", "blue")], exact_targets=True)
    assert isinstance(as_written, CaseReadout)
    assert as_written.target_text == "b"


def test_what_concerns_all_cases_is_raised(tiny: Model, stories260k: Model) -> None:
    with pytest.raises(LensError, match="no row 7"):
        next(read_set(tiny, CASES, reading=Reading(RowChoice((("7", "7"),)))))
    with pytest.raises(LensError, match="blocks"):
        next(read_set(tiny, CASES, naive.random_lens(stories260k)))


def test_the_means(tiny: Model) -> None:
    lens = naive.random_lens(tiny)
    readouts = list(read_set(tiny, [*CASES, Case(9, "")], lens))
    means = mean_over(readouts)
    assert (means.n, means.n_target) == (6, 5)
    groups = means_by_group(readouts)
    assert {name: (group.n, group.n_target) for name, group in groups.items()} == {
        "sea": (2, 2),
        "letters": (3, 2),
    }
    for members, found in (
        (CASES, means),
        (CASES[::2][:2], groups["sea"]),
        ([CASES[1], CASES[3], CASES[5]], groups["letters"]),
    ):
        for name, ours in found.lenses.items():
            logits = {case.number: logits_of(tiny, case.text, lens)[name] for case in members}
            kl, rank, prob, hit = [], [], [], []
            for case in members:
                log_probs = logits[case.number].log_softmax(-1)
                kl.append((log_probs[-1].exp() * (log_probs[-1] - log_probs)).sum(-1).numpy())
                if case.target:
                    target = tiny.tokenizer(case.target.strip())["input_ids"][0]
                    prob.append(log_probs[:, target].exp().numpy())
                    rank.append((log_probs > log_probs[:, [target]]).sum(-1).numpy())
                    hit.append((log_probs.argmax(-1) == target).numpy())
            for mean, values in (
                (ours.values["kl"], kl),
                (ours.target_prob, prob),
                (ours.target_rank, rank),
                (ours.target_top1, hit),
                (ours.target_logprob, np.log(prob)),
            ):
                n = len(values)
                average = sum(values) / n
                deviation = np.sqrt(sum((value - average) ** 2 for value in values) / (n - 1))
                np.testing.assert_allclose(mean.mean, average, rtol=1e-4, atol=1e-6)
                np.testing.assert_allclose(mean.sem, deviation / np.sqrt(n), rtol=1e-3, atol=1e-6)
            middle = np.sort(np.array(rank), axis=0)
            n = len(rank)
            median = (middle[(n - 1) // 2] + middle[n // 2]) / 2
            np.testing.assert_array_equal(ours.target_median_rank, median)


def test_a_target_without_room_in_the_context_or_a_lens_for_it(tiny: Model) -> None:
    assert tiny.context is not None
    full, fits = "x" * (tiny.context - 1) + " ", "x" * (tiny.context - 4) + " "
    jacobian = JacobianLens({row: torch.eye(32) for row in (1, 2)}, fit={"target": "last"})
    lost, read = read_set(tiny, [Case(1, full, "tree"), Case(2, fits, "tree")], [LogitLens(), jacobian])
    assert isinstance(lost, CaseReadout) and isinstance(read, CaseReadout)
    assert "'tree' is 4 tokens" in lost.not_whole and not read.not_whole
    assert np.isnan(lost.lenses["logit"].whole_logprob).all()
    assert np.isfinite(lost.lenses["logit"].target_logprob).all()
    assert np.isfinite(read.lenses["logit"].whole_logprob).all()
    assert np.isnan(read.lenses["jacobian"].whole_logprob).all()
    means = mean_over([lost, read]).lenses["logit"]
    np.testing.assert_allclose(means.whole_logprob.mean, read.lenses["logit"].whole_logprob, rtol=1e-6)
    assert np.isnan(means.whole_logprob.sem).all() and np.isfinite(means.target_logprob.sem).all()


def test_means_over_few(tiny: Model) -> None:
    (one,) = read_set(tiny, [Case(1, "a")])
    means = mean_over([one])
    assert (means.n, means.n_target) == (1, 0)
    logit = means.lenses["logit"]
    np.testing.assert_allclose(logit.values["kl"].mean, one.lenses["logit"].values["kl"])
    assert np.isnan(logit.values["kl"].sem).all()
    assert np.isnan(logit.target_prob.mean).all()
    assert np.isnan(logit.target_median_rank).all()
    assert mean_over([]).lenses == {}


# Targets.


@pytest.fixture(scope="module", params=["models/stories15M", "tokenizers/pythia"])
def tokenizer(request: pytest.FixtureRequest, shared: Path) -> Any:
    return AutoTokenizer.from_pretrained(shared / request.param)


def target(tokenizer: Any, word: str, prompt: str, **options: Any) -> tuple[str, bool]:
    texts = TokenTexts(tokenizer)
    pin = find_target(tokenizer, texts, word, prompt=prompt, vocabulary=len(tokenizer), **options)
    return texts[pin.id], pin.whole


def test_a_target_has_a_space_before_it_unless_the_prompt_ends_in_one(tokenizer: Any) -> None:
    assert target(tokenizer, "blue", "The sky is") == ("·blue", True)
    assert target(tokenizer, "blue", "The sky is ") == ("blue", True)
    assert target(tokenizer, "blue", "The sky is\n") == ("blue", True)
    assert target(tokenizer, " blue", "The sky is ") == ("·blue", True)
    assert target(tokenizer, "blue", "The sky is", exact=True) == ("blue", True)
    assert target(tokenizer, " blue", "The sky is", exact=True) == ("·blue", True)


def test_a_target_that_no_token_is_has_a_first_one(tokenizer: Any) -> None:
    text, whole = target(tokenizer, "zebracorn", "The sky is")
    assert (text, whole) == ("·ze" if "Ġze" in tokenizer.get_vocab() else "·z", False)
    # The prompt's own last token is its space, whatever the tokenizer makes of both together.
    text, whole = target(tokenizer, "zebracorn", "The sky is ")
    assert (text, whole) == (text.removeprefix("·"), False)
    assert "zebracorn".startswith(text)


def test_a_target_is_never_the_other_form() -> None:
    bundled = AutoTokenizer.from_pretrained(bundled_model())
    pieces = bundled.get_vocab()
    assert "9" in pieces and "Ġ9" not in pieces
    for word in ("9", " 9"):
        with pytest.raises(
            LensError, match=r"a space of its own before '9' \(· 9\).*put the space into the prompt"
        ):
            target(bundled, word, "5 + 4 =")
    assert target(bundled, "9", "5 + 4 = ") == target(bundled, "9", "5 + 4 =", exact=True) == ("9", True)
    assert "Ġblue" in pieces
    for prompt in ("The sky is ", "The sky is\n"):  # where the word is cut into others
        assert target(bundled, "blue", prompt)[0] != "·blue"


@pytest.mark.parametrize(
    ("word", "prompt"),
    [(".", "The sky is blue"), ("?!", "Who"), ("\n", "One line"), ("言", "日本"), ("ก", "ข")],
)
def test_where_no_space_belongs_there_is_none(tokenizer: Any, word: str, prompt: str) -> None:
    assert target(tokenizer, word, prompt) == target(tokenizer, word, prompt, exact=True)


def test_a_word_behind_another_script_has_its_space(tokenizer: Any) -> None:
    assert target(tokenizer, "blue", "日本") == ("·blue", True)
    assert target(tokenizer, "blue", "한국") == ("·blue", True)


@pytest.mark.parametrize("name", ["models/stories15M", "tokenizers/pythia", None])
def test_the_examples_are_read_and_mean_what_comes_next(shared: Path, name: str | None) -> None:
    tokenizer = AutoTokenizer.from_pretrained(bundled_model() if name is None else shared / name)
    texts, whole = TokenTexts(tokenizer), 0
    for case in example_prompts().cases:
        assert case.target is not None
        pin = find_target(tokenizer, texts, case.target, prompt=case.text, vocabulary=len(tokenizer))
        prompt = tokenizer(case.text)["input_ids"]
        gap = "" if case.text.endswith("\n") else " "
        both = tokenizer(case.text + gap + case.target)["input_ids"]
        assert both[: len(prompt)] == prompt, "the target begins a token of its own"
        assert both[len(prompt)] == pin.id, "which is the one that is followed"
        assert pin.whole == (len(both) == len(prompt) + 1)
        assert texts.surface(pin.id).strip(), "and says something"
        whole += pin.whole
    assert whole >= 38


def test_a_small_vocabulary_reads_what_it_can(stories260k: Model) -> None:
    tokenizer = stories260k.tokenizer
    for readout in read_set(stories260k, example_prompts().cases[:12]):
        words = tokenizer(f"{readout.case.text} {readout.case.target}")["input_ids"]
        first = tokenizer.convert_ids_to_tokens(words)[len(tokenizer(readout.case.text)["input_ids"])]
        if first == "▁":
            assert isinstance(readout, FailedCase)
            assert "puts a space of its own before" in readout.reason
        else:
            assert isinstance(readout, CaseReadout)
            assert readout.target_text == first.replace("▁", "·")


def test_a_target_that_has_no_token() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<unk>": 0, "sky": 1, "is": 2, "a": 3}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")
    with pytest.raises(LensError, match="no token for 'blue'"):
        target(tokenizer, "blue", "sky is")
    with pytest.raises(LensError, match="no token for '\\\\t'"):
        target(tokenizer, "\t", "sky is")


def test_of_a_byte_and_a_piece_it_is_the_one_that_is_used(shared: Path) -> None:
    sentencepiece = AutoTokenizer.from_pretrained(shared / "models/stories15M")
    pin = find_target(sentencepiece, TokenTexts(sentencepiece), "A", prompt="x ", vocabulary=32000)
    assert sentencepiece.convert_ids_to_tokens(pin.id) == "A"


def test_a_value_of_ranks_has_a_mean_over_those_that_there_are(tiny: Model) -> None:
    """One that is of the next token has none, though files hold it and it has a text for errors."""
    ranks = replace(value_named("rank"), key="ranks", stored="ranks", error_format=rank_text)
    ranks = replace(ranks, numbers=lambda cells: np.where(cells.final_rank == 0, -2, cells.final_rank))
    following = replace(value_named("next-logprob"), key="next", stored="next", error_format=rank_text)
    register(ranks)
    register(following)
    try:
        readouts = list(read_set(tiny, CASES))
        means = mean_over(readouts).lenses["logit"].values
    finally:
        unregister("ranks")
        unregister("next")
    assert "next" not in means
    found = [readout.lenses["logit"].values["final_rank"] for readout in readouts]
    known = np.where(np.stack(found) == 0, np.nan, np.stack(found).astype(float))
    with np.errstate(invalid="ignore"):
        wanted = np.nansum(known, axis=0) / (~np.isnan(known)).sum(axis=0)
    np.testing.assert_allclose(means["ranks"].mean, wanted)
