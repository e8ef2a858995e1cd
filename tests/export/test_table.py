from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.cells import cell_len

from lenstui.export.table import summary, table
from lenstui.lens import Prompt, Readout
from lenstui.readout.number_texts import logprob_text, probability_text, rank_text
from lenstui.readout.values import AGREEMENT, ENTROPY, NEXT_LOGPROB, PROBABILITY, RANK, values_for
from tests.by_hand.known_readouts import (
    HOSTILE,
    MINE,
    PIN_TEXTS,
    PINS,
    SOURCE,
    WHOLE,
    cells,
    hostile_readout,
    hostile_words,
    settled,
)

TEXTS = {0: "·", 1: "·the", 2: "日本語", 3: "\\x1b[2J", 4: "👩🏽", 5: "[bold]", 6: "שלום", 7: "é"}


def readout(columns: int = 8, *, lenses: tuple[str, ...] = ("logit",)) -> Readout:
    ids = [[[(c + r) % 8, (c + r + 1) % 8] for c in range(columns)] for r in range(3)]
    prompt = Prompt("…", tuple(c % 8 for c in range(columns)))
    return Readout(prompt, ("emb", "0", "1"), {name: cells(ids) for name in lenses})


def test_the_last_row_is_on_top_and_each_cell_has_token_and_number() -> None:
    few = Readout(Prompt("…", (1, 5)), ("emb", "0"), {"logit": cells([[[1], [2]], [[5], [7]]])})
    assert table(few, TEXTS, SOURCE, PROBABILITY).plain == (
        "logit lens · probability\n"
        "         ·the        [bold]\n"
        "      0  [bold] 50%  é      50%\n"
        "    emb  ·the   50%  日本語 50%\n"
        "settles  0           0\n"
        "\n"
        "owner/name · float32 · wiring ok (2 checks, off by at most 1.5e-07) · without a tuned lens\n"
    )


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_columns_line_up_and_nothing_is_lost_whatever_the_width(width: int) -> None:
    shown = table(readout(), TEXTS, SOURCE, PROBABILITY, width=width).plain
    *groups, _ = shown.split("\n\n")
    ends_per_group: list[tuple[int, ...]] = []
    for group in groups:
        body = [line for line in group.splitlines() if re.match(r"    (emb|  \d)  ", line)]
        assert len(body) == 3
        ends = {tuple(cell_len(line[: m.end()]) for m in re.finditer(r"\d%(?=  |$)", line)) for line in body}
        assert len(ends) == 1
        assert max(ends)[-1] <= width
        ends_per_group += ends
    assert sum(map(len, ends_per_group)) == 8


def test_groups_say_which_columns_they_are() -> None:
    shown = table(readout(), TEXTS, SOURCE, PROBABILITY, width=40).plain
    runs = re.findall(r"^columns (\d+)–(\d+) of 8$", shown, re.MULTILINE)
    columns = [column for start, stop in runs for column in range(int(start), int(stop) + 1)]
    assert len(runs) > 1
    assert columns == list(range(8))


def test_a_token_that_is_too_wide_is_visibly_cut() -> None:
    long = Readout(Prompt("…", (0,)), ("emb",), {"logit": cells([[[1]]])})
    texts = {0: "·" * 200, 1: "日" * 200}
    shown = table(long, texts, SOURCE, PROBABILITY, width=80).plain.splitlines()
    assert shown[1] == "         " + "·" * 23 + "…"
    assert shown[2] == "    emb  " + "日" * 11 + " … 50%"


def test_without_a_width_nothing_is_cut_and_columns_stay_side_by_side() -> None:
    ids = [[[1] for _ in range(50)]]
    long = Readout(Prompt("…", (0,) * 50), ("emb",), {"logit": cells(ids)})
    shown = table(long, {0: "·" * 200, 1: "日" * 200}, SOURCE, PROBABILITY).plain.splitlines()
    assert shown[1].split() == ["·" * 200] * 50
    assert shown[2].split() == ["emb", *(["日" * 200, "50%"] * 50)]


def test_more_lines_show_more_tokens() -> None:
    shown = table(readout(2), TEXTS, SOURCE, PROBABILITY, lines=2).plain.splitlines()
    assert shown[2:4] == ["      1  日本語  50%  \\x1b[2J 50%", "         \\x1b[2J 25%  👩🏽      25%"]


def test_a_number_of_the_whole_cell_stands_once() -> None:
    shown = table(readout(2), TEXTS, SOURCE, RANK, lines=2).plain.splitlines()
    assert shown[0] == "logit lens · rank of final top-1"
    assert shown[2:4] == ["      1  日本語  4  \\x1b[2J 5", "         \\x1b[2J    👩🏽"]


def test_one_table_for_each_lens() -> None:
    shown = table(
        readout(1, lenses=("logit", "tuned")), TEXTS, replace(SOURCE, lenses=(MINE,)), ENTROPY
    ).plain
    assert re.findall(r"^\w+ lens · .*", shown, re.MULTILINE) == [
        "logit lens · entropy",
        "tuned lens · entropy",
    ]
    assert shown.endswith("· tuned lens mine.pt\n")


