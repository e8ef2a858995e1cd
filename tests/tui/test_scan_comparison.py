"""Error analysis of records that compare two sides: the view of the comparison, the second model beside."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from lenstui.jobs.scan import ScanService
from lenstui.scan.folder import parts_of
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.export.dialog import ExportDialog
from lenstui.tui.scan.means_plot import MeansPlot
from lenstui.tui.scan.screen import Scan
from tests.programs.calls import status
from tests.tiny.folders import neox_in
from tests.tui.pilots.looking import said, subtitle, until
from tests.tui.pilots.scan_pilot import lines, open_folder, searched, subtitle_of, text, title

SIZE, LENGTH = (160, 40), 16
DOCUMENTS = [f"Ein grüner Bäumchen-Fluß № {number} läuft über die Straße." for number in range(12)]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compared") / "story.txt"
    path.write_text("\n\n".join(DOCUMENTS))
    return path


@pytest.fixture(scope="module")
def second(story: Path, tiny_model: Path, byte_tokenizer: Any) -> Path:
    """The tiny model with noise in its weights, and the same lens."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = story.parent / "perturbed"
    shutil.copytree(tiny_model, folder)
    module = AutoModelForCausalLM.from_pretrained(tiny_model)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.1 * weight.std() * torch.randn(weight.shape, generator=generator))
    module.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def scan(tiny_model: Path, story: Path) -> Callable[..., Path]:
    """Scan the story on the command line into a folder, by its name."""
    words = ("--model", tiny_model, "--lens", tiny_model / "lens.pt", "--device", "cpu")

    def scan(name: str, *more: object) -> Path:
        folder = story.parent / name
        assert status("scan", folder, "--data", story, *words, "--seq-len", LENGTH, *more) == 0
        return folder

    return scan


@pytest.fixture(scope="module")
def models(scan: Callable[..., Path], second: Path) -> Path:
    """Records of two models, each through a tuned lens."""
    return scan("models", "--against-model", second, "--against-lens", second / "lens.pt")


@pytest.fixture(scope="module")
def lenses(scan: Callable[..., Path]) -> Path:
    """Records of two lenses of one model."""
    return scan("lenses", "--against-lens", "logit")


def records(folder: Path) -> list[dict[str, Any]]:
    return list(pa.concat_tables([pq.read_table(part.path) for part in parts_of(folder)]).to_pylist())


async def show_comparison(app: LenstuiApp, pilot: Pilot[None], folder: Path) -> Scan:
    screen = await open_folder(app, pilot, folder)
    await searched(screen, pilot)
    await pilot.press("V")
    await until(pilot, lambda: " ‖ " in text(screen, "heading"))
    return screen


async def test_the_comparison_by_row_is_that_of_the_records(opened: Any, models: Path) -> None:
    whole = records(models)
    async with opened("Hello, you", size=SIZE) as (app, pilot):
        screen = await show_comparison(app, pilot, models)
        assert title(screen) == f"all {len(whole)} positions"
        heading = text(screen, "heading").replace("\n", " ")
        assert "perturbed · KL of the final distributions " in heading
        assert f"final distributions {np.mean([each['against_kl'] for each in whole]):.4f} ± " in heading
        parted = np.mean([each["final_id"] != each["against_final_id"] for each in whole])
        assert 0 < parted < 1
        assert f"final tokens) {parted:.1%} ± " in heading
        assert "KL(first ‖ second) in nats" in text(screen, "detail")

        for lens in ("tuned", "logit"):
            await until(
                pilot, lambda lens=lens: f" {lens} " in f"{screen.query_one(MeansPlot).border_title} "
            )
            assert lines(screen)[0].split() == ["row", "KL", "same", "top-1", "parts", "joins"]
            kl = np.mean([each[f"{lens}_against_kl"] for each in whole], axis=0)
            same = np.mean([each[f"{lens}_same_top1"] for each in whole], axis=0)
            counts = {
                name: [sum(each[f"{lens}_{name}"] == row for each in whole) for row in range(-1, len(kl) - 1)]
                for name in ("parts", "joins")
            }
            for line, row in zip(lines(screen)[1:], reversed(range(len(kl))), strict=True):
                words = line.split()
                assert words[0] == ("emb" if row == 0 else str(row - 1))
                assert (words[1], words[4]) == (f"{kl[row]:.4f}", f"{same[row]:.1%}")
                assert words[-2:] == [str(counts[name][row]) for name in ("parts", "joins")]
            plot = screen.query_one(MeansPlot)
            np.testing.assert_allclose(plot.curves["both"], kl, rtol=1e-5)
            await pilot.press("R")
            np.testing.assert_allclose(plot.curves["both"], same, rtol=1e-5)
            await pilot.press("R", "L")
            await searched(screen, pilot)
        await pilot.press("enter")
        assert "v shows the matches" in said(app)
        await pilot.press("v")
        assert "text" in lines(screen)[0]
        assert not screen.query_one("#scan-heading").display


