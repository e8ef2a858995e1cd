"""Training, key by key, on a real (tiny) model, real files and real threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Collapsible, ContentSwitcher, Input, Static

from lenstui.fit_files import checkpoint_path
from lenstui.lens.errors import LensError
from lenstui.lens.fit_options import PRESETS
from lenstui.ui.app import LenstuiApp
from lenstui.ui.fit_messages import Phase
from lenstui.ui.screens.question import Question
from lenstui.ui.screens.quit_training import QuitTraining
from lenstui.ui.screens.train import Train
from lenstui.ui.widgets.choice import Choice
from lenstui.ui.widgets.loss_curve import LossCurve
from lenstui.ui.widgets.pane import Pane
from lenstui.ui.widgets.prompt_box import PromptBox
from lenstui.ui.widgets.status_bar import StatusBar
from lenstui.ui.widgets.train_form import TrainForm

from .conftest import Over, until

STORY = "Once upon a time there was a little fox number {}. It ran over the hills and far away, all day long."


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lenses folder of this test alone."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    folder = tmp_path / "data" / "lenstui" / "lenses"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Documents: about four blocks of 64 tokens are held out."""
    path = tmp_path / "stories.txt"
    path.write_text("\n\n".join(STORY.format(number) for number in range(80)))
    return path


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No fit comes to its end by itself: after the last step it hands over the same progress for ever."""
    from lenstui.lens import fitting

    fit_steps, over = fitting.fit_steps, threading.Event()

    def forever(fit: Any) -> Iterator[Any]:
        progress = None
        for progress in fit_steps(fit):
            if progress.stage == "done":
                break
            yield progress
        while not over.wait(0.01):
            yield progress
        raise Over

    monkeypatch.setattr(fitting, "fit_steps", forever)
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


# ── from start to end ────────────────────────────────────────────────────────────────────────────────────


async def test_t_then_enter_is_all_it_takes(opened: Any, folder: Path) -> None:
    """With the bundled text and the quick preset, on a model of another tokenizer."""
    from lenstui.lens import open_lens

    async with opened("Hello, you", lens=False) as (app, pilot):
        assert "t trains one" in str(app.explore.query_one("#pane-tuned .pane--message", Static).render())
        await pilot.press("escape", "t", "enter")
        await until_phase(app, pilot, Phase.KEPT)
        path = folder / "tiny-quick-1.pt"
        lens = open_lens(path)
        assert lens.fit["steps"] == PRESETS["quick"].steps
        assert lens.fit["data"] == ["text.parquet"]
        assert lens.config["base_model_name_or_path"] == app.explore.model.name
        await until(pilot, lambda: app.explore.model.lens == "tiny-quick-1")
        assert app.explore.model.lens_file == path
        await until(pilot, lambda: app.explore.grids["tuned"].display)
        after = sum(lens.fit["held_out_kl"]) / 3
        before = sum(lens.fit["logit_lens_kl"]) / 3
        assert f"{before:.3f} → {after:.3f}" in notes(app)
        assert str(path) in notes(app)
        assert after < before
        assert list(folder.iterdir()) == [path]  # no checkpoint, nothing half-written


async def test_the_fit_is_shown_while_it_runs(opened: Any, folder: Path, text: Path, endless: None) -> None:
    async with opened("Hello, you", lens=False) as (app, pilot):
        await begin(app, pilot, text)
        await until_steps(app, pilot, 3)
        await until(pilot, lambda: app.screen.query_one(ContentSwitcher).current == "fit")
        await until(pilot, lambda: "mean" in static(app, "KlBars Static"))
        await until(pilot, lambda: len(app.screen.query_one(LossCurve).losses) > 0)
        kl = status(app).progress.held_out_kl
        assert f"{kl[0]:.3f}" in static(app, "KlBars Static")
        assert f"{kl.mean():.3f}" in static(app, "KlBars Static")
        bar = str(app.screen.query_one(StatusBar).render())
        assert "training" in bar
        assert f"KL {kl.mean():.2f}" in bar
        assert app.screen.focused is not app.screen.query_one(LossCurve)
        assert not app.screen.query_one(LossCurve).can_focus
        await until(pilot, lambda: app.screen.query_one(Pane).grid.cells is not None)


async def test_explore_shows_it_and_its_grid_learns(
    opened: Any, folder: Path, text: Path, endless: None
) -> None:
    import numpy as np

    async with opened("Hello, you", lens=False) as (app, pilot):
        await begin(app, pilot, text)
        await until_steps(app, pilot, 3)
        await pilot.press("escape")
        assert app.screen is app.explore
        explore = app.explore
        await until(pilot, lambda: explore.grids["tuned"].display)
        assert "in training" in str(explore.query_one("#pane-tuned", Pane).border_title)
        assert "training" in str(explore.query_one(StatusBar).render())
        tuned, logit = (explore.grids[name] for name in ("tuned", "logit"))
        # After the last step: what is shown is what the lens is now.
        await until(pilot, lambda: not np.allclose(tuned.cells.kl[0], logit.cells.kl[0]))
        assert np.allclose(tuned.cells.kl[-1], 0)
        await pilot.press("t")
        assert isinstance(app.screen, Train)
        assert app.screen.query_one(ContentSwitcher).current == "fit"


async def test_a_prompt_is_read_while_training_through_the_lens_as_it_is(
    opened: Any, folder: Path, text: Path, endless: None
) -> None:
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text)
        await until_steps(app, pilot, 3)
        await pilot.press("escape", "i")
        app.explore.query_one(PromptBox).text = "Another one"
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.columns == (*tuple("Another"), "·", *tuple("one")))
        await until(pilot, lambda: app.explore.grids["tuned"].cells is not None)
        assert status(app).phase is Phase.RUNNING
        assert "in training" in str(app.explore.query_one("#pane-tuned", Pane).border_title)


# ── pause ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", ["space", "p"])
async def test_pause_pauses_and_the_thread_rests(
    opened: Any, folder: Path, text: Path, endless: None, key: str
) -> None:
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text)
        await until_steps(app, pilot, 2)
        await pilot.press(key)
        await until_phase(app, pilot, Phase.PAUSED)
        assert "paused" in str(app.screen.query_one(StatusBar).render())
        done = threading.Event()
        app._thread.submit("probe", lambda stop: done.set(), priority=9)  # after all that is left to do
        await until(pilot, done.is_set)
        assert app._thread._jobs.empty()
        before = status(app)
        await pilot.press(key)
        await until_phase(app, pilot, Phase.RUNNING)
        await until(pilot, lambda: status(app).progress.seconds >= before.progress.seconds)


async def test_a_paused_fit_ends_as_one_that_ran_through(opened: Any, folder: Path, text: Path) -> None:
    import torch

    from lenstui.lens import open_lens

    async with opened("Hello, you") as (app, pilot):
        for round in (1, 2):
            await begin(app, pilot, text, steps=6)
            if round == 1:
                for _ in range(3):
                    await until(pilot, lambda: status(app).phase in {Phase.RUNNING, Phase.KEPT})
                    app.training.pause()
                    app.training.go_on()
            await until(pilot, (folder / f"tiny-quick-{round}.pt").exists)
            await until_phase(app, pilot, Phase.KEPT)
            await pilot.press("escape")
        paused, straight = (open_lens(folder / f"tiny-quick-{number}.pt") for number in (1, 2))
        assert paused.fit["steps"] == straight.fit["steps"] == 6
        assert torch.equal(paused.weight, straight.weight)


# ── stop ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_stop_and_keep(opened: Any, folder: Path, text: Path, endless: None) -> None:
    from lenstui.lens import open_lens

    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text, steps=1000)
        await until_steps(app, pilot, 4)
        await pilot.press("s")
        await until_phase(app, pilot, Phase.KEPT)
        lens = open_lens(folder / "tiny-quick-1.pt")
        assert 4 <= lens.fit["steps"] < 1000
        assert lens.fit["steps"] == status(app).progress.step == status(app).progress.measured_step
        assert len(lens.fit["held_out_kl"]) == 3
        await until(pilot, lambda: app.explore.model.lens == "tiny-quick-1")


async def test_discard_asks_and_leaves_nothing(opened: Any, folder: Path, text: Path, endless: None) -> None:
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text, checkpoint_every=0.01)
        await until(pilot, lambda: list(folder.glob("*.checkpoint")))
        await pilot.press("x")
        assert isinstance(app.screen, Question)
        await pilot.press("n")
        assert status(app).phase is Phase.RUNNING
        await pilot.press("x", "y")
        await until_phase(app, pilot, Phase.DISCARDED)
        assert list(folder.iterdir()) == []
        assert app.screen.query_one(ContentSwitcher).current == "form"
        assert app.explore.model.lens == "lens"
        assert app._work.opened.lens.name == "lens"
        assert app.training._work.lens() is None
        await pilot.press("escape")
        assert "in training" not in str(app.explore.query_one("#pane-tuned", Pane).border_title)


async def test_discard_without_a_lens_brings_the_message_back(
    opened: Any, folder: Path, text: Path, endless: None
) -> None:
    async with opened("Hello, you", lens=False) as (app, pilot):
        await begin(app, pilot, text)
        await until(pilot, lambda: app.explore.grids["tuned"].display)
        await pilot.press("x", "y")
        await until_phase(app, pilot, Phase.DISCARDED)
        await until(pilot, lambda: not app.explore.grids["tuned"].display)
        assert app.explore.grids["tuned"].cells is None


# ── the end of the program ───────────────────────────────────────────────────────────────────────────────


async def test_quitting_asks_and_a_checkpoint_goes_on(
    opened: Any, folder: Path, text: Path, endless: None
) -> None:
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text, steps=50)
        await until_steps(app, pilot, 2)
        await pilot.press("q")
        assert isinstance(app.screen, QuitTraining)
        await pilot.press("escape")
        assert isinstance(app.screen, Train)
        await pilot.press("ctrl+q")
        assert isinstance(app.screen, QuitTraining)
        await pilot.press("c")
        await until(pilot, lambda: app.last_words is not None)
    path = folder / "tiny-quick-1.checkpoint"
    assert f"lenstui train --resume {path}" in app.last_words
    step = status(app).progress.step
    async with opened("Hello, you") as (app, pilot):
        await pilot.press("escape", "t")
        await until(pilot, lambda: app.screen.query_one("#resume").display)
        assert "of 50" in str(app.screen.query_one("#resume", Button).label)
        app.screen.query_one("#resume").focus()
        await pilot.press("enter")
        await until(pilot, lambda: status(app).progress is not None)
        assert status(app).progress.step >= step
        assert status(app).path == path.with_suffix(".pt")
        await pilot.press("s")
        await until_phase(app, pilot, Phase.KEPT)
        assert sorted(folder.iterdir()) == [path.with_suffix(".pt")]


async def test_quitting_can_discard(opened: Any, folder: Path, text: Path, endless: None) -> None:
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text, checkpoint_every=0.01)
        await until(pilot, lambda: list(folder.glob("*.checkpoint")))
        await pilot.press("q", "d")
        await until(pilot, lambda: app.last_words is not None)
    assert list(folder.iterdir()) == []


async def test_a_quit_whose_checkpoint_fails_says_so_and_stays(
    opened: Any, folder: Path, text: Path, endless: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text)
        await until_steps(app, pilot, 1)
        fail_to_write(monkeypatch)
        await pilot.press("q", "c")
        await until(pilot, lambda: "disk is full" in static(app, "Label"))
        assert app.last_words is None
        await pilot.press("escape")
        assert status(app).phase is Phase.PAUSED


async def test_quitting_without_a_fit_asks_nothing(opened: Any, folder: Path) -> None:
    async with opened("Hello, you") as (app, pilot):
        await pilot.press("escape", "t", "q")
        await until(pilot, lambda: not app.is_running)


# ── failures ─────────────────────────────────────────────────────────────────────────────────────────────


def fail_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    from lenstui.lens import tensor_file

    def full(path: Path, write: Callable[[Any], object]) -> None:
        raise LensError(f"Could not write {path}: the disk is full.")

    monkeypatch.setattr(tensor_file, "write_atomically", full)


def failing_at(step: int, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fit fails, once, when so many steps are done."""
    from lenstui.lens import fitting

    fit_steps, errors = fitting.fit_steps, [error]

    def until_it_fails(fit: Any) -> Iterator[Any]:
        for progress in fit_steps(fit):
            if progress.step >= step and errors:
                raise errors.pop()
            yield progress

    monkeypatch.setattr(fitting, "fit_steps", until_it_fails)


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
    from lenstui.lens import open_lens
    from lenstui.lens.checkpoint import open_checkpoint

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
    from lenstui.lens import lens_file, open_lens

    save_lens = lens_file.save_lens

    def refuse(lens: Any, path: Path) -> None:
        if path.parent == folder:
            raise LensError(f"Could not write {path}: Read-only file system.")
        save_lens(lens, path)

    monkeypatch.setattr(lens_file, "save_lens", refuse)
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
        assert app._work.opened.lens.fit["steps"] == 3


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


