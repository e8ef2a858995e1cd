"""A value that is registered while the program runs is in every form, in `--help` and in prompt sets."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lenstui.export.clips import Clip, cell_text, column_text, table_text
from lenstui.export.figures.palette import cell_colour
from lenstui.export.forms import Manner, figure_of, text_of, write_form
from lenstui.export.set_json import set_json
from lenstui.export.set_table import set_table
from lenstui.export.set_tidy import SetHeading, set_csv
from lenstui.export.set_values import mean_value
from lenstui.export.table import table
from lenstui.lens import Model
from lenstui.readout.sets.cases import CaseReadout, read_set
from lenstui.readout.sets.prompt_fields import Case
from lenstui.readout.values import Value, all_values, register, value_named
from tests.by_hand import drawn
from tests.by_hand.known_readouts import HOSTILE, PINS, SOURCE, heading, hostile_readout, tiles
from tests.by_hand.margin import MARGIN, margin, registered
from tests.programs.calls import status

READOUT = hostile_readout()
WANTED = {name: margin(cells) for name, cells in READOUT.lenses.items()}


@pytest.fixture(autouse=True)
def value() -> Iterator[Value]:
    with registered() as one:
        yield one


def written(form: str, *, diff: bool = False) -> str:
    manner = Manner(HOSTILE, 16, MARGIN, "the command", diff)
    return "".join(text_of(form, tiles(READOUT), heading(READOUT), manner))


def test_a_key_is_taken_once_and_those_of_pins_stay_last() -> None:
    with pytest.raises(ValueError, match="margin"):
        register(MARGIN)
    assert value_named("margin") is MARGIN
    needed = [one.pins for one in all_values()]
    assert needed == sorted(needed)


def test_json() -> None:
    lenses = json.loads(written("json"))["lenses"]
    for name, wanted in WANTED.items():
        np.testing.assert_allclose(lenses[name]["margin"], wanted, rtol=1e-6)


def test_csv_and_parquet(tmp_path: Path) -> None:
    lines = list(csv.DictReader(io.StringIO(written("csv"))))
    file = tmp_path / "it.parquet"
    write_form("parquet", tiles(READOUT), heading(READOUT), Manner(HOSTILE, 16, MARGIN, ""), file)
    columns = pq.read_table(file).to_pydict()
    for place, line in enumerate(lines):
        row, column = int(line["row_index"]), int(line["column"])
        wanted = WANTED[line["lens"]][row, column]
        assert np.float32(line["margin"]) == np.float32(columns["margin"][place]) == wanted


def test_table_and_markdown() -> None:
    shown = table(READOUT, HOSTILE, SOURCE, MARGIN, width=400).plain.splitlines()
    assert shown[0] == "logit lens · lead of the top-1"
    markdown = written("md")
    assert "**tuned lens** · lead of the top-1\n" in markdown
    for number in WANTED["logit"][-1].tolist():
        assert f" {MARGIN.format(number)}" in shown[2]
    for number in WANTED["tuned"][-1].tolist():
        assert f" {MARGIN.format(number)} |" in markdown
    assert "lead of the top-1: tuned" not in markdown
    assert "+" not in MARGIN.format(0.5) and re.search(r" [+−]\d", written("md", diff=True))


def test_svg() -> None:
    manner = Manner(HOSTILE, 16, MARGIN, "")
    figure = figure_of("svg", tiles(READOUT), heading(READOUT), manner).content
    assert "lead of the top-1" in drawn.said(figure)
    levels = [MARGIN.scale((), 16).levels(wanted)[::-1] for wanted in WANTED.values()]
    fills = [cell_colour(level, greyscale=False) for of_lens in levels for level in of_lens.ravel().tolist()]
    assert [fill for fill, _, _ in drawn.cells(figure)] == fills


def test_html() -> None:
    page = written("html")
    data = json.loads(re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)[0])
    (entry,) = (one for one in data["values"] if one["key"] == "margin")
    assert data["value"] == "margin"
    assert (entry["label"], entry["brief"], entry["of_next"]) == ("lead of the top-1", "margin", False)
    for name, wanted in WANTED.items():
        np.testing.assert_allclose(data["lenses"][name]["values"]["margin"], wanted.ravel(), rtol=5.1e-4)


def test_the_script_of_the_page_knows_no_value_by_name() -> None:
    import lenstui.export.html_page as module

    script = (Path(module.__file__).parent / "page.js").read_text("utf-8")
    for one in all_values():
        for name in filter(None, (one.key, one.stored)):
            assert not re.search(rf"""["'`.]{re.escape(name)}\b""", script), name


def test_clips() -> None:
    tokens = [HOSTILE[token] for token in READOUT.prompt.ids]
    pins = [HOSTILE[pin.id] for pin in PINS]
    clip = Clip(READOUT.rows, tokens, READOUT.lenses, HOSTILE, MARGIN, pins)
    number = float(WANTED["tuned"][2, 3])
    assert f"lead of the top-1 {MARGIN.format(number)}" in cell_text(clip, 2, 3)
    assert column_text(clip, 3).splitlines()[3].split("\t")[6] == f"{number:.6g}"
    assert f" {MARGIN.format(number)}\t" in table_text(clip)


def test_the_command_line(neox_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("read", "--help") == 0
    assert "margin (top-1 less top-2)" in " ".join(capsys.readouterr().out.split())
    lens = neox_folder.parent / "mine.pt"
    words = ("read", "hi", "--model", neox_folder, "--lens", lens, "--top-k", "2")
    assert status(*words, "--format", "json") == 0
    numbers = json.loads(capsys.readouterr().out)["lenses"]["tuned"]
    np.testing.assert_allclose(numbers["margin"], -np.diff(numbers["top_probs"])[..., 0], rtol=1e-5)
    assert status(*words, "--value", "margin") == 0
    shown = capsys.readouterr().out
    assert "tuned lens · lead of the top-1" in shown
    assert f" {MARGIN.format(numbers['margin'][-1][0])} " in shown


def test_prompt_sets_and_their_means(tiny: Model) -> None:
    readouts = list(read_set(tiny, [Case(1, "a b"), Case(2, "what")]))
    alone = [each.lenses["logit"].top_prob for each in readouts if isinstance(each, CaseReadout)]
    set_heading = SetHeading("set.txt", ("emb", "0", "1", "2"), SOURCE)
    content = json.loads(set_json(readouts, set_heading, tiny.texts))
    mean = np.mean(alone, axis=0, dtype=float)
    for case, wanted in zip(content["cases"], alone, strict=True):
        np.testing.assert_allclose(case["lenses"]["logit"]["margin"], wanted, rtol=1e-6)
    np.testing.assert_allclose(content["means"]["lenses"]["logit"]["margin"]["mean"], mean, rtol=1e-6)
    read_ones = [each for each in readouts if isinstance(each, CaseReadout)]
    lines = list(csv.DictReader(io.StringIO("".join(set_csv(read_ones, set_heading, tiny.texts)))))
    np.testing.assert_allclose([float(line["margin"]) for line in lines], np.ravel(alone), rtol=1e-6)
    shown = set_table(readouts, set_heading, mean_value("margin", readouts)).plain
    assert "logit lens · lead of the top-1, mean ± standard error" in shown
    assert f" {MARGIN.format(mean[-1])} ±" in shown
