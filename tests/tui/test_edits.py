"""Edits on screen: typed, switched, ordered, undone; the edited run beside the clean one, and its effect."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from textual.pilot import Pilot
from textual.widgets import Input, Label, OptionList

from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.ask_generation import AskGeneration
from lenstui.tui.explore.edit_dialog import EditDialog
from lenstui.tui.grid.difference_grid import DifferenceGrid
from tests.programs.calls import status
from tests.tui.pilots.beside_pilot import ONE, titles
from tests.tui.pilots.export_pilot import copy, write
from tests.tui.pilots.looking import said, subtitle, until

ABLATION = "ablate 1.attn @2-4"


def entropies(folder: Path, ablated: Mapping[str, Sequence[int]], text: str = ONE) -> np.ndarray:
    """Of the logit lens in every cell, with the outputs of named modules set to 0 in some columns."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = (kind.from_pretrained(folder) for kind in (AutoModelForCausalLM, AutoTokenizer))
    h: list[torch.Tensor] = []

    def zero(columns: Sequence[int]) -> Any:
        def hook(module: Any, args: Any, output: Any) -> Any:
            (output[0] if isinstance(output, tuple) else output)[:, list(columns)] = 0

        return hook

    for block in model.gpt_neox.layers:
        block.register_forward_pre_hook(lambda module, args: h.append(args[0][0].clone()))
    model.gpt_neox.final_layer_norm.register_forward_pre_hook(
        lambda module, args: h.append(args[0][0].clone())
    )
    for name, columns in ablated.items():
        model.gpt_neox.layers.get_submodule(name).register_forward_hook(zero(columns))
    with torch.no_grad():
        model(**tokenizer(text, return_tensors="pt"))
        log_p = model.get_output_embeddings()(
            model.gpt_neox.final_layer_norm(torch.stack(h[-4:]))
        ).log_softmax(-1)
    return np.asarray(-(log_p.exp() * log_p).sum(-1))


def entropy_of(app: LenstuiApp, place: int) -> np.ndarray:
    cells = app.explore.grids[place].cells
    assert cells is not None
    return cells.entropy


async def open_edits(app: LenstuiApp, pilot: Pilot[None]) -> EditDialog:
    await pilot.press("W")
    await until(pilot, lambda: isinstance(app.screen, EditDialog))
    assert isinstance(app.screen, EditDialog)
    return app.screen


async def type_edit(app: LenstuiApp, pilot: Pilot[None], text: str) -> None:
    """Type an edit into the line, and wait until the prompt is read under it."""
    serial = app.explore.state.serial
    app.screen.query_one(Input).value = text
    app.screen.query_one(Input).focus()
    await pilot.press("enter")
    await until(pilot, lambda: app.explore.state.serial > serial and subtitle(app).endswith(" s"))


def lines(dialog: EditDialog) -> list[str]:
    options = dialog.query_one(OptionList)
    return [str(options.get_option_at_index(i).prompt) for i in range(options.option_count)]


async def test_the_edited_run_stands_beside_the_clean_one(opened: Any, tiny_model: Path) -> None:
    async with opened(ONE, size=(160, 40)) as (app, pilot):
        clean = entropy_of(app, 0)
        await open_edits(app, pilot)
        await type_edit(app, pilot, ABLATION)
        await pilot.press("escape")
        assert titles(app) == ["logit lens · clean · probability", f"logit lens · {ABLATION} · probability"]
        assert f"edited: {ABLATION}" in str(app.explore.widgets.prompt.border_title)
        wanted = entropies(tiny_model, {"1.attention": [2, 3, 4]})
        np.testing.assert_array_equal(entropy_of(app, 0), clean)
        np.testing.assert_allclose(entropy_of(app, 1), wanted, atol=1e-4)
        assert np.abs(wanted - clean).max() > 1e-3
        await pilot.press("v", "d")
        np.testing.assert_allclose(app.explore.query_one(DifferenceGrid).values, wanted - clean, atol=1e-4)
        await pilot.press("d", "minus")
        await until(pilot, lambda: not app.explore.is_compared)
        assert [(side.kind, bool(side.edits)) for side in app.explore.sides] == [("logit", False)]


async def test_the_active_lens_is_the_one_that_is_edited(opened: Any) -> None:
    async with opened(ONE, size=(160, 40)) as (app, pilot):
        await pilot.press("tab")
        await open_edits(app, pilot)
        await type_edit(app, pilot, ABLATION)
        await pilot.press("escape")
        assert [title.split(" · ")[0] for title in titles(app)] == ["tuned lens", "tuned lens"]
        await pilot.press("L")  # the edited side through another lens, under the same edits
        await until(pilot, lambda: "edited" in titles(app)[1] and subtitle(app).endswith(" s"))
        assert [side.kind for side in app.explore.sides] == ["tuned", "logit"]
        assert [bool(side.edits) for side in app.explore.sides] == [False, True]


