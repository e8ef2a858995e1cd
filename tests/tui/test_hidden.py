"""Stand-ins for characters that a terminal must not get."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from lenstui.tui.shared.hidden import shield, unshield


@given(
    st.text(st.one_of(st.characters(), st.sampled_from("\x1b\x00\u202e\u200b\ufe0f␛⣿⣾\n\r\t")), max_size=40)
)
def test_nothing_hidden_is_shown_and_nothing_is_lost(text: str) -> None:
    shown, stand_ins = shield(text)
    assert unshield(shown, stand_ins) == text
    assert len(shown) == len(text)
    for character in shown.replace("\n", ""):
        assert unicodedata.category(character)[0] != "C"
        assert unicodedata.category(character) not in {"Zl", "Zp"}


def test_escape_is_shown_as_its_picture() -> None:
    assert shield("a\x1b[31m")[0] == "a␛[31m"


def test_a_picture_that_was_typed_is_not_taken_for_the_real_thing() -> None:
    shown, stand_ins = shield("␛\x1b")
    assert shown[0] == "␛"
    assert shown[1] != "␛"
    assert unshield(shown, stand_ins) == "␛\x1b"
