"""A prompt is read again in another way, and every number is held against transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.text import Text
from textual.pilot import Pilot
from textual.widgets import Input, Static

from lenstui.readout.cells import Cells
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.ask_reading import AskReading
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.shared.choice import Choice
from tests.tui.pilots.looking import place, subtitle, until

TEXT = "Hello, you"
NONE: Mapping[str, str] = {}


def mark(app: LenstuiApp) -> str:
    return Text.from_markup(str(app.explore.query_one(PromptBox).border_title)).plain


def cells(app: LenstuiApp, lens: str = "logit") -> Cells:
    read = app.explore.grids[place(lens)].cells
    assert read is not None
    return read


def ids_of(folder: Path, text: str = TEXT) -> list[int]:
    from transformers import AutoTokenizer

    ids: list[int] = AutoTokenizer.from_pretrained(folder)(text)["input_ids"]
    return ids


def probs(folder: Path, ids: Sequence[int], *, tuned: bool = False, final_norm: bool = True) -> np.ndarray:
    """Of every cell, `[rows, cols, vocabulary]`, by transformers' own modules."""
    import torch
    from transformers import AutoModelForCausalLM

    from lenstui.lens import open_lens

    module = AutoModelForCausalLM.from_pretrained(folder)
    norm = module.gpt_neox.final_layer_norm
    caught: list[Any] = []
    handle = norm.register_forward_pre_hook(lambda _, args: caught.append(args[0]))
    with torch.no_grad():
        states = module(torch.tensor([list(ids)]), output_hidden_states=True).hidden_states
        handle.remove()
        rows = [state[0] for state in (*states[:-1], caught[0])]
        if tuned:
            lens = open_lens(folder / "lens.pt")
            rows = [h + h @ lens.weight[i].T + lens.bias[i] for i, h in enumerate(rows[:-1])] + rows[-1:]
        normed = [norm(h) if final_norm or tuned or h is rows[-1] else h for h in rows]
        logits = module.get_output_embeddings()(torch.stack(normed))
        return logits.double().softmax(-1).numpy()


def check(shown: Cells, wanted: np.ndarray) -> None:
    """The cells are those of these distributions, `[rows, cols, vocabulary]`."""
    assert shown.entropy.shape == wanted.shape[:2]
    np.testing.assert_allclose(shown.top_probs[..., 0], wanted.max(-1), atol=1e-5)
    log = np.log(wanted)
    np.testing.assert_allclose(shown.entropy, -(wanted * log).sum(-1), atol=1e-4)
    np.testing.assert_allclose(shown.kl, (wanted[-1] * (log[-1] - log)).sum(-1), atol=1e-4)


async def ask(
    pilot: Pilot[None], rows: str | None = None, *, words: Mapping[str, str] = NONE, apply: bool = True
) -> AskReading:
    """Type the rows, and choose the words with the arrow keys."""
    await pilot.press("b")
    screen = pilot.app.screen
    assert isinstance(screen, AskReading)
    if rows is not None:
        await pilot.press("ctrl+u", *["space" if c == " " else "comma" if c == "," else c for c in rows])
        assert screen.query_one("#reading-rows", Input).value == rows
    for name in ("final_norm", "bos", "chat"):
        await pilot.press("down")
        choice = screen.query_one(f"#reading-{name}", Choice)
        assert choice.has_focus
        if name in words:
            await pilot.press("left", "left")
            while choice.value.removesuffix(" (default)") != words[name]:
                await pilot.press("right")
    if apply:
        await pilot.press("enter")
        await pilot.pause()
    return screen


async def reread(
    app: LenstuiApp, pilot: Pilot[None], rows: str | None = None, *, words: Mapping[str, str] = NONE
) -> None:
    serial = app.explore.state.serial
    await ask(pilot, rows, words=words)
    await until(pilot, lambda: app.explore.state.serial > serial and subtitle(app).endswith(" s"))


def wrong(screen: AskReading) -> str:
    hint = screen.query_one("#reading-hint", Static)
    return str(hint.render()) if hint.has_class("-wrong") else ""
