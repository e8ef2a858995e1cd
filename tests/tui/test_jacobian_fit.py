"""The fit of a Jacobian lens that was begun elsewhere goes on in the program, and is put to use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lenstui.jobs.fit_messages import Phase
from tests.tui.pilots.fit_pilot import few_stories, folder, status, text, until_phase
from tests.tui.pilots.looking import until

__all__ = ["few_stories", "folder", "text"]


def leave_unfinished(model: Any, text: Path, lens: Path) -> None:
    """Write the checkpoint of a fit that has done a prompt and a part of the next one."""
    from lenstui.fitting.driver import begun
    from lenstui.fitting.jacobian.state import JacobianFit
    from lenstui.fitting.jacobian_options import JacobianOptions
    from lenstui.fitting.kinds import read_text
    from lenstui.fitting.names import claim
    from lenstui.fitting.plan import FitPlan
    from lenstui.texts.documents import Documents

    plan = FitPlan(JacobianOptions(n_prompts=6, seq_len=16, skip_first=4), Documents((str(text),)))
    driver = begun(model, plan, read_text(model, plan), claim(lens))
    fit = driver.fit
    assert isinstance(fit, JacobianFit)
    with pytest.MonkeyPatch.context() as small:  # several pieces a prompt
        small.setattr("lenstui.fitting.jacobian.ways.COTANGENTS", 13 * 2 * 16 * 32 * 4)
        next(now for now in driver.steps() if now.step == 1 and fit.state.dims)
    assert driver.write_checkpoint()
    driver.release()


async def test_it_goes_on_and_is_put_to_use(opened: Any, folder: Path, text: Path) -> None:
    from lenstui.lens import open_lens

    lens = folder / "tiny-jacobian-1.pt"
    async with opened("Hello, you") as (app, pilot):
        leave_unfinished(app.program.model_jobs.opened.model, text, lens)
        await pilot.press("escape", "t")
        await until(pilot, lambda: app.screen.query_one("#resume").display)
        assert "prompt 1 of 6" in str(app.screen.query_one("#resume").label)
        app.screen.query_one("#resume").focus()
        await pilot.press("enter")
        await until_phase(app, pilot, Phase.KEPT)
        assert status(app).progress.convergence is not None
        assert status(app).share == 1.0
        assert open_lens(lens).fit["n_prompts"] == 6
        assert list(folder.iterdir()) == [lens]
        await until(pilot, lambda: "jacobian" in {each.kind for each in app.program.model_jobs.opened.fitted})
