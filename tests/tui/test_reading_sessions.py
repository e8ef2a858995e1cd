"""How the prompt is read stays from one session to the next."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Input

from lenstui.model.rows import parse_rows
from lenstui.readout.reading import Reading
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.session.session import Session
from tests.tui.pilots.looking import said, subtitle, until
from tests.tui.pilots.reread_pilot import mark, reread


async def begun(pilot: Pilot[None], app: LenstuiApp) -> None:
    await until(pilot, lambda: subtitle(app).endswith(" s"))


def again(folder: Path, path: Path, **asked: Any) -> LenstuiApp:
    session = Session(path)
    start, look = session.resume(Start(model=str(folder), **asked))
    return LenstuiApp(start, session=session, look=look)


async def test_a_session_goes_on_as_far_as_the_tokenizer_lets_it(
    tmp_path: Path, chat_model: Path, tiny_model: Path
) -> None:
    folder, path = tmp_path / "model", tmp_path / "session.json"
    shutil.copytree(chat_model, folder)
    app = again(folder, path)
    async with app.run_test(size=(120, 40)) as pilot:
        await begun(pilot, app)
        await reread(app, pilot, "0", words={"final_norm": "off", "chat": "on"})
        assert app.explore.state.rows == ("0", "2")
        await pilot.press("q")
    wanted = Reading(parse_rows("0"), final_norm=False, chat=True)

    app = again(folder, path)
    async with app.run_test(size=(120, 40)) as pilot:
        await begun(pilot, app)
        assert app.explore.state.shown_reading == wanted
        assert mark(app) == "prompt · no final norm · chat · rows 0"
        assert app.explore.state.rows == ("0", "2")

    app = again(folder, path, bos=True)  # the command line comes first
    async with app.run_test(size=(120, 40)) as pilot:
        await begun(pilot, app)
        assert app.explore.state.shown_reading == replace(wanted, bos=True, chat=False)
        assert app.explore.state.columns[0] == "<bos>"

    for prompt in ("hi", None):  # with a prompt, or where nothing is restored, it begins afresh
        session = Session(path, restores=prompt is not None)
        start, look = session.resume(Start(model=str(folder), prompt=prompt))
        app = LenstuiApp(start, session=session, look=look)
        async with app.run_test(size=(120, 40)) as pilot:
            await begun(pilot, app)
            assert app.explore.state.shown_reading == Reading()

    (folder / "chat_template.jinja").unlink()
    app = again(folder, path)
    async with app.run_test(size=(120, 40)) as pilot:
        await begun(pilot, app)
        assert app.explore.state.shown_reading == replace(wanted, chat=False)
        assert "This tokenizer has no chat template." in said(app)


async def test_each_model_has_its_own(tmp_path: Path, chat_model: Path, tiny_model: Path) -> None:
    app = LenstuiApp(Start(prompt="hi", model=str(chat_model), chat=True))

    async def open_model(pilot: Pilot[None], folder: Path) -> None:
        await pilot.press("m")
        app.screen.query_one(Input).value = str(folder)
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.model and app.explore.model.name == str(folder))
        await begun(pilot, app)

    async with app.run_test(size=(120, 40)) as pilot:
        await begun(pilot, app)
        assert mark(app) == "prompt · chat"
        assert "".join(app.explore.state.columns) == "<bos><user>hi<assistant>"
        await reread(app, pilot, words={"final_norm": "off", "chat": "off"})
        await open_model(pilot, tiny_model)
        assert mark(app) == "prompt"
        assert "This tokenizer has no chat template." in said(app)
        await open_model(pilot, chat_model)
        assert mark(app) == "prompt · no final norm"
