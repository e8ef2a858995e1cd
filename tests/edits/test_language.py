"""The language of edits: what is typed is what is meant, and errors point at the place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenstui.edits.edit import Ablate, Columns, Component, Cut, Edit, Patch, Rows, Steer, Swap, Text
from lenstui.edits.language import EditError, edits_text, parse_edit
from lenstui.support.errors import LensError

ROW_2 = Component("stream", 2)


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ("ablate 4.attn", Ablate(Component("attn", 4))),
        ("ablate 4.7 @3", Ablate(Component("head", 4, 7), Columns(((3, 3),)))),
        ("  ablate   4.mlp.812 @3-6,last mean ", Ablate(
            Component("neuron", 4, 812), Columns(((3, 6), (None, None))), by_mean=True)),
        ("ablate emb zero", Ablate(Component("stream", -1))),
        ('patch 4.mlp "a b"', Patch(Component("mlp", 4), Text("a b"))),
        ('patch row 2 @5 "he said \\"no\\"\\n" row 10 @7', Patch(
            ROW_2, Text('he said "no"\n'), Columns(((5, 5),)), Component("stream", 10), Columns(((7, 7),)))),
        ('patch row 2 @5 "x" @last', Patch(
            ROW_2, Text("x"), Columns(((5, 5),)), None, Columns(((None, None),)))),
        ("steer Paris @2 rows 3-6 by -2.5", Steer(
            Rows(3, 6), -2.5, word="Paris", columns=Columns(((2, 2),)))),
        ('steer " Paris" row emb by 1', Steer(Rows(-1, -1), 1, word=" Paris")),
        ('steer "hate" -> "love" rows emb-4 by 2', Steer(
            Rows(-1, 4), 2, prompts=(Text("hate"), Text("love")))),
        ('steer by row 3 by 1', Steer(Rows(3, 3), 1, word="by")),
        ("swap Paris Rome rows 3-6", Swap("Paris", "Rome", Rows(3, 6))),
        ("cut 4.7 9<-2", Cut(Component("head", 4, 7), Columns(((9, 9),)), Columns(((2, 2),)))),
        ("cut 4.attn last<-0-3,5", Cut(
            Component("attn", 4), Columns(((None, None),)), Columns(((0, 3), (5, 5))))),
    ],
)  # fmt: skip
def test_an_edit_is_what_it_says(text: str, edit: Edit) -> None:
    assert parse_edit(text) == edit
    assert parse_edit(edit.text) == edit


def test_a_prompt_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a b.txt"
    file.write_text("The sky is\n")
    edit = parse_edit(f'patch row 2 @"{file}"')
    assert isinstance(edit, Patch)
    assert edit.prompt == Text("The sky is", str(file))
    assert edits_text([edit, edit]) == f'patch row 2 @"{file}"; patch row 2 @"{file}"'
    plain = tmp_path / "plain.txt"
    plain.write_text("x")
    assert parse_edit(f"patch row 2 @0 @{plain}") == Patch(ROW_2, Text("x", str(plain)), Columns(((0, 0),)))


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("", "", "a verb"),
        ("ablat 4.attn", "ablat", "perhaps 'ablate' is meant"),
        ("delete 4.attn", "delete", "there are ablate, patch, steer, swap, cut"),
        ("ablate", "", "a component"),
        ("ablate 4.atn", "4.atn", "is no component"),
        ("ablate 4.attn @x", "@x", "nothing more"),
        ("ablate 4.attn @6-3", "@6-3", "backwards"),
        ("ablate 4.attn @3,", "@3,", "is no column"),
        ("ablate 4.attn @3 zero mean", "mean", "nothing more"),
        ("ablate row x", "x", "is no row"),
        ("patch 4.attn", "", "a prompt"),
        ("patch 4.attn word", "word", "in quotation marks"),
        ('patch 4.attn "open', '"open', "not closed"),
        ('patch 4.attn ""', '""', "empty"),
        ('patch 4.7 "x" 4.mlp', "4.mlp", "cannot be put in the place of 4.7"),
        ('patch 4.7 "x" @3', "@3", "need columns to put in"),
        ("patch 4.attn @/no/such/file", "@/no/such/file", "cannot be read"),
        ("steer Paris rows 3-6", "", "how much"),
        ("steer Paris by 2", "by", "the rows"),
        ("steer Paris rows 6-3 by 2", "6-3", "downwards"),
        ("steer Paris rows 3-6 by much", "much", "is no number"),
        ("steer Paris rows 3-6 by inf", "inf", "no finite number"),
        ("swap Paris", "", "a second word"),
        ("cut 4.mlp 9<-2", "4.mlp", "an attention head"),
        ("cut 4.7 9", "9", "who may not read what"),
        ("cut 4.7 9<-x", "9<-x", "is no column"),
    ],
)
def test_an_error_points_at_the_place(text: str, at: str, said: str) -> None:
    with pytest.raises(EditError) as raised:
        parse_edit(text)
    assert text[raised.value.start : raised.value.stop] == at
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_columns_are_those_of_the_prompt() -> None:
    assert Columns(((0, 1), (None, None))).of(5) == [0, 1, 4]
    assert Columns(((3, None),)).of(5) == [3, 4]
    with pytest.raises(LensError, match="no column 5: the prompt has columns 0 … 4"):
        Columns(((5, 5),)).of(5)


_numbers = st.integers(0, 9999)
_columns = st.none() | st.lists(
    st.tuples(_numbers, _numbers).map(lambda run: (min(run), max(run))) | st.just((None, None))
    | _numbers.map(lambda first: (first, None)),
    min_size=1, max_size=3,
).map(lambda runs: Columns(tuple(runs)))  # fmt: skip
_whole = st.builds(Component, st.sampled_from(["attn", "mlp"]), _numbers) | st.builds(
    Component, st.just("stream"), st.integers(-1, 999)
)
_parts = _whole | st.builds(Component, st.sampled_from(["head", "neuron"]), _numbers, _numbers)
_heads = st.builds(Component, st.just("head"), _numbers, _numbers)
_rows = st.tuples(st.integers(-1, 99), st.integers(-1, 99)).map(lambda ends: Rows(min(ends), max(ends)))
_words = st.text(min_size=1).filter(lambda word: "\r" not in word)
_prompts = _words.map(Text)
_by = st.floats(allow_nan=False, allow_infinity=False).map(lambda by: float(f"{by:g}"))


@given(
    st.builds(Ablate, _parts, _columns, st.booleans())
    | st.builds(Patch, _whole, _prompts, _columns)
    | st.builds(Patch, _whole, _prompts, _columns, _whole)
    | st.builds(Steer, _rows, _by, word=_words, columns=_columns)
    | st.builds(Steer, _rows, _by, prompts=st.tuples(_prompts, _prompts), columns=_columns)
    | st.builds(Swap, _words, _words, _rows, _columns)
    | st.builds(
        Cut,
        _heads,
        _columns.filter(bool),
        _columns.filter(bool),
    )
)
def test_every_edit_is_read_back(edit: Edit) -> None:
    assert parse_edit(edit.text) == edit


@given(st.text() | st.from_regex(r"(ablate|patch|steer|swap|cut)[ -~]{0,40}", fullmatch=True))
def test_whatever_is_typed_is_an_edit_or_one_line(text: str) -> None:
    try:
        edit = parse_edit(text)
    except EditError as error:
        assert 0 <= error.start <= error.stop <= len(text)
    else:
        assert parse_edit(edit.text) == edit
