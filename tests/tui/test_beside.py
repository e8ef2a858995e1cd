"""Two models side by side, or two lenses of one: their numbers, their names, and what cannot be compared."""

from __future__ import annotations

import re
import shutil
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from lenstui.jobs.chosen_model import Chosen
from lenstui.jobs.fit_messages import FitChanged, FitStatus, Phase, TrainingRead
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.cell import CellScreen
from lenstui.tui.grid.difference_grid import DifferenceGrid
from lenstui.tui.grid.grid import Cursor
from lenstui.tui.grid.legend import Legend
from lenstui.tui.lenses.screen import Lenses
from lenstui.tui.lenses.table import LensTable
from lenstui.tui.models.picker import ModelPicker
from tests.by_hand.naive_values import naive_logits, naive_values
from tests.tiny.folders import neox_in
from tests.tui.pilots.beside_pilot import title, titles
from tests.tui.pilots.looking import said, subtitle, until

TEXT = "Hello, you"


def make(folder: Path, tokenizer: Any, *, seed: int, blocks: int = 3, vocabulary: int = 300) -> Path:
    """A random GPT-NeoX with a random lens, `lens.pt`, in a folder."""
    import torch

    from lenstui.lens import TunedLens, save_lens

    neox_in(folder, tokenizer, seed=seed, blocks=blocks, width=24, vocabulary=vocabulary, context=40)
    save_lens(TunedLens(0.1 * torch.randn(blocks, 24, 24), torch.zeros(blocks, 24)), folder / "lens.pt")
    return folder


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Path:
    """Another model with the same tokenizer and as many rows; its vocabulary is padded further."""
    return make(tmp_path_factory.mktemp("beside") / "other", byte_tokenizer, seed=3, vocabulary=330)


