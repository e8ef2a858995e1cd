"""Earlier prompts: kept, walked through, and no harm when their file is."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textual.widgets import Static

from lenstui.support.request import Start
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.explore.prompt_line import EMPTY
from lenstui.tui.session.history import LONGEST, MOST, History, Walk
from tests.tui.pilots.still import Still, show


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history.json"


def test_it_is_kept_newest_last_and_none_twice_in_a_row(path: Path) -> None:
    history = History(path)
    for prompt in ("one", "two", "two", "", "one", "a\nb", "\ud800 \x1b", "x" * (LONGEST + 1)):
        history.add(prompt)
    assert history.prompts == ("one", "two", "one", "a\nb", "\ud800 \x1b")
    assert History(path).prompts == history.prompts
    for number in range(MOST):
        history.add(str(number))
    assert History(path).prompts == tuple(map(str, range(MOST)))
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_what_no_history_keeps_is_passed_over(path: Path) -> None:
    turns = {"turns": [{"role": "user", "content": "x" * 10_000_000}]}
    path.parent.mkdir()
    path.write_text(json.dumps({"version": 1, "prompts": ["one", "x" * 10_000_000, turns, "two"]}))
    assert History(path).prompts == ("one", "two")


def test_programs_share_it(path: Path) -> None:
    here, there = History(path), History(path)
    here.add("mine")
    there.add("yours")
    assert there.prompts == History(path).prompts == ("mine", "yours")


def test_two_at_once_do_not_break_it(path: Path) -> None:
    troubles = []

    def write(name: str) -> None:
        history = History(path)
        for number in range(50):
            history.add(f"{name} {number}")
        troubles.append(history.trouble)

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == [None, None]
    assert History(path).trouble is None
    assert {*History(path).prompts} == {f"{name} {number}" for name in "ab" for number in range(50)}


@pytest.mark.parametrize(
    "content",
    [b"", b'{"version": 1, "prompts": ["a', b"\xff", b"[]", b'{"version": 2, "prompts": ["a"]}', b"[" * 9000],
)
def test_a_damaged_file_is_told_once_and_replaced(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    history = History(path)
    assert history.trouble is not None
    assert str(path) in history.trouble
    history.add("new")
    assert History(path).prompts == ("new",)
    assert History(path).trouble is None


def test_a_file_that_cannot_be_written_breaks_nothing(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    history = History(tmp_path / "state" / "history.json")
    history.add("one")
    history.add("two")
    assert history.prompts == ("one", "two")
    assert history.trouble is not None
    assert "cannot be written" in history.trouble


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(content=JSON)
def test_any_json_is_read(tmp_path: Path, content: object) -> None:
    path = tmp_path / "history.json"
    path.write_text(json.dumps({"version": 1, "prompts": content}))
    assert all(isinstance(prompt, str) for prompt in History(path).prompts)


def test_walk() -> None:
    history = History()
    walk = Walk(history)
    assert walk.step(1, "draft") is None
    for prompt in ("one", "two"):
        history.add(prompt)
    assert walk.step(-1, "draft") is None
    assert walk.step(1, "draft") == "two"
    assert walk.step(1, "two") == "one"
    assert walk.step(1, "one") is None
    assert walk.step(-1, "one") == "two"
    assert walk.step(-1, "two") == "draft"
    assert walk.step(-1, "draft") is None
    assert walk.step(1, "two") == "one"  # it has just been read: what was before
    assert walk.step(1, "changed") == "two"  # a new walk
    assert walk.step(-1, "two") == "changed"


def test_the_prompt_that_it_started_with_is_walked_to_and_not_kept(path: Path) -> None:
    History(path).add("older")
    history = History(path)
    history.begin("start")
    walk = Walk(history)
    assert walk.step(1, "start") == "older"  # it is on screen
    assert walk.step(-1, "older") == "start"
    for added in ("new", "newer"):
        history.add(added)
    assert [walk.step(1, typed) for typed in ("newer", "new", "start")] == ["new", "start", "older"]
    assert History(path).prompts == ("older", "new", "newer")


def test_a_first_prompt_that_is_read_again_is_walked_to_once(path: Path) -> None:
    history = History(path)
    history.begin("start")
    history.add("start")
    history.add("new")
    walk = Walk(history)
    assert walk.step(1, "new") == "start"
    assert walk.step(1, "start") is None
    resumed = History(path)
    resumed.begin("new")  # where the last session ended
    walk = Walk(resumed)
    assert walk.step(1, "new") == "start"


def prompt(app: Any) -> str:
    return str(app.explore.query_one(PromptBox).prompt)


async def test_up_and_down_in_the_prompt(path: Path) -> None:
    History(path).add("an older\nprompt")
    app = Still(Start(prompt="first"), history=History(path))
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("i", "home", "shift+end", *"one", "enter")
        app.explore.query_one(PromptBox).focus()
        await pilot.press("shift+home", *"two", "enter")
        assert History(path).prompts == ("an older\nprompt", "one", "two")
        app.explore.query_one(PromptBox).focus()
        await pilot.press("x", "up")
        assert prompt(app) == "two"
        await pilot.press("up", "up")
        assert prompt(app) == "first"  # with which it started
        await pilot.press("up")
        assert prompt(app) == "an older\nprompt"
        await pilot.press("up")  # within it
        assert app.explore.query_one(PromptBox).cursor_location[0] == 0
        await pilot.press("down", "down", "down", "down", "down")
        assert prompt(app) == "twox"
        await pilot.press("down")
        assert prompt(app) == "twox"


async def test_what_cannot_be_kept_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    app = Still(Start(prompt="first"), history=History(tmp_path / "state" / "history.json"))
    async with app.run_test(size=(250, 40)) as pilot:
        await show(pilot)
        for text in ("a", "b"):
            app.explore.query_one(PromptBox).focus()
            await pilot.press(text, "enter")
        assert str(app.explore.query_one("#notice", Static).render()).count("cannot be written") == 1
        assert app.explore.query_one(PromptBox).border_subtitle != EMPTY
