"""Generation: against transformers' own, and against naive readouts of a row."""

from __future__ import annotations

import math

import pytest
import torch

from lenstui.lens import LensError, Model, read
from lenstui.model.tokens import encode
from lenstui.readout.generation import generate
from tests.by_hand import naive

STORY = "Once upon a time there was a little girl named"


def test_the_last_row_says_what_the_model_generates(stories15m: Model) -> None:
    prompt = encode(stories15m.tokenizer, STORY)
    ids = torch.tensor([prompt.ids])
    theirs = stories15m.module.generate(ids, max_new_tokens=20, do_sample=False)[0, len(prompt.ids) :]
    assert list(generate(stories15m, prompt.ids, count=20)) == theirs.tolist()


@pytest.mark.parametrize("tuned", [False, True])
def test_a_row_says_what_its_cells_say(stories260k: Model, tuned: bool) -> None:
    lens = naive.random_lens(stories260k, size=0.02) if tuned else None
    prompt = encode(stories260k.tokenizer, STORY)
    said = list(generate(stories260k, prompt.ids, count=4, row=3, lens=lens))
    ids = list(prompt.ids)
    for token in said:
        h = naive.stream(stories260k.module, torch.tensor([ids]), "model.norm")
        if lens is not None:
            h = naive.translated(h, lens)
        with torch.no_grad():
            logits = stories260k.module.lm_head(
                stories260k.module.model.norm(torch.as_tensor(h)[3, -1].float())
            )
        assert token == int(logits.argmax())
        ids.append(token)


@pytest.mark.parametrize("row", [2, 5])
def test_a_row_without_the_final_norm_but_for_the_last(stories260k: Model, row: int) -> None:
    prompt = encode(stories260k.tokenizer, STORY)
    said = list(generate(stories260k, prompt.ids, count=3, row=row, final_norm=False))
    ids = list(prompt.ids)
    for token in said:
        h = naive.stream(stories260k.module, torch.tensor([ids]), "model.norm")[row, -1].float()
        with torch.no_grad():
            x = stories260k.module.model.norm(h) if row == 5 else h
            logits = stories260k.module.lm_head(x)
        assert token == int(logits.argmax())
        ids.append(token)


def test_draws_follow_the_distribution_and_the_seed(tiny: Model) -> None:
    ids = [5, 6, 7]
    again = [list(generate(tiny, ids, count=5, temperature=1.0, seed=3)) for _ in range(2)]
    assert again[0] == again[1]
    drawn = [next(generate(tiny, ids, count=1, temperature=1.0, seed=seed)) for seed in range(400)]
    with torch.no_grad():
        probs = tiny.module(torch.tensor([ids])).logits[0, -1].softmax(-1)
    likeliest = int(probs.argmax())
    p = float(probs[likeliest])
    assert abs(drawn.count(likeliest) / 400 - p) < 4 * math.sqrt(p * (1 - p) / 400) + 1e-3
    cold = [next(generate(tiny, ids, count=1, temperature=1e-4, seed=seed)) for seed in range(5)]
    assert set(cold) == {likeliest}


def test_it_ends_with_the_text_or_the_context(tiny: Model) -> None:
    assert tiny.context is not None
    full = [5] * (tiny.context - 2)
    said = list(generate(tiny, full, count=10))
    assert len(said) <= 2
    assert list(generate(tiny, [5] * tiny.context, count=10)) == []
    end = tiny.tokenizer.eos_token_id
    for seed in range(2000):
        said = list(generate(tiny, [5, 6], count=8, temperature=3.0, seed=seed))
        if end in said:
            assert said.index(end) == len(said) - 1
            return
    pytest.fail("no draw ended the text, so that this showed nothing")


@pytest.mark.parametrize(
    ("options", "said"), [({"row": 99}, "no row 99"), ({"temperature": -1.0}, "negative")]
)
def test_what_cannot_be_is_told(tiny: Model, options: dict[str, float], said: str) -> None:
    with pytest.raises(LensError, match=said):
        next(generate(tiny, [5], count=1, **options))  # type: ignore[arg-type]


def test_it_agrees_with_the_readout(stories260k: Model) -> None:
    prompt = encode(stories260k.tokenizer, STORY)
    cells = read(stories260k, STORY).lenses["logit"]
    for row in range(stories260k.num_blocks + 1):
        assert next(generate(stories260k, prompt.ids, count=1, row=row)) == int(cells.top_ids[row, -1, 0])
