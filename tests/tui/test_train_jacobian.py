"""Training of a Jacobian lens on screen, key by key, on a real (tiny) model, real files and real threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Collapsible, ContentSwitcher, Input

from lenstui.fitting.jacobian_options import JacobianOptions
from lenstui.fitting.options import PRESETS
from lenstui.jobs.fit_messages import Phase
from lenstui.tui.app import LenstuiApp
from lenstui.tui.shared.choice import Choice
from lenstui.tui.shared.status_bar import StatusBar
from lenstui.tui.training.convergence_curve import ConvergenceCurve
from lenstui.tui.training.form import TrainForm
from lenstui.tui.training.screen import Train
from tests.by_hand.jacobian import logits
from tests.tui.pilots.fit_pilot import (
    few_stories,
    folder,
    notes,
    static,
    status,
    text,
    until_phase,
    until_steps,
)
from tests.tui.pilots.looking import Over, subtitle, until
from tests.tui.test_sides import shown

__all__ = ["few_stories", "folder", "text"]

PROMPT = "Hello, you"


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No fit comes to its end by itself: after the last prompt it hands over the same progress for ever."""
    from lenstui.fitting.jacobian.loop import jacobian_steps

    over = threading.Event()

    def forever(fit: Any) -> Iterator[Any]:
        progress = None
        for progress in jacobian_steps(fit):
            if progress.stage == "done":
                break
            yield progress
        while not over.wait(0.01):
            yield progress
        raise Over

    monkeypatch.setattr("lenstui.fitting.kinds.jacobian_steps", forever)
    yield
    over.set()


async def choose_kind(app: LenstuiApp, pilot: Pilot[None], text: Path, **fields: object) -> TrainForm:
    """Open the form, choose the kind by its keys, and type into the fields."""
    await pilot.press("escape", "t")
    await until(pilot, lambda: isinstance(app.screen, Train))
    form = app.screen.query_one(TrainForm)
    form.query_one("#data", Input).value = str(text)
    form.query_one("#kind").focus()
    await pilot.press("right")
    for name, value in {"n_prompts": 6, "prompt_len": 16, "skip_first": 4, **fields}.items():
        form._line(name).text = str(value)
    return form


async def begin(app: LenstuiApp, pilot: Pilot[None], text: Path, **fields: object) -> None:
    form = await choose_kind(app, pilot, text, **fields)
    form.start_button.focus()
    await pilot.press("enter")


# ── the form ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_kind_has_its_own_fields_and_text(opened: Any, folder: Path, text: Path) -> None:
    async with opened(PROMPT) as (app, pilot):
        form = await choose_kind(app, pilot, text)
        await pilot.press("tab")
        assert str(form.border_title).startswith("train a Jacobian lens")
        assert app.focused is form.query_one("#data")
        assert form.query_one("#field-rule").region
        assert not form.query_one("#preset").region
        form.query_one(Collapsible).collapsed = False
        await until(pilot, lambda: form.query_one("#field-held_out").region)
        assert not form.query_one("#field-lr").region
        await until(pilot, lambda: "6 prompts of 16 tokens" in static(app, "#size"))
        assert "16 tokens or more" in static(app, "#need")
        form.query_one("#kind").focus()
        await pilot.press("left")
        assert form.query_one("#preset").region
        assert form.query_one("#field-lr").region
        assert not form.query_one("#field-rule").region
        await until(pilot, lambda: f"{PRESETS['quick'].steps} steps" in static(app, "#size"))


@pytest.mark.parametrize(
    ("field", "typed", "at", "said"),
    [
        ("n_prompts", "0", "n_prompts", "whole number from 1"),
        ("skip_first", "some", "skip_first", "whole number from 0"),
        ("prompt_len", "5", "prompt_len", "seq_len must be at least 6"),
    ],
)
async def test_nonsense_is_told_beside_its_field(
    opened: Any, folder: Path, text: Path, field: str, typed: str, at: str, said: str
) -> None:
    async with opened(PROMPT) as (app, pilot):
        await begin(app, pilot, text, **{field: typed})
        await until(pilot, lambda: said in static(app, f"#line-{at} .note"))
        assert app.screen.query_one(Collapsible).collapsed
        assert status(app).phase is Phase.NONE


