"""How prompt sets look, at three sizes, on numbers that are the same on every machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot

from lenstui.edits.language import parse_edit
from lenstui.export.set_outliers import OutlierFacts
from lenstui.export.set_tidy import SetHeading
from lenstui.jobs.set_messages import CasesRead, ReadCase, SetEnd, SetEnded, SetOpened, SetSource, SetStarted
from lenstui.jobs.sets import SetRequest, case_line
from lenstui.opening.source import LensSource, Source
from lenstui.readout.pins import Pin
from lenstui.readout.reading import Reading
from lenstui.readout.sets.cases import CaseReadout, FailedCase, LastColumn
from lenstui.readout.sets.foils import FoilColumn
from lenstui.readout.sets.outlier_methods import outlier_methods
from lenstui.readout.sets.prompt_fields import Case
from lenstui.readout.sets.trajectories import trajectory_kinds
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.prompt_sets.screen import PromptSets
from tests.by_hand.made_up import ROWS, WORDS
from tests.tui.pilots.still import MODEL, SIZES, show, still

__all__ = ["still"]

TEXTS = {
    "facts": (
        "The capital of France is the city of",
        "A week has seven",
        "空 is the\tsky\x1b[2J and the sky is",
    ),
    "grammar": ("The keys to the cabinet", "The woman who saw the dogs", ""),
    "arithmetic": ("1 + 1 =", "Two plus two is", "One, two, three, " * 12),
}
LENS = LensSource("tuned", "tuned", "lens", "lens.pt", {})
SOURCE = SetSource(
    SetHeading("facts.jsonl", MODEL.rows, Source(MODEL.name, None, "float32", (), lenses=(LENS,))),
    ("logit", "tuned"),
    Reading(chat=True),
    Start(),
    ("--prompts=facts.jsonl",),
    (),
)


def column(seed: int, sharpness: float) -> LastColumn:
    """Made-up numbers: the later the row, the surer."""
    row = np.arange(ROWS)
    far = (ROWS - 1 - row) * (1 + seed % 4) / sharpness
    logprob = (-0.4 - far - seed / 3).astype(np.float32)
    top1 = np.where(far > 2, 3, seed % len(WORDS)).astype(np.int32)
    return LastColumn(
        top1=top1,
        top_id=top1,
        top_prob=np.exp(-0.3 - far).astype(np.float32),
        values={
            "entropy": (1 + far).astype(np.float32),
            "kl": far.astype(np.float32),
            "js": (np.log(2) * far / (far + 2)).astype(np.float32),
            "final_rank": (far**2).astype(np.int32),
        },
        target_logprob=logprob,
        whole_logprob=logprob,
        target_rank=(seed + far**3).astype(np.int32),
        crystallization=int(np.argmax(far <= 2)),
        rows=tuple(range(ROWS)),
    )


def readouts() -> list[CaseReadout | FailedCase]:
    cases: list[CaseReadout | FailedCase] = []
    for number, (group, text) in enumerate(((g, text) for g, texts in TEXTS.items() for text in texts), 1):
        case = Case(number, text, "x", group)
        if not text:
            cases.append(FailedCase(case, "The prompt is empty."))
            continue
        word = WORDS[number % len(WORDS)]
        target = None if number == 5 else Pin("x", number, whole=number != 4)
        lenses = {"logit": column(number, 1.0), "tuned": column(number, 2.0)}
        probability = float(lenses["logit"].top_prob[-1])
        cases.append(
            CaseReadout(
                case, 5, 0, number, WORDS[-number], probability, target, word if target else None, lenses
            )
        )
    return cases


def edited(case: CaseReadout | FailedCase) -> CaseReadout | FailedCase:
    """The same as an edited run, whose clean one was surer."""
    if isinstance(case, FailedCase):
        return case
    lenses = {"logit": column(case.case.number, 1.5), "tuned": column(case.case.number, 3.0)}
    lenses = {
        name: replace(each, target_logprob=each.target_logprob + 0.3, target_rank=each.target_rank // 2)
        for name, each in lenses.items()
    }
    clean = replace(case, lenses=lenses, final_text=WORDS[0], final_prob=0.9)
    return replace(case, clean=clean)


def edited_source() -> SetSource:
    edits = (parse_edit("ablate 1.mlp @last"), parse_edit("ablate 0.1"))
    source = replace(SOURCE.heading.source, edits=tuple(edit.text for edit in edits))
    return replace(SOURCE, heading=replace(SOURCE.heading, source=source), edits=edits)


def scored_source() -> SetSource:
    names = [(lens, row) for lens in ("logit", "tuned") for row in MODEL.rows[:-1]]
    kind = trajectory_kinds()[0]
    facts = OutlierFacts(
        "/data/plain.jsonl",
        120,
        0,
        kind.key,
        kind.label,
        (*names, (None, MODEL.rows[-1])),
        (),
        outlier_methods(),
    )
    return replace(SOURCE, heading=replace(SOURCE.heading, outliers=facts))


def scored(case: CaseReadout | FailedCase) -> CaseReadout | FailedCase:
    """The same with made-up scores; one has none."""
    if isinstance(case, FailedCase):
        return case
    number = case.case.number
    if number == 2:
        return replace(case, not_scored="It is one token, behind which none comes.")
    of_case = (0.8 + number * number / 5, 0.35 + number / 30, 0.95 + 0.2 * number % 3)
    scores = {method.key: score for method, score in zip(outlier_methods(), of_case, strict=True)}
    return replace(case, scores=scores)


def with_foil(case: CaseReadout | FailedCase) -> CaseReadout | FailedCase:
    """The same with a made-up foil; one is several tokens, another begins as the target does."""
    if isinstance(case, FailedCase) or case.target is None:
        return case
    number = case.case.number
    foil = Pin("others", number + 1, whole=number != 2, rest=(3,) if number == 2 else ())

    def against(lens: LastColumn) -> LastColumn:
        lower = lens.target_logprob - np.float32(1 - number / 3)
        same = np.full_like(lower, np.nan) if number == 3 else lens.target_logprob - lower
        return replace(lens, foil=FoilColumn(lower, lens.target_rank + 1, same, lower))

    return replace(
        case,
        target=replace(case.target, rest=(5,) if number == 4 else ()),
        lenses={name: against(lens) for name, lens in case.lenses.items()},
        foil=foil,
        foil_text=WORDS[number % len(WORDS) - 1],
        no_difference="'x' and 'xy' begin with the same token." if number == 3 else "",
    )


async def read(
    pilot: Pilot[None],
    *,
    count: int | None = None,
    is_edited: bool = False,
    is_scored: bool = False,
    has_foils: bool = False,
) -> None:
    """Open the screen and post what the model thread would, of so many cases."""
    await show(pilot)
    await pilot.press("escape", "e")
    await pilot.pause()
    screen = pilot.app.screen
    assert isinstance(screen, PromptSets)
    screen.state.asked = SetRequest(1, "facts.jsonl", Start())
    cases, source = readouts(), SOURCE
    if is_edited:
        cases, source = list(map(edited, cases)), edited_source()
    if is_scored:
        cases, source = list(map(scored, cases)), scored_source()
        screen.state.reference = "/data/plain.jsonl"
        screen.outliers.leave()
    if has_foils:
        cases = list(map(with_foil, cases))
        source = replace(SOURCE, heading=replace(SOURCE.heading, has_foils=True))
    screen.post_message(SetOpened(1, "/home/me/facts.jsonl", len(cases), tuple(TEXTS), 2, "Skipped 2 lines."))
    screen.post_message(SetStarted(1, source))
    lines = tuple(ReadCase(case_line(case, source), case) for case in cases[:count])
    screen.post_message(CasesRead(1, lines, dict(enumerate(WORDS)), 4.2))
    if count is None:
        screen.post_message(SetEnded(1, SetEnd.DONE))
    await pilot.pause(0.4)


@pytest.mark.parametrize("size", SIZES)
def test_a_set(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def sort(pilot: Pilot[None]) -> None:
        await read(pilot)
        await pilot.press("C", "C", "C", "down", "down")
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=sort)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_a_set_under_edits(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def sort(pilot: Pilot[None]) -> None:
        await read(pilot, is_edited=True)
        await pilot.press(*"ccccccc", "down")
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=sort)


@pytest.mark.parametrize("size", SIZES)
def test_a_set_with_outlier_scores(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def sort(pilot: Pilot[None]) -> None:
        await read(pilot, is_scored=True)
        await pilot.press(*"ccccccccc", "r", "down")
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=sort)


@pytest.mark.parametrize("size", SIZES)
def test_a_set_with_foils(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await read(pilot, has_foils=True)
        await pilot.press("R", "v", "v", "v", "down")
        pilot.app.clear_notifications()
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=look)


def test_the_reference_is_named(still: LenstuiApp, snap_compare: Any) -> None:
    async def name(pilot: Pilot[None]) -> None:
        await read(pilot)
        await pilot.press("o")
        await pilot.pause()

    assert snap_compare(still, terminal_size=(80, 24), run_before=name)


def test_nothing_is_read_yet(still: LenstuiApp, snap_compare: Any) -> None:
    async def go(pilot: Pilot[None]) -> None:
        await show(pilot)
        await pilot.press("escape", "e")
        await pilot.pause()

    assert snap_compare(still, terminal_size=(80, 24), run_before=go)


def test_the_plot_where_it_is_small(still: LenstuiApp, snap_compare: Any) -> None:
    async def plot(pilot: Pilot[None]) -> None:
        await read(pilot)
        await pilot.press("v", "tab")
        await pilot.pause()

    assert snap_compare(still, terminal_size=(80, 24), run_before=plot)


def test_while_it_is_read_and_filtered(still: LenstuiApp, snap_compare: Any) -> None:
    async def find(pilot: Pilot[None]) -> None:
        await read(pilot, count=4)
        await pilot.press("slash", *"the")
        await pilot.pause()

    assert snap_compare(still, terminal_size=(120, 40), run_before=find)


def test_no_raw_control_character_reaches_the_screen() -> None:
    for case in readouts():
        line = case_line(case, SOURCE)
        assert all(text.isprintable() for text in (line.prompt, line.final, line.target, line.reason or ""))
