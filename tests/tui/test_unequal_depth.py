"""A deeper and a shallower model beside the open one: rows by relative depth, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from lenstui.export.clips import Clip, cell_text, column_text, table_text
from lenstui.model.rows import Row, parse_rows
from lenstui.opening.depth import at_same_depth
from lenstui.readout.number_texts import nats_text
from lenstui.readout.reading import Reading
from lenstui.readout.values import PROBABILITY
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.cell import CellScreen
from lenstui.tui.explore.detail import Detail
from lenstui.tui.grid.cursor import Cursor
from lenstui.tui.grid.difference_grid import DifferenceGrid
from tests.by_hand.known_readouts import HOSTILE, hostile_readout
from tests.by_hand.naive_values import naive_logits, naive_values
from tests.tiny.folders import neox_in
from tests.tui.pilots.looking import said, subtitle, until

TEXT = "Hello, you"
READOUT = hostile_readout(columns=6, rows=3)
HEADS = tuple(HOSTILE[token] for token in READOUT.prompt.ids)
OF_TINY = 3  # blocks


def at_depths(blocks: int) -> list[int]:
    """The rows beside `emb`, 0, 1 and 2 of three blocks, as a person rounds."""
    return {2: [0, 1, 1, 2], 4: [0, 1, 3, 4], 6: [0, 2, 4, 6], 7: [0, 2, 5, 7]}[blocks]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> dict[int, Path]:
    """Models with the tokenizer of the tiny one, by the number of their blocks, each with a lens."""
    import torch

    from lenstui.lens import TunedLens, save_lens

    made = {}
    for blocks in (2, 4):
        made[blocks] = folder = tmp_path_factory.mktemp("depth") / f"deep{blocks}"
        neox_in(folder, byte_tokenizer, seed=blocks, blocks=blocks, width=24, vocabulary=300, context=40)
        save_lens(TunedLens(0.1 * torch.randn(blocks, 24, 24), torch.zeros(blocks, 24)), folder / "lens.pt")
    return made


@pytest.mark.parametrize("blocks", [2, 4, 6, 7])
def test_rows_are_at_the_same_share_of_the_blocks(blocks: int) -> None:
    assert [at_same_depth(Row(h), OF_TINY, blocks).h for h in range(OF_TINY + 1)] == at_depths(blocks)


def remarks(app: LenstuiApp) -> str:
    """What is said of the models above the prompt."""
    return str(app.explore.query_one("#notice", Static).render())


async def beside(app: LenstuiApp, pilot: Pilot[None], folder: Path) -> None:
    app.program.sides.open(0, Start(model=str(folder), lenses=(folder / "lens.pt",)))
    await until(pilot, lambda: app.explore.is_compared and subtitle(app).endswith(" s"))


def assert_shows(cells: Any, logits: np.ndarray, rows: Sequence[int]) -> None:
    """Cells have the numbers of these rows of logits, `[rows, columns, vocabulary]`."""
    naive = naive_values(logits)
    np.testing.assert_allclose(cells.top_probs[:, :, 0], naive["prob"][list(rows)], atol=1e-4)
    np.testing.assert_allclose(cells.kl, naive["kl"][list(rows)], atol=1e-3)


@pytest.mark.parametrize("blocks", [2, 4])
async def test_each_row_stands_beside_the_one_at_its_depth(
    opened: Any, tiny_model: Path, folders: dict[int, Path], blocks: int
) -> None:
    ours, others = naive_logits(tiny_model, TEXT), naive_logits(folders[blocks], TEXT)
    labels = tuple("emb" if h == 0 else str(h - 1) for h in at_depths(blocks))
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        await beside(app, pilot, folders[blocks])
        assert "each row stands beside the one at the same relative depth" in remarks(app)
        grids = app.explore.grids
        assert [grid.rows for grid in grids] == [("emb", "0", "1", "2"), labels]
        assert_shows(grids[0].cells, ours["logit"], range(4))
        assert_shows(grids[1].cells, others["logit"], at_depths(blocks))
        await pilot.press("tab", "L")
        await until(pilot, lambda: app.explore.state.sides[1].kind == "tuned")
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        assert_shows(grids[1].cells, others["tuned"], at_depths(blocks))
        await pilot.press("d")
        shown = app.explore.query_one(DifferenceGrid)
        left, right = naive_values(ours["logit"]), naive_values(others["tuned"])
        wanted = right["prob"][at_depths(blocks)] - left["prob"]
        np.testing.assert_allclose(shown.values, wanted, atol=1e-4)


async def test_the_cell_in_full_is_of_the_row_at_its_depth(
    opened: Any, tiny_model: Path, folders: dict[int, Path]
) -> None:
    others = naive_logits(folders[4], TEXT)["logit"]
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        await beside(app, pilot, folders[4])
        app.explore.grids[0].go_to(Cursor(2, len(TEXT) - 1))  # row 1 of 2, beside row 2 of 3
        await pilot.press("enter")
        screen = app.screen
        assert isinstance(screen, CellScreen)
        await until(pilot, lambda: "row 1 │ 2" in str(screen.query_one("#cell-title", Static).render()))
        assert "layer 2 of 3 │ layer 3 of 4" in str(screen.query_one("#cell-title", Static).render())
        await until(pilot, lambda: screen.list_of(1)._lines)
        shown = [int(numbers.split()[0]) for _, _, numbers in screen.list_of(1)._lines]
        assert shown[:9] == np.argsort(-others[3, -1], kind="stable")[:9].tolist()


@pytest.mark.parametrize("blocks", [2, 4])
async def test_how_far_the_last_rows_part_is_said(
    opened: Any, tiny_model: Path, folders: dict[int, Path], blocks: int
) -> None:
    ours, others = (naive_logits(folder, TEXT)["logit"][-1] for folder in (tiny_model, folders[blocks]))
    p, q = (np.exp(z) / np.exp(z).sum(-1, keepdims=True) for z in (ours, others))
    wanted = (p * np.log(p / q)).sum(-1)
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        panel = app.explore.panel
        assert "KL of the last rows" not in str(panel.query_one(Detail).border_subtitle)
        await beside(app, pilot, folders[blocks])
        await until(pilot, lambda: panel.finals)
        np.testing.assert_allclose(panel.finals[1], wanted, atol=1e-4)
        column = app.explore.panes.cursor.column
        shown = f"KL of the last rows {nats_text(wanted[column])} nats"
        await until(pilot, lambda: shown in str(panel.query_one(Detail).border_subtitle))
        await pilot.press("tab", "minus")
        await until(pilot, lambda: not app.explore.is_compared and subtitle(app).endswith(" s"))
        assert "KL of the last rows" not in str(panel.query_one(Detail).border_subtitle)


async def test_sublayers_are_not_read_of_both(opened: Any, folders: dict[int, Path]) -> None:
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        await beside(app, pilot, folders[4])
        await pilot.press("s")
        await until(pilot, lambda: "sublayers are of models with equally many blocks" in said(app))
        assert app.explore.grids[0].rows == ("emb", "0", "1", "2")


async def test_rows_that_only_the_first_model_has_may_be_chosen(
    opened: Any, folders: dict[int, Path]
) -> None:
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        await beside(app, pilot, folders[2])
        app.explore.state.reading = Reading(rows=parse_rows("emb,1-2"))
        app.explore.parts.reader.read_again()
        await until(pilot, lambda: app.explore.grids[0].rows == ("emb", "1", "2"))
        assert app.explore.grids[1].rows == ("emb", "0", "1")


def test_a_copied_row_is_named_as_in_both_models() -> None:
    other = {"tuned": ("emb", *(str(2 * row + 1) for row in range(len(READOUT.rows) - 1)))}
    clip = Clip(READOUT.rows, HEADS, READOUT.lenses, HOSTILE, PROBABILITY, other_rows=other)
    assert cell_text(clip, 1, 0).startswith("row 0 │ 1 · layer 1 of ")
    assert column_text(clip, 0).splitlines()[2].startswith("0 │ 1\t")
    lines = [line.split("\t")[:2] for line in table_text(clip).splitlines()[1:]]
    assert {row for lens, row in lines if lens == "tuned"} == {*other["tuned"]}
    assert {row for lens, row in lines if lens == "logit"} == {*READOUT.rows}
