"""Numbers as they are typed: whatever the text is, a number or None."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenstui.support.typed_number import finite_number, whole_number


@given(st.text() | st.text("0123456789٣²-+._ ", max_size=12))
def test_a_whole_number_is_of_digits_alone(text: str) -> None:
    digits = re.fullmatch("[0-9]{1,9}", text)
    assert whole_number(text) == (
        sum(int(d) * 10**i for i, d in enumerate(reversed(text))) if digits else None
    )


@given(st.floats(min_value=0, allow_infinity=False))
def test_a_finite_number_is_read(number: float) -> None:
    assert finite_number(repr(number)) == number


@pytest.mark.parametrize("text", ["", "-1", "-1e-9", "nan", "inf", "-inf", "1e999", "1,5", "one", "0x10"])
def test_what_is_no_such_number(text: str) -> None:
    assert finite_number(text) is None
