"""How the program ends: by a key, a signal, a dropped line or a failure. A fit under way is written first."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from textual.message import Message

from lenstui.fit_files import checkpoint_path

if TYPE_CHECKING:
    from lenstui.ui.app import LenstuiApp

LIMIT = 10.0  # seconds that a last checkpoint may take
GRACE = 2.0  # seconds that the screen may take to be put away
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Ended(Message, bubble=False):
    """A signal came: the app is to end."""


def how_to_go_on(checkpoint: Path) -> str:
    """What to say of a checkpoint."""
    command = f"lenstui train --resume {shlex.quote(str(checkpoint))}"
    return f"lenstui: the fit is in {checkpoint}\nTo go on: {command}"


class Ending:
    """Runs the app to its end, whatever that is."""

    def __init__(self, app: LenstuiApp) -> None:
        self._app = app
        self._signal = 0
        self._rescue: threading.Thread | None = None
        self._words: str | None = None
        self._put_away = threading.Event()

    def run(self) -> NoReturn:
        """Run the app; then leave the process, which does not wait for the model thread."""
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
                signal.signal(number, self._hear)
        try:
            self._app.run()
        except OSError:  # the terminal is gone
            if not self._signal:
                raise
        finally:
            self._put_away.set()
        if self._rescue is not None:
            self._rescue.join(LIMIT + GRACE)
        elif self._app.last_words is None and self._app.training.is_under_way:
            self._save()  # the screen has failed, the fit has not
        self._leave()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        """In a thread of its own: where the line was dropped, the screen may be stuck writing to nobody."""
        if self._rescue is None:
            self._signal = number
            self._rescue = threading.Thread(target=self._end, name="lenstui-ending", daemon=True)
            self._rescue.start()

    def _end(self) -> None:
        if self._app.training.is_under_way:
            self._save()
        with suppress(Exception):
            self._app.post_message(Ended())
        if not self._put_away.wait(GRACE):
            self._leave()

    def _save(self) -> None:
        """Write a checkpoint, and have something to say about it."""
        training = self._app.training
        before = training.status
        written = training.rescue(LIMIT)
        if written is not None and written.path is not None:
            self._words = how_to_go_on(written.path)
            return
        trouble = f"{LIMIT:.0f} s were not enough" if written is None else written.trouble
        self._words = f"lenstui: no checkpoint could be written: {trouble}"
        if before.path is not None and before.checkpoint_step is not None:
            older = how_to_go_on(checkpoint_path(before.path))
            self._words += f"\nOne of step {before.checkpoint_step} is left. {older}"

    def _leave(self) -> NoReturn:
        words = self._words or self._app.last_words
        self._app.training.let_go()
        with suppress(OSError, ValueError):  # with the line, they may be gone
            if words is not None:
                print(words, file=sys.__stderr__, flush=True)
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(128 + self._signal if self._signal else self._app.return_code or 0)
