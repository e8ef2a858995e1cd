"""`lenstui trace`: its table, its JSON, the command that makes it again, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import shlex

import numpy as np
import pytest

import lenstui
from lenstui.support.paths import bundled_model
from tests.programs.calls import status

CLEAN, CORRUPTED = "The cat sat on the mat", "The dog ran to the park"
TRACE = ("trace", CLEAN, CORRUPTED, "--demo", "--metric", "logprob")


def test_json_has_what_the_library_traces(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(*TRACE, "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    model = lenstui.load("bundled model", folder=bundled_model())
    prompts = [lenstui.encode(model.tokenizer, text) for text in (CLEAN, CORRUPTED)]
    clean, corrupted = prompts
    found = lenstui.trace(model, clean, corrupted, lenstui.TraceOptions(metric="logprob"))
    np.testing.assert_allclose(content["recovered"], found.recovered, atol=1e-5)
    np.testing.assert_allclose(content["raw"], found.raw, atol=1e-5)
    assert content["token"]["id"] == found.options.token
    assert (content["clean"], content["corrupted"]) == pytest.approx((found.clean, found.corrupted), abs=1e-5)
    assert content["rows"] == ["emb", *map(str, range(6))]
    assert len(content["tokens"]) == len(prompts[1].ids)
    assert content["stderr"] is None and content["noise"] is None


def test_a_table_and_csv_have_the_same_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(*TRACE) == 0
    table = capsys.readouterr().out.splitlines()
    assert status(*TRACE, "--format", "csv") == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    by_row = {line.split()[0]: line.split()[1:] for line in table[3:10]}
    assert list(by_row) == ["5", "4", "3", "2", "1", "0", "emb"]
    for line in lines:
        shown = by_row[line["row"]][int(line["column"])].replace("−", "-")
        assert float(shown) == pytest.approx(float(line["recovered"]), abs=0.0051)
        clean, corrupted, raw = (float(line[name]) for name in ("clean", "corrupted", "raw"))
        share = (raw - corrupted) / (clean - corrupted)  # a line says all that it is made of
        assert share == pytest.approx(float(line["recovered"]), abs=1e-4)
        assert (line["metric"], line["minus"], line["noise"]) == ("logprob", "", "")
    assert table[0].startswith(
        'recovered by patching the residual stream, by row and column · log-probability of "'
    )


def test_noise_says_how_it_was_made_and_is_made_again(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--noise", "1-2", "--samples", "3", "--seed", "5", "--what", "attn", "--window", "3")
    assert status("trace", CLEAN, "--demo", "--metric", "kl", *options, "--format", "md") == 0
    shown = capsys.readouterr().out
    assert "noise on columns 1-2, σ " in shown and "3 draws, seed 5" in shown
    command = shlex.split(shown.split("```sh\n")[1].split("\n```")[0])
    assert status(*command[1:]) == 0
    assert capsys.readouterr().out == shown


def test_heads_are_by_block(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(*TRACE, "--what", "head", "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    assert np.array(content["recovered"]).shape == (6, 4)
    assert content["rows"] == list(map(str, range(6)))


@pytest.mark.parametrize(
    ("words", "exit_status", "said"),
    [
        (("trace", CLEAN, "--demo"), 2, "give a second prompt"),
        (("trace", CLEAN, CORRUPTED, "--demo", "--noise", "1"), 2, "leave one out"),
        (("trace", CLEAN, "--demo", "--noise", "x"), 2, "'x' is no column"),
        (("trace", CLEAN, "--demo", "--noise", "99"), 1, "no column 99"),
        (("trace", CLEAN, CORRUPTED, "--demo", "--seed", "1"), 2, "are of --noise"),
        (("trace", CLEAN, CLEAN, "--demo"), 1, "Both runs say"),
        (
            ("trace", CLEAN, CORRUPTED, "--demo", "--metric", "kl", "--pin", "cat"),
            2,
            "of no use with --metric kl",
        ),
        (("trace", CLEAN, CORRUPTED, "--demo", "--window", "2"), 1, "A window is of attention or MLPs"),
    ],
)
def test_what_is_wrong_is_one_line(
    words: tuple[str, ...], exit_status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(*words) == exit_status
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]
