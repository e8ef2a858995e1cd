"""The list of keys by topic: what works here first, and what words lead to what."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from textual.dom import DOMNode
from textual.pilot import Pilot
from textual.widgets import OptionList

from lenstui.tui import topics
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.pin_list import PinList
from lenstui.tui.help.keys import Keys
from lenstui.tui.keymap import bindings_of, places
from lenstui.tui.topics import HEADINGS, TOPICS
from tests.tui.pilots.lenses_pilot import folder, go
from tests.tui.pilots.looking import keys_of
from tests.tui.pilots.still import show, still

__all__ = ["folder", "still"]


def ids() -> set[str]:
    """Of all bindings of all places, and of the app."""
    owners: tuple[type[DOMNode], ...] = (LenstuiApp, *(place.owner for place in places()))
    return {binding.id for owner in owners for binding in bindings_of(owner) if binding.id}


def test_every_key_has_a_topic_and_no_topic_is_stale() -> None:
    assert set(TOPICS) == ids()
    listed = Counter(name for names in topics._IDS.values() for name in names)
    assert set(listed.values()) == {1}
    assert {entry.topic for entry in TOPICS.values()} == set(HEADINGS)


LOOK = "look: the prompt, its cells, pinned words (on other screens)"


async def listed(pilot: Pilot[None], typed: str = "") -> list[str]:
    """The lines of the list of keys, its headings too, after something is typed."""
    if not isinstance(pilot.app.screen, Keys):
        await pilot.press("question_mark")
    assert isinstance(pilot.app.screen, Keys)
    await pilot.press(*["space" if letter == " " else letter for letter in typed])
    await pilot.pause()
    options = pilot.app.screen.query_one(OptionList).options
    return [" ".join(str(option.prompt).split()) for option in options]


def under(lines: list[str], heading: str) -> list[str]:
    """The lines under a heading."""
    headings = [line for line in lines if line.endswith(("(here)", "(on other screens)", "mean"))]
    start = lines.index(next(line for line in headings if line.startswith(heading)))
    rest = headings[headings.index(lines[start]) + 1 :]
    return lines[start + 1 : lines.index(rest[0]) if rest else len(lines)]


async def test_what_works_here_comes_first_under_its_topics(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        lines = await listed(pilot)
        here = [line.split(":")[0].split(" ")[0] for line in lines if line.endswith("(here)")]
        assert here == list(HEADINGS)
        assert lines[0].endswith("(here)")
        assert "v Colour by the next value" in under(lines, "look")
        assert "d The active side minus the first, or the second minus it; and back" in under(
            lines, "compare"
        )
        assert "} shift+→ Page right grid" in under(lines, "moving")  # of what has the focus
        last = max(at for at, line in enumerate(lines) if line.endswith("(here)"))
        assert lines.index("s Save the lens in use as a file lenses") > last
        assert lines.index("row k what block k hands on; emb: the embedding word") > last


async def test_the_keys_of_what_has_the_focus_hide_those_behind(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape", "p", "u")
        assert isinstance(still.focused, PinList)
        lines = await listed(pilot)
        elsewhere = lines.index(next(line for line in lines if line.endswith("(on other screens)")))
        assert lines.index("p Unpin the token: also x, Delete pins") < elsewhere
        assert lines.index("p Pin the cell's token, or unpin it Explore") > elsewhere


async def test_another_screen_has_its_own_first(opened: Any, folder: Any) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot)
        lines = await listed(pilot)
        assert "s Save the lens in use as a file lenses" in under(lines, "lenses: train, open, save (here)")
        assert "v Colour by the next value Explore" in under(lines, LOOK)
        assert sum("every action by name" in line for line in lines) == 1  # here alone, not once a screen


# What people type who have never seen it, and what is to be among what they find.
FOUND = {
    "attribution": "Rows of what attention and MLP of each block add",
    "csv": "Export tokens and numbers, or a figure, to a file or the clipboard",
    "chat": "The prompt as turns of a chat: system, user, assistant",
    "entropy": "Colour by the next value",
    "save": "Save the lens in use as a file",
    "layers": "How it is read: rows, final norm, BOS, chat",
    "residual": "Rows of what attention and MLP of each block add",
    "difference": "The active side minus the first",
    "zoom": "Taller rows: more of the top tokens",
    "colour": "Colour by the next value",
    "color": "Colour by the next value",
    "quit": "Quit",
    "exit": "Quit",
    "copy": "Copy the cell's likeliest tokens",
    "clipboard": "Copy the command that reads the same",
    "logit": "The cell's likeliest tokens, on every side, in full",
    "train": "Train a lens for the open model",
    "fit": "Train a lens for the open model",
    "figure": "Export tokens and numbers, or a figure, to a file or the clipboard",
    "svg": "Export tokens and numbers, or a figure, to a file or the clipboard",
    "json": "Export tokens and numbers, or a figure, to a file or the clipboard",
    "dataset": "Read a file of prompts, each at its end",
    "paired": "A second model, lens or edits to compare",
    "anomaly": "Outlier scores against a reference set, a prompts file",
    "checkpoint": "The next revision of the model",
    "undo": "Remove the last appended token",
    "theme": "Command palette: every action by name",
    "search": "Find a token among the columns",
    "sort": "Sort by the next column",
    "ablate": "Edits of the active side",
    "causal tracing": "Causal trace: patch a clean run into a corrupted one",
    "rome": "Causal trace: patch a clean run into a corrupted one",
    "what if": "Edits of the active side",
    "neuron": "What wrote this cell's token",
    "circuit": "What wrote this cell's token",
    "kl colour": "Colour by the next value",
}


@pytest.mark.parametrize("word", FOUND)
async def test_words_lead_to_keys(still: LenstuiApp, word: str) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        assert any(FOUND[word] in line for line in await listed(pilot, word))


@pytest.mark.parametrize("word", ["probe", "sparse", "autoencoder"])
async def test_words_for_what_there_is_not_lead_nowhere(still: LenstuiApp, word: str) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        assert await listed(pilot, word) == ["nothing found"]


async def test_the_word_that_led_there_is_shown(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        lines = await listed(pilot, "parq")
        assert "x Export tokens and numbers, or a figure, to a file or the clipboard · parquet" in lines


@pytest.mark.parametrize(("typed", "does"), [("v", "Colour by the next value"), ("V", "by the value before")])
async def test_one_character_is_a_key(still: LenstuiApp, typed: str, does: str) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        lines = await listed(pilot, typed)
        assert any(does in line for line in lines)
        keys = [line for line in lines if not line.endswith(("(here)", "screens)"))]
        assert all(line.startswith(f"{typed} ") for line in keys)


async def test_a_search_has_no_headings_without_keys(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        lines = await listed(pilot, "screenshot")
        assert len(lines) == 2
        assert lines[0] == "export: files and the clipboard (here)"


async def test_it_can_be_paged(still: LenstuiApp) -> None:
    async with still.run_test(size=(80, 24)) as pilot:
        await show(pilot)
        await pilot.press("escape", "question_mark")
        options = still.screen.query_one(OptionList)
        await pilot.press("pagedown", "pagedown")
        place = options.highlighted
        assert place is not None
        assert place > 10
        assert not options.options[place].disabled
        await pilot.press("up")
        assert options.highlighted == place - 1 or options.options[place - 1].disabled


async def test_every_key_is_listed_once(still: LenstuiApp) -> None:
    async with still.run_test():
        keys = [key for key in keys_of(still) if key.topic]
        assert len({(key.place, key.keys, key.does) for key in keys}) == len(keys)
        assert any((key.keys, key.does) == ("^q", "Quit") for key in keys)