# ── the form ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_text_is_counted(opened: Any, folder: Path, text: Path) -> None:
    async with opened("Hello, you") as (app, pilot):
        await open_form(app, pilot, text, steps=100)
        await pilot.press("tab")
        await until(pilot, lambda: "80 documents" in static(app, "#size"))
        shown = static(app, "#size")
        assert "seen" in shown
        assert "100 steps" in shown
        set_fields(app, text, steps=1, max_samples=7)
        await pilot.press("tab")
        await until(pilot, lambda: "7 documents" in static(app, "#size"))


async def test_the_counting_is_said_and_given_up_for_another(
    opened: Any, folder: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lenstui.ui.fit_text import FitText

    release, read = threading.Event(), FitText._read

    def slowly(self: FitText, request: Any, model: Any, stop: Callable[[], bool]) -> Any:
        while request.documents.max_samples == 9 and not stop():
            assert not release.wait(0.01)
        return read(self, request, model, stop)

    monkeypatch.setattr(FitText, "_read", slowly)
    async with opened("Hello, you") as (app, pilot):
        await open_form(app, pilot, text, max_samples=9)
        await pilot.press("tab")
        await until(pilot, lambda: "counting" in static(app, "#size"))
        set_fields(app, text, max_samples=8)
        await pilot.press("tab")
        await until(pilot, lambda: "8 documents" in static(app, "#size"))


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("steps", "many", "whole number"),
        ("lr", "-1", "not negative"),
        ("seq_len", "1", "whole number from 2"),
        ("held_out", "2", "between 0 and 1"),
        ("epochs", "0", "whole number from 1"),
        ("seed", "1.5", "whole number"),
    ],
)
async def test_nonsense_is_told_beside_its_field(
    opened: Any, folder: Path, text: Path, field: str, typed: str, said: str
) -> None:
    async with opened("Hello, you") as (app, pilot):
        await open_form(app, pilot, text, **{field: typed})
        app.screen.query_one("#start").focus()
        await pilot.press("enter")
        await until(pilot, lambda: said in static(app, f"#line-{field} .note"))
        assert not app.screen.query_one(Collapsible).collapsed
        assert status(app).phase is Phase.NONE


