"""Type-ahead: keys are acted on in their order, each when all that the key before it set off is done.

Textual sends a key at once to the widget that has the focus when the key comes. Of two keys that come
together the second one would go to what was in front before the first: what is typed behind `/` would be
lost, or taken for commands, until the line that `/` asked for has the focus.
"""

from __future__ import annotations

import asyncio
from collections import deque

from textual import events, on
from textual.dom import DOMNode
from textual.driver import Driver
from textual.errors import NoWidget
from textual.screen import Screen
from textual.widget import Widget

from lenstui.tui.shared.textual_hacks import LoggingApp, holds_paint_back, key_events, reading_anything

LIMIT = 1.0  # seconds that a key waits for the one before it
HELD_BACK = 0.02  # seconds after which to see whether the app paints again
ROUNDS = 4  # a key, the message that it makes, what that asks for, and one to spare

# Events that move nothing but the pointer or a view.
_PASSING = (events.MouseMove, events.MouseScrollUp, events.MouseScrollDown)
# The screen in front, and the widget that has the focus there.
_Front = tuple[Screen[object], Widget | None]


class TypeAheadApp(LoggingApp):
    """An app in which a burst of keys does what the same keys do when they are typed slowly."""

    def __init__(self) -> None:
        super().__init__()
        self._typed: deque[events.Event] = deque()
        self._is_acting = False
        self._first = 0  # events that came before anything was painted: they are for what is there first
        self._painted: _Front | None = None
        self._turn = 0  # number of the event that is acted on
        self._limit: asyncio.TimerHandle | None = None

    def get_driver_class(self) -> type[Driver]:
        """Return the driver of the terminal, which reads whatever comes and takes all of a paste for text."""
        return reading_anything(super().get_driver_class())

    def type_first(self, typed: str) -> None:
        """Take what the terminal sent before the app runs, to act on it before all that comes later."""
        self._typed.extend(key_events(typed))
        self._first = len(self._typed)

    @on(events.Ready)
    async def _act_on_what_was_typed_first(self) -> None:
        self._painted = self._front
        if not self._is_acting:
            self._is_acting = True
            await self._act()

    async def on_event(self, event: events.Event) -> None:
        """Keep keys, pastes and mouse events until their turn comes; let all other events go on at once."""
        if event.is_forwarded or not isinstance(event, events.InputEvent | events.Paste):
            await super().on_event(event)
            return
        self._typed.append(event)
        if self._is_acting or not self.screen_stack:
            return
        self._is_acting = True
        if self.screen.is_mounted:
            await self._act()
        else:  # the program starts: nothing has the focus yet
            self._wait_for(self.screen)

    async def _act(self) -> None:
        """Act on what was typed, up to the next event that may set something off."""
        while self._typed:
            if self._waits_to_be_painted():
                return
            self._first = max(self._first - 1, 0)
            event = self._next()
            await super().on_event(event)
            if not isinstance(event, _PASSING) and self.screen_stack:
                self._wait_for(self._target(event))
                return
        self._is_acting = False

    def _waits_to_be_painted(self) -> bool:
        """Return whether to act later, when what would take a key has been painted: nobody has seen it yet.

        Not keys alone change what is in front: a fit ends, a model is open.
        """
        if self._first or self._painted is None or not self.screen_stack or self._front == self._painted:
            return False
        if holds_paint_back(self):
            self.set_timer(HELD_BACK, self._act)
            return True
        return self.screen.call_after_refresh(self._act_on_what_is_painted)

    async def _act_on_what_is_painted(self) -> None:
        if self.screen_stack and not holds_paint_back(self):
            self._painted = self._front
        await self._act()

    def _next(self) -> events.Event:
        """Return the next event that was typed.

        A terminal sends Alt and a letter as Esc and that letter, so that Esc and a letter that come together
        are read as Alt and the letter. Unless Alt and the letter have a meaning here, they are read as the
        two keys.
        """
        event = self._typed.popleft()
        if not isinstance(event, events.Key) or not event.key.startswith("alt+") or not event.is_printable:
            return event
        if not self.screen_stack or event.key in self.screen.active_bindings:
            return event
        assert event.character is not None
        self._typed.appendleft(events.Key(event.character, event.character))
        return events.Key("escape", "\x1b")

    # ── waiting for what it sets off ─────────────────────────────────────────────────────────────────────

    def _target(self, event: events.Event) -> DOMNode:
        """Return the widget that an event has gone to, or the screen."""
        if isinstance(event, events.MouseEvent):
            try:
                return self.get_widget_at(event.x, event.y)[0]
            except NoWidget:
                return self.screen
        return self.focused or self.screen

    def _wait_for(self, target: DOMNode) -> None:
        """Go on when nothing that began at a widget is left to be done, and not later than the limit."""
        self._turn += 1
        loop = asyncio.get_running_loop()
        self._limit = loop.call_later(LIMIT, self.call_later, self._stop_waiting, self._turn)
        self._follow(target, self._turn, ROUNDS)

    @property
    def _front(self) -> _Front:
        return self.screen, self.focused

    def _follow(self, target: DOMNode, turn: int, rounds: int) -> None:
        """Go the way of the event, through the queue of each widget up to the app, behind all that is there.

        Args:
            target: the widget that the event has gone to.
            turn: the number of the event.
            rounds: how often to go that way, if there is still something on it.
        """
        self._climb(target, turn, rounds, self._front)

    def _climb(self, node: DOMNode | None, turn: int, rounds: int, front: _Front) -> None:
        while node is not None and node is not self:
            if node.call_later(self._climb, node.parent, turn, rounds, front):
                return
            node = node.parent  # that widget is going
        self.call_later(self._arrive, turn, rounds, front)

    async def _arrive(self, turn: int, rounds: int, front: _Front) -> None:
        """Go the way again where there is more to wait for, else go on with what was typed next."""
        if turn != self._turn or not self.screen_stack:
            return
        if self.screen is not front[0]:  # a new screen must mount, lay out and give focus
            self.screen.call_after_refresh(self._climb, self.screen, turn, rounds, self._front)
        elif self._front != front:
            self._follow(self.focused or self.screen, turn, rounds)
        elif rounds > 1 and self._has_messages:
            self._follow(self.focused or self.screen, turn, rounds - 1)
        else:
            await self._go_on(turn)

    @property
    def _has_messages(self) -> bool:
        return any(node.message_queue_size for node in self.screen.walk_children(with_self=True))

    async def _stop_waiting(self, turn: int) -> None:
        """Go on after the limit, but not while there is nothing on screen that could take a key."""
        if turn == self._turn and self.screen_stack and not self.screen.is_mounted:
            self._wait_for(self.screen)
        else:
            await self._go_on(turn)

    async def _go_on(self, turn: int) -> None:
        if turn != self._turn:
            return
        self._turn += 1  # so that this is done once
        if self._limit is not None:
            self._limit.cancel()
        await self._act()