async def test_too_short_documents_are_told_under_the_text(opened: Any, folder: Path, text: Path) -> None:
    async with opened(PROMPT) as (app, pilot):
        text.write_text("Short.\n\nShort, too.")
        await choose_kind(app, pilot, text, prompt_len=40)
        await pilot.press("tab")
        await until(pilot, lambda: "0 of 2 documents have 40 tokens" in static(app, "#size"))


async def test_every_field_gets_where_it_belongs(
    opened: Any, folder: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(PROMPT) as (app, pilot):
        asked: list[Any] = []
        monkeypatch.setattr(app.training, "begin", asked.append)
        form = await choose_kind(app, pilot, text, n_prompts=3, seed=5, held_out="0.25", max_samples=9)
        for name, word in (("target", "penultimate"), ("rule", "relp")):
            form.query_one(f"#field-{name}", Choice).value = word
        form.start_button.focus()
        await pilot.press("enter")
        await until(pilot, lambda: asked)
        wanted = JacobianOptions(
            n_prompts=3, seq_len=16, skip_first=4, target="penultimate", rule="relp", seed=5
        )
        assert asked[0].options == wanted
        assert (asked[0].held_out, asked[0].documents.max_samples, asked[0].epochs) == (0.25, 9, None)


# ── the fit ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_fit_ends_with_its_lens_on_a_side(opened: Any, folder: Path, text: Path) -> None:
    from lenstui.lens import open_lens

    async with opened(PROMPT, size=(120, 40)) as (app, pilot):
        await begin(app, pilot, text)
        await until_phase(app, pilot, Phase.KEPT)
        assert status(app).kind == "jacobian"
        progress, lens = status(app).progress, folder / "tiny-jacobian-1.pt"
        assert open_lens(lens).fit["n_prompts"] == 6
        assert list(folder.iterdir()) == [lens]
        for share in (*progress.convergence, progress.convergence.mean()):
            assert f"{share:.2f}" in static(app, "RowBars Static")
        curve = app.screen.query_one(ConvergenceCurve)
        assert curve.region
        assert [prompts for prompts, _ in curve.measured][-1] == 6
        assert "prompt 6 of 6" in str(app.screen.query_one("FitBar").render())
        assert "Convergence" in notes(app) and "6 prompts" in notes(app)
        await pilot.press("escape")
        await until(pilot, lambda: shown(app)[1:] == ["Jacobian lens · probability"])
        await pilot.press("tab", "L")
        await until(pilot, lambda: shown(app)[1:] == ["tuned lens · probability"])


async def test_with_room_its_lens_is_one_more_side(opened: Any, folder: Path, text: Path) -> None:
    async with opened(PROMPT, size=(150, 40)) as (app, pilot):
        await begin(app, pilot, text)
        await until_phase(app, pilot, Phase.KEPT)
        await pilot.press("escape")
        await until(pilot, lambda: len(shown(app)) == 3)
        assert shown(app)[2] == "Jacobian lens · probability"


async def test_an_r_lens_is_fitted_too(opened: Any, folder: Path, text: Path) -> None:
    from lenstui.lens import open_lens

    async with opened(PROMPT) as (app, pilot):
        await begin(app, pilot, text, rule="relp", n_prompts=2)
        await until_phase(app, pilot, Phase.KEPT)
        assert open_lens(folder / "tiny-r-lens-1.pt").fit["rule"] == "relp"


async def test_the_prompt_is_read_through_the_lens_in_training(
    opened: Any, folder: Path, text: Path, endless: None
) -> None:
    async with opened(PROMPT, size=(120, 50)) as (app, pilot):
        await begin(app, pilot, text)
        await until_steps(app, pilot, 6)
        grid = app.screen.query_one("#fit Pane").grid
        await until(pilot, lambda: grid.cells is not None)
        assert str(app.screen.query_one("#fit Pane").border_title) == "Jacobian lens in training"
        model, lens = app.program.model_jobs.opened.model, app.training._jobs.lens()
        wanted = logits(model, PROMPT, lens.matrices, "gpt_neox.final_layer_norm")

        def is_as_fitted() -> bool:
            probs = [logits.softmax(-1).max(-1).values.numpy() for logits in wanted.values()]
            return bool(np.allclose(grid.cells.top_probs[: len(probs), :, 0], probs, atol=1e-4))

        await until(pilot, is_as_fitted)


async def test_a_side_that_shows_the_kind_shows_the_lens_in_training(
    opened: Any, folder: Path, text: Path, endless: None
) -> None:
    async with opened(PROMPT, size=(150, 40)) as (app, pilot):
        await begin(app, pilot, text)
        await until_steps(app, pilot, 6)
        await pilot.press("s")
        await until_phase(app, pilot, Phase.KEPT)
        await pilot.press("escape")
        await until(pilot, lambda: len(shown(app)) == 3 and subtitle(app).endswith(" s"))
        before = app.explore.grids[2].cells.kl.copy()
        await begin(app, pilot, text, n_prompts=2, prompt_len=48)  # the documents begin with the same words
        await until(pilot, lambda: status(app).phase is Phase.RUNNING)
        await pilot.press("escape")
        await until(pilot, lambda: "in training" in shown(app)[2])
        assert "training" not in shown(app)[1]
        await until(pilot, lambda: not np.allclose(app.explore.grids[2].cells.kl[:3], before[:3]))
        assert "convergence" in str(app.explore.query_one(StatusBar).render())


# ── its keys ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_it_pauses_and_is_kept_without_a_word_about_kl(
    opened: Any, folder: Path, text: Path, endless: None
) -> None:
    async with opened(PROMPT) as (app, pilot):
        await begin(app, pilot, text)
        await until_steps(app, pilot, 2)
        await pilot.press("space")
        await until_phase(app, pilot, Phase.PAUSED)
        await pilot.press("space")
        await until_phase(app, pilot, Phase.RUNNING)
        app.program.model = replace(app.program.model, lens_kl=0.0001)  # better than any
        await pilot.press("s")
        assert isinstance(app.screen, Train)
        await until_phase(app, pilot, Phase.KEPT)
        assert status(app).progress.convergence is not None


