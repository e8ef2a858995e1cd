"""The keys of all bindings, the places where they work, and the user's own keys in their stead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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
}


def by_todays_ids(keys: Keys) -> Keys:
    """Return the user's keys by the ids that bindings have today, in place of former ids."""
    return {_EARLIER.get(name, name): own for name, own in keys.items()}


@dataclass(frozen=True, slots=True)
class Place:
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
    from lenstui.tui.explore.cell import CellScreen
    from lenstui.tui.explore.pin_list import PinList
    from lenstui.tui.explore.prompt_box import PromptBox
    from lenstui.tui.explore.screen import Explore
    from lenstui.tui.grid.grid import Grid
    from lenstui.tui.lenses.screen import Lenses
    from lenstui.tui.lenses.table import LensTable
    from lenstui.tui.models.picker import ModelPicker
    from lenstui.tui.prompt_sets.screen import PromptSets
    from lenstui.tui.prompt_sets.table import SetTable
    from lenstui.tui.shared.choice import Choice
    from lenstui.tui.training.form import TrainForm
    from lenstui.tui.training.screen import Train
    from lenstui.tui.training.view import FitView

    return (
        Place("", Explore),
        Place("grid", Grid, (Explore,)),
        Place("cell", CellScreen),
        Place("prompt", PromptBox, (Explore,)),
        Place("pins", PinList),
        Place("lenses", Lenses),
        Place("lenses", LensTable, (Lenses,)),
        Place("models", ModelPicker),
        Place("prompts", PromptSets),
        Place("prompts", SetTable, (PromptSets,)),
        Place("form", TrainForm, (Train,)),
        Place("form", Choice, (TrainForm, Train)),
        Place("training", FitView, (Train,)),
        Place("training", Train),
    )


def check(keys: Keys, everywhere: type[DOMNode]) -> None:
    """Check that the user's keys can be used.

    Args:
        keys: the user's keys, by the id of the binding.
        everywhere: the app, whose keys work in every place.

    Raises:
        ValueError: if an id is of no binding, or a key would do two things in one place. The message names
            the id or the key.
    """
    known = {
        binding.id: binding
        for owner in (everywhere, *(place.owner for place in places()))
        for binding in bindings_of(owner)
        if binding.id
    }
    for name in keys:
        if name not in known:
            raise ValueError(f"'keys' {name!r} is no binding{hint(name, tuple(known))}")
    for place in places():
        taken: dict[str, Binding] = {}
        for owner in (place.owner, *place.within, everywhere):
            for binding in bindings_of(owner):
                for key in keys_of(binding, keys):
                    other = taken.setdefault(key, binding)
                    if binding.action != other.action and {binding.id, other.id} & set(keys):
                        raise ValueError(
                            f"'keys' {format_key(key)!r} is of {other.id!r} and of {binding.id!r}"
                            + f", both in the {place.name}" * bool(place.name)
                        )


def keys_of(binding: Binding, keys: Keys) -> tuple[str, ...]:
    """Return the keys of a binding: the user's own, or else the default ones."""
    return keys.get(binding.id or "", ()) or tuple(key.strip() for key in binding.key.split(","))


def shown_keys(binding: Binding, keys: Keys) -> Iterator[Binding]:
    """Return a binding once for each of its keys, the user's own or the default ones, for display."""
    if binding.id is not None and binding.id in keys:
        binding = Binding(",".join(keys[binding.id]), binding.action, id=binding.id)
    return iter(Binding.make_bindings([binding]))