@pytest.fixture(scope="module")
def deep_model(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Path:
    """One with more rows."""
    return make(tmp_path_factory.mktemp("beside") / "deep", byte_tokenizer, seed=4, blocks=4)


@pytest.fixture(scope="module")
def swapped_model(tmp_path_factory: pytest.TempPathFactory, other_model: Path) -> Path:
    """One whose tokenizer has two tokens the other way round."""
    folder = tmp_path_factory.mktemp("beside") / "swapped"
    shutil.copytree(other_model, folder)
    file = folder / "tokenizer.json"
    text = file.read_text()
    x, y = (re.search(rf'"{letter}": (\d+)', text) for letter in "xy")
    assert x is not None and y is not None
    swapped = text.replace(x[0], f'"x": {y[1]}').replace(y[0], f'"y": {x[1]}')
    file.write_text(swapped)
    return folder


@pytest.fixture(scope="module")
def lower_model(tmp_path_factory: pytest.TempPathFactory, other_model: Path, byte_tokenizer: Any) -> Path:
    """One with the same vocabulary, whose tokenizer makes every letter small."""
    from tokenizers.normalizers import Lowercase
    from transformers import PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("beside") / "lower"
    shutil.copytree(other_model, folder)
    fast = type(byte_tokenizer.backend_tokenizer).from_str(byte_tokenizer.backend_tokenizer.to_str())
    fast.normalizer = Lowercase()
    PreTrainedTokenizerFast(tokenizer_object=fast, bos_token="<bos>", eos_token="<eos>").save_pretrained(
        folder
    )
    return folder


async def put_beside(app: LenstuiApp, pilot: Pilot[None], folder: Path, **options: Any) -> None:
    start = Start(model=str(folder), lenses=(folder / "lens.pt",), **options)
    app.program.sides.open(0, start)
    await until(pilot, lambda: app.explore.is_compared and subtitle(app).endswith(" s"))


def assert_shows(app: LenstuiApp, left: np.ndarray, right: np.ndarray) -> None:
    """Both grids have the numbers of these logits, `[rows, columns, vocabulary]`."""
    for grid, logits in zip(app.explore.grids, (left, right), strict=True):
        naive, cells = naive_values(logits), grid.cells
        assert cells is not None
        np.testing.assert_allclose(cells.top_probs[:, :, 0], naive["prob"], atol=1e-4)
        np.testing.assert_allclose(cells.entropy, naive["entropy"], atol=1e-3)
        np.testing.assert_allclose(cells.kl, naive["kl"], atol=1e-3)
        np.testing.assert_array_equal(cells.final_rank, naive["rank"])


async def test_each_pane_is_a_plain_reading_of_its_model(
    opened: Any, tiny_model: Path, other_model: Path
) -> None:
    ours, others = naive_logits(tiny_model, TEXT), naive_logits(other_model, TEXT)
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        await pilot.press("left", "left", "up")
        cursor = app.explore.panes.cursor
        await put_beside(app, pilot, other_model)
        assert app.explore.panes.cursor == cursor
        assert titles(app) == ["tiny · logit lens · probability", "other · logit lens · probability"]
        assert_shows(app, ours["logit"], others["logit"])
        await pilot.press("L")  # on the active side alone
        await until(pilot, lambda: "tuned" in titles(app)[0] and subtitle(app).endswith(" s"))
        assert titles(app)[1] == "other · logit lens · probability"
        assert_shows(app, ours["tuned"], others["logit"])
        await pilot.press("tab", "L")
        await until(pilot, lambda: "tuned" in titles(app)[1] and subtitle(app).endswith(" s"))
        assert titles(app) == [
            "tiny · tuned lens lens · probability",
            "other · tuned lens lens · probability",
        ]
        assert_shows(app, ours["tuned"], others["tuned"])
        await pilot.press("v", "v", "d")
        naive = naive_values(others["tuned"])["kl"] - naive_values(ours["tuned"])["kl"]
        np.testing.assert_allclose(app.explore.query_one(DifferenceGrid).values, naive, atol=1e-3)
        assert "right − left" in app.explore.query_one(Legend).render_line(0).text
        assert title(app, "difference") == "other · tuned lens lens − tiny · tuned lens lens · KL from final"
        assert not app.explore.look().difference
        await pilot.press("L", "L")  # and what is open now is the same
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        await pilot.press("minus")
        await until(pilot, lambda: not app.explore.is_compared and subtitle(app).endswith(" s"))
        assert titles(app)[0] == "tuned lens · KL from final"
        assert [side.kind for side in app.explore.sides] == ["tuned"]


async def test_the_picker_puts_beside_and_m_takes_away_and_frees_the_memory(
    opened: Any, other_model: Path
) -> None:
    async with opened(TEXT, lens=False) as (app, pilot):
        await pilot.press("M")
        assert isinstance(app.screen, ModelPicker)
        await until(pilot, lambda: "taken" in str(app.screen.query_one("#model-box").border_title))
        assert "a model beside tiny" in str(app.screen.query_one("#model-box").border_title)
        await pilot.press("down")
        await until(pilot, lambda: "more" in str(app.screen.query_one("#model-detail", Static).render()))
        app.screen.query_one(Input).value = str(other_model)
        await until(pilot, lambda: app.screen._answered == str(other_model))
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.is_compared and subtitle(app).endswith(" s"))
        model = weakref.ref(app.program.model_jobs.sides.sides[1].model.module)
        await pilot.press("L")
        await until(pilot, lambda: "No tuned lens for" in said(app))
        await pilot.press("minus")
        await until(pilot, lambda: "first side is the open model" in said(app))
        await pilot.press("tab", "d")
        assert app.explore.panes.difference
        await pilot.press("minus")
        await until(pilot, lambda: not app.explore.is_compared and subtitle(app).endswith(" s"))
        assert not app.explore.panes.difference
        assert [side.kind for side in app.explore.sides] == ["logit"]
        await until(pilot, lambda: model() is None, 5)
        await pilot.press("L")
        await until(pilot, lambda: "only the logit lens reads it" in said(app))


async def test_what_does_not_agree_is_refused_and_what_was_open_stays(
    opened: Any, tiny_model: Path, other_model: Path, swapped_model: Path, lower_model: Path
) -> None:
    ours, others = naive_logits(tiny_model, TEXT), naive_logits(other_model, TEXT)
    async with opened(TEXT) as (app, pilot):
        await put_beside(app, pilot, other_model)
        for folder, complaint in (
            (swapped_model, f"{tiny_model} and {swapped_model} do not agree: 2 of 258 tokens"),
            (lower_model, f"{tiny_model} and {lower_model} cut this prompt into other tokens"),
        ):
            app.program.sides.open(0, Start(model=str(folder)))
            await until(pilot, lambda complaint=complaint: complaint in said(app))
            assert titles(app)[1].startswith("other")
            assert_shows(app, ours["logit"], others["logit"])


async def test_a_prompt_that_is_cut_into_other_tokens_is_not_read(opened: Any, lower_model: Path) -> None:
    async with opened("hello") as (app, pilot):
        await put_beside(app, pilot, lower_model)
        await pilot.press("i", "home", "delete", "H", "enter")
        await until(pilot, lambda: "cut this prompt into other tokens" in said(app))
        assert app.explore.state.columns == tuple("hello")