@pytest.mark.parametrize(
    ("data", "said"), [("none.txt", "There is no file none.txt"), ("'half", "quote"), ("/", "is a folder")]
)
async def test_files_that_are_none_are_told_under_theirs(
    opened: Any, folder: Path, data: str, said: str
) -> None:
    async with opened("Hello, you") as (app, pilot):
        await open_form(app, pilot, data)
        await pilot.press("tab")
        await until(pilot, lambda: said in static(app, "#size"))


async def test_another_preset_refills_what_nobody_edited(opened: Any, folder: Path, text: Path) -> None:
    async with opened("Hello, you") as (app, pilot):
        await pilot.press("escape", "t")
        form = app.screen.query_one(TrainForm)
        form._line("seq_len").text = "48"
        form.query_one("#preset").focus()
        await pilot.press("right", "right", "right")
        assert form.query_one("#preset", Choice).value == "adam"
        await until(pilot, lambda: "small scripts" in static(app, "#about"))
        wanted = {"steps": "500", "lr": "0.001", "optimizer": "adam", "seq_len": "48"}
        assert {name: form._line(name).text for name in wanted} == wanted
        await pilot.press("left")
        await until(pilot, lambda: form._line("optimizer").text == "sgd")
        assert form._line("seq_len").text == "48"


