"""The message about the instant lens that is made by itself: an immutable snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from textual.message import Message


class InstantPhase(Enum):
    """The phase of the instant lens of the open model."""

    NONE = auto()  # not begun, or given up for something else: it may begin again
    WORKING = auto()
    OFFERED = auto()  # it takes more time or memory than may be taken unasked
    FAILED = auto()
    MADE = auto()


@dataclass(frozen=True, slots=True)
class InstantStatus:
    """The status of the instant lens of the open model.

    Attributes:
        phase: the phase.
        doing: what is done, in a word or two, while it is worked on.
        seconds: whole seconds that are left; None while that is not known.
        reason: what it takes, behind "made", where it is offered; why there is none, where it failed; why it
            was kept in no file, where it was made.
    """

    phase: InstantPhase = InstantPhase.NONE
    doing: str = ""
    seconds: int | None = None
    reason: str = ""


@dataclass
class InstantChanged(Message, bubble=False):
    """The new status of the instant lens."""

    status: InstantStatus
