"""The difference of the lenses: its numbers, its scale, and the same in every form that shows it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from lenstui.export.colours import LIGHT_DIVERGING_COLOURS
from lenstui.export.difference import Difference
from lenstui.export.figures.grid import grid_figure
from lenstui.export.figures.style import FigureStyle
from lenstui.export.html_page import html_page
from lenstui.export.markdown import markdown
from lenstui.lens import Readout
from lenstui.readout.values import AGREEMENT, ENTROPY, KL, PROBABILITY, RANK, Value
from tests.by_hand import drawn
from tests.by_hand.known_readouts import HOSTILE, HOSTILE_SOURCE, PINS, hostile_readout, settled

COMMAND = "lenstui read --diff"


def readout(columns: int = 5) -> Readout:
    """The lenses lead with another token in every third cell."""
    both = hostile_readout(columns)
    ids = both.lenses["tuned"].top_ids.copy()
    ids[..., 0].flat[::3] = (ids[..., 0].flat[::3] + 1) % 16
    kl = 2 * both.lenses["tuned"].kl[::-1]
    tuned = replace(both.lenses["tuned"], top1=ids[..., 0], top_ids=ids, kl=kl)
    return replace(both, lenses={**both.lenses, "tuned": tuned})


BOTH = readout()
LOGIT, TUNED = BOTH.lenses["logit"], BOTH.lenses["tuned"]
DIFFERS = (LOGIT.top_ids != TUNED.top_ids)[..., 0]


@pytest.mark.parametrize(
    ("value", "number", "text"),
    [
        (PROBABILITY, 0.31, "+31"),
        (PROBABILITY, -1.0, "−100"),
        (PROBABILITY, 1e-5, "+0.0"),
        (PROBABILITY, 0.0, "0"),
        (KL, -0.424, "−0.42"),
        (KL, -0.001, "−0.00"),
        (ENTROPY, 12.34, "+12.3"),
        (RANK, -3400.0, "−3.4k"),
        (RANK, 7.0, "+7"),
        (KL, math.nan, "–"),
        (AGREEMENT, 1.0, "+1"),
        (AGREEMENT, -1.0, "−1"),
        (AGREEMENT, 0.0, "0"),
        (AGREEMENT, math.nan, "–"),
    ],
)
def test_a_number_has_its_sign_and_five_characters_at_most(value: Value, number: float, text: str) -> None:
    assert of_both(value).format(number) == text
    assert len(text) <= 5


def of_both(value: Value) -> Difference:
    return Difference(value, "logit", "tuned")


def test_the_numbers_are_tuned_minus_logit() -> None:
    np.testing.assert_array_equal(of_both(KL).of(LOGIT, TUNED), TUNED.kl - LOGIT.kl)
    agree = [(cells.top_ids[..., 0] == cells.top_ids[-1, :, 0]).astype(int) for cells in (TUNED, LOGIT)]
    np.testing.assert_array_equal(of_both(AGREEMENT).of(LOGIT, TUNED), agree[0] - agree[1])


def test_the_scale_is_even_about_0_and_that_of_ranks_is_logarithmic() -> None:
    differences = np.array([[-4.0, 4.0, -1.0, 0.0, np.nan]], np.float32)
    scale = of_both(KL).scale(differences, 16)
    assert (scale.lo, scale.hi, scale.log) == (-4, 4, False)
    levels = scale.levels(differences).tolist()[0]
    assert levels[1] - levels[3] == levels[3] - levels[0] == 5
    assert of_both(RANK).scale(differences, 16).log
    few = of_both(AGREEMENT).scale(np.array([[0.0, 0.0, 0.0]], np.float32), 16)
    assert (few.lo, few.hi) == (-1, 1)


def test_a_legend_names_the_sides() -> None:
    assert of_both(KL).note(of_both(KL).scale(LOGIT.kl, 16)) == "blue: tuned lower, orange: tuned higher"
    assert of_both(RANK).note(of_both(RANK).scale(LOGIT.kl, 16)).endswith(", log scale")
    assert of_both(AGREEMENT).sides == ("only logit", "only tuned")


def test_markdown() -> None:
    text = markdown(BOTH, HOSTILE, HOSTILE_SOURCE, KL, diff=True, command=COMMAND)
    assert text.startswith(
        "**tuned lens − logit lens** · KL from final · ≠ another token leads by the logit lens\n"
    )
    assert "**logit lens**" not in text
    *lines, last = [line for line in text.splitlines() if line.startswith("| ")][2:]
    both = zip(settled(LOGIT), settled(TUNED), strict=True)
    assert last == f"| settles | {' | '.join(f'logit {one}, tuned {other}' for one, other in both)} |"
    assert [line.split()[1] for line in lines] == ["2", "1", "0", "emb"]
    numbers = [re.findall(r"(?:(?<=`)|(?<=</code>)) ([+−]?[0-9.]+)(?= \||\Z| ≠)", line) for line in lines]
    found = np.array([[float(number.replace("−", "-")) for number in row] for row in numbers])
    np.testing.assert_allclose(found, (TUNED.kl - LOGIT.kl)[::-1], atol=0.051)
    assert [line.count("≠") for line in lines] == DIFFERS[::-1].sum(axis=1).tolist()


def test_svg() -> None:
    style = FigureStyle()
    svg = grid_figure(
        "svg", BOTH, HOSTILE, HOSTILE_SOURCE, KL, style=style, diff=True, vocabulary=16, command=COMMAND
    )
    cells = drawn.cells(svg.content)
    colours = LIGHT_DIVERGING_COLOURS
    differences = (TUNED.kl - LOGIT.kl)[::-1].ravel()
    sides = [np.sign(colours.index(colour) - 5) for colour, _, _ in cells]
    assert all(side in (0, np.sign(number)) for side, number in zip(sides, differences, strict=True))
    assert {-1, 1} <= set(sides)
    assert [text.startswith("≠ ") for _, _, text in cells] == DIFFERS[::-1].ravel().tolist()
    *_, legend, low, _, high = drawn.said(svg.content)
    said = drawn.said(svg.content)
    assert said.count("tuned lens − logit lens") == 1
    assert legend == "KL from final: tuned − logit, nats"
    assert low.endswith(" tuned lower") and high.endswith(" tuned higher")
    assert "by the tuned lens; ≠: another one by the logit lens\n" in svg.caption.text


class Data(HTMLParser):
    """The JSON of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._inside, self.found = False, ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = ("id", "readout") in attrs

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found, self._inside = data, False


