"""HTML pages, parsed: what they hold, what they say, and that nothing in them can break out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lenstui import __version__
from lenstui.export.colours import COLOURS, DIVERGING_COLOURS
from lenstui.export.html_page import html_page
from lenstui.lens import Readout
from lenstui.readout.values import KL, PROBABILITY, all_values
from lenstui.support.printable import printable
from tests.by_hand.known_readouts import (
    HOSTILE,
    HOSTILE_PROMPT,
    HOSTILE_SOURCE,
    PINS,
    SOURCE,
    hostile_readout,
    hostile_words,
)

READOUT = hostile_readout()
COMMAND = "lenstui read -p '</code><script>alert(3)</script>' -o page.html"


class Page(HTMLParser):
    """The elements of a page, with their attributes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open[-1]][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def written(readout: Readout = READOUT, **options: Any) -> str:
    options = {"pins": PINS, "words": hostile_words(READOUT), "vocabulary": 16, "command": COMMAND, **options}
    return html_page(readout, HOSTILE, HOSTILE_SOURCE, PROBABILITY, **options)


def data_of(text: str) -> Any:
    return json.loads(Page(text).texts["script"][0])


def close(numbers: list[Any], wanted: npt.NDArray[np.float32]) -> None:
    """To four significant digits."""
    np.testing.assert_allclose(
        np.array([np.nan if number is None else number for number in numbers]), wanted.ravel(), rtol=5.1e-4
    )


def test_every_number_comes_back() -> None:
    data = data_of(written())
    assert data["rows"] == ["emb", "0", "1", "2"]
    assert [data["texts"][number] for number in data["tokens"]] == [HOSTILE[i] for i in READOUT.prompt.ids]
    assert list(data["lenses"]) == ["logit", "tuned"]
    for name, cells in READOUT.lenses.items():
        lens = data["lenses"][name]
        assert [data["texts"][number] for number in lens["top"]] == [
            HOSTILE[i] for i in cells.top_ids.ravel().tolist()
        ]
        close(lens["probs"], cells.top_probs)
        values = lens["values"]
        close(values["prob"], cells.top_probs[:, :, 0])
        close(values["entropy"], cells.entropy)
        close(values["kl"], cells.kl)
        close(values["next-logprob"], cells.next_logprob)
        assert values["rank"] == cells.final_rank.ravel().tolist()
        assert values["agree"] == (cells.top_ids == cells.top_ids[-1])[:, :, 0].ravel().tolist()
        assert values["next-rank"] == [None if r < 0 else r for r in cells.next_rank.ravel().tolist()]
        close(values["pin-logprob"], cells.pin_logprobs[:, :, 0])
        assert values["pin-rank"] == cells.pin_ranks[:, :, 0].ravel().tolist()
        close(values["pin-diff"], cells.pin_logits[:, :, 0] - cells.pin_logits[:, :, 1])
        assert lens["crystallization"] == READOUT.crystallization(name).tolist()
        for place in range(2):
            close(values[data["pins"][place]["probability"]], np.exp(cells.pin_logprobs[:, :, place]))
            assert lens["pin_ranks"][place] == cells.pin_ranks[:, :, place].ravel().tolist()
        assert lens["words"][0] is None and not lens["words"][1]["missing"]
        close(lens["words"][1]["logprob"], hostile_words(READOUT)[1].logprob(name))
    assert [pin["whole"] for pin in data["pins"]] == [None, '"zebra⏎']
    assert [(pin["word"], pin["id"], data["texts"][pin["text"]]) for pin in data["pins"]] == [
        (pin.word, pin.id, HOSTILE[pin.id]) for pin in PINS
    ]


def test_the_switch_has_all_values_and_the_pins_on_the_scales_of_the_screen() -> None:
    data = data_of(written())
    keys = [value.key for value in all_values()]
    assert [value["key"] for value in data["values"]] == [*keys, "pin0", "pin1"]
    assert data["value"] == "prob"
    scale = KL.scale([cells.kl for cells in READOUT.lenses.values()], 16)
    kl = data["values"][2]
    assert kl["scale"] == {
        **{"lo": 0, "hi": scale.hi, "log": False},
        **{"low_is_bright": True, "diverging": False, "two": False, "count": 12},
    }
    assert kl["steps"] == list(range(len(COLOURS)))
    highest = max(float(cells.kl.max()) for cells in READOUT.lenses.values())
    above = "≥ " if highest > scale.hi else ""
    assert kl["legend"] == [f"{above}{scale.hi:.2f}", f"{scale.hi / 2:.2f}", "0"]
    assert (kl["label"], kl["unit"]) == ("KL from final", "nats")
    labels = {value["key"]: value["label"] for value in data["values"]}
    assert labels["pin0"] == "probability of ·the"
    assert labels["pin-diff"] == "logit of ·the − שלום…"
    difference = next(value for value in data["values"] if value["key"] == "pin-diff")
    assert difference["steps"] == list(range(12, 12 + 11))
    assert difference["legend"][1] == "0"
    agreement = next(value for value in data["values"] if value["key"] == "agree")
    assert (agreement["steps"], agreement["legend"][::2]) == ([0, 11], ["no", "yes"])
    shares = {
        name: float((cells.top_ids[:-1, 1:, 0] == cells.top_ids[-1, 1:, 0]).mean())
        for name, cells in READOUT.lenses.items()
    }
    assert agreement["note"] == (
        f"logit {100 * shares['logit']:.0f}% yes · tuned {100 * shares['tuned']:.0f}% yes, "
        "without the last row and the first column"
    )


def test_values_of_pins_are_there_where_there_are_pins() -> None:
    bare = {
        name: replace(
            cells,
            **{f"pin_{of}": getattr(cells, f"pin_{of}")[..., :0] for of in ("logits", "logprobs", "ranks")},
        )
        for name, cells in READOUT.lenses.items()
    }
    data = data_of(written(replace(READOUT, lenses=bare, pins=()), pins=()))
    keys = [value.key for value in all_values() if not value.pins]
    assert [value["key"] for value in data["values"]] == keys
    assert list(data["lenses"]["logit"]["values"]) == [value["key"] for value in data["values"]]
    assert data["lenses"]["logit"]["pin_ranks"] == []


def test_every_step_has_a_colour() -> None:
    style = Page(written()).texts["style"][0]
    assert re.findall(r"\.l(\d+) \{ background: (#[0-9a-f]{6})", style) == [
        (str(level), colour) for level, colour in enumerate(COLOURS + DIVERGING_COLOURS)
    ]


def test_numbers_that_are_none_are_null() -> None:
    odd = replace(READOUT.lenses["logit"], kl=np.full((4, 9), np.inf, np.float32))
    data = data_of(written(replace(READOUT, lenses={"logit": odd})))
    assert set(data["lenses"]["logit"]["values"]["kl"]) == {None}
    assert list(data["lenses"]) == ["logit"]


def test_it_says_where_it_comes_from_and_how_to_make_it_again() -> None:
    page = Page(written())
    text = " ".join(text for tag in ("h1", "p", "bdi", "q", "code") for text in page.texts[tag])
    for said in (
        *("Logit lens and tuned lens", printable(HOSTILE_SOURCE.model), "float32", "wiring ok", COMMAND),
        *(printable(HOSTILE_SOURCE.lens or ""), printable(HOSTILE_PROMPT), "torch 1.2, transformers 3.4"),
        f"at {HOSTILE_SOURCE.revision}",
    ):
        assert said in text, said
    assert page.texts["title"] == [printable(f"{HOSTILE_SOURCE.model} · {HOSTILE_PROMPT}")]


def test_nothing_breaks_out() -> None:
    text = written()
    page = Page(text)
    assert [attributes.get("type") for attributes in page.all("script")] == ["application/json", None]
    assert text.count("</script") == text.count("<script") == 2
    assert text.count("<!--") == 0
    assert "alert" not in page.texts["script"][1]
    assert all(line.isprintable() for line in text.split("\n"))
    wanted = {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "h1",
        "p",
        "bdi",
        "q",
        "code",
        "form",
    }
    wanted |= {"fieldset", "legend", "div", "main", "section", "noscript", "script"}
    assert {tag for tag, _ in page.elements} == wanted
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


def test_it_asks_the_network_for_nothing() -> None:
    text = written(replace(READOUT, prompt=replace(READOUT.prompt, text="x")), command="lenstui")
    assert not re.search(r"https?:|//[a-z]|url\(|@import|src=|href=|fetch|XMLHttp|innerHTML|eval\(", text)


def test_no_script_runs_but_its_own() -> None:
    page = Page(written())
    (policy,) = [
        meta["content"] or ""
        for meta in page.all("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    for tag, content in (("script", page.texts["script"][1]), ("style", page.texts["style"][0])):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")


def test_the_page_of_one_lens_says_so() -> None:
    readout = replace(READOUT, lenses={"logit": READOUT.lenses["logit"]})
    page = Page(html_page(readout, HOSTILE, SOURCE, KL, vocabulary=16, command=COMMAND))
    assert page.texts["h1"] == ["Logit lens"]
    assert data_of(written(readout))["value"] == "prob"
    assert page.all("meta")[3]["content"] == f"lenstui {__version__}"


@pytest.mark.parametrize("columns", [64, 512])
def test_the_size_is_moderate(columns: int) -> None:
    size = len(written(hostile_readout(columns, 33, 5)).encode())
    assert size < 25_000 + columns * 33 * 2 * 150