async def test_edits_are_switched_ordered_changed_and_undone(opened: Any, tiny_model: Path) -> None:
    async with opened(ONE, size=(160, 40)) as (app, pilot):
        dialog = await open_edits(app, pilot)
        await type_edit(app, pilot, ABLATION)
        await type_edit(app, pilot, "ablate 0.mlp")
        assert lines(dialog) == [f"● {ABLATION}", "● ablate 0.mlp"]
        both = entropies(tiny_model, {"1.attention": [2, 3, 4], "0.mlp": range(len(ONE))})
        np.testing.assert_allclose(entropy_of(app, 1), both, atol=1e-4)
        dialog.query_one(OptionList).focus()
        await pilot.press("home", "space")
        await until(pilot, lambda: lines(dialog)[0] == f"○ {ABLATION}" and subtitle(app).endswith(" s"))
        only = entropies(tiny_model, {"0.mlp": range(len(ONE))})
        await until(pilot, lambda: np.allclose(entropy_of(app, 1), only, atol=1e-4))
        await pilot.press("J")
        await until(pilot, lambda: lines(dialog) == ["● ablate 0.mlp", f"○ {ABLATION}"])
        assert dialog.query_one(OptionList).highlighted == 1
        await pilot.press("x")
        await until(pilot, lambda: lines(dialog) == ["● ablate 0.mlp"])
        await pilot.press("u", "u", "u")
        await until(pilot, lambda: lines(dialog) == [f"● {ABLATION}", "● ablate 0.mlp"])
        await until(pilot, lambda: np.allclose(entropy_of(app, 1), both, atol=1e-4))
        await pilot.press("end", "e")
        line = dialog.query_one(Input)
        assert (line.value, app.focused) == ("ablate 0.mlp", line)
        await type_edit(app, pilot, "ablate 0.mlp @1")
        assert lines(dialog) == [f"● {ABLATION}", "● ablate 0.mlp @1"]
        dialog.query_one(OptionList).focus()
        await pilot.press("x", "x")
        await until(pilot, lambda: not app.explore.is_compared and subtitle(app).endswith(" s"))
        assert lines(dialog) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ablate 1.atn @2", "ablate 1.atn @2\n       ^^^^^\n'1.atn' is no component"),
        ("ablate", "ablate\n      ^\na component"),
    ],
)
async def test_a_mistake_is_pointed_at(opened: Any, text: str, shown: str) -> None:
    async with opened(ONE) as (app, pilot):
        dialog = await open_edits(app, pilot)
        dialog.query_one(Input).value = text
        await pilot.press("enter")
        wrong = dialog.query_one("#edits-wrong", Label)
        assert str(wrong.render()).startswith(shown)
        assert dialog.query_one(Input).value == text
        await pilot.press("x")
        assert str(wrong.render()) == ""
        assert not app.explore.is_compared


async def test_what_the_model_does_not_have_is_refused(opened: Any) -> None:
    async with opened(ONE) as (app, pilot):
        dialog = await open_edits(app, pilot)
        dialog.query_one(Input).value = "ablate 7.attn"
        await pilot.press("enter")
        await until(pilot, lambda: "there is no block 7: this model has blocks 0 … 2" in said(app))
        await until(pilot, lambda: lines(dialog) == [])
        assert not app.explore.is_compared


async def test_a_prompt_without_the_column_says_so(opened: Any) -> None:
    async with opened(ONE) as (app, pilot):
        await open_edits(app, pilot)
        await type_edit(app, pilot, f"ablate 1.mlp @{len(ONE) - 1}")
        await pilot.press("escape", "i", "ctrl+u", "h", "i", "enter")
        await until(pilot, lambda: f"there is no column {len(ONE) - 1}" in said(app))


async def test_an_edited_model_goes_on_under_its_edits(opened: Any, tiny_model: Path) -> None:
    async with opened(ONE) as (app, pilot):
        await open_edits(app, pilot)
        await type_edit(app, pilot, "ablate 1.mlp")
        await pilot.press("escape", "G")
        await until(pilot, lambda: isinstance(app.screen, AskGeneration))
        what = str(app.screen.query_one("#generation-what", Label).render())
        assert what.endswith("Edited: ablate 1.mlp.")
        app.screen.query_one("#generation-count", Input).value = "3"
        await pilot.press("enter")
        await until(pilot, lambda: "3 appended" in subtitle(app) or said(app))
        assert said(app) == ""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        model, tokenizer = (
            kind.from_pretrained(tiny_model) for kind in (AutoModelForCausalLM, AutoTokenizer)
        )
        model.gpt_neox.layers[1].mlp.register_forward_hook(lambda module, args, output: 0 * output)
        ids = tokenizer(ONE)["input_ids"]
        for _ in range(3):
            with torch.no_grad():
                ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        assert app.explore.state.tail == tuple(ids[-3:])


async def test_files_and_the_command_have_the_edits(
    opened: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened(ONE, size=(160, 40)) as (app, pilot):
        await open_edits(app, pilot)
        await type_edit(app, pilot, ABLATION)
        await pilot.press("escape", "v")
        file = tmp_path / "edited.json"
        await write(app, pilot, "json", file)
        content = json.loads(file.read_text())
        assert content["edits"] == [ABLATION]
        np.testing.assert_allclose(content["lenses"]["logit"]["entropy"], entropy_of(app, 1), atol=1e-5)
        await pilot.press("d")
        table = await copy(app, pilot, "markdown")
        command = await copy(app, pilot, "command")
    words = shlex.split(command)
    assert words[words.index("--edit") + 1] == ABLATION and "--diff" in words
    capsys.readouterr()
    assert status(*words[1:], "--format", "md") == 0
    again = capsys.readouterr().out
    assert again.split("```")[0] == table.split("```")[0]
    assert "**logit lens edited − logit lens clean**" in again


async def test_two_runs_are_in_no_file_together(opened: Any, tmp_path: Path) -> None:
    async with opened(ONE, size=(160, 40)) as (app, pilot):
        await open_edits(app, pilot)
        await type_edit(app, pilot, ABLATION)
        await pilot.press("escape", "L")
        await until(pilot, lambda: app.explore.sides[1].kind == "tuned" and subtitle(app).endswith(" s"))
        await pilot.press("d", "Y")
        await until(pilot, lambda: "A file holds one run" in said(app))
