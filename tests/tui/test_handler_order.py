"""The order in which the parts of Explore hear of what has come.

The order decides what happens: what has been read is laid out before it is marked as read in another way, and
the cell in full follows the sides before Explore shows them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
from textual.binding import Binding
from textual.message import Message

from lenstui.jobs import export_messages, fit_messages, instant_messages, messages
from lenstui.jobs.fit_messages import FitStatus, Phase, TrainingRead
from lenstui.jobs.messages import (
    CellNotRead,
    CellRead,
    FinalsCompared,
    ReadDone,
    ReadFailed,
    ReadStarted,
    TileRead,
    WordsRead,
)
from lenstui.opening.side_reading import SideTile
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.keys import KEYS
from lenstui.tui.explore.screen import Explore
from tests.tui.pilots.still import MODEL

PARTS = (
    "appearance", "cell", "comparison", "explanation", "export", "finals", "find", "first_row",
    "follower", "growth", "instant", "model_view", "menu", "options", "pins", "prompt_line", "reader",
    "scanned", "sublayers", "tracing", "training", "trust", "turns",
    "words",
)  # fmt: skip
OF_THE_APP = {
    "LoadStage", "LoadFailed", "ModelLoaded", "LensOpened", "SidesChanged", "FitChanged",
    "InstantChanged",
}  # fmt: skip
OF_OTHER_SCREENS = {
    "LensRefused", "LensSaved", "LensNotSaved", "LensesListed", "TranslatorMeasured", "LensNotMeasured",
    "TextCounted", "TextRefused", "UnfinishedFound", "FitsElsewhere", "CheckpointWritten",
    CellRead.__name__, CellNotRead.__name__,
}  # fmt: skip
KINDS = [
    kind
    for module in (messages, fit_messages, instant_messages, export_messages)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Message) and kind.__module__ == module.__name__
]


class Listener:
    """Stands for a part: notes by its name what is called."""

    def __init__(self, name: str, heard: list[str]) -> None:
        self.name, self.heard = name, heard

    def __getattr__(self, method: str) -> Callable[..., None]:
        return lambda *_: self.heard.append(f"{self.name}.{method}")


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> tuple[Explore, list[str]]:
    """Explore with listeners for its parts, and what they hear."""
    explore, calls = LenstuiApp(Start()).explore, list[str]()
    for name in PARTS:
        listener = Listener(name, calls)
        monkeypatch.setattr(explore.parts, name, listener)
        if hasattr(explore, name):
            monkeypatch.setattr(explore, name, listener)
    return explore, calls


def test_the_parts_are_all_that_explore_holds() -> None:
    explore = LenstuiApp(Start()).explore
    assert explore.parts
    found = {
        name
        for name, part in {**vars(explore), **vars(explore.parts)}.items()
        if type(part).__module__.startswith("lenstui.tui.explore.")
    }
    assert found == {*PARTS, "parts", "state", "widgets"}


@pytest.mark.parametrize(
    ("message", "order"),
    [
        (
            ReadStarted(0, ("a",), 0, ("emb",)),
            ["reader.lay_out", "turns.begin", "sublayers.begin", "options.take_effect", "trust.follow"],
        ),
        (TileRead(0, SideTile(0, 1, {}), {}), ["reader.show_tile", "sublayers.add"]),
        (
            ReadDone(0, 0.1),
            ["reader.finish", "cell.read_anew", "sublayers.say", "finals.compare", "instant.consider"],
        ),
        (FinalsCompared(0, {}), ["finals.take"]),
        (ReadFailed(0, "why"), ["reader.fail", "cell.fail", "growth.fail", "options.fail"]),
        # Of an earlier reading, which nobody waits for any more.
        (ReadStarted(7, ("a",), 0, ("emb",)), []),
        (TileRead(7, SideTile(0, 1, {}), {}), []),
        (ReadDone(7, 0.1), ["cell.read_anew"]),
        (FinalsCompared(7, {}), []),
        (ReadFailed(7, "why"), []),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Message) else None,
)
def test_the_parts_hear_of_a_reading_in_order(
    heard: tuple[Explore, list[str]], message: Message, order: list[str]
) -> None:
    explore, calls = heard
    getattr(explore, message.handler_name)(message)
    assert calls == order


def test_the_parts_hear_of_other_sides_in_order(heard: tuple[Explore, list[str]]) -> None:
    explore, calls = heard
    explore.show_sides(MODEL)
    shown = ["cell.take_sides", "model_view.show_sides", "prompt_line.show_edits", "comparison.take_sides"]
    assert calls == shown


def test_the_parts_hear_of_words_in_order(heard: tuple[Explore, list[str]]) -> None:
    explore, calls = heard
    explore.on_words_read(WordsRead(0, 0))
    explore.on_training_read(TrainingRead(0, "tuned", 0, None, {}, 0.1))  # type: ignore[arg-type]
    assert calls == ["words.take", "cell.show_words", "training.show_cells", "words.read_anew"]


def test_the_parts_hear_of_a_fit_in_order(heard: tuple[Explore, list[str]]) -> None:
    explore, calls = heard
    explore.show_fit(FitStatus(Phase.RUNNING))
    explore.show_fit(FitStatus(Phase.DISCARDED))
    heard_of = ["training.show_status", "instant.take_fit"]
    assert calls == [*heard_of, heard_of[0], "reader.show_lens_in_use", heard_of[1]]


def test_another_model_ends_what_was_begun_for_the_former(heard: tuple[Explore, list[str]]) -> None:
    explore, calls = heard
    explore.show_model(MODEL)
    assert calls == ["instant.forget", "model_view.show_model"]


def handlers(owner: type[Any], kind: type[Message]) -> list[str]:
    """The classes of ours that have a handler of a message: Textual calls all of them."""
    found = []
    for part in owner.__mro__:
        if part.__module__.startswith("lenstui."):
            decorated = vars(part).get("_decorated_handlers", {})
            found += [part.__name__ for heard in decorated if issubclass(kind, heard)]
            found += [part.__name__] * (kind.handler_name in vars(part))
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_message_has_one_handler(kind: type[Message]) -> None:
    of_explore, of_app = handlers(Explore, kind), handlers(LenstuiApp, kind)
    assert len(of_explore) == (kind.__name__ not in OF_THE_APP | OF_OTHER_SCREENS)
    assert len(of_app) <= 1
    assert (kind.__name__ in OF_THE_APP) <= len(of_app)


def test_every_key_goes_to_a_part_that_there_is() -> None:
    parts = LenstuiApp(Start()).explore.parts
    asked = [re.match(r"do\('(\w+)', '(\w+)'", key.action) for key in KEYS if isinstance(key, Binding)]
    found = [match.groups() for match in asked if match]
    assert len(found) > 20
    for part, method in found:
        assert callable(getattr(getattr(parts, part), method))


def test_no_part_knows_the_screen() -> None:
    explore = LenstuiApp(Start()).explore
    for name in PARTS:
        module = inspect.getsource(inspect.getmodule(type(getattr(explore.parts, name))))  # type: ignore[arg-type]
        assert "explore.screen" not in module
