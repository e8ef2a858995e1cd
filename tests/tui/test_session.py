"""Where the last session ended: kept, found again, and no harm when its file is damaged."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textual.widgets import Static

from lenstui.opening.opened import open_model
from lenstui.support.request import Again, Start
from lenstui.support.settings import Settings
from lenstui.tui.app import FIRST_PROMPT
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.grid.grid import Cursor
from lenstui.tui.session.fit_texts import LastText
from lenstui.tui.session.session import Look, Session, depth_of
from tests.tui.pilots.looking import until
from tests.tui.pilots.session_pilot import begun, read
from tests.tui.pilots.still import Still, show


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "session.json"


async def test_everything_is_as_it_was(path: Path, tiny_model: Path) -> None:
    start = Start(model=str(tiny_model))
    app = begun(start, path)
    async with app.run_test(size=(120, 40)) as pilot:
        await read(app, pilot)
        assert app.explore.query_one(PromptBox).prompt == FIRST_PROMPT
        app.program.lenses.open(tiny_model / "lens.pt", app.program.post)
        await until(pilot, lambda: app.explore.model.lens is not None)  # type: ignore[union-attr]
        await read(app, pilot)
        await pilot.press("i", *" so", "enter")
        await until(pilot, lambda: len(app.explore.state.columns) == len(FIRST_PROMPT) + 3)
        await read(app, pilot)
        await pilot.press("v", "v", "right_square_bracket", "r", "tab", "left", "left", "down")
        app.theme = "light"
        cursor, depth = app.explore.panes.cursor, app.explore.grids[0].depth
        await pilot.press("q")
    assert json.loads(path.read_text())["version"] == 1

    app = begun(start, path)
    async with app.run_test(size=(120, 40)) as pilot:
        await read(app, pilot)
        panes = app.explore.panes
        assert app.explore.query_one(PromptBox).prompt == FIRST_PROMPT + " so"
        assert panes.cursor == cursor != Cursor(3, len(app.explore.state.columns) - 1)
        assert (panes.value.key, panes.grids[1].depth, panes.active) == ("kl", depth, 1)
        assert not panes.grids[0].bottom_up
        assert app.explore.model is not None
        assert app.explore.model.lens_file == tiny_model / "lens.pt"
        assert app.theme == "light"
        assert str(app.explore.query_one("#notice", Static).render()) == ""


async def test_the_model_comes_back_and_that_is_said(path: Path, tiny_model: Path) -> None:
    app = begun(Start(model=str(tiny_model), prompt="abc"), path)
    async with app.run_test(size=(120, 40)) as pilot:
        await read(app, pilot)
        await pilot.press("q")
    app = begun(Start(), path)
    async with app.run_test(size=(250, 40)) as pilot:
        await read(app, pilot)
        assert app.explore.model is not None
        assert app.explore.model.name == str(tiny_model)
        assert app.explore.query_one(PromptBox).prompt == "abc"
        assert "the model of the last session" in str(app.explore.query_one("#notice", Static).render())


def kept(path: Path, model: str, **look: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    content = {"version": 1, "model": model, "models": {model: {**asdict(Look()), **look}}}
    path.write_text(json.dumps(content))


def test_the_command_line_comes_first(path: Path, tmp_path: Path) -> None:
    kept(path, "a/b", prompt="before", lens_file="/x.pt", when=7.0)
    assert Session(path).resume(Start())[0] == Start(prompt="before", again=Again("a/b", Path("/x.pt"), 7.0))
    for start in (Start(prompt="mine"), Start(lenses=(tmp_path,))):
        assert Session(path).resume(start) == (start, None)
    assert Session(path, restores=False).resume(Start()) == (Start(), None)
    for start in (Start(demo=True), Start(model="c/d")):
        found, look = Session(path).resume(start)
        assert (found.prompt, look) == (None, Look())
        assert found.again is not None
        assert found.again.lens is None


def test_a_model_that_is_gone_gives_way_to_the_default_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from lenstui.opening import found_model
    from lenstui.support.errors import LensError

    def default(*_: object) -> None:
        raise LensError("the default one")

    monkeypatch.setattr(found_model, "choose_default", default)
    with pytest.raises(LensError, match="the default one"):
        open_model(Start(again=Again(str(tmp_path / "gone"))))


def test_a_lens_whose_name_no_file_can_have_is_one_that_is_gone(tiny_model: Path) -> None:
    wrong = Path("a\0b.pt")
    opened = open_model(Start(again=Again(str(tiny_model), wrong, others=(wrong,))))
    assert (opened.lens_remark or "").endswith(r"There is no lens file a\x00b.pt.")


def test_two_programs_keep_what_both_have(path: Path) -> None:
    kept(path, "a/b", prompt="before")
    mine, yours = Session(path), Session(path)
    mine.keep("a/b", Look(prompt="mine"), named=True)  # another model is opened, and the program goes on
    yours.keep("c/d", Look(prompt="yours"), named=True)
    yours.keep_theme("light", Settings())
    yours.lenses_by_kl = True
    assert yours.save() is None
    mine.keep("e/f", Look(prompt="mine, too"), named=True)
    assert mine.save() is None
    found = Session(path)
    prompts = {name: found.resume(Start(model=name))[0].prompt for name in found.recent()}
    assert prompts == {"c/d": "yours", "a/b": "mine", "e/f": "mine, too"}
    assert found.theme(Settings()) == "light"
    assert found.lenses_by_kl


def test_the_theme_of_the_palette_gives_way_to_a_new_one_in_the_settings(path: Path) -> None:
    session = Session(path)
    session.keep_theme("light", Settings(theme="ansi-dark"))
    assert session.save() is None
    assert Session(path).theme(Settings(theme="ansi-dark")) == "light"
    assert Session(path).theme(Settings(theme="dark")) == "dark"
    assert Session(path, restores=False).theme(Settings()) is None
    session.keep_theme("mauve", Settings())
    session.save()
    assert Session(path).theme(Settings()) is None


@pytest.mark.parametrize(
    "content", [b"", b'{"version": 1, "mod', b"\xff", b"[]", b'{"version": 0}', b"[" * 9000]
)
async def test_a_damaged_file_is_told_and_replaced(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    session = Session(path)
    app = Still(Start(prompt="x"), session=session)
    async with app.run_test(size=(250, 40)) as pilot:
        await show(pilot)
        assert str(path) in str(app.explore.query_one("#notice", Static).render())
        await pilot.press("escape", "q")
    assert Session(path).trouble is None


async def test_a_file_that_cannot_be_written_is_told_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    app = Still(Start(prompt="x"), session=Session(tmp_path / "state" / "session.json"))
    async with app.run_test() as pilot:
        await show(pilot)
        await pilot.press("escape", "q")
    assert "cannot be written" in str(app.last_words)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*asdict(Look()), "a/b"]), inner),
    max_leaves=12,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    content=st.dictionaries(st.sampled_from(["model", "models", "theme", "theme_over", "fit_texts"]), JSON),
    look=st.dictionaries(st.sampled_from(list(asdict(Look()))), JSON),
)
def test_any_json_is_read(tmp_path: Path, content: dict[str, object], look: dict[str, object]) -> None:
    path = tmp_path / "session.json"
    for models in ({}, {"models": {"a/b": look}}):
        path.write_text(json.dumps({"version": 1, **content, **models}))
        session = Session(path)
        session.resume(Start())
        found = session.resume(Start(model="a/b"))[1]
        assert isinstance(found, Look)
        assert all(type(value) is type(asdict(Look())[name]) for name, value in asdict(found).items())
        session.theme(Settings())


@pytest.mark.parametrize(
    ("key", "found"), [("agree", "agree"), ("next-rank", "next-rank"), ("pin-diff", "prob")]
)
async def test_a_value_comes_back_but_one_of_pins_that_are_gone_does_not(key: str, found: str) -> None:
    app = Still(Start(prompt="x"), look=Look(value=key))
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        assert app.explore.panes.value.key == found
        assert app.explore.look().value == found


async def test_a_wild_look_is_put_back_as_far_as_it_goes() -> None:
    look = Look(row=10**30, column=10**9, value="x", depth=99, lens="y", bottom_up=False)
    app = Still(Start(prompt="x"), look=look)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        assert app.explore.panes.cursor == Cursor(6, 7)
        assert app.explore.panes.value_index == 0
    assert depth_of(look) is None


def test_texts_of_ten_megabytes_are_passed_over() -> None:
    assert Look.read({"prompt": "x" * 10_000_000, "row": 3}) == Look(row=3)
    assert LastText.read({"data": "x" * 10_000_000, "column": ""}) == LastText()
