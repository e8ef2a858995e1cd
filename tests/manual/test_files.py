"""What the manual says of files: the keys of JSON, the columns of CSV, the folders."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lenstui.export.lens_list import got_json, hub_json, local_json
from lenstui.lens.card import LensCard
from lenstui.lens.last_evaluation import LastEvaluation
from lenstui.lens.origin import Origin
from lenstui.lens.published.published_lens import PublishedLens, RemoteFile
from lenstui.scan.columns import OF_LENS, OF_PAIR, OF_POSITION, OF_SECOND
from lenstui.support import paths
from lenstui.support.lens_repository import LensRepository
from tests.manual.pages import MANUAL, codes, rows, section_text
from tests.programs.forked import Forked

PAGE = MANUAL / "files.md"


def named(section: str) -> set[str]:
    return set(codes(section_text(PAGE, section)))


def out(programs: Forked, *words: object) -> Any:
    """What a command prints, as JSON says it."""
    program = programs.start(*words, "--format", "json")
    assert program.status() == 0, program.err
    return json.loads(program.out)


def test_every_key_of_a_readout_is_in_the_manual(programs: Forked, neox_folder: Path) -> None:
    model = ("--model", neox_folder, "--lens", neox_folder.parent / "mine.pt")
    found = out(programs, "read", "Hello", *model, "--pin", "o", "--first", "o", "--sublayers")
    in_tables = {
        code
        for row in rows(PAGE)
        if row.section == "JSON" and row.columns[0] == "key"
        for code in codes(row.cells[0])
    }
    of_sets = {"cases", "means", "groups"}
    assert set(found) | set(found["lenses"]["logit"]) == in_tables - of_sets
    inner = {*found["pins"][0], *found["first"][0], *found["lens_files"]["tuned"]}
    assert inner <= named("JSON") | {"tuned", "jacobian"}


def test_every_key_of_a_prompt_set_is_in_the_manual(programs: Forked, tiny_folder: Path) -> None:
    found = out(programs, "read", "--prompts", "examples", "--model", tiny_folder, "--edit", "ablate 0.mlp")
    lens = found["means"]["lenses"]["logit"]
    medians = {name for name, value in lens.items() if isinstance(value, list)}
    case = next(case for case in found["cases"] if case["error"] is None)
    assert {*found, *case, *found["means"], *lens["kl"], *medians} <= named("JSON")
    assert {*case["clean"], *found["effect"]} <= named("JSON")


def test_every_key_of_a_trace_is_in_the_manual(programs: Forked, neox_folder: Path) -> None:
    asked = ("Hello you", "--noise", "1", "--samples", "2", "--metric", "kl")
    assert set(out(programs, "trace", *asked, "--model", neox_folder)) <= named("JSON")


def test_every_key_and_column_of_traces_of_a_set_is_in_the_manual(
    programs: Forked, neox_folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text(
        '{"prompt": "a cat ", "corrupted": "a fox ", "target": "b", "minus": "c", "group": "g"}\n'
    )
    asked = ("--prompts", file, "--model", neox_folder)
    found = out(programs, "trace", *asked)
    keys = {*found, *found["cases"][0], *found["means"], *found["means"]["recovered"]}
    assert keys <= named("JSON")
    for what in ("resid", "head"):
        program = programs.start("trace", *asked, "--what", what, "--format", "csv")
        assert program.status() == 0, program.err
        assert set(next(csv.reader(program.out.splitlines()))) <= named("CSV and Parquet")


def test_every_key_of_train_and_eval_is_in_the_manual(
    programs: Forked, tiny_folder: Path, tmp_path: Path
) -> None:
    text, lens = tmp_path / "text.txt", tmp_path / "lens.pt"
    text.write_text("\n\n".join(f"the cat number {number} sat on the mat" for number in range(100)))
    of_text = ("--model", tiny_folder, "--data", text)
    fitted = out(programs, "train", *of_text, "--save", lens, "--steps", 1)
    judged = out(programs, "eval", *of_text, "--lens", lens, "--max-tokens", 64)
    assert {*fitted, *judged, *judged["tuned"]} <= named("JSON") | {"logit", "tuned", "jacobian"}


def test_every_key_of_pass_at_k_is_in_the_manual(programs: Forked, tiny_folder: Path, tmp_path: Path) -> None:
    items = tmp_path / "items.json"
    fields = {
        "prompt": "The sky ",
        "intermediates": ["a"],
        "target": "a",
        "at": "last",
        "forms": {"a": ["b"]},
    }
    items.write_text(json.dumps([fields]))
    found = out(programs, "eval", "--words", items, "--model", tiny_folder)
    assert {*found, *found["stripped"], *found["lenses"]["logit"]} <= named("JSON")
    assert set(fields) == {
        code for row in rows(PAGE) if row.columns[0] == "field" for code in codes(row.cells[0])
    }


def test_every_key_of_the_lists_of_lenses_is_in_the_manual(tiny_folder: Path) -> None:
    card = LensCard(
        tiny_folder, {}, {"origin": asdict(Origin("a/b", "model", "0123", "x/lens.pt"))}, 2, 8, 1, 0.0
    )
    card = replace(card, evaluation=LastEvaluation("a", ("b",), 3, "2026-11-30T00:00:00+00:00", 0.5))
    lens = PublishedLens("a/b", "model", "main", "0123", "tuned", (RemoteFile("x/lens.pt", 1),))
    local = json.loads(local_json([(card, None)], None))
    published = json.loads(hub_json([lens], None))
    keys = {
        *local,
        *local["lenses"][0],
        *local["lenses"][0]["origin"],
        *local["lenses"][0]["evaluation"],
        *published["lenses"][0],
    }
    assert keys <= named("JSON")
    assert set(json.loads(got_json(lens, tiny_folder))) <= keys


def test_every_entry_of_a_repository_of_lenses_is_in_the_manual() -> None:
    stated = [code for row in rows(PAGE) if row.columns[0] == "entry" for code in codes(row.cells[0])]
    assert sorted(stated) == sorted(LensRepository.__dataclass_fields__)


def test_every_column_of_csv_is_in_the_manual(programs: Forked, tiny_folder: Path) -> None:
    for words in (["Hello", "--pin", "o"], ["--prompts", "examples", "--edit", "ablate 0.mlp"]):
        program = programs.start("read", *words, "--model", tiny_folder, "--format", "csv")
        assert program.status() == 0, program.err
        header = next(csv.reader(program.out.splitlines()))
        columns = {re.sub(r"_[2-9]_", "_1_", column) for column in header}
        columns = {re.sub("^(clean|effect)_", "", column) for column in columns}
        of_values = {"top_1_id", "top_1_token", "top_1_logit", "top_1_prob"}
        assert columns <= named("CSV and Parquet")
        assert columns >= of_values - {"top_1_logit"}


def test_every_folder_is_in_the_manual() -> None:
    stated = [code for row in rows(PAGE) if row.section == "Folders" for code in codes(row.cells[0])]
    assert sorted(stated) == sorted([*paths.listing(), "model cache"])


def test_every_column_and_key_of_a_scan_is_in_the_manual(
    programs: Forked, tiny_folder: Path, tmp_path: Path
) -> None:
    of_records = [row for row in rows(PAGE) if row.section == "Records of a scan"]
    stated = [code for row in of_records for code in codes(row.cells[0])]
    assert stated == [column.name for column in (*OF_POSITION, *OF_LENS, *OF_SECOND, *OF_PAIR)]
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat. " * 10)
    made = ("--model", tiny_folder, "--data", text, "--seq-len", 16, "--against-model", tiny_folder)
    found = out(programs, "scan", tmp_path / "records", *made, "--query", "largest-by-row")
    means = found["means"]["logit"]
    assert {*found, *found["tokens"], *found["by_row"], *means, *means["kl"]} <= named("JSON")
    assert {*found["comparison"], *found["comparison"]["by_row"]["logit"]} <= named("JSON")
    manifest = json.loads((tmp_path / "records" / "_scan.json").read_text())
    assert set(manifest) - {"version", "lenstui"} <= named("Records of a scan")
