"""The legend names the levels of the colours."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from textual.app import ComposeResult

from lenstui.readout.scales import Scale
from lenstui.readout.values import KL, RANK
from lenstui.tui.grid.legend import Legend
from tests.tui.pilots.grid_app import VOCABULARY, ColourApp


@pytest.mark.parametrize("no_color", [False, True])
async def test_legend(no_color: bool) -> None:
    class OneLine(ColourApp):
        def compose(self) -> ComposeResult:
            yield Legend()

    app = OneLine()
    app.no_color = no_color
    async with app.run_test(size=(80, 3)) as pilot:
        legend = app.query_one(Legend)
        assert legend.render_line(0).text.split()[:2] == ["probability", "0%"]
        assert legend.render_line(0).text.split()[-1] == "100%"
        legend.value, legend.scale = RANK, RANK.scale((), VOCABULARY * 1000)
        await pilot.pause()
        text = legend.render_line(0).text
        assert text.startswith("rank of final top-1  50k ")
        assert text.endswith(" 0 · log scale")
        assert " 223 " in text
        assert legend.size.width == cell_len(text)
        assert ("█" in text) == no_color
        legend.value, legend.scale = KL, Scale(0, 3, low_is_bright=True)
        await pilot.pause()
        assert legend.render_line(0).text.split()[0:4] == ["KL", "from", "final", "3.00"]
        assert legend.render_line(0).text.endswith(" 0 nats")
        assert legend.render_line(0).cell_length == legend.size.width
