"""Take it away as a text for the clipboard, by keyboard alone."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.widgets import Input

from lenstui.support import paths
from lenstui.tui.explore import export
from tests.tui.pilots.export_pilot import TEXT, choose, copy, hint, id_of, pin, taken, write
from tests.tui.pilots.looking import place, said, subtitle, until


async def test_the_cell_the_row_and_the_column(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pin(app, pilot, "q")
        await pilot.press("left", "v")  # entropy
        cursor = app.explore.panes.cursor
        logit, tuned = (app.explore.grids[place(lens)].cells for lens in ("logit", "tuned"))
        assert logit is not None
        assert tuned is not None
        texts = app.explore.state.texts
        pinned = "q"

        cell = (await copy(app, pilot, "cell")).splitlines()
        assert cell[0].startswith(
            f'row {cursor.row - 1} · layer {cursor.row} of 3 · column {cursor.column} "'
        )
        best = texts[int(tuned.top_ids[cursor.row, cursor.column, 0])]
        assert any(line.startswith(f"tuned lens: {best} ") for line in cell)
        assert f'pinned "{pinned}"' in cell[3]

        column = list(csv.DictReader(io.StringIO(await copy(app, pilot, "column")), delimiter="\t"))
        assert [line["row"] for line in column] == ["emb", "0", "1", "2"]
        entropies = [float(line["tuned entropy, nats"]) for line in column]
        np.testing.assert_allclose(entropies, tuned.entropy[:, cursor.column], rtol=1e-5)
        probs = [float(line[f"logit p({pinned})"]) for line in column]
        np.testing.assert_allclose(probs, np.exp(logit.pin_logprobs[:, cursor.column, 0]), rtol=1e-5)

        row = await copy(app, pilot, "row")
        lines = [line.split("\t") for line in row.splitlines()]
        assert lines[0][:4] == ["column", "token", "logit top-1", "logit entropy, nats"]
        assert [line[1] for line in lines[1:]] == list(app.explore.state.columns)
        assert [line[2] for line in lines[1:]] == [texts[int(i)] for i in logit.top_ids[cursor.row, :, 0]]


async def test_the_whole_table(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        lines = [line.split("\t") for line in (await copy(app, pilot, "table")).splitlines()]
        assert lines[0] == ["lens", "row", *app.explore.state.columns]
        assert [line[:2] for line in lines[1:]] == [
            [lens, row] for lens in ("logit", "tuned") for row in ("2", "1", "0", "emb")
        ]
        cells = app.explore.grids[1].cells
        assert cells is not None
        top = app.explore.state.texts[int(cells.top_ids[0, 3, 0])]
        assert lines[-1][5].startswith(f"{top} ")
        text = await copy(app, pilot, "markdown")
        assert text.startswith("**logit lens** · probability\n\n|")
        assert "lenstui read -p 'Hello, you'" in text


async def test_a_text_goes_to_a_file_too_and_says_where_it_is_from(opened: Any, tmp_path: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        for thing, ending in (("row", ".tsv"), ("command", ".sh")):
            dialog = await choose(pilot, thing)
            assert not dialog.query_one(Input).display
            await pilot.press("f")
            assert dialog.query_one(Input).display
            assert dialog.query_one(Input).value.endswith(f"tiny-Hello-you-{thing}{ending}")
            dialog.query_one(Input).value = str(tmp_path / f"{thing}{ending}")
            await pilot.press("enter")
            await taken(app, pilot)
            app.clear_notifications()
        text = (tmp_path / "row.tsv").read_text()
        assert text.startswith("column\ttoken\t")
        for said_of in ("# prompt: Hello, you\n", "tuned lens lens.pt", "transformers ", "# lenstui read -p"):
            assert said_of in text
        assert (tmp_path / "command.sh").read_text().startswith("lenstui read -p 'Hello, you' --model /")


async def test_y_copies_as_many_tokens_as_the_cell_shows(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("down", "tab", "right_square_bracket", "y")
        cells, cursor = app.explore.grids[1].cells, app.explore.panes.cursor
        assert cells is not None
        ids = cells.top_ids[cursor.row, cursor.column]
        probs = cells.top_probs[cursor.row, cursor.column]
        first, second = (app.explore.state.texts[int(token)] for token in ids[:2])
        line = app.clipboard
        assert line.startswith(f"{first} ")
        assert f"%  {second} " in line
        assert line.count("%") == 2
        assert abs(float(line.removeprefix(f"{first} ").partition("%")[0]) - 100 * probs[0]) <= 0.5
        assert "Copied" in said(app)


async def test_the_command_of_appended_tokens(opened: Any, tmp_path: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        explore = app.explore
        await pilot.press("a")
        await until(
            pilot, lambda: len(explore.state.columns) == len(TEXT) + 1 and subtitle(app).endswith(" s")
        )
        await pilot.press("Y")
        await until(pilot, lambda: said(app))
        ids = [ord(text) for text in explore.state.columns if len(text) == 1]
        again = len(ids) == len(explore.state.columns)  # the token is one byte of text
        assert ("Copied: lenstui read" in said(app)) == again
        explore.parts.growth.grow(
            (*explore.state.tail, id_of("Ã"))
        )  # the first half of a letter, which is none alone
        await until(
            pilot, lambda: len(explore.state.columns) == len(TEXT) + 2 and subtitle(app).endswith(" s")
        )
        app.clear_notifications()
        before = app.clipboard
        await pilot.press("Y")
        await until(pilot, lambda: "No command reads the same" in said(app))
        app.clear_notifications()
        await write(app, pilot, "json", tmp_path / "two.json")
        assert json.loads((tmp_path / "two.json").read_text())["appended"] == 2
        assert app.clipboard == before


async def test_what_is_too_much_for_a_clipboard_goes_to_a_file(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "CLIPBOARD_LIMIT", 100)
    async with opened(TEXT) as (app, pilot):
        for thing in ("table", "markdown"):
            app.clear_notifications()
            await choose(pilot, thing)
            await pilot.press("enter")
            await until(pilot, lambda: "more than many terminals copy" in said(app))
            await until(pilot, lambda: app.screen is app.explore)
        assert app.clipboard == ""
        assert (paths.exports() / "tiny-Hello-you-table.tsv").read_text().startswith("lens\trow\t")
        assert (paths.exports() / "tiny-Hello-you-markdown.md").read_text().startswith("**logit lens**")


async def test_the_clipboard_in_tmux(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,1,0")
    async with opened(TEXT) as (app, pilot):
        await choose(pilot, "cell")
        assert "set -g set-clipboard on" in hint(app)
        await pilot.press("escape", "y")
        assert "set-clipboard" in said(app)
        await pilot.press("y")
        assert "set-clipboard" not in said(app)  # once is enough
