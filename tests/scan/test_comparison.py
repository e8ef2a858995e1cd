"""How far two sides are apart over all records, against lists of plain records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lenstui.scan.columns import Second, arrow_type
from lenstui.scan.comparison import Estimate, compare_sides
from lenstui.scan.folder import Manifest, write_manifest, write_part
from lenstui.scan.matches import ScanRecords, open_records

LABELS = ("emb", "0", "1")
LENSES = ("logit", "tuned")
BLOCKS, LENGTH = 60, 7


def made(pick: np.random.Generator, block: int, column: int) -> dict[str, Any]:
    """A record with what a comparison reads; some of it is missing or not finite."""

    def some(value: Any) -> Any:
        return None if pick.random() < 0.1 else value

    record: dict[str, Any] = {
        "position": block * LENGTH + column,
        "block": block,
        "final_id": some(int(pick.integers(3))),
        "against_final_id": some(int(pick.integers(3))),
        "against_kl": some(float(np.float32(pick.random()))),
    }
    for key in LENSES:
        numbers = pick.random((2, 3)).astype(np.float32)
        record[f"{key}_against_kl"] = [some(value) for value in numbers[0].tolist()]
        record[f"{key}_same_top1"] = [some(float(value > 0.4)) for value in numbers[1].tolist()]
        place = int(pick.integers(-1, 2))
        parts = bool(pick.random() < 0.5)
        record[f"{key}_parts"], record[f"{key}_joins"] = (place, None) if parts else (None, some(place))
    if column == 3:
        record["logit_against_kl"][1] = float("inf")
    return record


def written(folder: Path, second: Second, plain: list[dict[str, Any]]) -> ScanRecords:
    """A folder with plain records, in parts of unequal length."""
    manifest = Manifest({}, {"model": "m"}, ("t.txt",), LABELS, LENSES, True, second)
    write_manifest(folder, manifest)
    schema = pa.schema([(each.name, arrow_type(each)) for each in manifest.columns])
    tables = [pa.Table.from_pylist(plain[i * LENGTH : (i + 1) * LENGTH], schema) for i in range(BLOCKS)]
    for first, stop in ((0, 1), (1, 20), (20, BLOCKS)):
        write_part(folder, first, tables[first:stop])
    return open_records(folder)


@pytest.fixture(scope="module")
def plain() -> list[dict[str, Any]]:
    pick = np.random.default_rng(0)
    return [made(pick, block, column) for block in range(BLOCKS) for column in range(LENGTH)]


def check(found: Estimate, values: list[Any]) -> None:
    """Compare with the mean of what is there and finite, and a standard error with that of block means.

    The blocks are independent here, so that the error of the mean of ratios is near to `std / √n` of theirs.
    """
    array = np.array(values, float)  # None is NaN
    array[~np.isfinite(array)] = np.nan
    np.testing.assert_allclose(found.mean, np.nanmean(array, axis=0), rtol=1e-6)
    means = np.nanmean(array.reshape(BLOCKS, LENGTH, -1), axis=1)
    np.testing.assert_allclose(found.sem, means.std(axis=0, ddof=1) / np.sqrt(BLOCKS), rtol=0.25)


def test_two_models(tmp_path: Path, plain: list[dict[str, Any]]) -> None:
    records = written(tmp_path, Second({"model": "o"}, True, {key: key for key in LENSES}), plain)
    found = compare_sides(records)
    assert found is not None
    assert (found.positions, found.blocks) == (BLOCKS * LENGTH, BLOCKS)
    assert found.kl is not None
    assert found.parted is not None
    check(found.kl, [[row["against_kl"]] for row in plain])
    ids = [(row["final_id"], row["against_final_id"]) for row in plain]
    check(found.parted, [[None if None in pair else float(pair[0] != pair[1])] for pair in ids])
    assert list(found.pairs) == list(LENSES)
    for key, pair in found.pairs.items():
        check(pair.kl, [row[f"{key}_against_kl"] for row in plain])
        check(pair.same_top1, [row[f"{key}_same_top1"] for row in plain])
        for name, counts in (("parts", pair.parts), ("joins", pair.joins)):
            places = [row[f"{key}_{name}"] for row in plain]
            assert counts.tolist() == [places.count(row) for row in (-1, 0, 1)]


def test_two_lenses_of_one_model(tmp_path: Path, plain: list[dict[str, Any]]) -> None:
    found = compare_sides(written(tmp_path, Second({"model": "m"}, False, {"tuned": "tuned"}), plain))
    assert found is not None
    assert found.kl is found.parted is None
    assert list(found.pairs) == ["tuned"]
    check(found.pairs["tuned"].kl, [row["tuned_against_kl"] for row in plain])


def test_models_of_another_depth(tmp_path: Path, plain: list[dict[str, Any]]) -> None:
    found = compare_sides(written(tmp_path, Second({"model": "o"}, True, {}), plain))
    assert found is not None
    assert found.kl is not None
    check(found.kl, [[row["against_kl"]] for row in plain])
    assert found.pairs == {}


def test_without_a_second_side_there_is_nothing_to_compare(tmp_path: Path) -> None:
    manifest = Manifest({}, {}, (), LABELS, LENSES, True)
    assert compare_sides(ScanRecords(tmp_path, manifest, (), 0)) is None
