"""A second side of a prompt set on screen: numbers, means and errors are naive ones, files the command's."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.prompt_sets.plot import SetPlot
from tests.programs.calls import status
from tests.tiny.folders import neox_in
from tests.tui.pilots.export_pilot import choose
from tests.tui.pilots.looking import said as told
from tests.tui.pilots.looking import subtitle, until
from tests.tui.pilots.prompt_sets_pilot import CASES, file, final_probs, go, notes, said, screen_of, table

__all__ = ["file"]

SIZE = (160, 44)
READ = [0, 2, 3, 4]  # of the cases
OF_TARGETS = [case for case in CASES if case["prompt"] and "target" in case]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Path:
    """Another model of the tiny one's depth and tokenizer."""
    return neox_in(tmp_path_factory.mktemp("against") / "other", byte_tokenizer, seed=7)


async def name_second(app: LenstuiApp, pilot: Pilot[None], typed: str) -> None:
    """Name a second side, and wait until the set is read by both."""
    asked = screen_of(app).state.asked
    number = 0 if asked is None else asked.number
    await pilot.press("d")
    line = app.screen.query_one("#set-against", Input)
    assert app.focused is line
    line.value = typed
    await pilot.press("enter")

    def is_read() -> bool:
        state = screen_of(app).state
        return state.asked is not None and state.asked.number > number and not state.is_opening

    await until(pilot, lambda: is_read() and not screen_of(app).state.is_reading)


def target_probs(folder: Path) -> np.ndarray:
    """The final probability of each target, by transformers alone."""
    found = []
    for case in OF_TARGETS:
        tokenizer, probs = final_probs(folder, case["prompt"])
        found.append(probs[tokenizer(case["target"]).input_ids[-1]])
    return np.array(found)