def page_data(**options: Any) -> Any:
    page = html_page(BOTH, HOSTILE, HOSTILE_SOURCE, KL, pins=PINS, vocabulary=16, command=COMMAND, **options)
    return json.loads(Data(page).found)


def test_html_has_the_differences_and_both_lenses() -> None:
    data, plain = page_data(diff=True), page_data()
    assert data["lenses"] == plain["lenses"]
    assert plain["difference"] is None
    assert data["difference"]["mark"] == "≠"
    values = {value["key"]: value for value in data["values"]}
    assert [*values] == [value["key"] for value in plain["values"]]
    for value, tuned, logit in (
        ("kl", TUNED.kl, LOGIT.kl),
        ("prob", TUNED.top_probs[..., 0], LOGIT.top_probs[..., 0]),
        ("pin1", np.exp(TUNED.pin_logprobs[..., 1]), np.exp(LOGIT.pin_logprobs[..., 1])),
    ):
        wanted = (tuned - logit).ravel() * (1 if value == "kl" else 100)  # percentage points
        np.testing.assert_allclose(values[value]["differences"], wanted, rtol=5.1e-4)
        assert values[value]["difference_unit"] == ("nats" if value == "kl" else "points")
        assert values[value]["scale"]["diverging"]
    assert values["kl"]["note"] == "blue: tuned lower, orange: tuned higher"
    assert None in values["next-logprob"]["differences"]