async def test_it_is_discarded_with_its_checkpoint(
    opened: Any, folder: Path, text: Path, endless: None
) -> None:
    async with opened(PROMPT) as (app, pilot):
        await begin(app, pilot, text, checkpoint_every=0.01)
        await until(pilot, lambda: status(app).checkpoint_step == 6)
        assert "checkpoint at prompt 6" in str(app.screen.query_one("FitBar").render())
        await pilot.press("x", "y")
        await until_phase(app, pilot, Phase.DISCARDED)
        await until(pilot, lambda: app.screen.query_one(ContentSwitcher).current == "form")
        assert [path for path in folder.iterdir() if not path.name.startswith(".")] == []


async def test_at_the_end_s_saves_the_jacobian_lens(
    opened: Any, folder: Path, text: Path, tmp_path: Path
) -> None:
    from lenstui.lens import open_lens

    async with opened(PROMPT) as (app, pilot):
        await begin(app, pilot, text, n_prompts=2)
        await until_phase(app, pilot, Phase.KEPT)
        await pilot.press("s")
        await until(pilot, lambda: not isinstance(app.screen, Train))
        assert "tiny-jacobian-1" in app.screen.query_one(Input).value
        app.screen.query_one(Input).value = str(tmp_path / "mine.pt")
        app.screen.query_one(Input).focus()
        await pilot.press("enter")
        await until(pilot, (tmp_path / "mine.pt").exists)
        assert open_lens(tmp_path / "mine.pt").kind == "jacobian"


async def test_a_tuned_fit_after_it_has_its_own_view(opened: Any, folder: Path, text: Path) -> None:
    async with opened(PROMPT) as (app, pilot):
        await begin(app, pilot, text, n_prompts=2)
        await until_phase(app, pilot, Phase.KEPT)
        await pilot.press("n")
        form = app.screen.query_one(TrainForm)
        form.query_one("#kind").focus()
        await pilot.press("left")
        for name, value in {"steps": 2, "tokens_per_step": 64, "seq_len": 32}.items():
            form._line(name).text = str(value)
        form.start_button.focus()
        await pilot.press("enter")
        await until(pilot, lambda: status(app).phase is Phase.KEPT and status(app).kind == "tuned")
        assert "logit" in static(app, "RowBars Static")
        assert not app.screen.query_one(ConvergenceCurve).display
        assert (folder / "tiny-quick-1.pt").exists()