async def test_two_models(
    opened: Any, file: Path, tiny_model: Path, other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = target_probs(tiny_model), target_probs(other)
    differences = second - first
    async with opened(size=SIZE) as (app, pilot):
        await go(app, pilot, file)
        await name_second(app, pilot, str(other))
        assert " read" not in said(app) or "failed" not in said(app)
        lines = {case.line.number: case.line for case in table(app).shown}
        numbers = [number for number, case in enumerate(CASES, 1) if case in OF_TARGETS]
        for number, ours, theirs in zip(numbers, first, second, strict=True):
            assert lines[number].target_prob == pytest.approx(theirs, rel=1e-3)
            assert lines[number].effect == pytest.approx(theirs - ours, abs=1e-6)
            assert " → " in lines[number].change
        plot = app.screen.query_one(SetPlot)
        assert [name.split()[-1] for name in plot.curves] == ["first", "second"]
        for curve, probs in zip(plot.curves.values(), (first, second), strict=True):
            mean, error = curve
            assert error is not None
            assert mean[-1] == pytest.approx(probs.mean(), rel=1e-3)
            assert error[-1] == pytest.approx(probs.std(ddof=1) / np.sqrt(len(probs)), rel=1e-2)
        mean, error = differences.mean(), differences.std(ddof=1) / np.sqrt(len(differences))
        sign = "+" if mean > 0 else "−"
        shown = str(app.screen.query_one("#set-areas", Static).render())
        assert shown.startswith("logit, row 2: first ") and f"difference {sign}" in shown
        assert shown.rpartition("±")[2].strip() == f"{100 * error:.2g}" or f"±{100 * error:.1f}" in shown
        assert f"difference in the last row {sign}" in str(plot.border_title)
        frame = screen_of(app).query_one("#set-list")
        assert "tiny → other" in str(frame.border_title)
        assert " rank differ " in " ".join(table(app).render_line(0).text.split())
        await pilot.press(*"ccccccc")
        assert str(frame.border_subtitle) == "by target's probability, second − first"
        for form in ("json", "csv"):
            app.clear_notifications()
            dialog = await choose(pilot, form)
            dialog.query_one(Input).value = str(tmp_path / f"set.{form}")
            await pilot.press("enter")
            await until(pilot, lambda: "Written" in notes(app))
        await pilot.press("Y")
        await until(pilot, lambda: "Copied the command" in told(app))
        command = shlex.split(app.clipboard)[1:]
    assert f"--against-model={other}" in command
    content = json.loads((tmp_path / "set.json").read_text())
    of_target = content["difference"]["means"]["lenses"]["logit"]["target_prob"]
    assert of_target["mean"][-1] == pytest.approx(mean, abs=1e-6)
    assert of_target["sem"][-1] == pytest.approx(error, rel=1e-3)
    sides = {line["side"] for line in csv.DictReader((tmp_path / "set.csv").open(encoding="utf-8"))}
    assert len(sides) == 2
    for form in ("json", "csv"):
        capsys.readouterr()
        assert status(*command, "--format", form) == 0
        assert capsys.readouterr().out == (tmp_path / f"set.{form}").read_text()


async def test_two_lenses_differ_below_the_last_row(opened: Any, file: Path, tiny_model: Path) -> None:
    from tests.by_hand.naive_values import naive_logits

    async with opened(size=SIZE) as (app, pilot):
        await go(app, pilot, file)
        await name_second(app, pilot, "logit")
        lines = {case.line.number: case.line for case in table(app).shown}
        differences = []
        for number, case in enumerate(CASES, 1):
            if case not in OF_TARGETS:
                continue
            logits = naive_logits(tiny_model, case["prompt"][-64:])
            tokenizer, _ = final_probs(tiny_model, case["prompt"])
            token = tokenizer(case["target"]).input_ids[-1]
            both = []
            for lens in ("tuned", "logit"):
                of_lens = np.exp(logits[lens][:, -1] - logits[lens][:, -1].max(-1, keepdims=True))
                both.append((of_lens / of_lens.sum(-1, keepdims=True))[:, token])
            differences.append(both[1] - both[0])
            assert lines[number].effect == pytest.approx(differences[-1][:-1].mean(), abs=1e-5)
        mean = np.mean(differences, axis=0)
        at = int(np.abs(mean).argmax())
        shown = str(app.screen.query_one("#set-areas", Static).render())
        assert shown.startswith(f"tuned, row {('emb', '0', '1', '2')[at]}: first ")
        assert f"difference {'+' if mean[at] > 0 else '−'}" in shown
        frame = screen_of(app).query_one("#set-list")
        assert "→ logit lens" in str(frame.border_title)
        await pilot.press("Y")
        await until(pilot, lambda: "--against-lens=logit" in app.clipboard)


async def test_edits_named_there_are_those_of_the_set(opened: Any, file: Path) -> None:
    async with opened(size=SIZE) as (app, pilot):
        await go(app, pilot, file)
        await name_second(app, pilot, "ablate 1.mlp; ablate 0.attn")
        run = screen_of(app).state.run
        assert run is not None and run.source is not None
        assert run.source.heading.source.edits == ("ablate 1.mlp", "ablate 0.attn")
        assert " rank effect " in " ".join(table(app).render_line(0).text.split())
        await name_second(app, pilot, "")
        assert " rank effect" not in " ".join(table(app).render_line(0).text.split())
        await pilot.press("d")
        app.screen.query_one("#set-against", Input).value = "ablate nothing"
        await pilot.press("enter")
        await until(pilot, lambda: "Edit 'ablate nothing'" in said(app))


async def test_the_model_beside_is_proposed_and_not_loaded_again(
    opened: Any, file: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(size=SIZE) as (app, pilot):
        app.program.sides.open(1, Start(model=str(other)))
        await until(pilot, lambda: app.explore.is_compared and subtitle(app).endswith(" s"))
        await go(app, pilot, file)
        await pilot.press("d")
        line = app.screen.query_one("#set-against", Input)
        assert line.value == str(other)

        def refused(*args: Any, **options: Any) -> None:
            raise AssertionError("it is open already")

        monkeypatch.setattr("lenstui.opening.opened.open_model", refused)
        await pilot.press("escape")
        assert app.focused is table(app)
        await name_second(app, pilot, str(other))
        assert "failed at" not in said(app)
        run = screen_of(app).state.run
        assert run is not None and run.source is not None and run.source.heading.second is not None


@pytest.mark.parametrize(
    ("typed", "reason"), [("/nowhere/at/all", "/nowhere/at/all"), ("{folder}", "do not agree")]
)
async def test_what_cannot_be_a_second_side_is_said(
    opened: Any, file: Path, tmp_path: Path, typed: str, reason: str, chat_tokenizer: Any
) -> None:
    folder = neox_in(tmp_path / "unlike", chat_tokenizer, vocabulary=300)
    if "{" in typed:
        chat_tokenizer.add_tokens(["another one"])
        chat_tokenizer.save_pretrained(folder)
    async with opened(size=SIZE) as (app, pilot):
        await go(app, pilot, file)
        await name_second(app, pilot, typed.format(folder=folder))
        assert "failed at 0 of 5" in said(app) and reason in said(app)


async def test_outlier_scores_are_of_one_side(opened: Any, file: Path) -> None:
    async with opened(size=SIZE) as (app, pilot):
        await go(app, pilot, file)
        await name_second(app, pilot, "logit")
        await pilot.press("o")
        app.screen.query_one("#set-reference", Input).value = str(file)
        await pilot.press("enter")
        await until(pilot, lambda: "Outlier scores are of one side" in said(app))
