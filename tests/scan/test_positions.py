"""The tokens of a position, the list of scans, and what is found while the records are searched."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from lenstui.scan.catalog import list_scans
from lenstui.scan.columns import all_columns, arrow_type
from lenstui.scan.condition import ConditionError, parse_condition
from lenstui.scan.folder import Manifest, write_manifest, write_part
from lenstui.scan.matches import ScanRecords, find_matches, open_records, search
from lenstui.scan.positions import ids_up_to
from lenstui.support.errors import LensError

LABELS, LENSES, LENGTH = ("emb", "0", "1"), ("logit",), 8
MANIFEST = Manifest({}, {"model": "m"}, ("t.txt",), LABELS, LENSES)


def token_of(block: int, column: int) -> int:
    return (7 * block + 3 * column) % 50


def written(folder: Path, columns: range = range(LENGTH)) -> ScanRecords:
    """Six blocks in three parts, with some of their columns."""
    folder.mkdir()
    write_manifest(folder, MANIFEST)
    schema = pa.schema([(each.name, arrow_type(each)) for each in all_columns(LENSES)])
    for first in range(0, 6, 2):
        tables = []
        for block in (first, first + 1):
            rows = [
                {
                    "position": block * LENGTH + column, "block": block, "column": column,
                    "document": 0, "before": "", "after": "", "token": "·",
                    "token_id": token_of(block, column), "next_rank": column,
                    **{f"logit_{name}": [0.0, -1.0, -2.0] for name in ("next_logprob", "kl", "entropy")},
                }
                for column in columns
            ]  # fmt: skip
            tables.append(pa.Table.from_pylist(rows, schema))
        write_part(folder, first, tables)
    return open_records(folder)


@pytest.mark.parametrize(("block", "column"), [(0, 0), (3, 5), (5, LENGTH - 1)])
def test_the_tokens_of_a_block_up_to_a_column(tmp_path: Path, block: int, column: int) -> None:
    found = ids_up_to(written(tmp_path / "records"), block, column)
    assert found == tuple(token_of(block, each) for each in range(column + 1))


def test_a_block_that_lacks_columns_is_no_prompt(tmp_path: Path) -> None:
    records = written(tmp_path / "records", range(1, LENGTH))
    with pytest.raises(LensError, match=r"lack tokens of block 2"):
        ids_up_to(records, 2, 4)
    with pytest.raises(LensError, match=r"lack tokens of block 9"):
        ids_up_to(records, 9, 0)


def test_what_is_found_so_far_grows_to_all_of_it(tmp_path: Path) -> None:
    records = written(tmp_path / "records")
    steps = list(search(records, "next_rank >= 4", lens="logit", sort="position desc", top=3, step=1))
    assert [step.of for step in steps] == [16, 32, 48]
    assert [step.count for step in steps] == [8, 16, 24]
    for step in steps:  # 16 records a part
        last = step.of - 1
        assert [record["position"] for record in step.top] == [last, last - 1, last - 2]
    assert (
        steps[-1].top
        == find_matches(records, "next_rank >= 4", lens="logit", sort="position desc", top=3).top
    )


def test_an_error_in_a_condition_has_its_place() -> None:
    for text, place in (("next_rank > 0 and nexd = 3", 18), ("(next_rank > 0", 14), ("next_rank ~ 1", 10)):
        with pytest.raises(ConditionError) as caught:
            parse_condition(text, all_columns(LENSES))
        assert caught.value.place == place
        assert caught.value.why in str(caught.value)


def test_scans_are_listed_the_last_one_first(tmp_path: Path) -> None:
    for name, when in (("a", 3_000), ("b", 1_000), ("c", 2_000)):
        written(tmp_path / name)
        for path in (tmp_path / name / "_scan.json", tmp_path / name):
            os.utime(path, (when, when))
    (tmp_path / "c" / "_scan.json").write_text("{")
    (tmp_path / "no scan").mkdir()
    listed = list_scans(tmp_path)
    assert [scan.folder.name for scan in listed] == ["a", "b", "c"]
    assert [scan.manifest == MANIFEST for scan in listed] == [True, True, False]
    assert list_scans(tmp_path / "none") == []
