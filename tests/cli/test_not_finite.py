"""What the command line writes where logits are not finite: a dash, null or nothing, and a warning."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from io import BytesIO, StringIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest

from lenstui.evaluation.measures import MEASURE_NAMES
from tests.programs.calls import status
from tests.tiny.overflowing import EARLY, LATE, LOUD, finite, overflowing

PROMPT, AT = f"one {LOUD}two", 4  # the column of `~`, whose last row overflows
WARNING = "Not a number in column 4: logits are not finite in float16."
# What NaN or a sentinel looks like where it is taken for a number, a token or text.
WRONG = re.compile(r"nan\b|-2\b|\[id |\binf|undefined|None", re.IGNORECASE)

Run = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def loud(neox_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that overflows in float16 in the last row, behind `~`."""
    return overflowing(neox_folder, tmp_path_factory.mktemp("late"), LATE)


@pytest.fixture
def run(loud: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Standard output and error of `lenstui COMMAND … --model loud`, which ends well."""

    def run(*words: str, dtype: str = "float16", folder: Path = loud, lens: bool = True) -> tuple[str, str]:
        more = ["--lens", str(folder.parent / "mine.pt")] if lens else []
        model = ["--model", str(folder), "--device", "cpu", "--dtype", dtype]
        assert status(words[0], *words[1:], *model, *more) == 0
        return capsys.readouterr()

    return run


def body(text: str) -> str:
    """Without the line that names folders."""
    return "\n".join(line for line in text.splitlines() if "wiring ok" not in line)


def sections(table: str) -> dict[str, list[list[str]]]:
    """The fields of each line of a table, by the title above it."""
    found: dict[str, list[list[str]]] = {}
    for line in table.splitlines():
        if " · " in line and "lens" in line:
            lines = found.setdefault(line, [])
        elif line.strip():
            lines.append(line.split())
    return found


@pytest.mark.parametrize("value", ["prob", "entropy", "kl", "rank", "agree", "next-logprob", "pin-rank"])
def test_a_table_has_dashes(run: Run, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    out, err = run("read", PROMPT, "--value", value, "--pin", "o")
    assert WARNING in err
    assert "--dtype" in err
    logit = next(lines for title, lines in sections(out).items() if title.startswith("logit lens"))
    last, _, embedding, settles = logit[1:5]  # below the input tokens
    assert (last[0], embedding[0], settles[0]) == ("1", "emb", "settles")
    assert settles.count("–") == 1
    assert settles[1 + AT] == "–"
    assert last[1 + 2 * AT : 3 + 2 * AT] == ["–", "–"]
    assert "–" not in last[: 1 + 2 * AT]
    known = value in {"prob", "entropy", "next-logprob", "pin-rank"}
    assert (embedding[2 + 2 * AT] == "–") is not known
    assert embedding[1 + 2 * AT] != "–"  # its token is known
    if value == "agree":
        assert embedding[2 + 2 * AT] == "–"
    assert not WRONG.search(body(out))


def test_the_difference_has_dashes_and_no_mark(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    out, err = run("read", PROMPT, "--value", "rank", "--diff")
    assert WARNING in err
    last = next(line for line in out.splitlines() if re.match(r"\s+1 ", line))
    cells = re.split(r"\s{2,}", last.strip())
    assert cells.count("–") == 2
    assert "≠" not in last  # both lenses are one there
    assert "logit –" in out
    assert "tuned –" in out
    assert "≠" in out


def test_json_has_null(run: Run, loud: Path) -> None:
    out, err = run("read", PROMPT, "--format", "json", "--pin", "o")
    assert WARNING in err
    content = json.loads(out)
    has = finite(loud, PROMPT, "float16")
    assert np.argwhere(~has).tolist() == [[2, AT]]
    logit = content["lenses"]["logit"]
    for key in ("entropy", "next_rank", "next_logprob", "top_ids", "top_tokens", "top_logits", "top_probs"):
        assert logit[key][2][AT] in (None, [None] * 3), key
        assert logit[key][0][AT] not in (None, [None] * 3), key
    for key in ("kl", "js", "final_rank"):
        for row in range(3):
            assert [column for column in range(8) if logit[key][row][column] is None] == [AT], key
    assert [place for place, label in enumerate(logit["crystallization"]) if label is None] == [AT]
    for pin in content["pins"]:
        assert pin["logit"]["rank"][2][AT] is pin["logit"]["logprob"][2][AT] is None
        assert pin["logit"]["rank"][0][AT] >= 0


def test_csv_and_parquet_have_nothing(run: Run, tmp_path: Path) -> None:
    out, err = run("read", PROMPT, "--format", "csv", "--pin", "o")
    assert WARNING in err
    _, err = run("read", PROMPT, "--format", "parquet", "--pin", "o", "-o", str(tmp_path / "x.parquet"))
    assert WARNING in err
    lines = list(csv.DictReader(StringIO(out)))
    table = pq.read_table(BytesIO((tmp_path / "x.parquet").read_bytes())).to_pylist()
    assert len(lines) == len(table) == 2 * 3 * 8
    numbers = ["entropy", "kl", "js", "final_rank", "next_logprob", "next_rank", "top_1_id", "top_1_prob"]
    numbers += ["pin_1_logprob", "pin_1_rank", "crystallization"]
    for of_csv, of_parquet in zip(lines, table, strict=True):
        if of_csv["lens"] == "logit":
            at, last = of_csv["column"] == str(AT), of_csv["row"] == "1"
            next_is_none = of_csv["column"] == "7"
            for name in numbers:
                gone = at and (last or name in {"kl", "js", "final_rank", "crystallization"})
                gone = gone or (next_is_none and name.startswith("next"))
                assert (of_csv[name] == "") is gone, (name, of_csv)
                assert (of_parquet[name] is None) is gone, (name, of_parquet)
            assert (of_csv["top_1_token"] == "") is (at and last)


def test_markdown_svg_and_html_have_dashes(run: Run) -> None:
    markdown, err = run("read", PROMPT, "--format", "md", "--value", "agree")
    assert WARNING in err
    logit = [line.split(" | ") for line in markdown.splitlines()][4:8]
    assert [logit[row][1 + AT].strip(" |") for row in (0, 3)] == ["– –", "–"]
    assert logit[2][1 + AT].endswith(" –")
    assert " yes" not in " ".join(row[1 + AT] for row in logit)
    assert "yes" in logit[0][1]
    svg, err = run("read", PROMPT, "--format", "svg", "--value", "agree")
    assert WARNING in err
    texts = [text.text for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("–") >= 2  # the last row by both lenses
    html, err = run("read", PROMPT, "--format", "html", "--value", "agree", "--pin", "o")
    assert WARNING in err
    data = json.loads(re.findall(r'<script[^>]*id="readout"[^>]*>(.*?)</script>', html, re.DOTALL)[0])
    logit_data = data["lenses"]["logit"]
    last = 2 * 8 + AT
    assert data["texts"][logit_data["top"][last * data["k"]]] == "–"
    assert logit_data["probs"][last * data["k"]] is None
    assert [logit_data["values"][key][last] for key in ("entropy", "kl", "rank", "next-rank")] == [None] * 4
    assert logit_data["crystallization"][AT] is None
    assert logit_data["crystallization"][0] == 2
    assert data["not_a_number"] in html


def test_the_share_of_agreement_is_of_what_has_numbers(run: Run) -> None:
    svg, _ = run("read", PROMPT, "--format", "svg", "--value", "agree")
    content = json.loads(run("read", PROMPT, "--format", "json")[0])
    assert content["lenses"].pop("jacobian") is None
    for name, lens in content["lenses"].items():
        top1 = [[cell[0] for cell in row] for row in lens["top_ids"]]
        pairs = [(top1[row][column], top1[2][column]) for row in (0, 1) for column in range(1, 8)]
        counted = [one == final for one, final in pairs if one is not None and final is not None]
        assert len(counted) == 2 * 6
        assert f"{name} {100 * np.mean(counted):.0f}% yes" in svg


def test_in_float32_there_is_nothing_to_warn_of(run: Run) -> None:
    for form in ("table", "json", "csv"):
        out, err = run("read", PROMPT, "--format", form, dtype="float32")
        assert "number" not in err
        assert out


def test_all_columns_are_named_where_all_are_lost(
    run: Run, neox_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = overflowing(neox_folder, tmp_path_factory.mktemp("early"), EARLY)
    out, err = run("read", PROMPT, "--value", "agree", folder=folder)
    assert "Not a number in all 8 columns" in err
    assert " yes" not in out
    assert " no " not in out
    one, err = run("read", LOUD, folder=folder)
    assert "Not a number in column 0" in err
    rows = [line.split() for line in one.splitlines() if re.match(r"\s*(emb|0|1) ", line)]
    assert rows == [[label, "–", "–"] for label in ("1", "0", "emb")] * 2  # no row is left out


def test_nothing_is_appended(loud: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = ["--model", str(loud), "--device", "cpu", "--dtype", "float16"]
    assert status("read", f"one {LOUD}", "--append", "3", *model) == 1
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("lenstui: No token follows column 4: its logits are not finite in float16.")
    assert err.count("\n") == 1


# eval


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "text.txt"
    path.write_text(
        f"the cat sat on {LOUD} a mat and ran\n\nthe dog ran up a hill and down", encoding="utf-8"
    )
    return str(path)


def test_eval_says_what_it_leaves_out(run: Run, text: str) -> None:
    words = ("eval", "--data", text, "--seq-len", "16")
    out, err = run(*words, "--format", "json", lens=False)
    content = json.loads(out)
    assert "1 of 48 tokens, by row, are left out of the means: their logits are not finite in float16" in err
    assert content["tokens"] == 48
    assert content["logit"]["left_out"] == [1, 1, 1]
    whole = json.loads(run(*words, "--format", "json", dtype="float32", lens=False)[0])
    assert whole["logit"]["left_out"] == [0, 0, 0]
    for key in ("kl", "ce", "kl_sem"):
        assert all(number is not None for number in content["logit"][key])
    np.testing.assert_allclose(content["logit"]["ce"], whole["logit"]["ce"], rtol=0.1)
    table, _ = run(*words, lens=False)
    assert "left out" in table.splitlines()[0]
    assert not WRONG.search(body(table))
    plain, err = run(*words, dtype="float32", lens=False)
    assert "left out" not in plain.replace("the last row left out", "") + err


def test_eval_of_nothing_but_what_overflows_is_dashes(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "loud.txt"
    path.write_text(LOUD * 40)
    words = ("eval", "--data", str(path), "--seq-len", "16")
    out, err = run(*words, lens=False)
    assert "32 of 32 tokens" in err
    rows = [line.split() for line in out.splitlines()[1:4]]
    assert [row[0] for row in rows] == ["1", "0", "emb"]
    assert all(row[1:] == ["–"] * 5 + ["32"] for row in rows)
    assert "logit –" in out
    content = json.loads(run(*words, "--format", "json", lens=False)[0])
    for name in MEASURE_NAMES:
        assert content["logit"][name] == content["logit"][f"{name}_sem"] == [None] * 3
    assert set(content["final"].values()) == {None}


# prompt sets


@pytest.fixture
def prompts(tmp_path: Path) -> str:
    path = tmp_path / "prompts.txt"
    path.write_text(f"one\tq\ntwo\tq\nthree{LOUD}\tq\n", encoding="utf-8")
    return str(path)


def test_a_set_leaves_it_out_of_its_means(run: Run, prompts: str) -> None:
    words = ("read", "--prompts", prompts, "--exact-targets")
    out, err = run(*words, "--format", "json")
    assert "1 of 3 prompts (line 3) have rows without a number: logits are not finite in float16" in err
    content = json.loads(out)
    assert [case["error"] for case in content["cases"]] == [None] * 3
    *kept, lost = content["cases"]
    assert [lost[key] for key in ("final_id", "final_token", "final_prob")] == [None] * 3
    column = lost["lenses"]["logit"]
    assert column["kl"] == column["final_rank"] == [None] * 3
    assert column["crystallization"] is None
    for key in ("top1_ids", "top1_tokens", "top1_probs", "entropy", "target_rank", "target_prob"):
        assert column[key][2] is None
        assert column[key][0] is not None
    assert content["means"]["lenses"].pop("jacobian") is None
    for name, means in content["means"]["lenses"].items():
        of_kept = [case["lenses"][name] for case in kept]
        for key in ("kl", "entropy", "target_prob", "target_rank", "target_logprob"):
            wanted = np.mean([each[key] for each in of_kept], axis=0)
            rows = range(3) if key == "kl" else [2]
            for row in rows:
                assert means[key]["mean"][row] == pytest.approx(wanted[row], rel=1e-6), key
        assert means["target_median_rank"][2] == np.median([each["target_rank"][2] for each in of_kept])


def test_a_set_in_every_other_form_has_dashes_or_nothing(run: Run, prompts: str, tmp_path: Path) -> None:
    words = ("read", "--prompts", prompts, "--exact-targets")
    table, err = run(*words)
    assert "(line 3)" in err
    lost = next(line for line in table.splitlines() if "three" in line).split()
    first_rows = ["–,", "–"] * 2  # where its target leads, and is likely, by either lens
    assert lost[2:] == ["–", "–", "q", "–", "–", "–", "–", *first_rows]
    assert not WRONG.search(body(table))
    markdown, _ = run(*words, "--format", "md")
    row = next(line for line in markdown.splitlines() if "three" in line).split(" | ")
    assert row[2] == "– –"
    assert row[3] == "`q` –, rank –"
    assert [cell.strip(" |") for cell in row[4:]] == ["–"] * 6  # it settles, leads and is likely nowhere
    out, _ = run(*words, "--format", "csv")
    lines = [
        line for line in csv.DictReader(StringIO(out)) if line["case"] == "3" and line["lens"] == "logit"
    ]
    assert len(lines) == 3
    for line in lines:
        for name in ("final_id", "final_token", "final_prob", "kl", "final_rank", "crystallization"):
            assert line[name] == ""
    assert lines[2]["top_1_id"] == lines[2]["top_1_token"] == lines[2]["target_rank"] == ""
    assert lines[0]["top_1_id"] != ""
    run(*words, "--format", "parquet", "-o", str(tmp_path / "set.parquet"))
    written = pq.read_table(tmp_path / "set.parquet").to_pylist()
    lost_rows = [each for each in written if each["case"] == 3 and each["lens"] == "logit"]
    assert [each["kl"] for each in lost_rows] == [None] * 3
    assert [each["top_1_id"] is None for each in lost_rows] == [False, False, True]


def test_a_set_of_that_alone_has_no_means(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "loud.txt"
    path.write_text(f"one{LOUD}\n{LOUD}\n", encoding="utf-8")
    out, _ = run("read", "--prompts", str(path), "--value", "kl")
    logit = out.split("logit lens · KL")[1].splitlines()[2:5]
    assert [line.split() for line in logit] == [[label, "–"] for label in ("1", "0", "emb")]