async def test_it_is_made_once_for_each_state_of_the_records(
    opened: Any, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    compare = ScanService.compare

    def counted(self: ScanService, number: int, of: Any, post: Any) -> None:
        made.append(of.folder)
        compare(self, number, of, post)

    monkeypatch.setattr(ScanService, "compare", counted)
    async with opened("Hello, you", size=SIZE) as (app, pilot):
        screen = await open_folder(app, pilot, models)
        await searched(screen, pilot)
        assert made == []
        await pilot.press("V")
        await until(pilot, lambda: " ‖ " in text(screen, "heading"))
        await pilot.press("v", "V", "2")
        await searched(screen, pilot)
        await pilot.press("L")
        await searched(screen, pilot)
        assert made == [models]


async def test_two_lenses_of_one_model(opened: Any, lenses: Path) -> None:
    whole = records(lenses)
    async with opened("Hello, you", size=SIZE) as (app, pilot):
        screen = await show_comparison(app, pilot, lenses)
        assert text(screen, "heading") == "tuned lens lens.pt ‖ logit lens"
        assert lines(screen)[0].split() == ["row", "KL", "same", "top-1", "joins"]
        kl = np.mean([each["tuned_against_kl"] for each in whole], axis=0)
        assert [line.split()[1] for line in lines(screen)[1:]] == [f"{each:.4f}" for each in kl[::-1]]
        assert "tuned ‖ logit" in str(screen.query_one(MeansPlot).border_title)
        await pilot.press("L")  # the logit lens is compared with none: the pair that there is stays
        await searched(screen, pilot)
        assert "tuned ‖ logit" in str(screen.query_one(MeansPlot).border_title)


async def test_models_of_another_depth(
    opened: Any, scan: Callable[..., Path], tmp_path: Path, byte_tokenizer: Any
) -> None:
    deeper = neox_in(tmp_path / "deeper", byte_tokenizer, blocks=4)
    folder = scan("depths", "--against-model", deeper)
    async with opened("Hello, you", size=(80, 24)) as (app, pilot):
        screen = await show_comparison(app, pilot, folder)
        assert "KL of the final distributions" in text(screen, "heading").replace("\n", " ")
        assert "not of the same depth" in text(screen, "detail")
        assert screen.query_one("#scan-detail").size.height > 1
        assert not screen.query_one(MeansPlot).display
        await pilot.press("R", "v")
        assert "text" in lines(screen)[0]


async def test_records_without_a_second_side_have_no_such_view(
    opened: Any, scan: Callable[..., Path], models: Path
) -> None:
    plain = scan("plain")
    async with opened("Hello, you", size=SIZE) as (app, pilot):
        screen = await show_comparison(app, pilot, models)
        assert "comparison" in subtitle_of(screen)
        await pilot.press("o")
        await until(pilot, lambda: app.screen is not screen)
        app.screen.query_one(Input).value = str(plain)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is screen and screen.state.has_found)
        await searched(screen, pilot)
        assert "text" in lines(screen)[0]
        assert "comparison" not in subtitle_of(screen)
        await pilot.press("V")
        assert "rest" in lines(screen)[0]


