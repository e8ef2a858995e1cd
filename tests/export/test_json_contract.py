from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from lenstui import __version__
from lenstui.export.json_contract import json_text
from lenstui.lens import Prompt, Readout
from tests.by_hand.known_readouts import HOSTILE, MINE, PINS, SOURCE, cells, hostile_readout, hostile_words

TEXTS = {1: "·a", 2: "\\x1b", 3: "日", 4: "⏎"}
LOGIT = cells([[[4, 3], [1, 2]], [[2, 1], [1, 2]], [[2, 3], [4, 1]]])
READOUT = Readout(Prompt("a\x1b\u202e日", (1, 2)), ("emb", "0", "1"), {"logit": LOGIT})

LENS_KEYS = [
    "top_ids",
    "top_tokens",
    "top_logits",
    "top_probs",
    "entropy",
    "kl",
    "js",
    "final_rank",
    "next_logprob",
    "next_rank",
    "crystallization",
]


def test_every_key_of_the_contract_is_there_and_no_other() -> None:
    content = json.loads(json_text(READOUT, TEXTS, SOURCE))
    assert list(content) == [
        *("version", "lenstui", "model", "revision", "adapter", "dtype", "lens", "lens_files"),
        *(
            "device",
            "versions",
            "final_norm",
            "chat",
            "sublayers",
            "words_only",
            "edits",
            "edit_lens",
            "prompt",
            "dropped",
            "appended",
            "tokens",
            "token_ids",
            "rows",
            "lenses",
            "pins",
        ),
    ]
    assert (content["version"], content["lenstui"]) == (1, __version__)
    assert (content["model"], content["revision"], content["dtype"]) == ("owner/name", None, "float32")
    assert content["prompt"] == "a\x1b\u202e日"
    assert (content["tokens"], content["token_ids"]) == (["·a", "\\x1b"], [1, 2])
    assert content["rows"] == ["emb", "0", "1"]
    assert (content["lens"], content["pins"]) == (None, [])
    assert list(content["lenses"]) == ["logit", "tuned", "jacobian"]
    assert content["lenses"]["tuned"] is content["lenses"]["jacobian"] is None
    assert list(content["lenses"]["logit"]) == LENS_KEYS


def test_tokens_and_crystallization() -> None:
    logit = json.loads(json_text(READOUT, TEXTS, SOURCE))["lenses"]["logit"]
    assert logit["top_ids"][0] == [[4, 3], [1, 2]]
    assert logit["top_tokens"][0] == [["⏎", "日"], ["·a", "\\x1b"]]
    assert logit["crystallization"] == ["0", "1"]  # labels, not indices


def test_the_last_column_has_no_next_token() -> None:
    logit = json.loads(json_text(READOUT, TEXTS, SOURCE))["lenses"]["logit"]
    assert [row[-1] for row in logit["next_logprob"]] == [None] * 3
    assert [row[-1] for row in logit["next_rank"]] == [None] * 3
    assert [row[0] for row in logit["next_rank"]] == [2, 2, 2]


def test_float32_numbers_come_back_bit_by_bit_and_short() -> None:
    text = json_text(READOUT, TEXTS, SOURCE)
    logit = json.loads(text)["lenses"]["logit"]
    for name in ("top_logits", "top_probs", "entropy", "kl", "js"):
        back = np.array(logit[name], np.float32)
        np.testing.assert_array_equal(back, getattr(LOGIT, name))
    assert "0.1, -0.9" in text  # not 0.10000000149011612


def test_numbers_that_are_none_become_null() -> None:
    odd = cells([[[1]]], kl=np.array([[np.inf]], np.float32), top_logits=np.array([[[-np.inf]]], np.float32))
    readout = Readout(Prompt("a", (1,)), ("0",), {"tuned": odd})
    text = json_text(readout, TEXTS, replace(SOURCE, lenses=(MINE,)))
    content = json.loads(text, parse_constant=lambda name: 1 / 0)
    assert content["lens"] == "mine.pt"
    assert content["lenses"]["logit"] is None
    assert content["lenses"]["tuned"]["kl"] == [[None]]
    assert content["lenses"]["tuned"]["top_logits"] == [[[None]]]


def test_nothing_in_it_can_move_a_cursor() -> None:
    text = json_text(READOUT, TEXTS, replace(SOURCE, model="\x1b[2J\x9b"))
    assert text.endswith("}\n")
    assert text[:-1].isascii()
    assert text[:-1].isprintable()


def test_pins() -> None:
    readout = hostile_readout()
    words = hostile_words(readout)
    content = json.loads(json_text(readout, HOSTILE, SOURCE, PINS, words=words))
    assert [list(pin) for pin in content["pins"]] == [["word", "id", "ids", "logit", "tuned", "jacobian"]] * 2
    assert [pin["ids"] for pin in content["pins"]] == [[10], [3, 5, 7]]
    assert [(pin["word"], pin["id"]) for pin in content["pins"]] == [(pin.word, pin.id) for pin in PINS]
    for index, pin in enumerate(content["pins"]):
        for name, cells_ in readout.lenses.items():
            logprobs = np.array(pin[name]["logprob"], np.float32)
            np.testing.assert_array_equal(logprobs, cells_.pin_logprobs[:, :, index])
            assert pin[name]["rank"] == cells_.pin_ranks[:, :, index].tolist()
            assert list(pin[name]) == ["logprob", "rank", "word_logprob"]
            own = cells_.pin_logprobs[:, -1, 0]
            whole = np.array(pin[name]["word_logprob"], np.float32)
            np.testing.assert_allclose(whole, words[1].logprobs[name].sum(1) if index else own, rtol=1e-6)
    alone = replace(readout, lenses={"logit": readout.lenses["logit"]})
    assert json.loads(json_text(alone, HOSTILE, SOURCE, PINS))["pins"][0]["tuned"] is None


def test_where_a_word_of_several_tokens_has_no_sum() -> None:
    readout = hostile_readout()
    readout = replace(readout, lenses={"logit": readout.lenses["logit"], "jacobian": readout.lenses["tuned"]})
    (word,) = hostile_words(readout).values()
    for words in ({}, {1: replace(word, logprobs={}, missing="It does not fit.")}):
        first, second = json.loads(json_text(readout, HOSTILE, SOURCE, PINS, words=words))["pins"]
        assert first["logit"]["word_logprob"] and second["logit"]["word_logprob"] is None, "not the first's"
    for pin in json.loads(json_text(readout, HOSTILE, SOURCE, PINS, words={1: word}))["pins"]:
        assert pin["logit"]["word_logprob"] and pin["jacobian"]["logprob"]
        assert pin["jacobian"]["word_logprob"] is None
