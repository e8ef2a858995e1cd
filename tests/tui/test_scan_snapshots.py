"""How error analysis and its dialogs look, with made-up records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot

from lenstui.export.scan import Found
from lenstui.export.scan_comparison import Compared
from lenstui.jobs.scan_messages import ComparisonFound, QueryFound, ScanGrown
from lenstui.scan.asked_query import AskedQuery
from lenstui.scan.catalog import ListedScan
from lenstui.scan.columns import BY_ROW, OF_LENS, Second
from lenstui.scan.comparison import Estimate, PairComparison, ScanComparison
from lenstui.scan.folder import Manifest
from lenstui.scan.matches import Matches, ScanRecords
from lenstui.scan.queries import condition_of, query_named
from lenstui.tui.app import LenstuiApp
from lenstui.tui.scan.ask_scan import AskScan
from lenstui.tui.scan.open_scan import OpenScan
from lenstui.tui.scan.screen import Scan
from tests.tui.pilots.still import MODEL, SIZES, Silent, show, still

__all__ = ["still"]  # a fixture

FOLDER, LENSES = Path("/data/scans/stories"), ("logit", "tuned")
MANIFEST = Manifest(
    {"max_tokens": 100_000},
    {"model": MODEL.name, "dtype": "float32"},
    ("/texts/stories.parquet",),
    MODEL.rows,
    LENSES,
)
QUERY = query_named("known-and-lost")
ASKED = AskedQuery(QUERY.name, top=1000)
PLACES = (
    ("The trees are green and the sky is", "·is", " blue. The birds", "·blue", "·green"),
    ("“Where is my ball?” asked Tim.\nHe", "He", " looked under the bed", "·looked", "·was"),
    ("Once upon a time there was a girl called", "·called", " Lily, who had a cat", "·Lily", "·Sue"),
)


def record(place: int) -> dict[str, Any]:
    """A match: every third one in the same text."""
    before, token, after, following, final = PLACES[place % 3]
    values = {
        "position": 311 * place, "document": place // 2, "block": 311 * place // 128,
        "column": 311 * place % 128, "before": before, "after": after, "token": token,
        "token_id": 7, "next": following, "next_id": 8, "next_prob": 0.31 / (place + 1),
        "next_rank": 1 + place**2, "final": final, "final_id": 9, "final_prob": 0.4 + 0.02 * place,
        "final_entropy": 1.2 + 0.1 * place,
    }  # fmt: skip
    for lens in LENSES:
        of_lens = {
            "crystallization": 4 - place % 2, "best_row": place % 5 - 1, "best_rank": 0, "swing_row": 3,
            "best_prob": 0.9 - 0.03 * place, "swing": 1.5 - 0.2 * place,
        }  # fmt: skip
        values |= {f"{lens}_{column.name}": of_lens.get(column.name) for column in OF_LENS}
    return values


def found(*, of: int = 12_288) -> Found:
    """What a query found among 12,288 records of a scan that is not finished."""
    rows = len(MODEL.rows)
    rise = np.linspace(-4.0, -1.0, rows)
    curves = {
        "next_logprob": (rise + 0.4, rise),
        "kl": (-rise / 2 - 0.4, -rise / 2 - 0.5),
        "entropy": (-rise, 0.8 - rise),
    }
    condition, sort = condition_of(QUERY, "tuned", MODEL.rows)
    matches = Matches(
        condition=condition, lens="tuned", sort=sort, count=1203, of=of,
        top=[record(place) for place in range(24)],
        tokens={
            "next": [("·blue", 411), ("·looked", 96), ("·Lily", 12)],
            "final": [("·green", 230), ("⏎", 17)],
        },
        rows={
            "crystallization": [0, 10, 20, 70, 210, 403, 490],
            "best_row": [31, 99, 150, 283, 340, 300, 0],
        },
        means={lens: {name: curves[name] for name in BY_ROW} for lens in LENSES},
    )  # fmt: skip
    return Found(matches, ScanRecords(FOLDER, MANIFEST, (), 12_288), QUERY.name, QUERY.title)


def compared() -> Compared:
    """A comparison of two models, each through a tuned lens."""
    second = Second({"model": "EleutherAI/pythia-14m", "revision": "step1000"}, True, {"tuned": "tuned"})
    records = replace(found().records, manifest=replace(MANIFEST, second=second))

    def estimate(*mean: float) -> Estimate:
        return Estimate(np.array(mean), np.array(mean) / 20)

    pair = PairComparison(
        estimate(0.02, 0.41, 0.83, 1.21, 1.32, 1.5, 1.71),
        estimate(0.99, 0.81, 0.64, 0.55, 0.51, 0.5, 0.47),
        np.array([12, 301, 655, 810, 920, 1403, 2412]),
        np.array([1731, 0, 42, 410, 977, 1210, 1405]),
    )
    comparison = ScanComparison(12_288, 96, estimate(1.71), estimate(0.53), {"tuned": pair})
    return Compared(comparison, records)


async def open_scan(pilot: Pilot[None], app: LenstuiApp) -> Scan:
    await show(pilot)
    app.program.scans = Silent()  # type: ignore[assignment]
    app.program.open_scan()
    await pilot.pause()
    screen = app.program.scan
    assert screen is not None
    screen.scanning._open(FOLDER)
    screen.post_message(QueryFound(1, ASKED, found(), is_whole=True, seconds=0.3))
    await pilot.pause()
    return screen


@pytest.mark.parametrize("size", SIZES)
def test_matches(snap_compare: Any, still: LenstuiApp, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await open_scan(pilot, still)
        await pilot.press("down", "down")
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=look)


@pytest.mark.parametrize("size", SIZES)
def test_means(snap_compare: Any, still: LenstuiApp, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await open_scan(pilot, still)
        await pilot.press("V")
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=look)


def test_comparison(snap_compare: Any, still: LenstuiApp) -> None:
    async def look(pilot: Pilot[None]) -> None:
        screen, of = await open_scan(pilot, still), compared()
        one = found()
        missing: dict[str, Any] = dict.fromkeys(column.name for column in of.records.columns)
        top = [{**missing, **each} for each in one.matches.top]
        both = replace(one, matches=replace(one.matches, top=top), records=of.records)
        screen.post_message(QueryFound(1, ASKED, both, is_whole=True, seconds=0.3))
        await pilot.pause()
        await pilot.press("V")
        screen.post_message(ComparisonFound(1, of))
        await pilot.pause()

    assert snap_compare(still, terminal_size=SIZES[1], run_before=look)


@pytest.mark.parametrize("view", [1, 2])
def test_counts(snap_compare: Any, still: LenstuiApp, view: int) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await open_scan(pilot, still)
        await pilot.press(*["v"] * view)
        await pilot.pause()

    assert snap_compare(still, terminal_size=SIZES[1], run_before=look)


@pytest.mark.parametrize("size", SIZES)
def test_while_a_scan_is_under_way(snap_compare: Any, still: LenstuiApp, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        screen = await open_scan(pilot, still)
        screen.state.grown, screen.state.scan_number = ScanGrown(1, 0, 100_000, 0, None), 1
        screen.post_message(QueryFound(1, ASKED, found(of=8192), is_whole=False, seconds=0.1))
        screen.post_message(ScanGrown(1, 12_800, 100_000, 0, 431.0))
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=look)


@pytest.mark.parametrize("size", SIZES)
def test_form(snap_compare: Any, still: LenstuiApp, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await show(pilot)
        still.push_screen(AskScan(MODEL, Path("/data/scans")))
        await pilot.pause()
        await pilot.press("down", "down", "1")
        await pilot.press("enter")
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=look)


@pytest.mark.parametrize("size", SIZES)
def test_list(snap_compare: Any, still: LenstuiApp, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await show(pilot)
        scans = [ListedScan(FOLDER, MANIFEST, 2.0), ListedScan(FOLDER.with_name("torn"), None, 1.0)]
        still.push_screen(OpenScan(scans, FOLDER.parent))
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=look)