async def test_browsing_adds_a_file(
    opened: Any, folder: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(text.parent)
    async with opened("Hello, you") as (app, pilot):
        await pilot.press("escape", "t", "b")
        await until(pilot, lambda: not isinstance(app.screen, Train))
        app.screen.query_one(Input).value = str(text)
        app.screen.query_one(Input).focus()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Train))
        await until(pilot, lambda: "80 documents" in static(app, "#size"))
        assert app.screen.query_one("#data", Input).value == str(text)


async def test_the_keyboard_alone_goes_through_the_form(opened: Any, folder: Path, text: Path) -> None:
    async with opened("Hello, you") as (app, pilot):
        await pilot.press("escape", "t")
        assert app.focused is app.screen.query_one("#start")
        await pilot.press("shift+tab")
        assert app.focused is app.screen.query_one("#preset")
        await pilot.press("up")
        assert app.focused is app.screen.query_one("#data")
        await pilot.press(*str(text)[:3])
        assert app.screen.query_one("#data", Input).value == str(text)[:3]
        app.screen.query_one("#data", Input).value = str(text)
        await pilot.press("enter")
        assert app.focused is app.screen.query_one("#start")
        await pilot.press("down", "enter")
        assert not app.screen.query_one(Collapsible).collapsed
        await pilot.press("tab")
        assert app.focused is app.screen.query_one("#field-steps")
        await pilot.press("escape")
        assert app.screen is app.explore