def test_the_last_line_has_the_row_where_each_column_settles() -> None:
    both = hostile_readout(5, 4)
    both.lenses["tuned"].top_ids[1:, 2, 0] = both.lenses["tuned"].top_ids[3, 2, 0]
    both.lenses["tuned"].top_ids[:, 4, 0] = 7
    shown = table(both, HOSTILE, SOURCE, PROBABILITY, width=300).plain
    found = [line.split()[1:] for line in shown.splitlines() if line.startswith("settles ")]
    assert found == [settled(lens) for lens in both.lenses.values()]
    assert found[1][2:] == ["0", "2", "emb"]


def test_names_from_outside_are_escaped() -> None:
    source = replace(SOURCE, model="\x1b[2J 名\u202e\n", revision="v1", lenses=(replace(MINE, file="\r.pt"),))
    assert summary(source).startswith("\\x1b[2J 名\\u202e\\n at v1 · float32 · ")
    assert summary(source).endswith("tuned lens \\r.pt")


def test_brackets_are_no_markup() -> None:
    assert "[bold]" in table(readout(), TEXTS, SOURCE, PROBABILITY, width=200).plain


def test_pins_have_a_table_of_their_own() -> None:
    both = hostile_readout(3, 2)
    words = hostile_words(both)
    shown = table(both, HOSTILE, SOURCE, PROBABILITY, pins=PINS, words=words, width=200).plain
    sections = shown.split("\n\n")
    assert len(sections) == 5
    for section, (name, lens) in zip(sections[2:4], both.lenses.items(), strict=True):
        title, heads, *rows = section.splitlines()
        said = "probability, rank (… of the first token); of a whole word: log p in nats"
        said += ", that of its first token"
        assert title == f"{name} lens · pinned, in the last column: {said}"
        assert heads.split() == [*PIN_TEXTS, *WHOLE.split()]
        for row, line in zip((1, 0), rows, strict=True):
            numbers = [
                part
                for logprob, rank in zip(lens.pin_logprobs[row, -1], lens.pin_ranks[row, -1], strict=True)
                for part in (probability_text(math.exp(logprob)), rank_text(rank))
            ]
            of_word = words[1].logprobs[name][row]
            whole = [logprob_text(float(of_word.sum())), logprob_text(float(of_word[0]))]
            assert line.split()[1:] == [*numbers, *whole]


def test_a_jacobian_lens_has_the_first_token_alone() -> None:
    both = hostile_readout(3, 2)
    both = replace(both, lenses={"jacobian": both.lenses["tuned"]})
    shown = table(both, HOSTILE, SOURCE, PROBABILITY, pins=PINS, words=hostile_words(both), width=200).plain
    title, heads, *_ = shown.split("\n\n")[1].splitlines()
    assert title.endswith("of a word of several tokens (…) its first one's, as they add up to nothing here")
    assert heads.split() == [*PIN_TEXTS]


def test_the_difference_of_the_lenses() -> None:
    logit = cells([[[1], [2]], [[3], [4]]], entropy=np.array([[3, 1], [2, 0.5]], np.float32))
    tuned = cells([[[1], [5]], [[3], [4]]], entropy=np.array([[1, 2.5], [2, 0.4]], np.float32))
    both = Readout(Prompt("…", (1, 5)), ("emb", "0"), {"logit": logit, "tuned": tuned})
    assert table(both, TEXTS, SOURCE, ENTROPY, diff=True).plain.splitlines()[:6] == [
        "tuned lens − logit lens · entropy · ≠ another token leads",
        "         ·the             [bold]",
        "      0  \\x1b[2J     0    👩🏽      −0.10",
        "    emb  ·the    −2.00    [bold]  +1.50 ≠",
        "settles  logit 0          logit 0",
        "         tuned 0          tuned 0",
    ]


def test_agreement_is_a_word_and_a_number_that_is_none_a_dash() -> None:
    few = Readout(Prompt("…", (1, 5)), ("emb", "0"), {"logit": cells([[[1], [7]], [[5], [7]]])})
    shown = table(few, TEXTS, SOURCE, AGREEMENT).plain.splitlines()
    assert [line.split() for line in shown[2:4]] == [
        *(["0", "[bold]", "yes", "é", "yes"], ["emb", "·the", "no", "é", "yes"])
    ]
    shown = table(few, TEXTS, SOURCE, NEXT_LOGPROB).plain.splitlines()
    assert shown[2].split() == ["0", "[bold]", "−0.30", "é", "–"]


def test_the_difference_of_agreement_says_who_agrees() -> None:
    lenses = {
        "logit": cells([[[1], [7], [2]], [[5], [7], [3]]]),
        "tuned": cells([[[5], [1], [2]], [[5], [7], [3]]]),
    }
    both = Readout(Prompt("…", (1, 5, 2)), ("emb", "0"), lenses)
    shown = table(both, TEXTS, SOURCE, AGREEMENT, diff=True).plain.splitlines()
    assert re.findall(r"[+−]?[01]\b", shown[3]) == ["+1", "−1", "0"]


def test_a_pin_names_the_value() -> None:
    value = next(value for value in values_for(["·the", "\\x1b"]) if value.key == "pin-diff")
    shown = table(hostile_readout(), HOSTILE, SOURCE, value, pins=PINS).plain
    assert shown.startswith("logit lens · logit of ·the − \\x1b\n")
