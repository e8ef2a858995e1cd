"""Pins, key by key: what is pinned, its numbers, and what stays calm meanwhile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from lenstui.jobs.messages import TileRead
from lenstui.readout.number_texts import nats_text
from lenstui.readout.pins import MOST_PINS
from lenstui.readout.scales import NEUTRAL, NO_LEVEL, Scale
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.detail import Detail
from lenstui.tui.explore.pin_line import PinLine
from lenstui.tui.explore.pin_list import PinList
from lenstui.tui.explore.pin_plot import PinPlot, percent_text
from lenstui.tui.grid import pins
from lenstui.tui.grid.grid import Cursor
from lenstui.tui.grid.legend import Legend
from tests.by_hand.made_up import COLUMNS, WORDS, cells
from tests.tui.pilots.looking import said, subtitle, until
from tests.tui.pilots.pins_pilot import TEXT, coloured_by, grid, panel, pin_word, settled
from tests.tui.pilots.still import SIZES, show, side_tile, still

__all__ = ["still"]


def shown(app: LenstuiApp) -> list[str]:
    return [pin.text for pin in panel(app).pins]


def line(app: LenstuiApp) -> str:
    return app.explore.query_one(PinLine).render().plain


async def test_the_numbers_of_a_pin_are_those_of_the_whole_distribution(
    opened: Any, tiny_model: Path
) -> None:
    import torch

    from lenstui.lens import load, open_lens
    from lenstui.model.residual import residual_stream
    from lenstui.model.tokens import encode

    async with opened(TEXT) as (app, pilot):
        await pin_word(app, pilot, "q")
        assert shown(app) == ["q"]
        (pin,) = panel(app).pins
        model, lens = load(str(tiny_model)), open_lens(tiny_model / "lens.pt")
        ids = torch.tensor([encode(model.tokenizer, TEXT).ids])
        h = residual_stream(model.module, model.anatomy, ids)[:, 0]
        for name in ("logit", "tuned"):
            cells = grid(app, name).cells
            assert cells is not None
            for row in range(len(h)):
                x = h[row] if name == "logit" or row == len(h) - 1 else lens.transport(h[row], row)
                logits = model.head(x).float().detach()
                naive = logits.log_softmax(-1)[:, pin.id].numpy()
                np.testing.assert_allclose(cells.pin_logprobs[row, :, 0], naive, atol=1e-4)
                np.testing.assert_array_equal(
                    cells.pin_ranks[row, :, 0], (logits > logits[:, [pin.id]]).sum(-1).numpy()
                )


async def test_p_pins_the_token_under_the_cursor_and_unpins_it(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("down", "left")
        cells = grid(app).cells
        assert cells is not None
        assert not app.explore.query_one(PinLine).display
        await pilot.press("p")
        await settled(app, pilot)
        assert [pin.id for pin in panel(app).pins] == [int(cells.top_ids[2, -2, 0])]
        assert " r0" in line(app)  # the likeliest token has rank 0
        assert f"{100 * float(cells.top_probs[2, -2, 0]):.0f}%"[:1] in line(app)
        await pilot.press("p")
        assert shown(app) == []
        assert not app.explore.query_one(PinLine).display
        assert not app.explore.query_one(PinPlot).display


async def test_reading_the_pins_moves_nothing(opened: Any) -> None:
    async with opened(TEXT * 3) as (app, pilot):
        await pilot.press("down", "left", "left")
        place, scrolled, cells = grid(app).cursor, grid(app).scroll_offset, grid(app).cells
        assert cells is not None
        before = cells.kl.copy()
        await pilot.press("p")
        after = grid(app).cells
        assert after is not None
        assert not np.isnan(after.kl).any()  # not for a moment
        await settled(app, pilot)
        assert (grid(app).cursor, grid(app).scroll_offset) == (place, scrolled)
        np.testing.assert_allclose(after.kl, before)
        assert app.focused is grid(app)


async def test_a_word_that_is_no_token_is_its_first_one(opened: Any) -> None:
    async with opened(f"{TEXT} ") as (app, pilot):
        await pin_word(app, pilot, "zebra")
        assert shown(app) == ["z"]
        assert 'No token is "zebra": its first token, "z", is pinned.' in said(app)


async def test_a_word_that_begins_with_a_mere_space_is_refused(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("P", *"zebra", "enter")
        await until(pilot, lambda: "cut into · z e b r a" in said(app))
        assert shown(app) == []


async def test_a_word_pinned_twice_is_pinned_once(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pin_word(app, pilot, "q")
        await pilot.press("P", "q", "enter")
        await until(pilot, lambda: "pinned already" in said(app))
        assert shown(app) == ["q"]


async def test_escape_pins_nothing(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("P", "q", "escape")
        assert app.screen is app.explore
        assert shown(app) == []


async def test_eight_at_most_and_the_keys_say_so(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        panel(app).pins = pins.with_tokens((), [(token, chr(token)) for token in range(97, 105)])
        await settled(app, pilot)
        assert len({pin.colour for pin in panel(app).pins}) == MOST_PINS == len(panel(app).pins)
        await pilot.press("P")
        assert app.screen is app.explore
        assert "8 tokens are pinned" in said(app)
        assert pins.with_tokens(panel(app).pins, [(1, "x")]) == panel(app).pins


async def test_the_list_unpins_and_puts_first(opened: Any) -> None:
    async with opened(TEXT, size=(80, 24)) as (app, pilot):
        await pilot.press("u")
        assert "No pins yet" in said(app)
        for word in "xyz":
            await pilot.press("P", word, "enter")
            await until(pilot, lambda word=word: word in shown(app))
        await settled(app, pilot)
        await pilot.press("u")
        assert isinstance(app.focused, PinList)
        assert not app.explore.query_one(Detail).display
        cells = grid(app, "tuned").cells
        assert cells is not None
        entry = str(app.focused.get_option_at_index(1).prompt)
        row, column = grid(app).cursor.row, grid(app).cursor.column
        assert f"−{-cells.pin_logprobs[row, column, 1]:.2f}" in entry
        await pilot.press("down", "down", "enter")
        assert shown(app) == ["z", "x", "y"]
        await settled(app, pilot)
        await pilot.press("down", "p")
        assert shown(app) == ["z", "y"]
        await pilot.press("escape")
        await until(pilot, lambda: app.focused is grid(app))
        assert app.explore.query_one(Detail).display
        await pilot.press("u", "delete", "x")
        await until(pilot, lambda: app.focused is grid(app))
        assert shown(app) == []


async def test_the_numbers_of_a_pin_that_stays_stay(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        for word in "xy":
            await pilot.press("P", word, "enter")
            await until(pilot, lambda word=word: word in shown(app))
        await settled(app, pilot)
        cells = grid(app).cells
        assert cells is not None
        kept = cells.pin_logprobs[:, :, 1].copy()
        panel(app).pins = panel(app).pins[1:]
        await pilot.pause(0)
        cells = grid(app).cells
        assert cells is not None
        np.testing.assert_allclose(cells.pin_logprobs[:, :, 0], kept, atol=1e-5)


async def test_pins_stay_with_a_new_prompt_but_not_with_a_new_model(opened: Any, shared: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        await pin_word(app, pilot, "q")
        await pilot.press("i", "x", "enter")
        await until(pilot, lambda: subtitle(app).startswith("11 tokens"))
        await settled(app, pilot)
        assert shown(app) == ["q"]
        await pilot.press("m")
        app.screen.query_one(Input).value = str(shared / "models" / "stories260K")
        await pilot.press("enter")
        await until(pilot, lambda: shown(app) == [] and grid(app).cells is not None)


async def test_the_plot_shows_the_column_of_the_cursor(opened: Any) -> None:
    async with opened(TEXT, size=(120, 40)) as (app, pilot):
        await pin_word(app, pilot, "q")
        plot = app.explore.query_one(PinPlot)
        assert plot.display
        assert not plot.can_focus
        for keys in ([], ["left", "left"]):
            await pilot.press(*keys)
            await pilot.pause(0.2)
            column = grid(app).cursor.column
            for lens, drawn in zip(("tuned", "logit"), plot._datasets, strict=True):
                cells = grid(app, lens).cells
                assert cells is not None
                np.testing.assert_allclose(drawn.y, np.exp(cells.pin_logprobs[:, column, 0]))
        assert cells is not None
        for probability, top, label in (
            (0.0023, 0.0025, "0.25%"),
            (0.47, 0.5, "50%"),
            (1e-9, 1e-5, "0.001%"),
        ):
            logprobs = np.full_like(cells.pin_logprobs, np.log(probability))
            faint = [replace(cells, pin_logprobs=logprobs)]
            plot.show(app.explore.panel.pins, faint, app.explore.state.rows, 0, ["logit"])
            assert plot._y_max == pytest.approx(top)
            assert percent_text(plot._y_max) == label
        await pilot.resize_terminal(110, 40)
        await pilot.pause(0.1)
        assert not plot.display


async def test_without_a_tuned_lens(opened: Any) -> None:
    async with opened(TEXT, lens=False) as (app, pilot):
        await pilot.press("tab", "p")  # the cell's token is that of the logit lens then
        await settled(app, pilot)
        cells = grid(app).cells
        assert cells is not None
        assert panel(app).pins[0].id == cells.top_ids[3, -1, 0]
        assert "│" not in line(app)
        await pilot.press("u")
        assert "tuned" not in str(app.explore.query_one(PinList).get_option_at_index(0).prompt)


async def test_nothing_to_pin(opened: Any) -> None:
    async with opened("") as (app, pilot):
        await pilot.press("escape")
        grid(app).focus()
        await pilot.press("p")
        assert "not read yet" in said(app)


async def test_a_word_that_is_found_late_finds_the_cursor_where_it_is(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("P", "q", "enter", "left", "left", "down")
        await until(pilot, lambda: shown(app) == ["q"])
        await settled(app, pilot)
        assert grid(app).cursor == Cursor(2, len(TEXT) - 3)


async def test_the_values_of_pins_are_there_where_there_are_pins(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        panes = app.explore.panes
        await coloured_by(app, pilot, "next-rank")
        await pilot.press("v")
        assert panes.value.key == "prob"
        await pin_word(app, pilot, "q")
        await pilot.press("V")
        assert (panes.value.key, panes.value.label) == ("pin-rank", "rank of q")
        await pin_word(app, pilot, "w")
        await pilot.press("v")
        assert panes.value.label == "logit of q − w"
        for lens in ("logit", "tuned"):
            shown, cells = grid(app, lens), grid(app, lens).cells
            assert cells is not None
            np.testing.assert_array_equal(shown.values, cells.pin_logits[..., 0] - cells.pin_logits[..., 1])
            # What is told apart in logits is in probabilities too.
            odds = np.exp(cells.pin_logprobs[..., 0] - cells.pin_logprobs[..., 1])
            np.testing.assert_allclose(np.exp(shown.values), odds, rtol=1e-3)
            assert (np.sign(shown._cells.levels.astype(int) - NEUTRAL) * np.sign(shown.values) >= 0).all()
            assert shown.scale == Scale.around_zero(shown.scale.hi)
        assert panes.query_one(Legend).render_line(0).text.split()[-1] == nats_text(shown.scale.hi)


async def test_unpinning_what_is_shown_falls_back_and_says_so(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        panes = app.explore.panes
        for word in "qw":
            await pin_word(app, pilot, word)
        await coloured_by(app, pilot, "pin-diff")
        panel(app).pins = panel(app).pins[:1]
        await until(pilot, lambda: panes.value.key == "pin-logprob")
        assert "logit of q − w needs two pins: the colours show log p(q) now." in said(app)
        await settled(app, pilot)
        panel(app).pins = ()
        await until(pilot, lambda: panes.value.key == "prob")
        assert "log p(q) needs a pin: the colours show probability now." in said(app)
        cells = grid(app).cells
        assert cells is not None
        np.testing.assert_array_equal(grid(app).values, cells.top_probs[..., 0])


async def test_another_first_pin_is_shown_at_once(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        for word in "qw":
            await pin_word(app, pilot, word)
        await coloured_by(app, pilot, "pin-logprob")
        cells = grid(app).cells
        assert cells is not None
        wanted = cells.pin_logprobs[..., 1].copy()
        await pilot.press("u", "down", "enter")
        assert shown(app) == ["w", "q"]
        await pilot.pause()
        assert app.explore.panes.value.label == "log p(w)"
        np.testing.assert_allclose(grid(app).values, wanted, atol=1e-5)
        await settled(app, pilot)
        np.testing.assert_allclose(grid(app).values, wanted, atol=1e-5)


async def test_a_new_first_pin_has_no_colour_until_it_is_read(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pin_word(app, pilot, "q")
        await coloured_by(app, pilot, "pin-rank")
        shown = grid(app)
        shown.repin([-1])
        assert np.isnan(shown.values).all()
        assert (shown._cells.levels == NO_LEVEL).all()


async def show_pins(pilot: Pilot[None]) -> None:
    """What the model thread would say of three pins."""
    await show(pilot)
    explore = pilot.app.explore  # type: ignore[attr-defined]
    explore.panel.pins = pins.with_tokens((), [(i, WORDS[i]) for i in (0, 4, 5)])
    await pilot.pause(0.2)
    lenses = {}
    for lens, sharpness in (("logit", 1.0), ("tuned", 2.0)):
        of_lens = cells(sharpness)
        logprobs = np.log(of_lens.top_probs[..., [0, 1, 4]])
        ranks = np.broadcast_to(np.array([0, 1, 4], np.int32), logprobs.shape)
        lenses[lens] = replace(of_lens, pin_logits=logprobs, pin_logprobs=logprobs, pin_ranks=ranks)
    tile = side_tile(0, len(COLUMNS), lenses)
    explore.post_message(TileRead(explore.state.serial, tile, dict(enumerate(WORDS))))
    await pilot.pause(0.3)


@pytest.mark.parametrize("size", SIZES)
def test_how_pins_look(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(still, terminal_size=size, run_before=show_pins)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_how_the_list_looks(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def listed(pilot: Pilot[None]) -> None:
        await show_pins(pilot)
        await pilot.press("u", "down")
        await pilot.pause(0.2)

    assert snap_compare(still, terminal_size=size, run_before=listed)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_how_a_difference_of_pins_looks(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def shown(pilot: Pilot[None]) -> None:
        await show_pins(pilot)
        await pilot.press("V", "right_square_bracket")
        await pilot.pause(0.2)

    assert snap_compare(still, terminal_size=size, run_before=shown)
