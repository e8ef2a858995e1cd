"""Markdown, read back by a parser of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from markdown_it import MarkdownIt
from markdown_it.token import Token

from lenstui import __version__
from lenstui.export.markdown import markdown
from lenstui.lens import Prompt, Readout
from lenstui.readout.number_texts import logprob_text, probability_text
from lenstui.readout.values import KL, PROBABILITY
from lenstui.support.printable import printable
from tests.by_hand.known_readouts import (
    HOSTILE,
    HOSTILE_PROMPT,
    HOSTILE_SOURCE,
    PIN_TEXTS,
    PINS,
    SOURCE,
    WHOLE,
    cells,
    hostile_readout,
    hostile_words,
    settled,
)

READOUT = hostile_readout()
WORDS = hostile_words(READOUT)
COMMAND = "lenstui read -p '```|' --format md"


def text_of(inline: Token) -> str:
    """What a reader sees."""
    return "".join("" if child.type == "html_inline" else child.content for child in inline.children or ())


def parsed(text: str) -> tuple[list[list[list[str]]], list[str], list[str]]:
    """Tables as rows of cells, paragraphs, and code blocks."""
    tables: list[list[list[str]]] = []
    paragraphs, code = [], []
    inside = False
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "table_open":
            tables.append([])
            inside = True
        elif token.type == "table_close":
            inside = False
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type == "inline" and inside:
            tables[-1][-1].append(text_of(token))
        elif token.type == "inline":
            paragraphs.append(text_of(token))
        elif token.type == "fence":
            code.append(token.content)
        assert token.type != "html_block"
    return tables, paragraphs, code


def test_small() -> None:
    few = Readout(Prompt("a b", (10, 3)), ("emb", "0"), {"logit": cells([[[10], [2]], [[9], [6]]])})
    assert markdown(few, HOSTILE, SOURCE, PROBABILITY, command="lenstui read") == (
        "**logit lens** · probability\n"
        "\n"
        "|  | `·the` | `שלום` |\n"
        "| --: | :-- | :-- |\n"
        "| 0 | `日本語` 50% | `<!--` 50% |\n"
        "| emb | `·the` 50% | <code>&#96;&#96;&#124;&#96;</code> 50% |\n"
        "| settles | 0 | 0 |\n"
        "\n"
        f"`owner/name` · float32 · without a tuned lens · prompt `a b` · lenstui {__version__}\n"
        "\n"
        "```sh\n"
        "lenstui read\n"
        "```\n"
    )


def test_every_cell_comes_back() -> None:
    tables, paragraphs, code = parsed(
        markdown(READOUT, HOSTILE, HOSTILE_SOURCE, KL, pins=PINS, words=WORDS, command=COMMAND)
    )
    assert len(tables) == 4
    for table, lens in zip(tables, READOUT.lenses.values(), strict=False):
        assert table[0] == ["", *(HOSTILE[token] for token in READOUT.prompt.ids)]
        assert [row[0] for row in table[1:]] == ["2", "1", "0", "emb", "settles"]
        assert table[-1][1:] == settled(lens)
        for row, line in zip((3, 2, 1, 0), table[1:-1], strict=True):
            for column, cell in enumerate(line[1:]):
                token = HOSTILE[int(lens.top_ids[row, column, 0])]
                assert cell == f"{token} {KL.format(float(lens.kl[row, column]))}"
    for table, (name, lens) in zip(tables[2:], READOUT.lenses.items(), strict=True):
        assert table[0] == ["", *PIN_TEXTS, WHOLE]
        for row, line in zip((3, 2, 1, 0), table[1:], strict=True):
            probs = np.exp(lens.pin_logprobs[row, -1])
            assert [cell.split(", ")[0] for cell in line[1:3]] == [probability_text(float(p)) for p in probs]
            of_word = WORDS[1].logprobs[name][row]
            assert line[3] == f"{logprob_text(float(of_word.sum()))}, {logprob_text(float(of_word[0]))}"
    said = paragraphs[-1]
    assert said.startswith(f"{printable(HOSTILE_SOURCE.model)} at {HOSTILE_SOURCE.revision} · float32 · ")
    assert f"prompt {printable(HOSTILE_PROMPT)}" in said
    assert "torch 1.2, transformers 3.4" in said
    assert code == [COMMAND + "\n"]


def test_what_the_logit_lens_passed_over_is_said() -> None:
    text = markdown(READOUT, HOSTILE, replace(SOURCE, final_norm=False), KL, command=COMMAND)
    assert "logit lens without the final norm" in text
