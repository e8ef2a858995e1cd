"""The trust overlay: which rows are dim, their figures and where these are from, or why there are none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.style import Style
from textual.geometry import Region
from textual.pilot import Pilot

from lenstui.cli import main
from lenstui.export.colours import contrast, readable
from lenstui.jobs.messages import OpenModel, TrustFound
from lenstui.lens.trust import Trust
from lenstui.readout.values import values_for
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.grid import palette
from lenstui.tui.grid.grid import HEADER, Grid
from lenstui.tui.grid.palette import Mode
from tests.tui.pilots.looking import do, said, until
from tests.tui.pilots.session_pilot import begun, read
from tests.tui.pilots.still import MODEL, SIZES, show, still

__all__ = ["still"]

TUNED = Trust(dict(zip(MODEL.rows, (3.2, 2.1, 1.4, 0.91, 0.4, 0.12), strict=False)), "held out in its fit")
LOGIT = Trust(
    dict(zip(MODEL.rows, (12.3, 6.1, 4.2, 2.3, 1.01, 0.99), strict=False)), "eval on wiki.txt, 16,384 tokens"
)
_LINE = tuple[str, list[Style]]


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No evaluation is kept."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def drawn(grid: Grid) -> dict[str, _LINE]:
    """By the label of a row, what stands behind it on screen, and the styles of its cells."""
    found = {}
    for strip in grid.render_lines(Region(0, 0, *grid.size))[HEADER:]:
        segments = list(strip)
        label, *behind = segments[0].text.split() or [""]
        if label:
            styles = [each.style for each in segments[1:] if each.style is not None and each.text.strip()]
            found[label] = " ".join(behind), styles
    return found


def figures(grid: Grid) -> dict[str, str]:
    return {label: figure for label, (figure, _) in drawn(grid).items()}


def dim(before: dict[str, _LINE], after: dict[str, _LINE]) -> set[str]:
    """The rows without a cell that looks as one did before; columns may be wider or narrower now."""
    return {label for label, (_, styles) in after.items() if not set(styles) & set(before[label][1])}


def frame(app: LenstuiApp, place: int) -> str:
    return str(app.explore.panes.pane(place).border_subtitle or "")


async def turned_on(app: LenstuiApp, pilot: Pilot[None]) -> None:
    await pilot.press("D")
    await until(pilot, lambda: app.explore.panes.trusts is not None)


async def test_rows_with_a_high_kl_are_dim_and_the_key_takes_that_back(opened: Any) -> None:
    """The lens of the tiny model says 3, 2 and 1 nats; nothing says what the logit lens has."""
    async with opened() as (app, pilot):
        logit, tuned = app.explore.grids
        before, untouched, cursor = drawn(tuned), drawn(logit), app.explore.panes.cursor
        await turned_on(app, pilot)
        assert figures(tuned) == {"2": "", "1": "1.00", "0": "2.00", "emb": "3.00"}
        assert dim(before, drawn(tuned)) == {"0", "emb"}
        assert frame(app, 1) == "dim: KL > 1 nat · held out in its fit"
        assert dim(untouched, drawn(logit)) == set()
        assert set(figures(logit).values()) == {""}
        assert "no held-out KL known: E measures it" in frame(app, 0)
        assert said(app) == "No held-out KL of the logit lens is known: E measures it on a text."
        assert app.explore.panes.cursor == cursor
        assert logit.visible_columns() == tuned.visible_columns()
        await pilot.press("D")
        await pilot.pause()
        assert (drawn(tuned), drawn(logit)) == (before, untouched)
        assert (frame(app, 0), frame(app, 1)) == ("", "")


async def test_where_nothing_is_known_the_key_says_why(opened: Any) -> None:
    async with opened(lens=False) as (app, pilot):
        before = drawn(app.explore.grids[0])
        await pilot.press("D")
        await until(pilot, lambda: "No held-out KL of the logit lens is known: E measures it" in said(app))
        assert drawn(app.explore.grids[0]) == before
        assert not app.explore.look().trust


async def test_without_a_model_the_key_says_so(still: LenstuiApp) -> None:
    async with still.run_test() as pilot:
        await do(still, "trust")
        await pilot.pause()
        assert said(still) == "No model yet: m opens one."


async def test_an_evaluation_is_shown_for_every_lens_that_was_in_it(
    opened: Any, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "held-out.txt"
    text.write_text("the cat sat on the mat " * 20)
    words = ["eval", "--model", str(tiny_model), "--lens", str(tiny_model / "lens.pt"), "--data", str(text)]
    assert main([*words, "--seq-len", "32", "--format", "json"]) == 0
    reached = json.loads(capsys.readouterr().out)
    async with opened() as (app, pilot):
        before = [drawn(grid) for grid in app.explore.grids]
        await turned_on(app, pilot)
        for place, lens in enumerate(("logit", "tuned")):
            kl = dict(zip(reached["rows"][:-1], reached[lens]["kl"], strict=False))
            grid = app.explore.grids[place]
            assert figures(grid) == {"2": ""} | {label: f"{each:.2f}" for label, each in kl.items()}
            assert dim(before[place], drawn(grid)) == {label for label, each in kl.items() if each > 1}
            tokens = f"{reached['tokens']:,} tokens"
            assert frame(app, place) == f"dim: KL > 1 nat · eval on held-out.txt, {tokens}"
        assert said(app) == ""


async def test_without_the_final_norm_the_logit_lens_has_no_figure(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        still.explore.state.reading = replace(still.explore.state.reading, final_norm=False)
        await on_sides(still, pilot)
        assert set(figures(still.explore.grids[0]).values()) == {""}
        assert figures(still.explore.grids[1])["emb"] == "3.20"
        assert "without the final norm" in said(still)


async def on_sides(
    app: LenstuiApp,
    pilot: Pilot[None],
    trusts: tuple[Trust | None, ...] = (LOGIT, TUNED),
    model: OpenModel = MODEL,
) -> None:
    """Turn the overlay on, and post what the file thread would."""
    await pilot.press("escape", "D")
    app.explore.post_message(TrustFound(model.sides, trusts))
    await pilot.pause(0.1)


async def test_a_jacobian_lens_has_its_convergence(still: LenstuiApp) -> None:
    model = replace(MODEL, sides=(MODEL.sides[0], replace(MODEL.sides[1], kind="jacobian")))
    converged = Trust({"0": 0.49, "1": 0.5, "4": 0.98}, "measured in its fit", is_convergence=True)
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot, model)
        before = drawn(still.explore.grids[1])
        await on_sides(still, pilot, (None, converged), model)
        after = drawn(still.explore.grids[1])
        shown = {label: figure for label, figure in figures(still.explore.grids[1]).items() if figure}
        assert shown == {"0": "49%", "1": "50%", "4": "98%"}
        assert dim(before, after) == {"0"}
        assert frame(still, 1) == "dim: convergence < 50% · measured in its fit"
        await pilot.press("D")
        await on_sides(still, pilot, (None, None), model)
        assert "No convergence of quick-1 is known: a fit by lenstui measures it" in said(still)


async def test_a_difference_is_dim_where_either_side_is(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape", "d")
        await pilot.pause()
        before = drawn(still.explore.panes.shown_grid)
        await on_sides(still, pilot, (None, TUNED))
        assert dim(before, drawn(still.explore.panes.shown_grid)) == {"emb", "0", "1"}
        await pilot.press("D")
        await on_sides(still, pilot)
        assert dim(before, drawn(still.explore.panes.shown_grid)) == {"emb", "0", "1", "2", "3"}


async def test_a_lens_in_training_has_no_figure(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await on_sides(still, pilot)
        still.explore.panes.training = frozenset({1})
        await pilot.pause()
        assert set(figures(still.explore.grids[1]).values()) == {""}
        assert figures(still.explore.grids[0])["emb"] == "12.3"
        still.explore.panes.training = frozenset()
        await pilot.pause()
        assert figures(still.explore.grids[1])["emb"] == "3.20"


async def test_what_is_found_of_other_sides_is_not_shown(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        before = drawn(still.explore.grids[0])
        await on_sides(still, pilot, model=replace(MODEL, sides=MODEL.sides[::-1]))
        assert drawn(still.explore.grids[0]) == before


async def test_the_last_row_is_never_dim_by_whatever_value(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await on_sides(still, pilot)
        for _ in values_for([]):
            on = drawn(still.explore.grids[0])
            still.explore.panes.trusts = None
            await pilot.pause()
            assert dim(drawn(still.explore.grids[0]), on) == {"emb", "0", "1", "2", "3"}
            still.explore.panes.trusts = (LOGIT, TUNED)
            await pilot.press("v")
            await pilot.pause()


async def test_the_cursor_stays_in_sight(still: LenstuiApp) -> None:
    async with still.run_test(size=(60, 20)) as pilot:
        await show(pilot)
        await pilot.press("escape", "end")
        await on_sides(still, pilot)
        grid = still.explore.grids[0]
        width = grid.scrollable_content_region.width
        right = grid.gutter_width + (grid.cursor.column + 1) * grid.column_width - grid.scroll_offset.x
        assert right <= width


@pytest.mark.parametrize(
    ("mode", "ground"),
    [
        (Mode.TRUE, "#121318"),
        (Mode.INDEXED, "#121318"),
        (Mode.LIGHT_TRUE, "#fafaf7"),
        (Mode.LIGHT_INDEXED, "#fafaf7"),
    ],
)
def test_dim_cells_recede_and_can_be_read(mode: Mode, ground: str) -> None:
    for style in palette.styles(mode).values():
        faint = palette.dimmed(style, Style(bgcolor=ground))
        assert faint.color is not None
        assert faint.bgcolor is not None
        assert style.bgcolor is not None
        text, back, before = (
            each.get_truecolor().hex for each in (faint.color, faint.bgcolor, style.bgcolor)
        )
        assert contrast(text, back) >= 3
        assert contrast(back, ground) <= contrast(before, ground)
        assert contrast(text, back) < contrast(readable(back), back)


def test_with_too_few_colours_the_terminal_makes_them_dim() -> None:
    assert palette.dimmed(Style(), Style()).dim


async def test_it_is_kept_for_the_next_session(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a model that has been evaluated without a lens of its own."""
    path, text = tmp_path / "session.json", tmp_path / "held-out.txt"
    text.write_text("the cat sat on the mat " * 20)
    assert main(["eval", "--model", str(tiny_model), "--data", str(text), "--format", "json"]) == 0
    kl = json.loads(capsys.readouterr().out)["logit"]["kl"]
    for keys in (["D", "q"], ["q"]):
        app = begun(Start(model=str(tiny_model)), path)
        async with app.run_test(size=(120, 40)) as pilot:
            await read(app, pilot)
            await pilot.press(*keys[:-1])
            await until(pilot, lambda app=app: app.explore.panes.trusts is not None)
            assert figures(app.explore.grids[0])["emb"] == f"{kl[0]:.2f}"
            await pilot.press("q")


@pytest.mark.parametrize("size", SIZES)
def test_it_looks_as_before(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def overlaid(pilot: Pilot[None]) -> None:
        await show(pilot)
        await on_sides(still, pilot)
        await pilot.press("c")
        await pilot.pause(0.2)

    assert snap_compare(still, terminal_size=size, run_before=overlaid)
