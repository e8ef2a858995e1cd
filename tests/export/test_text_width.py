"""Text that fits a width: what is cut, what goes into the next line, and what stays as it is in a pipe."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from lenstui.export.text_width import clip, column_groups, wrapped

TEXTS = st.text(st.sampled_from("ab1 日é👩·"), max_size=60)
WIDTHS = st.integers(1, 40)


@given(TEXTS, WIDTHS)
def test_a_clipped_text_fits_and_shows_where_it_was_cut(text: str, width: int) -> None:
    shown = clip(text, width)
    assert cell_len(shown) <= width
    assert shown == text if cell_len(text) <= width else shown.endswith("…")
    assert clip(text, None) == text


@given(TEXTS, WIDTHS)
def test_a_sentence_is_broken_at_spaces_alone(text: str, width: int) -> None:
    lines = wrapped(text, width).split("\n")
    assert " ".join(lines) == text
    assert all(cell_len(line) <= width or " " not in line for line in lines)
    assert wrapped(text, None) == text


def test_a_line_is_as_full_as_it_can_be() -> None:
    assert wrapped("one two three 日本語 end", 9) == "one two\nthree\n日本語\nend"
    assert wrapped("one two three 日本語 end", 10) == "one two\nthree\n日本語 end"


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), WIDTHS, st.integers(0, 3))
def test_columns_are_in_one_group_each_and_groups_fit(widths: list[int], room: int, gap: int) -> None:
    def width(start: int, stop: int) -> int:
        return sum(widths[start:stop]) + gap * (stop - start - 1)

    groups = list(column_groups(widths, room, gap))
    assert [column for start, stop in groups for column in range(start, stop)] == list(range(len(widths)))
    assert all(width(start, stop) <= room or stop - start == 1 for start, stop in groups)
    assert all(width(start, stop + 1) > room for start, stop in groups[:-1])
    assert list(column_groups(widths, None, gap)) == [(0, len(widths))]
