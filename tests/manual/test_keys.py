"""The tables of keys: each key of each screen is in the manual, under its screen, and no other."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import suppress

from textual.binding import Binding
from textual.dom import DOMNode

import lenstui.tui
from lenstui.support.settings import key_name
from lenstui.tui import keymap
from lenstui.tui.topics import TOPICS
from tests.manual.pages import MANUAL, README, Row, codes, rows

EXPLORE = "Explore"
NO_NAME = "–"  # where a key has no name to give it another by
Bound = tuple[str, str]  # the id of a binding, empty for none, and one of its keys
Owner = type[DOMNode]


def screens() -> dict[str, tuple[Owner, ...]]:
    """The sections of the manual that have tables of keys, with the screens and widgets they are about."""
    from lenstui.tui.app import LenstuiApp
    from lenstui.tui.evaluation.ask_evaluation import AskEvaluation
    from lenstui.tui.evaluation.screen import Evaluation
    from lenstui.tui.evaluation.table import EvaluationTable
    from lenstui.tui.explore.ask_generation import AskGeneration
    from lenstui.tui.explore.ask_reading import AskReading
    from lenstui.tui.explore.cell import CellScreen
    from lenstui.tui.explore.edit_dialog import EditDialog
    from lenstui.tui.explore.pin_list import PinList
    from lenstui.tui.explore.prompt_box import PromptBox
    from lenstui.tui.explore.screen import Explore
    from lenstui.tui.explore.turns_dialog import TurnsDialog
    from lenstui.tui.export.dialog import ExportDialog
    from lenstui.tui.grid.grid import Grid
    from lenstui.tui.help.keys import Keys
    from lenstui.tui.help.menu import Menu
    from lenstui.tui.lenses.hub_table import HubTable
    from lenstui.tui.lenses.screen import Lenses
    from lenstui.tui.lenses.sheet import LensSheet
    from lenstui.tui.lenses.table import LensTable
    from lenstui.tui.models.picker import ModelPicker
    from lenstui.tui.prompt_sets.screen import PromptSets
    from lenstui.tui.prompt_sets.table import SetTable
    from lenstui.tui.scan.ask_scan import AskScan
    from lenstui.tui.scan.open_scan import OpenScan
    from lenstui.tui.scan.screen import Scan
    from lenstui.tui.scan.table import ScanTable
    from lenstui.tui.shared.ask_word import AskWord
    from lenstui.tui.shared.choice import Choice
    from lenstui.tui.shared.file_dialogs import LensPicker
    from lenstui.tui.shared.question import Question
    from lenstui.tui.trace.ask_trace import AskTrace
    from lenstui.tui.trace.screen import Trace
    from lenstui.tui.trace.trace_map import TraceMap
    from lenstui.tui.training.form import TrainForm
    from lenstui.tui.training.quit import QuitTraining
    from lenstui.tui.training.row_bars import RowBars
    from lenstui.tui.training.screen import Train
    from lenstui.tui.training.view import FitView
    from lenstui.tui.why.part_map import PartMap
    from lenstui.tui.why.screen import Why

    return {
        EXPLORE: (LenstuiApp, Explore, Grid),
        "The prompt": (PromptBox,),
        "Turns": (TurnsDialog,),
        "The list of pins": (PinList,),
        "A cell in full": (CellScreen,),
        "The menu": (Menu,),
        "Help": (Keys,),
        "Edits": (EditDialog,),
        "Why": (Why, PartMap),
        "Trace": (Trace, TraceMap),
        "Models": (ModelPicker,),
        "Lenses": (Lenses, LensTable, HubTable, LensSheet),
        "Training": (TrainForm, Choice, Train, FitView, RowBars, QuitTraining),
        "Evaluation": (Evaluation, EvaluationTable),
        "Prompt sets": (PromptSets, SetTable),
        "Error analysis": (Scan, ScanTable),
        "Export": (ExportDialog,),
        "Dialogs": (
            *(AskWord, AskReading, Choice, AskGeneration, AskTrace, AskEvaluation, OpenScan, AskScan),
            *(Question, LensPicker),
        ),
    }


def bound(owners: tuple[Owner, ...]) -> set[Bound]:
    """All keys of some screens and widgets, as they are at first."""
    return {
        (binding.id or "", each.key)
        for owner in owners
        for binding in keymap.bindings_of(owner)
        for each in keymap.shown_keys(binding, {})
    }


def key_rows() -> Iterator[Row]:
    for page in MANUAL.glob("*.md"):
        yield from (row for row in rows(page) if row.columns[0] == "keys")


def keys(cell: str) -> set[str]:
    """The keys in a cell of a table, as Textual names them."""
    return {key_name(code) for code in codes(cell)}


def stated(row: Row, there: set[Bound]) -> set[Bound]:
    """The keys that a row names, with the ids of their bindings: all keys of all its ids, and no other."""
    named, ids = keys(row.cells[0]), codes(row.cells[-1])
    if not ids:
        assert row.cells[-1] == NO_NAME, row
        return {("", key) for key in named}
    found = {(name, key) for name, key in there if name in ids}
    assert {key for _, key in found} == named, row
    assert {name for name, _ in found} == set(ids), row
    return found


def test_each_screen_has_its_keys_in_the_manual_and_no_other() -> None:
    for section, owners in screens().items():
        there = bound(owners)
        said = [stated(row, there) for row in key_rows() if row.section == section]
        assert set().union(*said) == there, section
    assert {row.section for row in key_rows()} == set(screens())


def test_the_keys_of_explore_stand_under_their_topics() -> None:
    for row in key_rows():
        if row.section == EXPLORE:
            topics = {TOPICS[name].topic for name in codes(row.cells[-1])}
            assert all(topic in row.part.casefold() for topic in topics), row


def test_no_screen_is_missing() -> None:
    owners = {owner for of in screens().values() for owner in of}
    assert {place.owner for place in keymap.places()} <= owners
    for module in pkgutil.walk_packages(lenstui.tui.__path__, "lenstui.tui."):
        importlib.import_module(module.name)
    covered = {base for owner in owners for base in owner.__mro__}
    for node in subclasses(DOMNode):
        if node.__module__.startswith("lenstui.") and node not in covered:
            assert not [each for each in vars(node).get("BINDINGS", ()) if isinstance(each, Binding)], node


def subclasses(of: type[object]) -> Iterator[type[object]]:
    below: list[type[object]] = of.__subclasses__()
    for each in below:
        yield each
        yield from subclasses(each)


def test_the_keys_that_the_readme_names_exist() -> None:
    known = {key for owners in screens().values() for _, key in bound(owners)}
    explore = {key for _, key in bound(screens()[EXPLORE])}
    for row in rows(README):
        if row.columns[0] == "key":
            assert keys(row.cells[0]) <= explore, row
        elif "keys" in row.columns:
            for code in codes(row.cells[row.columns.index("keys")]):
                with suppress(ValueError):  # the name of a value
                    assert key_name(code) in known, row
