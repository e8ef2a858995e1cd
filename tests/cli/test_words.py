"""Words of several tokens in `lenstui read --pin`: the sums in every form, against the model itself."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lenstui.cli import main
from lenstui.lens import Model
from lenstui.support.paths import bundled_model

PROMPT = "Once upon a time there was a little"
WORD = "dragonfly"
DEMO = ["read", "--demo", "-p", PROMPT]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, str]:
    assert main([*DEMO, *words]) == 0
    captured = capsys.readouterr()
    return captured.out, captured.err


@pytest.fixture(scope="module")
def demo() -> Model:
    from lenstui.lens import load

    return load("bundled", folder=bundled_model(), device="cpu")


def own(model: Model, text: str, word: str) -> tuple[list[int], list[float]]:
    """The word's tokens, and the model's own log-probability of each, one pass a token."""
    before, whole = (model.tokenizer(each)["input_ids"] for each in (text, f"{text} {word}"))
    found = []
    for place in range(len(before), len(whole)):
        with torch.no_grad():
            logits = model.module(torch.tensor([whole[:place]])).logits[0, -1].double()
        found.append(float(logits.log_softmax(-1)[whole[place]]))
    return whole[len(before) :], found


def test_json_has_the_tokens_and_the_sums_by_lens(demo: Model, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = run(capsys, "--pin", WORD, "girl", "--format", "json", "--lenses", "logit,tuned,jacobian")
    content = json.loads(out)
    several, single = content["pins"]
    ids, logprobs = own(demo, PROMPT, WORD)
    assert list(several) == ["word", "id", "ids", "logit", "tuned", "jacobian"]
    assert (several["word"], several["id"], several["ids"]) == (WORD, ids[0], ids)
    for kind in ("logit", "tuned"):
        of_word = several[kind]["word_logprob"]
        assert len(of_word) == len(content["rows"])
        assert of_word[-1] == pytest.approx(sum(logprobs), abs=1e-3)
        assert several[kind]["logprob"][-1][-1] == pytest.approx(logprobs[0], abs=1e-3)
        assert single[kind]["word_logprob"] == [row[-1] for row in single[kind]["logprob"]]
    assert several["logit"]["word_logprob"][:-1] != several["tuned"]["word_logprob"][:-1]
    assert several["jacobian"]["logprob"] and several["jacobian"]["word_logprob"] is None
    assert single["ids"] == [single["id"]] and single["jacobian"]["word_logprob"] is None
    assert "A Jacobian lens gives no distribution of the next token" in err
    assert "along all 3." in err


def test_csv_has_them_in_the_last_column_alone(capsys: pytest.CaptureFixture[str]) -> None:
    pinned = json.loads(run(capsys, "--pin", WORD, "--format", "json")[0])["pins"][0]
    lines = list(csv.DictReader(io.StringIO(run(capsys, "--pin", WORD, "--format", "csv")[0])))
    last = max(int(line["column"]) for line in lines)
    for line in lines:
        assert line["pin_1_ids"] == " ".join(map(str, pinned["ids"]))
        at_end, row = int(line["column"]) == last, int(line["row_index"])
        assert bool(line["pin_1_word_logprob"]) == at_end
        if at_end:
            number = float(line["pin_1_word_logprob"])
            assert number == pytest.approx(pinned[line["lens"]]["word_logprob"][row], rel=1e-6)


def test_every_form_says_which_of_the_two_a_number_is(capsys: pytest.CaptureFixture[str]) -> None:
    table, _ = run(capsys, "--pin", WORD, "--value", "pin-logprob")
    assert table.startswith("logit lens · log p(·dragon…)\n"), "of the grid it is the first token"
    assert "·dragon…" in table and "whole dragonfly" in table
    assert "(… of the first token); of a whole word: log p in nats" in " ".join(table.split())
    markdown, _ = run(capsys, "--pin", WORD, "--format", "md")
    assert "`·dragon…` | `whole dragonfly`" in markdown
    page, _ = run(capsys, "--pin", WORD, "--format", "html")
    assert '"whole":"dragonfly"' in page
    figure, _ = run(capsys, "--pin", WORD, "--format", "svg", "--value", "pin-logprob")
    assert "log p(·dragon…)" in figure


def test_behind_generated_tokens_the_word_follows_these(
    demo: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = run(capsys, "--pin", WORD, "--format", "json", "--append", "3", "--lenses", "logit")
    content: dict[str, Any] = json.loads(out)
    ids, logprobs = own(demo, content["prompt"], WORD)
    assert content["prompt"] != PROMPT and content["pins"][0]["ids"] == ids
    assert content["pins"][0]["logit"]["word_logprob"][-1] == pytest.approx(sum(logprobs), abs=1e-3)


def test_chosen_rows_and_sublayers(capsys: pytest.CaptureFixture[str]) -> None:
    whole = json.loads(run(capsys, "--pin", WORD, "--format", "json")[0])["pins"][0]
    out, _ = run(capsys, "--pin", WORD, "--format", "json", "--rows", "emb,2", "--sublayers")
    content = json.loads(out)
    sums = dict(zip(content["rows"], content["pins"][0]["logit"]["word_logprob"], strict=True))
    assert sums["2.attn"] is None
    np.testing.assert_allclose(
        [sums[row] for row in ("emb", "2", "5")],
        [whole["logit"]["word_logprob"][row] for row in (0, 3, 6)],
        atol=1e-3,
    )


def test_a_word_without_room_in_the_context_is_said_and_null(
    neox_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["read", "-p", "x " * 100, "--model", str(neox_folder), "--pin", "yak", "--lenses", "logit"]
    assert main([*words, "--format", "json"]) == 0
    captured = capsys.readouterr()
    content = json.loads(captured.out)
    assert content["dropped"] and content["pins"][0]["logit"]["word_logprob"] is None
    assert content["pins"][0]["logit"]["logprob"]
    assert "The whole word is not read. 'yak' is 3 tokens" in captured.err
    assert "has room for 1." in captured.err
    assert main(words) == 0
    table = capsys.readouterr().out
    assert "whole yak" in table and "–" in table


def test_under_edits_and_as_their_effect(capsys: pytest.CaptureFixture[str]) -> None:
    edit = ["--edit", "ablate 2.mlp", "--lenses", "logit", "--pin", WORD]
    clean = json.loads(run(capsys, "--pin", WORD, "--format", "json")[0])["pins"][0]["logit"]["word_logprob"]
    edited = json.loads(run(capsys, *edit, "--format", "json")[0])["pins"][0]["logit"]["word_logprob"]
    assert clean[:2] == pytest.approx(edited[:2], abs=1e-3) and abs(clean[-1] - edited[-1]) > 0.01
    markdown, _ = run(capsys, *edit, "--diff", "--format", "md")
    tables = [part for part in markdown.split("\n\n") if part.startswith("|")][-2:]
    for table, wanted in zip(tables, (clean, edited), strict=True):
        last = table.splitlines()[2].split(" | ")[-1]
        assert last.startswith(f"{wanted[-1]:.2f}".replace("-", "−"))
