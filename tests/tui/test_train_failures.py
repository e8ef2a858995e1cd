"""What fails while a lens is trained loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import ContentSwitcher

from lenstui.fitting.options import PRESETS
from lenstui.jobs.fit_messages import Phase
from lenstui.support.errors import LensError
from lenstui.tui.shared.status_bar import StatusBar
from tests.tui.pilots.fit_pilot import (
    STORY,
    begin,
    endless,
    fail_to_write,
    few_stories,
    folder,
    notes,
    static,
    status,
    text,
    until_phase,
    until_steps,
)
from tests.tui.pilots.looking import until

__all__ = ["endless", "few_stories", "folder", "text"]


def failing_at(step: int, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fit fails, once, when so many steps are done."""
    from lenstui.fitting.loop import fit_steps

    errors = [error]

    def until_it_fails(fit: Any) -> Iterator[Any]:
        for progress in fit_steps(fit):
            if progress.step >= step and errors:
                raise errors.pop()
            yield progress

    monkeypatch.setattr("lenstui.fitting.kinds.fit_steps", until_it_fails)


@pytest.mark.parametrize(
    "error",
    [
        LensError("The loss is not finite at step 3: try a lower learning rate."),
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        ZeroDivisionError("division by zero"),
    ],
)
async def test_a_failed_step_loses_nothing(
    opened: Any, folder: Path, text: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    from lenstui.fitting.checkpoint import open_checkpoint
    from lenstui.lens import open_lens

    failing_at(2, error, monkeypatch)
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text)
        await until_phase(app, pilot, Phase.PAUSED)
        path = folder / "tiny-quick-1.checkpoint"
        shown = static(app, "#fit-trouble")
        said = {
            LensError: "not finite",
            MemoryError: "Out of memory",
            RuntimeError: "Out of memory",
            ZeroDivisionError: "division by zero",
        }
        assert said[type(error)] in shown
        assert path.name in shown.replace("\n", "")
        assert app.screen.query_one("#fit-trouble").display
        assert open_checkpoint(path).state["step"] == 2
        assert "failed" in str(app.screen.query_one(StatusBar).render())
        await pilot.press("space")
        await until_phase(app, pilot, Phase.KEPT)
        assert not app.screen.query_one("#fit-trouble").display
        assert open_lens(path.with_suffix(".pt")).fit["steps"] == 3
        assert not path.exists()


async def test_what_a_failed_fit_learned_can_be_kept(
    opened: Any, folder: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lenstui.lens import open_lens

    failing_at(2, RuntimeError("no"), monkeypatch)
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text)
        await until_phase(app, pilot, Phase.PAUSED)
        await pilot.press("s")
        await until_phase(app, pilot, Phase.KEPT)
        assert open_lens(folder / "tiny-quick-1.pt").fit["steps"] == 2


async def test_a_checkpoint_that_cannot_be_written_is_no_reason_to_stop(
    opened: Any, folder: Path, text: Path, endless: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_to_write(monkeypatch)
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text, checkpoint_every=0.01)
        await until(pilot, lambda: status(app).checkpoint_trouble)
        await until_steps(app, pilot, 3)
        assert status(app).phase is Phase.RUNNING
        assert "disk is full" in str(app.screen.query_one("FitBar").render())


async def test_a_lens_that_cannot_be_saved_there_goes_elsewhere(
    opened: Any, folder: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lenstui.lens import open_lens, save_lens

    def refuse(lens: Any, path: Path) -> None:
        if path.parent == folder:
            raise LensError(f"{path} cannot be written: Read-only file system.")
        save_lens(lens, path)

    monkeypatch.setattr("lenstui.fitting.driver.save_lens", refuse)
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text)
        await until_phase(app, pilot, Phase.KEPT)
        assert status(app).path.parent != folder
        assert open_lens(status(app).path).fit["steps"] == 3
        assert "Read-only" in static(app, "#fit-trouble")
        assert "Read-only" in notes(app)


async def test_a_lens_that_cannot_be_saved_anywhere_is_in_use(
    opened: Any, folder: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_to_write(monkeypatch)
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text)
        await until_phase(app, pilot, Phase.KEPT)
        assert "in no file" in static(app, "#fit-trouble")
        await until(pilot, lambda: app.explore.model.lens == "tiny-quick-1")
        assert app.explore.model.lens_file is None
        assert app.program.model_jobs.opened.fitted[0].fit["steps"] == 3


async def test_a_text_that_is_damaged_half_way(opened: Any, folder: Path, text: Path) -> None:
    text.write_bytes(text.read_bytes() + b"\n\n\xff\xfe damaged")
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text, epochs=1, steps=PRESETS["quick"].steps)
        await until(pilot, lambda: "not UTF-8" in static(app, "#complaint"))
        assert app.screen.query_one(ContentSwitcher).current == "form"
        assert status(app).phase is Phase.NONE
        text.write_text(STORY * 40)
        await pilot.press("enter")
        await until_phase(app, pilot, Phase.KEPT)
