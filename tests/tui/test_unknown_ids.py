"""A token that the model does not have, typed into the screen."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.tui.pilots.fit_pilot import notes
from tests.tui.pilots.looking import subtitle, until


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The tiny model with a tokenizer whose last token has an id that the model lacks."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("more") / "more"
    shutil.copytree(tiny_model, folder)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.add_tokens([f"<{number}>" for number in range(258, 301)], special_tokens=True)
    tokenizer.save_pretrained(folder)
    return folder


async def test_it_is_named_and_the_next_prompt_is_read(opened: Any, folder: Path) -> None:
    async with opened("Hello", folder=folder) as (app, pilot):
        await pilot.press("i", "end", "less_than_sign", *"300", "greater_than_sign", "enter")
        await until(pilot, lambda: subtitle(app) == "not read")
        said = f"The token <300> has the id 300, and {folder} reads 300 ids (0 … 299)"
        assert said in notes(app)
        assert "IndexError" not in notes(app)
        await pilot.press("i", "end", "backspace", "enter")
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        assert len(app.explore.state.columns) == len("Hello<300")