async def test_two_lenses_of_one_model(opened: Any, tiny_model: Path, tmp_path: Path) -> None:
    import torch

    from lenstui.lens import TunedLens, save_lens
    from lenstui.support.paths import lenses

    torch.manual_seed(8)
    path = lenses() / "second.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_lens(TunedLens(0.2 * torch.randn(3, 32, 32), torch.zeros(3, 32)), path)
    folder = tmp_path / "same"
    shutil.copytree(tiny_model, folder)
    shutil.copy(path, folder / "lens.pt")
    try:
        async with opened(TEXT) as (app, pilot):
            await pilot.press("o")
            assert isinstance(app.screen, Lenses)
            table = app.screen.query_one(LensTable)
            await until(pilot, lambda: table.chosen is not None and table.chosen.in_use)
            await pilot.press("c")
            await until(pilot, lambda: "This lens is in use" in said(app))
            names = [lens.card.path.name for lens in table._lenses]
            table.highlighted = names.index("second.pt")
            await pilot.press("c")
            await until(pilot, lambda: app.screen is app.explore and subtitle(app).endswith(" s"))
            await until(pilot, lambda: app.explore.is_compared and subtitle(app).endswith(" s"))
            assert app.program.model_jobs.sides.sides[1].model is app.program.model_jobs.opened.model
            assert titles(app) == [
                "tiny · logit lens · probability",
                "tiny · tuned lens second · probability",
            ]
            ours, second = naive_logits(tiny_model, TEXT), naive_logits(folder, TEXT)["tuned"]
            assert_shows(app, ours["logit"], second)
            await pilot.press("Y")
            await until(pilot, lambda: f"--lens {path}" in app.clipboard)  # not the one in use
            await pilot.press("L")  # the first side, from the logit lens to the tuned one in use
            await until(pilot, lambda: "tuned" in titles(app)[0] and subtitle(app).endswith(" s"))
            assert titles(app) == [
                "tiny · tuned lens lens · probability",
                "tiny · tuned lens second · probability",
            ]
            assert_shows(app, ours["tuned"], second)
            await pilot.press("Y")
            both = f"--lens {tiny_model / 'lens.pt'} --lens {path} --lenses tuned"
            await until(pilot, lambda: both in app.clipboard)
            await pilot.press("tab", "minus")
            await until(pilot, lambda: not app.explore.is_compared and subtitle(app).endswith(" s"))
            assert [side.kind for side in app.explore.sides] == ["tuned"]
    finally:
        path.unlink()


async def test_keys_of_one_cell_are_of_both_sides(opened: Any, tiny_model: Path, other_model: Path) -> None:
    ours, others = (naive_logits(folder, TEXT)["logit"] for folder in (tiny_model, other_model))
    async with opened(TEXT) as (app, pilot):
        await put_beside(app, pilot, other_model)
        row, column = np.argwhere(others.argmax(-1) >= 300)[0]  # which the open model has no logit for
        for side, logits in ((1, others), (0, ours)):
            app.explore.panes.active = side
            app.explore.grids[0].go_to(Cursor(int(row), int(column)))
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, CellScreen) and app.screen.is_mounted)
            screen = app.screen
            await until(pilot, lambda: app.screen.list_of(1)._lines)
            shown = [int(numbers.split()[0]) for _, _, numbers in screen.list_of(side)._lines]
            assert shown[:20] == np.argsort(-logits[row, column], kind="stable")[:20].tolist()
            frame = screen.query_one(f"#ranking-{side}")
            assert str(frame.border_subtitle).endswith(f"of {logits.shape[-1]}")
            assert str(frame.border_title) == f"{'other' if side else 'tiny'} · logit lens"
            await pilot.press("escape")
        app.explore.panes.active = 1
        await pilot.press("p")
        assert "Not all of the models" in said(app)
        await pilot.press("a")
        assert app.explore.state.tail == ()
        app.explore.panes.active = 0
        await pilot.press("p")
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        token = int(ours[row, column].argmax())
        for side, logits in ((0, ours), (1, others)):
            cells = app.explore.grids[side].cells
            ranks = (logits > logits[:, :, token, None]).sum(-1)
            await until(pilot, lambda cells=cells: (cells.pin_ranks >= 0).all())
            np.testing.assert_array_equal(cells.pin_ranks[:, :, 0], ranks)


