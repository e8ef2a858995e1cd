"""The same model in another dtype: in place of the open one, or beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.widgets import Input

from lenstui.jobs.chosen_model import Chosen
from lenstui.model.memory import READOUT
from lenstui.model.tokens import encode
from lenstui.opening.side_facts import SideFacts
from lenstui.readout.number_texts import size_text
from lenstui.support.device_names import DTYPES
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.grid.grid import Cursor
from lenstui.tui.models.picker import ModelPicker
from lenstui.tui.models.table import ModelTable
from lenstui.tui.shared.side_names import SideNames, side_name
from tests.tui.pilots.looking import place, subtitle, until
from tests.tui.pilots.models_pilot import detail, names
from tests.tui.pilots.still import MODEL

TEXT = "Hello, you"


async def pick(app: LenstuiApp, pilot: Any, key: str, times: int) -> None:
    """Open the picker and go on to another dtype, the open model highlighted."""
    await pilot.press(key)
    await until(pilot, lambda: isinstance(app.screen, ModelPicker) and len(names(app)) > 1)
    await pilot.press(*["shift+tab"] * times)
    dtype = DTYPES[times]
    await until(pilot, lambda: app.screen._listed.dtype == dtype)  # type: ignore[attr-defined]
    assert f"shift+tab dtype: {dtype} · " in str(app.screen.query_one("#model-box").border_subtitle)


def read(app: LenstuiApp) -> bool:
    return app.screen is app.explore and subtitle(app).endswith(" s")


async def test_the_picker_goes_round_and_says_what_each_takes(opened: Any, tiny_model: Path) -> None:
    import torch
    from safetensors.torch import load_file

    numbers = sum(tensor.numel() for tensor in load_file(tiny_model / "model.safetensors").values())
    async with opened(TEXT) as (app, pilot):
        await pick(app, pilot, "m", 0)
        table = app.screen.query_one(ModelTable)
        assert table.chosen is not None and table.chosen.name == str(tiny_model)
        place = table.highlighted
        for dtype in ("float32", "bfloat16", "float16"):
            await pilot.press("shift+tab")
            await until(pilot, lambda dtype=dtype: f"as {dtype}" in detail(app))
            bytes_each = getattr(torch, dtype).itemsize
            assert detail(app).startswith(
                f"Takes about {size_text(numbers * bytes_each + READOUT)} as {dtype}"
            )
            (model,) = (model for model in table._models if model.name == str(tiny_model))
            assert model.needed == numbers * bytes_each + READOUT
            assert table.highlighted == place  # what is highlighted stays so
        await pilot.press("up")
        moved = table.highlighted
        await pilot.press("shift+tab")
        await until(pilot, lambda: app.screen._listed.dtype == "auto")
        await pilot.pause()
        assert table.highlighted == moved
        assert app.focused is app.screen.query_one(Input)


async def test_m_opens_it_in_another_dtype_with_prompt_cursor_lens_and_pins(
    opened: Any, tiny_model: Path
) -> None:
    async with opened(TEXT) as (app, pilot):
        explore = app.explore
        await pilot.press("left", "left", "p", "v", "down")
        await until(pilot, lambda: explore.panel.pins and read(app))
        pins, cursor, loaded = explore.panel.pins, explore.panes.cursor, explore.model
        assert cursor == Cursor(2, len(TEXT) - 3)
        await pick(app, pilot, "m", 2)
        await pilot.press("enter")
        await until(pilot, lambda: explore.model is not loaded and read(app))
        assert explore.model is not None and explore.model.dtype == "bfloat16"
        assert explore.model.lens_file == tiny_model / "lens.pt"
        assert explore.state.prompt == TEXT
        assert (explore.panes.cursor, explore.panel.pins) == (cursor, pins)
        assert explore.panes.value.key == "entropy"
        cells = explore.grids[0].cells
        assert cells is not None and (cells.pin_ranks >= 0).all()
        await pilot.press("Y")
        await until(pilot, lambda: "--dtype bfloat16" in app.clipboard)
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, ModelPicker))
        assert "dtype: bfloat16" in str(app.screen.query_one("#model-box").border_subtitle)


async def test_capital_m_puts_it_beside_in_another_dtype(opened: Any, tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    async with opened(TEXT, size=(200, 50)) as (app, pilot):
        explore = app.explore
        await pick(app, pilot, "M", 2)
        assert "more as bfloat16" in detail(app) or "as bfloat16 more" in detail(app)
        await pilot.press("enter")
        await until(pilot, lambda: explore.is_compared and read(app))
        assert [side.dtype for side in explore.sides] == ["float32", "bfloat16"]
        titles = [pane.border_title for pane in map(explore.panes.pane, (0, 1))]
        assert "tiny float32" in str(titles[0]) and "tiny bfloat16" in str(titles[1])
        tops = {}
        for slot, dtype in (("logit", torch.float32), ("tuned", torch.bfloat16)):
            cells = explore.grids[place(slot)].cells
            assert cells is not None
            module = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=dtype)
            tops[slot] = explore.grids[place(slot)].cells.top_logits[-1, :, 0]
            ids = torch.tensor([encode(app.program.model_jobs.opened.model.tokenizer, TEXT).ids])
            with torch.no_grad():
                naive = module(ids).logits[0].float().max(-1).values.numpy()
            np.testing.assert_allclose(tops[slot], naive, rtol=1e-4 if dtype == torch.float32 else 2e-2)
        assert (tops["logit"] != tops["tuned"]).any()  # that is what the dtype changes


@pytest.mark.parametrize(
    ("left", "right", "titles"),
    [
        (("a/b", "main", "float32"), ("a/b", None, "bfloat16"), ("b@main float32", "b bfloat16")),
        (("a/b", "v1", "float32"), ("a/b", "v2", "bfloat16"), ("b@v1 float32", "b@v2 bfloat16")),
        (("a/b", "v1", "float32"), ("a/b", "v2", "float32"), ("b@v1", "b@v2")),
        (("a/b", None, "float32"), ("c/b", None, "float32"), ("a/b", "c/b")),
        (("a/b", None, "float32"), ("c/b", None, "float16"), ("a/b float32", "c/b float16")),
        (("a/b", None, "float32"), ("a/c", None, "float16"), ("b", "c")),
        (("a/b", None, "float32"), ("a/b", None, "float32"), ("b", "b")),
    ],
)
def test_two_sides_are_told_apart(
    left: tuple[str, str | None, str], right: tuple[str, str | None, str], titles: tuple[str, str]
) -> None:
    sides = [
        SideFacts(*side, vocabulary=9, kind="logit", is_own=not number, model_number=number)
        for number, side in enumerate((left, right))
    ]
    assert tuple(forms[-1] for forms in SideNames.of(sides).titles) == titles
    assert side_name(sides[1], sides) == titles[1]


def test_what_is_kept_of_what_was_asked_for() -> None:
    before = Start(model="a/b", lenses=(Path("asked.pt"),), device="cpu", trust_remote_code=True)
    open_one = replace(MODEL, name="a/b", lens_files=(Path("used.pt"),))
    again = Chosen("a/b", None, "float16").start(before, open_one)
    assert (again.dtype, again.lenses, again.device) == ("float16", (Path("used.pt"),), "cpu")
    assert again.trust_remote_code
    for other in (Chosen("a/c"), Chosen("a/b", "step1"), Chosen("")):
        start = other.start(before, open_one)
        assert (start.lenses, start.trust_remote_code, start.demo) == ((), False, not other.name)
    assert not Chosen("a/b").start(Start(), open_one).trust_remote_code
