"""A fit of the tiny model under the eyes of a test: its files, its form and its status."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from lenstui.jobs.fit_messages import Phase
from lenstui.support.errors import LensError
from lenstui.support.paths import general_sample
from lenstui.texts import bundled
from lenstui.tui.app import LenstuiApp
from lenstui.tui.training.form import TrainForm
from lenstui.tui.training.screen import Train
from tests.tui.pilots.looking import Over, until

STORY = "Once upon a time there was a little fox number {}. It ran over the hills and far away, all day long."
DOCUMENTS = 20  # three of them are held out


@pytest.fixture
def few_stories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The general sample is counted whenever the form is opened: only its beginning is there."""
    import pyarrow.parquet as pq

    few = tmp_path / "text.parquet"
    pq.write_table(pq.read_table(general_sample())[:60], few)
    monkeypatch.setattr(bundled, "general_sample", lambda: few)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_stories: None) -> Path:
    """The lenses folder of this test alone."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    folder = tmp_path / "data" / "lenstui" / "lenses"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Short documents, few enough for the closed form to be a matter of a moment."""
    path = tmp_path / "stories.txt"
    path.write_text("\n\n".join(STORY.format(number) for number in range(DOCUMENTS)))
    return path


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No fit comes to its end by itself: after the last step it hands over the same progress for ever."""
    from lenstui.fitting.loop import fit_steps

    over = threading.Event()

    def forever(fit: Any) -> Iterator[Any]:
        progress = None
        for progress in fit_steps(fit):
            if progress.stage == "done":
                break
            yield progress
        while not over.wait(0.01):
            yield progress
        raise Over

    monkeypatch.setattr("lenstui.fitting.kinds.fit_steps", forever)
    yield
    over.set()


def status(app: LenstuiApp) -> Any:
    return app.training.status


def notes(app: LenstuiApp) -> str:
    return " ".join(note.message for note in app._notifications)


def static(app: LenstuiApp, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).render())


def set_fields(app: LenstuiApp, data: Path | str, **fields: object) -> None:
    """Type into the form."""
    form = app.screen.query_one(TrainForm)
    form.query_one("#data", Input).value = str(data)
    for name, value in fields.items():
        form._line(name).text = str(value)


async def open_form(app: LenstuiApp, pilot: Pilot[None], data: Path | str, **fields: object) -> None:
    await pilot.press("escape", "t")
    await until(pilot, lambda: isinstance(app.screen, Train))
    set_fields(app, data, **{"steps": 3, "tokens_per_step": 64, "seq_len": 32, **fields})


async def begin(app: LenstuiApp, pilot: Pilot[None], data: Path | str, **fields: object) -> None:
    await open_form(app, pilot, data, **fields)
    app.screen.query_one("#start").focus()
    await pilot.press("enter")


async def until_phase(app: LenstuiApp, pilot: Pilot[None], phase: Phase) -> None:
    await until(pilot, lambda: status(app).phase is phase)


async def until_steps(app: LenstuiApp, pilot: Pilot[None], steps: int) -> None:
    await until(pilot, lambda: status(app).progress is not None and status(app).progress.step >= steps)


def fail_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    from lenstui.lens.formats import tensor_file

    def full(path: Path, **how: bool) -> NoReturn:
        raise LensError(f"{path} cannot be written: the disk is full.")

    monkeypatch.setattr(tensor_file, "replaced", full)