async def test_the_prompt_goes_on_by_the_open_model(opened: Any, tiny_model: Path, other_model: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        await put_beside(app, pilot, other_model)
        await pilot.press("end", "a")
        await until(pilot, lambda: len(app.explore.state.tail) == 1 and subtitle(app).endswith(" s"))
        await pilot.press("G", "enter")
        await until(
            pilot, lambda: not app.explore.parts.growth.is_generating and len(app.explore.state.columns) > 12
        )
        await until(
            pilot, lambda: all(g.read_columns == len(app.explore.state.columns) for g in app.explore.grids)
        )
        import torch

        from lenstui.lens import load

        for side, folder in enumerate((tiny_model, other_model)):
            model = load(str(folder))
            ids = [*model.tokenizer(TEXT)["input_ids"], *app.explore.state.tail]
            with torch.no_grad():
                final = model.module(torch.tensor([ids])).logits[0]
            cells = app.explore.grids[side].cells
            np.testing.assert_allclose(
                cells.top_probs[-1, :, 0], final.softmax(-1).max(-1).values.numpy(), atol=1e-4
            )
            if not side:
                assert final[len(TEXT) - 1 : -1].argmax(-1).tolist() == list(app.explore.state.tail)


async def test_a_lens_in_training_repaints_no_comparison(
    opened: Any, tiny_model: Path, other_model: Path
) -> None:
    logits = naive_logits(other_model, TEXT)["logit"]
    async with opened(TEXT) as (app, pilot):
        await put_beside(app, pilot, other_model)
        app.post_message(FitChanged(FitStatus(Phase.RUNNING, "quick")))
        await pilot.pause()
        cells = app.explore.grids[0].cells
        app.explore.post_message(TrainingRead(app.explore.state.serial, "tuned", 0, cells, {}, 0.0))
        await pilot.pause()
        assert "training" not in titles(app)[1]
        assert_shows(app, naive_logits(tiny_model, TEXT)["logit"], logits)
        await pilot.press("tab", "minus")
        await until(pilot, lambda: not app.explore.is_compared and subtitle(app).endswith(" s"))
        await pilot.press("plus")
        await until(pilot, lambda: "tuned lens in training" in titles(app)[1])
        app.explore.panes.active = 0
        await put_beside(app, pilot, other_model)
        app.post_message(FitChanged(FitStatus(Phase.DISCARDED, "quick")))
        await pilot.pause()
        assert titles(app)[1].startswith("other")
        assert_shows(app, naive_logits(tiny_model, TEXT)["logit"], logits)


async def test_what_no_file_can_hold_says_so(opened: Any, other_model: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        await put_beside(app, pilot, other_model)
        app.program.sides.put_prompt(1, "Hello, we", app.program.post)
        await until(pilot, lambda: app.explore.state.has_prompts and subtitle(app).endswith(" s"))
        await pilot.press("Y")
        assert app.screen is app.explore
        assert "- removes a second prompt first" in said(app)


async def test_revisions_are_stepped_beside_a_fixed_one(
    opened: Any, tiny_model: Path, other_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    repository = tmp_path / "hub" / "models--owner--pair"
    (repository / "refs").mkdir(parents=True)
    for ref, commit, folder in (("step1", "aa", tiny_model), ("step2", "bb", other_model)):
        shutil.copytree(folder, repository / "snapshots" / commit, ignore=shutil.ignore_patterns("*.pt"))
        (repository / "refs" / ref).write_text(commit)
    ours, others = (naive_logits(folder, TEXT)["logit"] for folder in (tiny_model, other_model))
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        app.model_switch.open(Chosen("owner/pair", "step1"))
        await until(pilot, lambda: app.explore.model.revision == "step1" and subtitle(app).endswith(" s"))
        app.program.sides.open(0, Start(model="owner/pair", revision="step2"))
        await until(pilot, lambda: app.explore.is_compared and subtitle(app).endswith(" s"))
        assert titles(app)[0].startswith("pair@step1 · logit") and titles(app)[1].startswith("pair@step2")
        assert_shows(app, ours, others)
        await pilot.press("greater_than_sign")
        await until(pilot, lambda: app.explore.model.revision == "step2" and subtitle(app).endswith(" s"))
        assert titles(app)[0].startswith("pair@step2") and titles(app)[1].startswith("pair@step2")
        assert_shows(app, others, others)


async def test_another_model_takes_away_what_does_not_agree(
    opened: Any, other_model: Path, swapped_model: Path
) -> None:
    async with opened(TEXT) as (app, pilot):
        await put_beside(app, pilot, other_model)
        app.model_switch.open(Chosen(str(swapped_model)))
        of_it = lambda: app.explore.model.name == str(swapped_model)  # noqa: E731
        await until(pilot, lambda: of_it() and subtitle(app).endswith(" s"))
        assert not app.explore.is_compared
        assert "is beside no longer" in said(app)
