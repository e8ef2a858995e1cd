"""How the lenses look, at three sizes, the same on every machine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual import constants
from textual.pilot import Pilot
from textual.widgets import Input

from lenstui.jobs.messages import LensesListed, ListedLens, TranslatorMeasured
from lenstui.jobs.published_messages import Download, PublishedStatus
from lenstui.lens.card import LensCard, Match, TranslatorSize
from lenstui.lens.published.matching import Suits
from lenstui.lens.published.published_lens import PublishedLens, RemoteFile
from lenstui.model.hub_process import DownloadProgress
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.shared.file_dialogs import SaveLens
from lenstui.tui.shared.question import Question
from tests.tui.pilots.still import MODEL, SIZES, Silent, Still, show

HOME = Path("/home/ada/.local/share/lenstui/lenses")
FIT = {
    "method": "closed form, then KL",
    "preset": "quick",
    "steps": 60,
    "tokens": 47_104,
    "seconds": 16.2,
    "seed": 0,
    "data": ["stories.parquet"],
    "held_out_kl": [3.1, 2.4, 1.8, 1.2, 0.6, 0.2],
    "logit_lens_kl": [10.2, 6.3, 4.4, 3.0, 1.4, 0.5],
    "time": "2026-01-15T12:00:30+00:00",
    "versions": {"lenstui": "0.1.0", "torch": "2.9.0", "transformers": "5.0.0"},
}


def listed(
    name: str, match: Match, *, made_for: str | None, fit: Any = FIT, in_use: bool = False
) -> ListedLens:
    config = {"base_model_name_or_path": made_for}
    return ListedLens(LensCard(HOME / name, config, fit, 6, 128, 402_133, 1.7684784e9), match, in_use)


LISTED = (
    listed("quick-1.pt", Match.WEIGHTS, made_for=MODEL.name, in_use=True),
    listed("from-the-library", Match.SHAPE, made_for=None, fit={}),
    listed("before-the-fine-tuning-of-spring.pt", Match.OTHER_WEIGHTS, made_for="someone/pythia-14m-stories"),
    listed("large.pt", Match.NO, made_for="EleutherAI/pythia-70m"),
)


def on_hub(repository: str, path: str, size: int, **facts: Any) -> PublishedLens:
    commit = "0123456789abcdef0123456789abcdef01234567"
    kind = "tuned" if "tuned" in repository else "jacobian"
    return PublishedLens(
        repository, facts.pop("type", "model"), "main", commit, kind, (RemoteFile(path, size),), **facts
    )


TUNED = on_hub(
    "AlignmentResearch/tuned-lens", f"lens/{MODEL.name}/params.pt", 402_133,
    type="space", made_for=MODEL.name, suits=Suits.YES,
)  # fmt: skip
REFERENCE = on_hub(
    "neuronpedia/jacobian-lens", "pythia-14m/jlens/pile-10k/pythia-14m_jacobian_lens_n1000.pt", 171_008,
    made_for="pythia-14m", suits=Suits.YES,
)  # fmt: skip
UNNAMED = on_hub("camilablank/workspace-lenses", "p14m/j-lens/lens.pt", 171_008, suits=Suits.PERHAPS)
ON_HUB = PublishedStatus(
    model=MODEL.name,
    is_asked=True,
    lenses=(TUNED, REFERENCE, UNNAMED),
    here=frozenset({TUNED.name}),
    troubles=("huggingface.co has no model koayon/jpp-lenses: check the spelling (names are OWNER/NAME).",),
    download=Download(REFERENCE, DownloadProgress(60_000, 171_008, REFERENCE.path)),
)


class StillLenses(Still):
    """The program without threads, for its list too."""

    def __init__(self, start: Start) -> None:
        super().__init__(start)
        self.program.lenses = Silent()  # type: ignore[assignment]


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> Iterator[LenstuiApp]:
    monkeypatch.setattr(constants, "COLOR_SYSTEM", "truecolor")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield StillLenses(Start(prompt="The trees are green and the sky is"))
    time.tzset()


async def list_them(
    pilot: Pilot[None], lenses: tuple[ListedLens, ...], left_out: tuple[str, ...] = ()
) -> None:
    await show(pilot)
    await pilot.press("o")
    pilot.app.screen.post_message(LensesListed(lenses, left_out))
    await pilot.pause()
    for row in range(1, 6):
        size = TranslatorSize(row, 32.5 / row, 120.0 + row, (18.25 / row, 7.5, 0.0051))
        pilot.app.screen.post_message(TranslatorMeasured(HOME / "quick-1.pt", size))
    await pilot.pause(0.2)


@pytest.mark.parametrize("size", SIZES)
def test_lenses(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def listing(pilot: Pilot[None]) -> None:
        await list_them(pilot, LISTED, ("half.pt",))

    assert snap_compare(still, terminal_size=size, run_before=listing)


@pytest.mark.parametrize("size", SIZES)
def test_no_lenses(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def listing(pilot: Pilot[None]) -> None:
        await list_them(pilot, ())

    assert snap_compare(still, terminal_size=size, run_before=listing)


@pytest.mark.parametrize("size", SIZES)
def test_on_the_hub(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def downloading(pilot: Pilot[None]) -> None:
        still.program.published.status = ON_HUB
        await list_them(pilot, LISTED)
        await pilot.press("tab", "down")
        await pilot.pause(0.2)

    assert snap_compare(still, terminal_size=size, run_before=downloading)


@pytest.mark.parametrize("size", SIZES)
def test_picker(still: LenstuiApp, snap_compare: Any, size: tuple[int, int], tmp_path: Path) -> None:
    place = tmp_path / "lenses"
    (place / "library").mkdir(parents=True)
    (place / "quick-1.pt").write_bytes(b"0" * 1234)
    for path in (place / "library", place / "quick-1.pt", place, tmp_path):
        os.utime(path, (1.7684784e9, 1.7684784e9))

    async def saving(pilot: Pilot[None]) -> None:
        from textual_fspicker.parts import CurrentDirectory

        await list_them(pilot, LISTED)
        await pilot.app.push_screen(SaveLens(place, "quick-1"))
        await pilot.pause(0.3)
        pilot.app.screen.query_one(CurrentDirectory).current_directory = HOME
        pilot.app.screen.query_one(Input).focus()
        await pilot.pause(0.2)

    assert snap_compare(still, terminal_size=size, run_before=saving)


@pytest.mark.parametrize("size", [(80, 24)])
def test_question(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def asking(pilot: Pilot[None]) -> None:
        await list_them(pilot, LISTED)
        await pilot.app.push_screen(Question("replace it?", f"{HOME}/quick-1.pt exists. Replace it?"))
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=asking)
