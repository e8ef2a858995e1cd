"""How Why and the dialog of edits look, with made-up contributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from lenstui.causal.contributions import Contributions, Growth
from lenstui.edits.edit_list import EditList
from lenstui.edits.language import parse_edit
from lenstui.export.shape import Shape
from lenstui.export.why import Why
from lenstui.jobs.why_messages import CellAsked, WhyRead, WhySource
from lenstui.model.tokens import Prompt
from lenstui.opening.source import Source
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.edit_dialog import EditDialog
from lenstui.tui.why.screen import Why as WhyScreen
from tests.tui.pilots.still import SIZES, show, still

__all__ = ["still"]  # a fixture

BLOCKS, HEADS, COLUMNS = 6, 8, 9
WORDS = ("The", "·trees", "·are", "·green", "·and", "·the", "·sky", "·is", "·so")


def contributions() -> Contributions:
    """Of a model of six blocks of eight heads, one of which has none to show."""
    generator = np.random.default_rng(7)
    heads = generator.normal(0, 0.5, (BLOCKS, HEADS)).astype(np.float32)
    heads[4, 3], heads[1] = 3.1, np.nan
    sources = generator.normal(0, 0.05, (BLOCKS, HEADS, COLUMNS)).astype(np.float32)
    sources[4, 3] = [0.1, 0.2, -0.1, 2.6, 0.0, 0.1, 0.2, -0.1, 0.1]
    weights = np.abs(sources) / np.abs(sources).sum(-1, keepdims=True)
    no_heads = (None, "it has no attention", *(None,) * 4)
    attention = np.nansum(heads, 1)
    attention[1] = np.nan
    mlp = generator.normal(0, 0.8, BLOCKS).astype(np.float32)
    return Contributions(
        ids=tuple(range(COLUMNS)), row="5", column=8, lens="tuned", token=9, minus=None, logit=12.542,
        embedding=0.03, attention=attention, mlp=mlp, bias=0.22, heads=heads,
        attention_bias=np.zeros(BLOCKS, np.float32), sources=sources, weights=weights, neurons=(),
        no_heads=no_heads, no_sources=no_heads, no_neurons=(None,) * BLOCKS, rounding=0.0,
        rounding_limit=0.0, error=8.1e-7,
        growth=Growth(
            ("emb", *map(str, range(BLOCKS))),
            np.linspace(1, 12.5, BLOCKS + 1, dtype=np.float32),
            np.linspace(0.2, 12.5, BLOCKS + 1, dtype=np.float32),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
def test_why(snap_compare: Any, still: LenstuiApp, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await show(pilot)
        asked, edits = CellAsked(1, 1, 6, 8), EditList.of(parse_edit("ablate 3.2"))
        place = 'row 5 · layer 6 of 6 · column 8 "·so"'
        screen = WhyScreen(asked, still.program, place=place, edits=edits, put_edits=lambda edits: None)
        still.push_screen(screen)
        await pilot.pause()
        texts = {**dict(enumerate(WORDS)), 9: "·blue"}
        of = contributions()
        why = Why(of, Prompt("The trees", of.ids), Source("a model", None, "float32", (0.0,)), texts)
        source = WhySource(why, (), still.program.start, Shape(), "")
        screen.post_message(WhyRead(asked, of, texts, "lenstui why", source))
        await pilot.pause()
        assert screen.query_one(OptionList).highlighted == 0
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=look)


@pytest.mark.parametrize("size", SIZES)
def test_edits(snap_compare: Any, still: LenstuiApp, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await show(pilot)
        edits = EditList.of(parse_edit("ablate 4.7 @3"), parse_edit('patch row 2 @5 "The sky was"')).switched(
            1
        )
        still.push_screen(EditDialog(edits, "tuned lens", still.program, lambda edits: None))
        await pilot.pause()
        await pilot.press(*"ablate", "space", "4", "full_stop", *"atn")
        await pilot.press("enter")
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=look)
