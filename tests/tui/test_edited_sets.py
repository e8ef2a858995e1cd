"""Prompt sets under the edits of Explore's active side: read clean and edited, with the effect."""

from __future__ import annotations

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

EDIT = "ablate 1.mlp @3-7"  # the third prompt has seven columns


async def edit(app: LenstuiApp, pilot: Pilot[None], text: str) -> None:
    """Have an edit done on the active side."""
    await pilot.press("W")
    serial = app.explore.state.serial
    app.screen.query_one(Input).value = text
    app.screen.query_one(Input).focus()
    await pilot.press("enter")
    await until(pilot, lambda: app.explore.state.serial > serial and subtitle(app).endswith(" s"))
    await pilot.press("escape")


def edited_probs(folder: Path, prompt: str) -> np.ndarray:
    """The distribution at the end of a prompt with the MLP of block 1 at 0 in columns 3 to 7."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = (kind.from_pretrained(folder) for kind in (AutoTokenizer, AutoModelForCausalLM))

    def zero(module: Any, args: Any, output: Any) -> None:
        output[:, 3:8] = 0

    model.gpt_neox.layers[1].mlp.register_forward_hook(zero)
    ids = tokenizer(prompt, return_tensors="pt").input_ids[:, -64:]
    with torch.no_grad():
        return np.asarray(model(ids).logits[0, -1].double().softmax(-1))


async def test_the_set_is_read_clean_and_edited(
    opened: Any, file: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened(size=(160, 40)) as (app, pilot):
        await edit(app, pilot, EDIT)
        await go(app, pilot, file)
        assert "2 failed" in said(app)
        lines = {case.line.number: case.line for case in table(app).shown}
        assert lines[3].reason == f"Edit {EDIT!r}: there is no column 7: the prompt has columns 0 … 6."
        clean, edited = [], []
        for number, line in lines.items():
            if line.reason is not None:
                continue
            case = CASES[number - 1]
            tokenizer, before = final_probs(tiny_model, case["prompt"])
            after, token = edited_probs(tiny_model, case["prompt"]), tokenizer(case["target"]).input_ids[-1]
            clean.append(before[token])
            edited.append(after[token])
            assert line.target_prob == pytest.approx(after[token], rel=1e-3)
            assert line.effect == pytest.approx(after[token] - before[token], abs=1e-6)
        plot = app.screen.query_one(SetPlot)
        assert list(plot.curves) == ["logit clean", "tuned clean", "logit edited", "tuned edited"]
        for name, numbers in (("clean", clean), ("edited", edited)):
            mean, error = plot.curves[f"tuned {name}"]
            assert mean[-1] == pytest.approx(np.mean(numbers), rel=1e-3)
            assert error is not None
            assert error[-1] == pytest.approx(np.std(numbers, ddof=1) / np.sqrt(3), rel=1e-2)
        effect = np.mean(np.array(edited) - clean)
        assert f" · n = 3 · effect in the last row {'+' if effect > 0 else '−'}" in str(plot.border_title)
        frame = screen_of(app).query_one("#set-list")
        assert f"edited: {EDIT}" in str(frame.border_title)
        assert "clean" not in str(frame.border_title)
        first = next(case.line for case in table(app).shown if case.line.number == 1)
        highlighted = str(app.screen.query_one("#set-case", Static).render())
        assert first.change in highlighted and first.change.count(" → ") >= 2
        assert " rank effect " in " ".join(table(app).render_line(0).text.split())
        await pilot.press(*"ccccccc")
        assert str(frame.border_subtitle) == "by effect on the target's probability"
        effects = [case.line.effect for case in table(app).shown]
        known = [number for number in effects if number is not None]
        assert known == sorted(known) and effects[len(known) :] == [None, None]
        await pilot.press("Y")
        await until(pilot, lambda: "Copied the command" in told(app))
        command = app.clipboard
        dialog = await choose(pilot, "json")
        dialog.query_one(Input).value = str(tmp_path / "set.json")
        await pilot.press("enter")
        await until(pilot, lambda: "Written" in notes(app))
    content = json.loads((tmp_path / "set.json").read_text())
    assert content["edits"] == [EDIT]
    assert content["effect"]["means"]["lenses"]["tuned"]["target_prob"]["mean"][-1] == pytest.approx(
        effect, abs=1e-6
    )
    capsys.readouterr()
    assert status(*shlex.split(command)[1:], "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["effect"] == content["effect"]


async def test_words_have_their_directions_through_the_lens_of_the_side(opened: Any, file: Path) -> None:
    async with opened(size=(160, 40)) as (app, pilot):
        await pilot.press("tab")
        await edit(app, pilot, "steer q row 1 by 2")
        await go(app, pilot, file)
        run = screen_of(app).state.run
        assert run is not None and run.source is not None
        assert list(run.lenses) == ["tuned"]
        assert run.source.heading.source.edit_lens.startswith("tuned")
        assert "--lenses tuned" in run.source.command("prob")


async def test_a_clean_side_has_a_clean_set(opened: Any, file: Path) -> None:
    async with opened(size=(160, 40)) as (app, pilot):
        await edit(app, pilot, EDIT)
        await pilot.press("tab")
        assert not app.explore.sides[app.explore.panes.active].edits
        await go(app, pilot, file)
        assert list(app.screen.query_one(SetPlot).curves) == ["logit", "tuned"]
        assert "edited" not in str(screen_of(app).query_one("#set-list").border_title)


async def test_edits_of_another_model_are_not_for_the_set(
    opened: Any, file: Path, tmp_path: Path, byte_tokenizer: Any
) -> None:
    other = neox_in(tmp_path / "other", byte_tokenizer, seed=3, width=24, vocabulary=330, context=40)
    async with opened(size=(160, 40)) as (app, pilot):
        app.program.sides.open(1, Start(model=str(other)))
        await until(pilot, lambda: len({side.model_number for side in app.explore.sides}) == 2)
        await pilot.press("tab")
        await edit(app, pilot, "ablate 1.mlp")
        active = app.explore.sides[app.explore.panes.active]
        assert active.edits and active.model_number != app.explore.sides[0].model_number
        await go(app, pilot, file)
        assert "the open model reads the prompts clean" in notes(app)
        assert list(app.screen.query_one(SetPlot).curves) == ["logit", "tuned"]
