"""The general sample that comes with lenstui: small, of many kinds, and with its licences stated."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lenstui.support.paths import general_sample
from lenstui.texts.documents import Documents, read_documents

FOLDER = general_sample().parent
BETWEEN = "\n---\n"
# Each kind's share of the characters, roughly.
SHARES = {"public domain": 0.35, "written here": 0.22, "stories": 0.15, "code": 0.25}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    found: list[dict[str, str]] = pq.read_table(general_sample()).to_pylist()
    return found


def kind(row: dict[str, str]) -> str:
    return row["source"].split(":")[0]


def written() -> Iterator[str]:
    for path in sorted((FOLDER / "written").glob("*.txt")):
        yield from (text.strip() for text in path.read_text(encoding="utf-8").split(BETWEEN))


def test_it_is_small_and_reads_like_any_file_of_documents(rows: list[dict[str, str]]) -> None:
    assert general_sample().stat().st_size <= 1_100_000
    texts = list(read_documents(Documents((str(general_sample()),))))
    assert texts == [row["text"] for row in rows]
    assert 900_000 < sum(map(len, texts)) < 2_500_000


def test_no_document_is_there_twice_or_nearly_empty(rows: list[dict[str, str]]) -> None:
    texts = [row["text"] for row in rows]
    assert len({" ".join(text.lower().split()) for text in texts}) == len(texts)
    assert len({text[:200] for text in texts}) == len(texts)
    assert min(map(len, texts)) > 700


def test_every_source_has_its_licence_in_the_readme(rows: list[dict[str, str]]) -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    licences = dict(re.findall(r"^\| `([^`:]+)[^`]*` \|.*\| ([^|]+) \|$", readme, re.MULTILINE))
    assert licences.keys() == {kind(row) for row in rows}
    assert all(licence.strip() for licence in licences.values())


def test_its_kinds_have_about_their_shares_from_the_beginning_on(rows: list[dict[str, str]]) -> None:
    for most, tolerance in ((len(rows), 0.04), (len(rows) // 4, 0.12)):
        characters: Counter[str] = Counter()
        for row in rows[:most]:
            characters[kind(row)] += len(row["text"])
        assert characters.keys() == SHARES.keys()
        for name, share in SHARES.items():
            assert characters[name] / characters.total() == pytest.approx(share, abs=tolerance), name


def test_what_was_written_for_it_is_all_there_and_nowhere_else(rows: list[dict[str, str]]) -> None:
    assert {row["text"] for row in rows if kind(row) == "written here"} == set(written())
    styles = Counter(row["source"] for row in rows if kind(row) == "written here")
    assert styles["written here: encyclopedic"] >= 80
    assert styles["written here: dialogue"] >= 35


def test_the_texts_written_for_it_do_not_follow_a_template() -> None:
    sentences = [re.split(r"(?<=[.!?])\s+", text) for text in written()]
    counted = Counter(sentence for text in sentences for sentence in set(text) if len(sentence) > 40)
    assert [sentence for sentence, count in counted.items() if count > 1] == []


def test_it_is_enough_for_a_closed_form_of_the_standard_preset(rows: list[dict[str, str]]) -> None:
    words = sum(len(row["text"].split()) for row in rows)
    assert words > 131_072  # and no tokenizer has fewer tokens than words


def test_the_wheel_has_it_with_its_readme() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for name in ("general.parquet", "README.md"):
        assert included[f"assets/sample/{name}"] == f"lenstui/assets/sample/{name}"
