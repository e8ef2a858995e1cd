"""Adapters on screen: in the list of models, open, beside their base, and in the next session."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.widgets import Input, Static

from lenstui.model.pretrained import Pretrained
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.models.picker import ModelPicker
from lenstui.tui.shared.status_bar import StatusBar
from tests.tiny.adapters import adapter_in, in_cache, merged, model_in
from tests.tui.pilots.beside_pilot import title, titles
from tests.tui.pilots.looking import subtitle, until
from tests.tui.pilots.models_pilot import detail, names
from tests.tui.pilots.session_pilot import begun, read

pytest.importorskip("peft", reason="adapters need peft: pip install 'lenstui[adapters]'")

TEXT = "Hello, you"


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    return adapter_in(tmp_path_factory.mktemp("adapters") / "lora", tiny_model)


@pytest.fixture
def cache(tmp_path: Path, tiny_model: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Hugging Face cache with a model, an adapter for it, and one for a model that is not there."""
    hub = tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(hub))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    repository = hub / "models--owner--tiny"
    shutil.copytree(tiny_model, repository / "snapshots" / "cc", ignore=shutil.ignore_patterns("*.pt"))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("cc")
    for name, base in (("alien/lora", "owner/elsewhere"), ("other/lora", "owner/tiny")):
        in_cache(hub, adapter, name)
        (file,) = hub.glob(f"models--{name.replace('/', '--')}/snapshots/*/adapter_config.json")
        file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": base}))
    return hub


def bar(app: LenstuiApp) -> str:
    return str(app.explore.query_one(StatusBar).render())


def top_probabilities(module: Any, ids: list[int]) -> np.ndarray:
    """The probability of the likeliest token in each column, by the model itself."""
    import torch

    with torch.inference_mode():
        return module(input_ids=torch.tensor([ids])).logits[0].softmax(-1).max(-1).values.numpy()


async def test_the_list_has_adapters_behind_their_base(opened: Any, cache: Path, tiny_model: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, ModelPicker) and len(names(app)) > 3)
        found = [name for name in names(app) if name.count("/") == 1]
        assert found.index("other/lora") == found.index("owner/tiny") + 1
        assert "alien/lora" in found
        app.screen.query_one(Input).value = "other/lora"
        await until(pilot, lambda: names(app)[0] == "other/lora")
        assert "An adapter: opens owner/tiny with it." in detail(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.model.adapter == "other/lora" and subtitle(app).endswith(" s"))
        assert app.explore.model.name == "owner/tiny"
        assert "owner/tiny + other/lora" in bar(app)


async def test_the_base_goes_beside_without_a_load(
    opened: Any, tiny_model: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(TEXT, size=(180, 40), lens=False, adapter=str(adapter)) as (app, pilot):
        monkeypatch.setattr(Pretrained, "model", lambda *_: pytest.fail("weights are loaded again"))
        await pilot.press("M")
        await until(pilot, lambda: isinstance(app.screen, ModelPicker) and str(tiny_model) in names(app))
        app.screen.query_one(Input).value = str(tiny_model)
        await until(pilot, lambda: names(app)[0] == str(tiny_model))
        assert "Its weights are in memory already: none are loaded again." in detail(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.is_compared and subtitle(app).endswith(" s"))
        assert titles(app)[0].startswith("tiny + lora · logit")
        assert titles(app)[1].startswith("tiny · logit")
        ids = list(app.program.model_jobs.opened.model.tokenizer(TEXT)["input_ids"])
        adapted, base = (
            top_probabilities(each, ids) for each in (merged(adapter, tiny_model), model_in(tiny_model))
        )
        for grid, wanted in zip(app.explore.grids, (adapted, base), strict=True):
            np.testing.assert_allclose(grid.cells.top_probs[-1, :, 0], wanted, atol=1e-5)
        assert np.abs(adapted - base).max() > 0.01
        await pilot.press("d")
        await until(pilot, lambda: app.explore.panes.difference)
        assert "tiny · logit lens − tiny + lora · logit lens" in title(app, "difference")


async def test_from_the_base_to_the_adapter_and_back(
    opened: Any, tiny_model: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lenstui.jobs.chosen_model import Chosen

    async with opened(TEXT, lens=False) as (app, pilot):
        monkeypatch.setattr(Pretrained, "model", lambda *_: pytest.fail("weights are loaded again"))
        app.model_switch.open(Chosen(str(tiny_model), adapter=str(adapter)))
        await until(pilot, lambda: app.explore.model.adapter == str(adapter) and subtitle(app).endswith(" s"))
        app.model_switch.open(Chosen(str(tiny_model)))
        await until(pilot, lambda: app.explore.model.adapter is None and subtitle(app).endswith(" s"))
        assert "lora" not in bar(app)


async def test_the_lens_of_the_base_is_called_that(opened: Any, adapter: Path) -> None:
    async with opened(TEXT, adapter=str(adapter)) as (app, _):
        assert titles(app)[1].startswith("tuned lens of the base")


async def test_the_next_session_has_the_adapter_again(
    tmp_path: Path, tiny_model: Path, adapter: Path
) -> None:
    path = tmp_path / "session.json"
    for start in (Start(prompt=TEXT, model=str(adapter)), Start()):
        app = begun(start, path)
        async with app.run_test(size=(250, 40)) as pilot:
            await read(app, pilot)
            assert app.explore.model is not None
            assert (app.explore.model.name, app.explore.model.adapter) == (str(tiny_model), str(adapter))
            assert app.explore.query_one(PromptBox).prompt == TEXT
            said_there = str(app.explore.query_one("#notice", Static).render())
            assert (f"{tiny_model} + {adapter} is the model of the last" in said_there) is (start == Start())
            await pilot.press("q")
