from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenstui.export.command import _model_words, _reading_words, command_text, read_command
from lenstui.export.figures.style import FIGURE_FORMS, FigureStyle
from lenstui.export.shape import GRID, PINS, Shape
from lenstui.export.tidy import Heading
from lenstui.lens import Prompt
from lenstui.model.rows import parse_rows
from lenstui.readout.reading import Reading
from lenstui.support.request import Start
from tests.by_hand.known_readouts import SOURCE

WORDS = [
    *("lenstui", "read", "-p", "", "--rows=emb,0-3"),
    "a'b \\ \x1b[2J\nzwölf\x01f\u202e日本$HOME`x`",
    "\U000e0041",
]


def test_plain_words_stay_plain() -> None:
    assert command_text(["lenstui", "read", "The sky", "--top-k", "3"]) == "lenstui read 'The sky' --top-k 3"


def test_a_reading_is_in_the_options_that_make_it() -> None:
    from lenstui.cli.arguments import parse
    from lenstui.cli.read import _parser, _shape

    for reading in (
        Reading(),
        Reading(rows=parse_rows("emb,0-4,last"), final_norm=False, bos=False),
        Reading(rows=parse_rows("every 3"), bos=True),
        Reading(chat=True),
        Reading(sublayers=True),
    ):
        parser = _parser()
        given = parse(parser, ["x", *_reading_words(reading)])
        assert _shape(parser, given).reading == reading


def test_of_a_difference_there_are_no_sublayers() -> None:
    shape = Shape(reading=Reading(sublayers=True, chat=True))
    assert "--sublayers" in _model_words(SOURCE, (), Start(), shape)
    words = _model_words(SOURCE, (), Start(), replace(shape, diff=True))
    assert "--sublayers" not in words
    assert "--chat" in words


def test_a_figure_of_pins_has_no_sublayers() -> None:
    shape = Shape(format="pdf", reading=Reading(sublayers=True), figure=PINS)
    assert "--sublayers" not in _model_words(SOURCE, (), Start(), shape)
    assert "--sublayers" in _model_words(SOURCE, (), Start(), replace(shape, figure=GRID))


@given(
    width=st.none() | st.floats(1e-3, 5000, allow_nan=False),
    greyscale=st.booleans(),
    form=st.sampled_from(FIGURE_FORMS),
    column=st.none() | st.integers(0, 5000),
)
def test_a_figure_is_in_the_options_that_make_it(
    width: float | None, greyscale: bool, form: str, column: int | None
) -> None:
    from lenstui.cli.arguments import parse
    from lenstui.cli.read import _parser, _shape

    style = FigureStyle(width, greyscale)
    shape = Shape(format=form, pins=("a",), figure=PINS, column=column, style=style)
    prompt = Prompt("x", (0,))
    words = shlex.split(read_command(Heading(prompt, ("emb",), SOURCE), (), Start(top_k=1), shape))
    parser = _parser()
    again = _shape(parser, parse(parser, words[2:]))
    assert (again.format, again.figure, again.column, again.style) == (form, PINS, column, style)
    assert again.pins == ("a",)


def test_it_is_one_line_that_moves_no_cursor() -> None:
    assert command_text(WORDS).isprintable()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_reads_the_words_back() -> None:
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {command_text(WORDS)}"],
        capture_output=True,
        check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert done.stdout.decode().split("\0")[:-1] == WORDS