async def test_damaged_records_say_so(opened: Any, models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(models, folder)
    async with opened("Hello, you", size=SIZE) as (app, pilot):
        screen = await open_folder(app, pilot, folder)
        await searched(screen, pilot)
        part = next(folder.glob("part-*"))
        whole = part.read_bytes()
        part.write_bytes(whole[:99])
        await pilot.press("V")
        await until(pilot, lambda: "cannot be read" in text(screen, "heading"))
        await pilot.press("x")
        assert app.screen is screen
        assert "cannot be read" in said(app)
        part.write_bytes(whole)
        await pilot.press("v", "V")
        await until(pilot, lambda: " ‖ " in text(screen, "heading"))


async def test_command_and_file_are_those_of_the_comparison(
    opened: Any, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened("Hello, you", size=SIZE) as (app, pilot):
        screen = await show_comparison(app, pilot, models)
        await pilot.press("Y")
        await until(pilot, lambda: app.clipboard.startswith("lenstui scan"))
        command = shlex.split(app.clipboard)
        for steps, ending in enumerate(("csv", "json", "md")):
            await pilot.press("x")
            await until(pilot, lambda: isinstance(app.screen, ExportDialog))
            await pilot.press(*["down"] * steps)
            app.screen.query_one(Input).value = str(tmp_path / f"found.{ending}")
            await pilot.press("enter")
            await until(pilot, lambda: app.screen is screen)
    assert command == ["lenstui", "scan", str(models), "--comparison"]
    for ending in ("csv", "json"):
        capsys.readouterr()
        assert status(*command[1:], "--format", ending) == 0
        assert (tmp_path / f"found.{ending}").read_text() == capsys.readouterr().out
    written = (tmp_path / "found.md").read_text()
    assert f"--comparison --format md -o {tmp_path / 'found.md'}" in written


# A match of two models in Explore.


async def test_the_second_model_beside_reads_the_same_tokens(opened: Any, models: Path, second: Path) -> None:
    """Both sides have the numbers of the record, also in the middle of a character."""
    whole = records(models)
    async with opened("Hello, you", size=(180, 40)) as (app, pilot):
        app.program.sides.open(1, Start(model=str(second), lenses=(second / "lens.pt",)))
        await until(pilot, lambda: app.explore.is_compared and subtitle(app).endswith(" s"))
        screen = await open_folder(app, pilot, models)
        await searched(screen, pilot)
        await pilot.press("0", "slash")  # the first of two bytes
        screen.query_one("#scan-where", Input).value = 'token = "\\xc3" and next_id is not missing'
        await pilot.press("enter")
        await searched(screen, pilot)
        assert screen.state.found is not None
        full = whole[screen.state.found.matches.top[3]["position"]]
        await pilot.press("down", "down", "down", "enter")
        await until(pilot, lambda: app.screen is app.explore and app.explore.state.ids)
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        assert (
            app.explore.state.ids
            == tuple(each["token_id"] for each in whole if each["block"] == full["block"])[
                : full["column"] + 1
            ]
        )
        assert "beside" not in said(app)
        models_shown = [side.model for side in app.program.model_jobs.sides.sides]
        assert models_shown[0] is not models_shown[1]
        kinds = [side.kind for side in app.program.model_jobs.sides.sides]
        names = ("next_logprob", "against_next_logprob")
        for grid, lens, name in zip(app.explore.grids, kinds, names, strict=False):
            await until(pilot, lambda grid=grid: grid.cells is not None)
            logprobs = grid.cells.pin_logprobs[:, -1, 0]
            np.testing.assert_allclose(logprobs, full[f"{lens}_{name}"], rtol=1e-3, atol=1e-4)


async def test_without_it_the_key_that_puts_it_beside_is_said(
    opened: Any, models: Path, lenses: Path
) -> None:
    async with opened("Hello, you", size=SIZE) as (app, pilot):
        screen = await open_folder(app, pilot, models)
        await searched(screen, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.explore and "M puts " in said(app))
        assert "perturbed beside." in said(app)
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        app.clear_notifications()
        await pilot.press("escape", "o")
        await until(pilot, lambda: app.screen is not screen)
        app.screen.query_one(Input).value = str(lenses)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is screen and screen.state.has_found)
        await searched(screen, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.explore and subtitle(app).endswith(" s"))
        assert "beside" not in said(app)  # these compare two lenses of the one model
