"""Queries over the records in a folder, against lists of plain records."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lenstui.scan.columns import ALWAYS, Column, Second, all_columns, arrow_type
from lenstui.scan.folder import Manifest, read_manifest, write_manifest, write_part
from lenstui.scan.matches import ScanRecords, find_matches, open_records
from lenstui.scan.queries import QUERY_NAMES, check_query_for, condition_of, queries_for, query_named
from lenstui.support.errors import LensError

LABELS = ("emb", "0", "1", "2", "3", "4", "5", "6", "7")
LAST = 7
LENSES = ("logit", "tuned")
SECOND = Second({"model": "other"}, True, {"logit": "logit", "tuned": "tuned"})
MANIFEST = Manifest({}, {"model": "m", "dtype": "float32"}, ("t.txt",), LABELS, LENSES, True, SECOND)


def made(column: Column, position: int, pick: np.random.Generator) -> Any:
    """A value of a column, sometimes missing."""
    if column.name == "position":
        return position
    if column.type == "rows":
        values = pick.normal(size=len(LABELS)).astype(np.float32).tolist()
        return [None if value < -2 else -np.inf if value > 2.5 else value for value in values]
    if pick.random() < 0.1 and column.name not in ALWAYS:
        return None
    if column.type == "float":
        return float(np.float32(pick.random()))
    if column.type == "row":
        return int(pick.integers(-1, LAST + 1))
    return int(pick.integers(0, 4)) if column.type == "int" else f"·{'abc'[pick.integers(3)]}"


@pytest.fixture(scope="module")
def plain() -> list[dict[str, Any]]:
    pick = np.random.default_rng(0)
    return [
        {column.name: made(column, position, pick) for column in MANIFEST.columns} for position in range(600)
    ]


@pytest.fixture(scope="module")
def records(plain: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> ScanRecords:
    folder = tmp_path_factory.mktemp("records")
    write_manifest(folder, MANIFEST)
    schema = pa.schema([(each.name, arrow_type(each)) for each in MANIFEST.columns])
    for block in range(0, 6, 2):
        tables = [
            pa.Table.from_pylist(plain[each * 100 : each * 100 + 100], schema) for each in (block, block + 1)
        ]
        write_part(folder, block, tables)
    return open_records(folder)


def naively(name: str, row: dict[str, Any], lens: str) -> bool:
    """The definitions of the named queries, for rows emb to 7: the last quarter of 8 blocks is 5, 6 and 7."""
    rank, best = row["next_rank"], row[f"{lens}_best_rank"]
    settles, prob = row[f"{lens}_crystallization"], row["final_prob"]
    wrong = rank is not None and rank > 0
    finals = row["final_id"], row["against_final_id"]
    return {
        "known-and-lost": wrong and best == 0,
        "late": settles in {5, 6},
        "never-settled": settles == LAST,
        "sure-and-wrong": wrong and prob is not None and prob >= 0.9,
        "largest-difference": row["against_kl"] is not None,
        "parted": None not in finals and finals[0] != finals[1],
        "largest-by-row": row[f"{lens}_farthest"] is not None,
    }[name]


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("name", QUERY_NAMES)
def test_the_named_queries(records: ScanRecords, plain: list[dict[str, Any]], name: str, lens: str) -> None:
    condition, sort = condition_of(query_named(name), lens, LABELS)
    matches = find_matches(records, condition, lens=lens, sort=sort, top=10_000)
    wanted = [row for row in plain if naively(name, row, lens)]
    assert (matches.count, matches.of) == (len(wanted), 600)
    assert matches.count > 5
    by, _, desc = sort.partition(" ")
    missing = [row for row in wanted if row[by] is None]
    known = sorted(
        (row for row in wanted if row[by] is not None), key=lambda row: row[by], reverse=bool(desc)
    )
    assert [row[by] for row in matches.top] == [row[by] for row in [*known, *missing]]
    assert {row["position"] for row in matches.top} == {row["position"] for row in wanted}
    for column in ("next", "final"):
        counted = Counter(row[column] for row in wanted if row[column] is not None)
        assert dict(matches.tokens[column]) == counted
        counts = [count for _, count in matches.tokens[column]]
        assert counts == sorted(counts, reverse=True)
    for column in ("crystallization", "best_row", "parts", "joins"):
        places = [row[f"{lens}_{column}"] for row in wanted]
        assert list(matches.rows[column]) == [places.count(row) for row in range(-1, LAST + 1)]


def test_means_by_row_of_the_matches_and_the_rest(records: ScanRecords, plain: list[dict[str, Any]]) -> None:
    matches = find_matches(records, "next_rank > 1", lens="logit", top=1)
    for lens in LENSES:
        for name in ("next_logprob", "kl", "entropy", "against_kl", "against_next_logprob", "same_top1"):
            for means, match in zip(matches.means[lens][name], (True, False), strict=True):
                chosen = [r for r in plain if (r["next_rank"] is not None and r["next_rank"] > 1) == match]
                values = np.array([row[f"{lens}_{name}"] for row in chosen], float)
                values[~np.isfinite(values)] = np.nan
                np.testing.assert_allclose(means, np.nanmean(values, axis=0), rtol=1e-6)


def test_all_positions_leave_no_rest(records: ScanRecords) -> None:
    matches = find_matches(records, "", lens="tuned", top=3)
    assert matches.count == 600
    assert [row["position"] for row in matches.top] == [0, 1, 2]
    _, rest = matches.means["tuned"]["kl"]
    assert np.isnan(rest).all()


def test_no_match_is_no_error(records: ScanRecords) -> None:
    matches = find_matches(records, "next_rank > 1000", lens="tuned")
    assert (matches.count, list(matches.top)) == (0, [])
    assert np.isnan(matches.means["tuned"]["kl"][0]).all()


def test_sorted_by_equal_values_they_are_in_the_order_of_the_text(
    records: ScanRecords, plain: list[dict[str, Any]]
) -> None:
    for sort, sign in (("next_rank", 1), ("next_rank desc", -1), ("`next_rank` asc", 1)):
        matches = find_matches(records, "next_rank is not missing", lens="tuned", sort=sort, top=450)
        known = [row for row in plain if row["next_rank"] is not None]
        known.sort(key=lambda row: (sign * row["next_rank"], row["position"]))
        assert [row["position"] for row in matches.top] == [row["position"] for row in known[:450]]


def test_a_column_to_sort_by_that_is_none(records: ScanRecords) -> None:
    with pytest.raises(LensError, match="no column next_porb to sort by: the nearest are next_prob"):
        find_matches(records, "", lens="tuned", sort="next_porb desc")


@pytest.mark.parametrize(
    ("blocks", "late", "last"),
    [(1, -1, 0), (2, 0, 1), (3, 1, 2), (4, 2, 3), (6, 4, 5), (12, 8, 11), (32, 23, 31)],
)
def test_where_late_begins(blocks: int, late: int, last: int) -> None:
    """Row k has k + 1 blocks done: late is from three quarters on, and the row before the last always."""
    rows = ("emb", *map(str, range(blocks)))
    condition, _ = condition_of(query_named("late"), "tuned", rows)
    assert condition == f"tuned_crystallization >= {late} and tuned_crystallization < {last}"


def test_a_lens_whose_name_has_a_space_is_in_backticks() -> None:
    condition, sort = condition_of(query_named("known-and-lost"), "tuned:my own", LABELS)
    assert condition == "`tuned:my own_best_rank` = 0 and next_rank > 0"
    assert sort == "`tuned:my own_best_prob` desc"


@pytest.mark.parametrize(
    ("second", "lens", "lacking", "said"),
    [
        (SECOND, "tuned", (), ""),
        (
            Second({}, True, {"logit": "logit"}),
            "tuned",
            ("largest-by-row",),
            "tuned lens is not compared: --by logit",
        ),
        (Second({}, True, {}), "logit", ("largest-by-row",), "two models are not of the same depth"),
        (
            Second({}, False, {"tuned": "logit"}),
            "tuned",
            ("largest-difference", "parted"),
            "two lenses of one model",
        ),
        (None, "logit", ("largest-difference", "parted", "largest-by-row"), "these records compare nothing"),
    ],
)
def test_queries_are_offered_where_the_records_have_their_columns(
    second: Second | None, lens: str, lacking: tuple[str, ...], said: str
) -> None:
    offered = [query.name for query in queries_for(second, lens)]
    assert offered == [name for name in QUERY_NAMES if name not in lacking]
    for name in QUERY_NAMES:
        if name in lacking:
            with pytest.raises(LensError, match=f"{name} finds nothing here, as .*{said}"):
                check_query_for(query_named(name), second, lens)
        else:
            check_query_for(query_named(name), second, lens)


def test_what_older_folders_lack_is_no_second_side(tmp_path: Path) -> None:
    write_manifest(tmp_path, Manifest({}, {}, (), LABELS, LENSES))
    path = tmp_path / "_scan.json"
    content = json.loads(path.read_text())
    assert content.pop("against") is None
    path.write_text(json.dumps(content))
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    assert manifest.second is None
    assert manifest.columns == all_columns(LENSES)


def test_folders_without_records(tmp_path: Path) -> None:
    with pytest.raises(LensError, match="There is no folder"):
        open_records(tmp_path / "none")
    with pytest.raises(LensError, match="holds no scan"):
        open_records(tmp_path)
    write_manifest(tmp_path, Manifest({}, {}, (), LABELS, LENSES))
    with pytest.raises(LensError, match="no records yet"):
        open_records(tmp_path)
    (tmp_path / "_scan.json").write_text('{"version": 1}')
    with pytest.raises(LensError, match=r"_scan\.json is damaged"):
        open_records(tmp_path)
    (tmp_path / "_scan.json").write_text('{"version": 2}')
    with pytest.raises(LensError, match="another version"):
        open_records(tmp_path)


@pytest.mark.parametrize("name", ALWAYS)
def test_what_no_record_lacks_is_there_or_the_records_are_damaged(
    tmp_path: Path, plain: list[dict[str, Any]], name: str
) -> None:
    write_manifest(tmp_path, MANIFEST)
    schema = pa.schema([(each.name, arrow_type(each)) for each in MANIFEST.columns])
    write_part(tmp_path, 0, [pa.Table.from_pylist([*plain[:3], plain[3] | {name: None}], schema)])
    with pytest.raises(LensError, match=f"are damaged, as some have no {name}: scan the text anew"):
        find_matches(open_records(tmp_path), "", lens="tuned")


@pytest.mark.parametrize(
    "wrong",
    [
        {"lenses": []},
        {"lenses": "logit"},
        {"lenses": ["logit", "logit"]},
        {"lenses": [None]},
        {"rows": []},
        {"rows": ["emb"]},
        {"against": {"source": {}, "model": True, "lenses": {"jacobian": "jacobian"}}},
    ],
)
def test_a_manifest_that_names_no_lens_or_row_is_damaged(tmp_path: Path, wrong: dict[str, Any]) -> None:
    write_manifest(tmp_path, MANIFEST)
    path = tmp_path / "_scan.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | wrong))
    with pytest.raises(LensError, match=r"_scan\.json is damaged"):
        read_manifest(tmp_path)


def test_a_part_that_lost_records_is_damaged(tmp_path: Path, records: ScanRecords) -> None:
    write_manifest(tmp_path, MANIFEST)
    whole = pq.read_table(records.files[0])
    pq.write_table(whole.slice(0, 50), tmp_path / records.files[0].name)
    with pytest.raises(LensError, match=r"part-00000000\.parquet is damaged: of 200 records it has 50\."):
        open_records(tmp_path)
