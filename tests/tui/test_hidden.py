"""Stand-ins for characters that a terminal must not get."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from lenstui.support.printable import MOST_MARKS, is_hidden
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.shared.hidden import shield, unshield
from lenstui.tui.shared.still_input import StillInput

TEXTS = st.text(
    st.one_of(st.characters(), st.sampled_from("\x1b\x00\u202e\u200b\ufe0f␛⣿⣾\n\r\te\u0301\u20dd")),
    max_size=40,
)


def most_marks(text: str) -> int:
    runs = groupby(text, lambda c: unicodedata.category(c) in {"Mn", "Me"})
    return max((sum(1 for _ in run) for is_mark, run in runs if is_mark), default=0)


@given(TEXTS)
def test_nothing_hidden_is_shown_and_nothing_is_lost(text: str) -> None:
    shown, stand_ins = shield(text)
    assert unshield(shown, stand_ins) == text
    assert len(shown) == len(text)
    assert most_marks(shown) <= MOST_MARKS
    for character in shown.replace("\n", ""):
        assert unicodedata.category(character)[0] != "C"
        assert unicodedata.category(character) not in {"Zl", "Zp"}


@given(st.lists(TEXTS, max_size=5))
def test_texts_of_one_box_share_their_stand_ins(texts: list[str]) -> None:
    everything = ""
    stand_ins: Mapping[str, str] = {}
    for text in texts:
        shown, stand_ins = shield(text, stand_ins)
        everything += shown
        assert unshield(shown, stand_ins) == text
    assert unshield(everything, stand_ins) == "".join(texts)


def test_what_is_put_into_a_box_later_leaves_what_is_in_it() -> None:
    box = PromptBox("a\x9bb")
    assert box._shielded("\u202e") != box.text[1]
    assert box.prompt == "a\x9bb"


def test_escape_is_shown_as_its_picture() -> None:
    assert shield("a\x1b[31m")[0] == "a␛[31m"


def test_a_picture_that_was_typed_is_not_taken_for_the_real_thing() -> None:
    shown, stand_ins = shield("␛\x1b")
    assert shown[0] == "␛"
    assert shown[1] != "␛"
    assert unshield(shown, stand_ins) == "␛\x1b"


def test_marks_pile_up_on_no_letter_and_stay_on_others() -> None:
    shown, stand_ins = shield("e" + "\u0301" * 50 + " e\u0301")
    assert shown.startswith("e" + "\u0301" * MOST_MARKS + "⣿")
    assert shown.endswith(" e\u0301")
    assert unshield(shown, stand_ins) == "e" + "\u0301" * 50 + " e\u0301"


def test_many_kinds_have_a_stand_in_each() -> None:
    text = "".join(map(chr, range(0xE000, 0xE000 + 2000)))
    shown, stand_ins = shield(text)
    assert unshield(shown, stand_ins) == text
    assert not any(map(is_hidden, shown))


def test_more_kinds_than_there_are_stand_ins_are_no_failure() -> None:
    text = "".join(map(chr, range(0xF0000, 0x10FFFF)))
    shown, stand_ins = shield(text)
    assert not any(map(is_hidden, shown))
    assert shown[-1] == unshield(shown, stand_ins)[-1] == "\ufffd"


async def test_a_line_shows_what_is_hidden_in_it_and_has_it_still() -> None:
    value = "a\x1b]52;c;\x07\u202e\u200b\u3164e" + "\u0301" * 50 + "\nz"

    class Lines(App[None]):
        def compose(self) -> ComposeResult:
            yield StillInput(value)

    async with Lines().run_test() as pilot:
        line = pilot.app.query_one(StillInput)
        shown = line.render_line(0).text
        assert shown.startswith("a␛]52;c;␇⣿⣾⣽e" + "\u0301" * MOST_MARKS + "⣼")
        assert "␊z" in shown
        await pilot.press("end", "backspace")
        assert "␊z" not in line.render_line(0).text
        assert line.value == value[:-1]
