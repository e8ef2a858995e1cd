"""What x, Y and K make of two models on screen: what `lenstui read --against-model` makes, byte for byte."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from lenstui.cli import main
from lenstui.export.figures.style import FIGURE_FORMS
from lenstui.export.notebook import read_notebook
from lenstui.support.paths import notebook
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from tests.by_hand.naive_values import naive_logits, naive_values
from tests.tiny.folders import neox_in
from tests.tui.pilots.export_pilot import copy, pin, without_value, write
from tests.tui.pilots.looking import said, subtitle, until

TEXT = "Hello, you"
FORMS = ("html", "svg", "pdf", "md", "csv", "parquet", "json")


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was kept before."""
    for kind in ("STATE", "DATA"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))


@pytest.fixture(scope="module")
def deeper(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Path:
    """A deeper model with the tokenizer of the tiny one, and a lens."""
    import torch

    from lenstui.lens import TunedLens, save_lens

    folder = tmp_path_factory.mktemp("beside") / "deeper"
    neox_in(folder, byte_tokenizer, seed=4, blocks=4, width=24, vocabulary=300, context=40)
    save_lens(TunedLens(0.1 * torch.randn(4, 24, 24), torch.zeros(4, 24)), folder / "lens.pt")
    return folder


async def put_beside(app: LenstuiApp, pilot: Pilot[None], folder: Path) -> None:
    app.program.sides.open(1, Start(model=str(folder), lenses=(folder / "lens.pt",)))
    await until(pilot, lambda: app.explore.is_compared and subtitle(app).endswith(" s"))


async def command(app: LenstuiApp, pilot: Pilot[None]) -> list[str]:
    """The words of the command that Y copies, behind the first."""
    app.clear_notifications()
    await pilot.press("Y")
    await until(pilot, lambda: "lenstui read" in said(app))
    return shlex.split(app.clipboard)[1:]


def assert_same(words: Sequence[str], forms: Sequence[str], folder: Path) -> None:
    """The command writes the files that the screen wrote."""
    (folder / "read").mkdir(exist_ok=True)
    for form in forms:
        own = [word for word in words if form not in FIGURE_FORMS or not word.startswith("--pin=")]
        own = without_value(own) if form in {"csv", "parquet", "json"} else own
        assert main([*own, "-o", str(folder / "read" / f"readout.{form}")]) == 0
        by_screen, by_command = (folder / where / f"readout.{form}" for where in ("screen", "read"))
        assert by_screen.read_bytes() == by_command.read_bytes(), form


async def test_every_form_is_that_of_the_copied_command(
    opened: Any, tiny_model: Path, deeper: Path, tmp_path: Path
) -> None:
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        await put_beside(app, pilot, deeper)
        await pin(app, pilot, "z")
        await pilot.press("v")
        for form in FORMS:
            await write(app, pilot, form, tmp_path / "screen" / f"readout.{form}")
        words = await command(app, pilot)
        column = (await copy(app, pilot, "column")).splitlines()
        markdown = await copy(app, pilot, "markdown")
    assert f"--against-model={deeper}" in words and f"--against-lens={deeper / 'lens.pt'}" in words
    assert "--lenses" in words and "--against-lenses=tuned" in words
    assert_same(words, FORMS, tmp_path)
    lines = list(csv.DictReader((tmp_path / "screen" / "readout.csv").open(encoding="utf-8")))
    assert {(line["side"], line["model"], line["lens"]) for line in lines} == {
        ("first", str(tiny_model), "logit"),
        ("second", str(deeper), "tuned"),
    }
    naive = naive_values(naive_logits(deeper, TEXT)["tuned"])["entropy"]
    for line in lines:
        if line["side"] == "second":
            expected = naive[int(line["row_index"]), int(line["column"])]
            assert float(line["entropy"]) == pytest.approx(expected, abs=1e-3)
    sides = json.loads((tmp_path / "screen" / "readout.json").read_text("utf-8"))["sides"]
    assert [side["model"] for side in sides] == [str(tiny_model), str(deeper)]
    assert "tuned lens of deeper" in markdown
    assert "tuned of deeper entropy" in column[0] and "logit of tiny entropy" in column[0]


async def test_the_difference_is_that_of_the_copied_command(
    opened: Any, deeper: Path, tmp_path: Path
) -> None:
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        await put_beside(app, pilot, deeper)
        await pilot.press("v", "d")
        for form in ("html", "svg", "pdf", "md"):
            await write(app, pilot, form, tmp_path / "screen" / f"readout.{form}")
        words = await command(app, pilot)
    assert "--diff" in words
    assert_same(words, ("html", "svg", "pdf", "md"), tmp_path)
    text = (tmp_path / "screen" / "readout.md").read_text("utf-8")
    assert text.startswith("**tuned lens of deeper − logit lens of tiny** · entropy")


async def test_a_figure_is_made_again_by_the_command_in_its_caption(
    opened: Any, deeper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        await put_beside(app, pilot, deeper)
        await pin(app, pilot, "z", "q")
        for thing, form in (("svg", "svg"), ("pins-pdf", "pdf")):
            await write(app, pilot, thing, tmp_path / "screen" / f"figure.{form}")
    (tmp_path / "read").mkdir()
    monkeypatch.chdir(tmp_path / "read")
    for form in ("svg", "pdf"):
        by_screen = tmp_path / "screen" / f"figure.{form}"
        caption = Path(f"{by_screen}.txt").read_text("utf-8")
        assert f"Second model: {deeper} · revision none named · float32" in caption
        assert main(shlex.split(caption.splitlines()[-1].removeprefix("Made by: lenstui "))) == 0
        assert Path(by_screen.name).read_bytes() == by_screen.read_bytes(), form


async def test_a_kept_view_names_both_models(
    opened: Any, tiny_model: Path, deeper: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        await put_beside(app, pilot, deeper)
        app.clear_notifications()
        await pilot.press("K")
        await until(pilot, lambda: "Kept: 1 view" in said(app))
    (view,) = read_notebook(notebook()).views.values()
    assert "**logit lens of tiny**" in view.markdown and "**tuned lens of deeper**" in view.markdown
    assert f"`{tiny_model}` · float32" in view.markdown and f"`{deeper}` · float32" in view.markdown
    assert "logit lens of tiny and tuned lens of deeper" in view.caption
    assert view.figure.startswith("<?xml")
    (words,) = re.findall("```sh\n(.*)\n```\n", view.markdown)
    capsys.readouterr()
    assert main(shlex.split(words)[1:]) == 0
    assert capsys.readouterr().out == view.markdown


async def test_with_a_lens_of_the_first_model_as_well(opened: Any, deeper: Path, tmp_path: Path) -> None:
    """Three sides: two of the one model, one of the other, whose rows in the data are its own."""
    async with opened(TEXT, size=(220, 45)) as (app, pilot):
        app.program.sides.open(2, Start(model=str(deeper), lenses=(deeper / "lens.pt",)))
        await until(pilot, lambda: app.explore.is_compared and subtitle(app).endswith(" s"))
        await pilot.press("plus")
        await until(pilot, lambda: len(app.explore.sides) == 3 and subtitle(app).endswith(" s"))
        shown = [(side.model_number, side.kind) for side in app.explore.sides]
        await write(app, pilot, "json", tmp_path / "screen" / "readout.json")
        await write(app, pilot, "svg", tmp_path / "screen" / "readout.svg")
        words = await command(app, pilot)
    assert_same(words, ("json", "svg"), tmp_path)
    sides = json.loads((tmp_path / "screen" / "readout.json").read_text("utf-8"))["sides"]
    read = [
        (number, kind)
        for number, side in enumerate(sides)
        for kind in ("logit", "tuned")
        if side["lenses"][kind]
    ]
    assert sorted(read) == sorted({*shown})
    assert len(sides[1]["rows"]) == 5
