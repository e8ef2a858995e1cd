"""The order in which the parts of Explore hear of a message.

Textual calls a handler in every class of the order of bases, decorated ones first, and this order decides
what happens: what has been read is laid out before it is said how it was read.
"""

from __future__ import annotations

import pytest
from textual.message import Message

from lenstui.jobs import export_messages, fit_messages, messages
from lenstui.jobs.messages import ReadDone, ReadFailed, ReadStarted, SidesChanged, TileRead
from lenstui.tui.explore.screen import Explore

# The modules of `explore` that hear of a message, in their order; of all others there is one.
IN_ORDER: dict[type[Message], list[str]] = {
    ReadStarted: ["screen", "decompose", "reading"],
    TileRead: ["screen", "decompose"],
    ReadDone: ["screen", "cell", "decompose"],
    ReadFailed: ["screen", "growth", "reading"],
    SidesChanged: ["cell", "comparison"],
}
NOT_EXPLORES = {"LensRefused", "LensSaved", "LensNotSaved", "LensesListed", "TranslatorMeasured"} | {
    "LensNotMeasured", "TextCounted", "TextRefused", "UnfinishedFound", "CheckpointWritten",
}  # fmt: skip
KINDS = [
    kind
    for module in (messages, fit_messages, export_messages)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Message) and kind.__module__ == module.__name__
]


def hearers(kind: type[Message]) -> list[str]:
    """The modules of the handlers of a message, in the order in which Textual calls them."""
    found = []
    for part in Explore.__mro__:
        if part.__module__.startswith("lenstui."):
            name = part.__module__.rpartition(".")[2]
            decorated = vars(part).get("_decorated_handlers", {})
            found += [
                name for heard, handlers in decorated.items() if issubclass(kind, heard) for _ in handlers
            ]
            found += [name] * (kind.handler_name in vars(part))
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_parts_of_explore_hear_of_a_message_in_order(kind: type[Message]) -> None:
    heard = hearers(kind)
    if kind in IN_ORDER:
        assert heard == IN_ORDER[kind]
    else:
        assert len(heard) == (0 if kind.__name__ in NOT_EXPLORES else 1)
