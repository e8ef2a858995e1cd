"""The lab notebook on disk: one file a view, whoever writes, and what cannot be read is passed over."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenstui.export import notebook
from lenstui.export.notebook import KeptView, forget, keep, read_notebook

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def view(number: int, *, kept: datetime = NOON) -> KeptView:
    return KeptView(
        (kept + timedelta(seconds=number)).astimezone(), "readout", f"prompt {number}", "a\n", "<svg/>", "b"
    )


def keep_some(folder: Path, first: int) -> None:
    for number in range(first, first + 20):
        keep(view(number), folder)


def test_what_is_kept_is_read_in_the_order_of_time(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "notebook"  # made when it is needed
    assert read_notebook(folder).views == {}
    views = [view(number) for number in range(3)]
    assert [keep(each, folder) for each in (views[1], views[2], views[0])] == [1, 2, 3]
    found = read_notebook(folder)
    assert list(found.views.values()) == views
    assert found.damaged == ()
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in found.views)
    forget(list(found.views)[:2])
    assert list(read_notebook(folder).views.values()) == views[2:]


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("forkserver")) as pool:
        for job in [pool.submit(keep_some, tmp_path, first) for first in (0, 20)]:
            job.result()
    subjects = [each.subject for each in read_notebook(tmp_path).views.values()]
    assert subjects == [f"prompt {number}" for number in range(40)]


def test_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "MOST", 5)
    assert [keep(view(number), tmp_path) for number in range(7)] == [1, 2, 3, 4, 5, 5, 5]
    subjects = [each.subject for each in read_notebook(tmp_path).views.values()]
    assert subjects == [f"prompt {number}" for number in range(2, 7)]
    keep(view(-1), tmp_path)  # the clock was set back
    assert next(iter(read_notebook(tmp_path).views.values())).subject == "prompt -1"


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        json.dumps({"version": 2, **view(1).plain}).encode(),
        json.dumps({"version": 1, **view(1).plain, "kept": "yesterday"}).encode(),
        json.dumps({"version": 1, **view(1).plain, "kept": "0001-01-01T00:00:00+14:00"}).encode(),
        json.dumps({"version": 1, **view(1).plain, "markdown": None}).encode(),
        json.dumps({"version": 1, **view(1).plain, "subject": "\ud800"}).encode(),
    ],
)
def test_a_damaged_file_is_passed_over(tmp_path: Path, damage: bytes) -> None:
    keep(view(0), tmp_path)
    keep(view(2), tmp_path)
    damaged = tmp_path / "20260131T120001.000000-00000000.json"
    damaged.write_bytes(damage)
    found = read_notebook(tmp_path)
    assert [each.subject for each in found.views.values()] == ["prompt 0", "prompt 2"]
    assert found.damaged == (damaged,)


@given(st.builds(KeptView, st.just(view(0).kept), *[st.text(st.characters(exclude_categories=["Cs"]))] * 5))
def test_a_view_is_what_its_json_says(kept: KeptView) -> None:
    plain = json.loads(json.dumps({"version": 1, **kept.plain}))
    assert KeptView.of_plain(plain) == kept
