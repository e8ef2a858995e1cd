"""The keys of all bindings, the places where they work, and the user's own keys in their stead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import format_key

from lenstui.support.settings import hint

Keys = Mapping[str, tuple[str, ...]]

# Former ids of bindings, which users' settings may still name, and the ids of today.
_EARLIER = {
    "cell.quit": "cell.back",
    "explore.take_away": "explore.export",
    "lenses.quit": "lenses.back",
    "prompts.quit": "prompts.leave",
    "prompts.take_away": "prompts.export",
    "takeaway.close": "export.close",
    "takeaway.down": "export.down",
    "takeaway.to_file": "export.to_file",
    "takeaway.up": "export.up",
    "train.quit": "train.back",
    "why.down": "map.down",
    "why.end": "map.end",
    "why.home": "map.home",
    "why.left": "map.left",
    "why.right": "map.right",
    "why.up": "map.up",
}


def by_todays_ids(keys: Keys) -> Keys:
    """Return the user's keys by the ids that bindings have today, in place of former ids."""
    return {_EARLIER.get(name, name): own for name, own in keys.items()}


class Place(NamedTuple):
    """A screen, or a part of one that may have the focus.

    Attributes:
        name: the name in the list of keys; empty for Explore, the main screen.
        owner: the screen or widget whose keys these are.
        within: the screens and widgets around the owner, whose keys work in this place too.
    """

    name: str
    owner: type[DOMNode]
    within: tuple[type[DOMNode], ...] = ()


def bindings_of(owner: type[DOMNode]) -> Iterator[Binding]:
    """Yield the bindings of a screen or widget of lenstui, its own before those of its base classes."""
    for part in owner.__mro__:
        if part.__module__.startswith("lenstui."):
            for binding in vars(part).get("BINDINGS", ()):
                if isinstance(binding, Binding):
                    yield binding


def places() -> tuple[Place, ...]:
    """Return every place with keys of its own. The screens are imported here, not for the first paint."""
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
    from lenstui.tui.lenses.hub_table import HubTable
    from lenstui.tui.lenses.screen import Lenses
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

    return (
        Place("", Explore),
        Place("grid", Grid, (Explore,)),
        Place("cell", CellScreen),
        Place("prompt", PromptBox, (Explore,)),
        Place("pins", PinList),
        Place("lenses", Lenses),
        Place("lenses", LensTable, (Lenses,)),
        Place("lenses", HubTable, (Lenses,)),
        Place("models", ModelPicker),
        Place("prompts", PromptSets),
        Place("prompts", SetTable, (PromptSets,)),
        Place("form", TrainForm, (Train,)),
        Place("form", Choice, (TrainForm, Train)),
        Place("training", FitView, (Train,)),
        Place("training", RowBars, (FitView, Train)),
        Place("training", Train),
        Place("export", ExportDialog),
        Place("edits", EditDialog),
        Place("turns", TurnsDialog),
        Place("why", Why),
        Place("why", PartMap, (Why,)),
        Place("trace", Trace),
        Place("trace", TraceMap, (Trace,)),
        Place("evaluation", Evaluation),
        Place("evaluation", EvaluationTable, (Evaluation,)),
        Place("scan", Scan),
        Place("scan", ScanTable, (Scan,)),
        *(
            Place("dialog", each)
            for each in (
                AskWord,
                AskReading,
                AskGeneration,
                AskTrace,
                AskEvaluation,
                OpenScan,
                AskScan,
                Question,
                QuitTraining,
            )
        ),
    )


def usable(keys: Keys, everywhere: type[DOMNode]) -> tuple[Keys, tuple[str, ...]]:
    """Return those of the user's keys that can be used, and a reason for each of the others.

    A line of the user's cannot be used if its id is of no binding, or if one of its keys would do two things
    in one place. Of two such lines the first one in the file stays.

    Args:
        keys: the user's keys, by the id of the binding.
        everywhere: the app, whose keys work in every place.
    """
    known = tuple(
        binding.id
        for owner in (everywhere, *(place.owner for place in places()))
        for binding in bindings_of(owner)
        if binding.id
    )
    used = {name: own for name, own in keys.items() if name in known}
    reasons: dict[str, str] = {}
    while (clash := _first_clash(used, everywhere)) is not None:
        name, reasons[name] = clash
        del used[name]
    while fitting := [name for name in reasons if not _first_clash({**used, name: keys[name]}, everywhere)]:
        used[fitting[0]] = keys[fitting[0]]  # what it clashed with is left out, too
        del reasons[fitting[0]]
    unknown = (f"{name!r} is no binding{hint(name, known)}" for name in keys if name not in known)
    return used, (*reasons.values(), *unknown)


def _first_clash(keys: Keys, everywhere: type[DOMNode]) -> tuple[str, str] | None:
    """Return the id of one of the user's lines that cannot be used, and why; None if all of them can.

    Default keys do not clash with each other: where they are the same, the inner place comes first.
    """
    for place in places():
        taken: dict[str, Binding] = {}
        owners = (place.owner, *place.within, everywhere)
        for binding in (binding for owner in owners for binding in bindings_of(owner)):
            for key in keys_of(binding, keys):
                other = taken.setdefault(key, binding)
                lines = [name for name in keys if name in {binding.id, other.id}]
                if lines and binding.action != other.action:
                    other = other if lines[-1] == binding.id else binding
                    where = f" in the {place.name}" * bool(place.name)
                    taken_by = f"a key of {other.id or other.description!r}{where}"
                    return lines[-1], f"{lines[-1]!r} cannot be {format_key(key)!r}, {taken_by}"
    return None


def keys_of(binding: Binding, keys: Keys) -> tuple[str, ...]:
    """Return the keys of a binding: the user's own, or else the default ones."""
    return keys.get(binding.id or "", ()) or tuple(key.strip() for key in binding.key.split(","))


def shown_keys(binding: Binding, keys: Keys) -> Iterator[Binding]:
    """Return a binding once for each of its keys, the user's own or the default ones, for display."""
    if binding.id is not None and binding.id in keys:
        binding = Binding(",".join(keys[binding.id]), binding.action, id=binding.id)
    return iter(Binding.make_bindings([binding]))
