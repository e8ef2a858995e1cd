"""A readout of some rows alone, in every form: nothing says where a column settles, for nobody knows."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lenstui.export.csv_text import csv_text
from lenstui.export.figures.grid import grid_figure
from lenstui.export.figures.style import FigureStyle
from lenstui.export.first_row import Sought, first_row_text
from lenstui.export.html_page import html_page
from lenstui.export.json_contract import json_text
from lenstui.export.markdown import markdown
from lenstui.export.parquet_file import write_parquet
from lenstui.export.table import table
from lenstui.readout.values import PROBABILITY
from tests.by_hand import drawn
from tests.by_hand.known_readouts import HOSTILE, HOSTILE_SOURCE, PINS, heading, hostile_readout, tiles

WHOLE = hostile_readout()
SOME = replace(WHOLE, rows=("emb", "0", "2", "3"))


def test_json_has_null() -> None:
    for readout, wanted in ((WHOLE, [str, str]), (SOME, [type(None)] * 2)):
        lenses = json.loads(json_text(readout, HOSTILE, HOSTILE_SOURCE))["lenses"].values()
        found = [lens["crystallization"] and lens["crystallization"][0] for lens in lenses if lens]
        assert list(map(type, found)) == wanted


def test_csv_and_parquet_have_nothing_in_the_same_columns() -> None:
    columns = {}
    for readout in (WHOLE, SOME):
        text = "".join(csv_text(tiles(readout), heading(readout), HOSTILE))
        lines = list(csv.DictReader(io.StringIO(text)))
        file = io.BytesIO()
        write_parquet(tiles(readout), heading(readout), HOSTILE, file)
        read = pq.read_table(file)
        columns[readout.rows] = list(lines[0]), read.schema.names
        settled = {line["crystallization"] for line in lines}
        assert read.schema.field("crystallization").type == pa.string()
        if readout is SOME:
            assert settled == {""}
            assert read["crystallization"].null_count == len(lines)
        else:
            assert "" not in settled
            assert read["crystallization"].null_count == 0
    assert columns[WHOLE.rows] == columns[SOME.rows]


@pytest.mark.parametrize("diff", [False, True])
def test_what_is_read_by_eye_has_no_such_line_and_no_bar(diff: bool) -> None:
    for readout in (WHOLE, SOME):
        is_whole = readout is WHOLE
        text = table(readout, HOSTILE, HOSTILE_SOURCE, PROBABILITY, diff=diff).plain
        assert ("settles" in text) == is_whole
        text = markdown(readout, HOSTILE, HOSTILE_SOURCE, PROBABILITY, diff=diff, command="")
        assert ("| settles |" in text) == is_whole
        value, style = PROBABILITY, FigureStyle()
        figure = grid_figure(
            "svg", readout, HOSTILE, HOSTILE_SOURCE, value, style=style, diff=diff, vocabulary=16, command=""
        )
        assert len(drawn.bars(figure.content)) == (9 * (1 if diff else 2) if is_whole else 0)
        assert ("bar at the left" in figure.caption.text) == is_whole
        page = html_page(
            readout, HOSTILE, HOSTILE_SOURCE, PROBABILITY, pins=PINS, diff=diff, vocabulary=16, command=""
        )
        assert ('"crystallization":null' in page) != is_whole


def test_a_word_comes_first_in_the_rows_that_are_read() -> None:
    sought = Sought("sky", ((3, "·sky"),))
    read = {"logit lens": np.array([[1], [3], [3]]), "tuned lens": np.array([[1], [1], [2]])}
    said = first_row_text(sought, read, ["emb", "2", "5"], 0)
    assert said == '"·sky": of the rows read, first top-1 at row 2 in the logit lens, never in the tuned lens'
    said = first_row_text(sought, dict(reversed(read.items())), ["1", "2", "5"], 0)
    assert said.startswith('"·sky": of the rows read, never top-1 in column 0 in the tuned lens')
    assert "rows read" not in first_row_text(sought, read, ["emb", "0", "1"], 0)
