"""A list of edits, each of them switched on or off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lenstui.edits.edit import Edit


@dataclass(frozen=True, slots=True)
class Entry:
    """One edit of a list.

    Attributes:
        edit: the edit.
        is_on: whether it is in force.
    """

    edit: Edit
    is_on: bool = True


@dataclass(frozen=True, slots=True)
class EditList:
    """Edits in their order. Every change returns another list."""

    entries: tuple[Entry, ...] = ()

    @classmethod
    def of(cls, *edits: Edit) -> EditList:
        """Return a list of edits that are all on."""
        return cls(tuple(map(Entry, edits)))

    def __bool__(self) -> bool:
        """Return whether there is any edit, on or off."""
        return bool(self.entries)

    @property
    def in_force(self) -> tuple[Edit, ...]:
        """The edits that are switched on."""
        return tuple(entry.edit for entry in self.entries if entry.is_on)

    @property
    def text(self) -> str:
        """The edits in force on one line: `ablate 4.attn; patch row 2 "…"`; nothing where there is none."""
        return "; ".join(edit.text for edit in self.in_force)

    def with_edit(self, edit: Edit, place: int | None = None) -> EditList:
        """Return the list with an edit at its end, or in the place of another one."""
        at = len(self.entries) if place is None else place
        return EditList((*self.entries[:at], Entry(edit), *self.entries[at + 1 :]))

    def without(self, place: int) -> EditList:
        """Return the list without the edit of a place."""
        return EditList((*self.entries[:place], *self.entries[place + 1 :]))

    def switched(self, place: int) -> EditList:
        """Return the list with the edit of a place on if it is off, off if it is on."""
        entry = self.entries[place]
        other = Entry(entry.edit, not entry.is_on)
        return EditList((*self.entries[:place], other, *self.entries[place + 1 :]))

    def moved(self, place: int, by: int) -> EditList:
        """Return the list with an edit further down (or up: `by` below 0), as far as the list goes."""
        rest = [*self.entries[:place], *self.entries[place + 1 :]]
        rest.insert(max(0, min(place + by, len(rest))), self.entries[place])
        return EditList(tuple(rest))