# ── keys that can do nothing ─────────────────────────────────────────────────────────────────────────────


async def test_what_a_key_cannot_do_it_says(opened: Any, folder: Path, text: Path, endless: None) -> None:
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text)
        await until_steps(app, pilot, 1)
        await pilot.press("n")
        await until(pilot, lambda: "not over" in notes(app))
        await pilot.press("escape", "m")
        await until(pilot, lambda: "in training" in notes(app))
        assert app.screen is app.explore
        app.request_lens(folder / "other.pt")
        await pilot.press("t", "s")
        await until_phase(app, pilot, Phase.KEPT)
        for key in ("space", "x"):
            app.clear_notifications()
            await pilot.press(key)
            await until(pilot, lambda: notes(app))
            assert status(app).phase is Phase.KEPT
        await pilot.press("n")
        await until(pilot, lambda: app.screen.query_one(ContentSwitcher).current == "form")


async def test_another_lens_is_refused_meanwhile(
    opened: Any, folder: Path, text: Path, tiny_model: Path, endless: None
) -> None:
    async with opened("Hello, you", lens=False) as (app, pilot):
        await begin(app, pilot, text)
        await until_steps(app, pilot, 1)
        await pilot.press("escape", "o")
        app.request_lens(tiny_model / "lens.pt")
        await until(pilot, lambda: "in training" in notes(app))
        assert app._work.opened.lens is None


async def test_before_it_has_learned_there_is_nothing_to_keep(
    opened: Any, folder: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lenstui.ui.fit_text import FitText

    release, prepare = threading.Event(), FitText.prepare

    def slowly(self: FitText, request: Any, stop: Callable[[], bool]) -> Any:
        release.wait(60)
        return prepare(self, request, stop)

    monkeypatch.setattr(FitText, "prepare", slowly)
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text)
        await until(pilot, lambda: app.screen.query_one(ContentSwitcher).current == "fit")
        for key, said in (("s", "Nothing has been learned"), ("space", "text is being read")):
            await pilot.press(key)
            await until(pilot, lambda: said in notes(app))  # noqa: B023
        await pilot.press("x")
        await until_phase(app, pilot, Phase.DISCARDED)
        release.set()
        done = threading.Event()
        app.training._text_thread.submit("probe", lambda stop: done.set(), priority=9)
        await until(pilot, done.is_set)
        assert app.training._work.lens() is None
        assert status(app).phase is Phase.DISCARDED


async def test_at_the_end_s_saves_it_elsewhere(opened: Any, folder: Path, text: Path, tmp_path: Path) -> None:
    from lenstui.lens import open_lens

    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text)
        await until_phase(app, pilot, Phase.KEPT)
        await pilot.press("s")
        await until(pilot, lambda: not isinstance(app.screen, Train))
        app.screen.query_one(Input).value = str(tmp_path / "mine.pt")
        app.screen.query_one(Input).focus()
        await pilot.press("enter")
        await until(pilot, (tmp_path / "mine.pt").exists)
        assert open_lens(tmp_path / "mine.pt").fit["steps"] == 3


async def test_the_keys_are_listed(opened: Any, folder: Path) -> None:
    async with opened("Hello, you") as (app, _):
        listed = {key.does for key in app._keys()}
        assert {"Train a tuned lens for the open model", "Pause, and go on", "Begin the fit"} <= listed


async def test_a_checkpoint_is_written_now_and_then(
    opened: Any, folder: Path, text: Path, endless: None
) -> None:
    from lenstui.lens.checkpoint import open_checkpoint

    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text, checkpoint_every=0.01)
        await until(pilot, lambda: status(app).checkpoint_step == 3)
        path = checkpoint_path(status(app).path)
        assert open_checkpoint(path).save == status(app).path
        assert "checkpoint at step 3" in str(app.screen.query_one("FitBar").render())
        await pilot.press("s")
        await until_phase(app, pilot, Phase.KEPT)
        assert not path.exists()
