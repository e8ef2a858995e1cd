"""A record, within the program, of whether each key met the screen that was last painted.

Imported before the program is forked. It writes where the variable `LENSTUI_KEY_RECORD` says, if it is there:
a line for each key that something else took than what was on the screen, and in `PATH.count` how many keys
and actions there were.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from textual import events
from textual.app import App

QUIT = "ctrl+q"  # whatever is on the screen
VARIABLE = "LENSTUI_KEY_RECORD"

_key: ContextVar[str] = ContextVar("key", default="")  # whose bindings are being looked at


class _Painted:
    """What was last painted: the screen, the widget with the focus, and what the footer's keys do there."""

    screen: object = None
    focus: object = None
    actions: dict[str, str] = {}  # noqa: RUF012
    keys = 0
    ran = 0


def _write(line: str) -> None:
    with Path(os.environ[VARIABLE]).open("a") as file:
        file.write(line + "\n")


def _count() -> None:
    Path(os.environ[VARIABLE] + ".count").write_text(f"{_Painted.keys} {_Painted.ran}")


def _install() -> None:
    display, on_event, check, run = App._display, App.on_event, App._check_bindings, App.run_action

    def displaying(app: App[Any], screen: Any, renderable: Any) -> None:
        display(app, screen, renderable)
        if VARIABLE in os.environ and screen is app.screen:
            _Painted.screen, _Painted.focus = screen, app.focused
            _Painted.actions = {
                key: each.binding.action for key, each in screen.active_bindings.items() if each.binding.show
            }

    async def meeting(app: App[Any], event: events.Event) -> None:
        is_key = isinstance(event, events.Key) and not event.is_forwarded and VARIABLE in os.environ
        if is_key and app.screen_stack:
            _Painted.keys += 1
            assert isinstance(event, events.Key)
            if app.screen is not _Painted.screen or app.focused is not _Painted.focus:
                _write(f"{event.key}: {app.screen} {app.focused}, painted {_Painted.screen} {_Painted.focus}")
            _count()
        await on_event(app, event)

    async def checking(app: App[Any], key: str, priority: bool = False) -> bool:
        token = _key.set(key)
        try:
            return await check(app, key, priority=priority)
        finally:
            _key.reset(token)

    async def running(app: App[Any], action: Any, *more: Any, **named: Any) -> bool:
        key = _key.get()
        if key and VARIABLE in os.environ:
            _key.set("")  # what the action runs is not the key's
            if isinstance(action, str) and key != QUIT and _Painted.actions.get(key, action) != action:
                _write(f"{key} ran {action}, painted {_Painted.actions.get(key)}")
            _Painted.ran += 1
        return await run(app, action, *more, **named)

    for name, method in (
        ("_display", displaying),
        ("on_event", meeting),
        ("_check_bindings", checking),
        ("run_action", running),
    ):
        setattr(App, name, method)


_install()
