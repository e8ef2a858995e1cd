"""Random keys through a real terminal, in bursts: each acts on the screen that was last painted."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from tests.programs.forked import Forked
from tests.programs.pty_terminal import ENTER, QUIT, Terminal
from tests.tui.test_bursts import KEYS, PROMPT

RECORD = "LENSTUI_KEY_RECORD"  # names a file; tests.programs.key_record alters Textual, so not in here
HOW_MANY = int(os.environ.get("LENSTUI_RANDOM_KEYS", "200"))  # for each seed; by hand: 10,000 together


@pytest.mark.parametrize(("seed", "width", "height"), [(11, 120, 40), (12, 80, 24)])
def test_every_key_acts_on_the_screen_that_was_painted_last(
    programs: Forked, tiny_model: Path, tmp_path: Path, seed: int, width: int, height: int
) -> None:
    """While it loads, reads and trains, in bursts of 2 to 50; none ends the program."""
    programs.imports("lenstui.tui.app", "tests.programs.key_record")
    record, pick, sent = tmp_path / "record", random.Random(seed), 0
    terminal = Terminal(
        programs, [PROMPT, "--model", str(tiny_model)], tmp_path, width=width, height=height,
        environment={RECORD: str(record)},
    )  # fmt: skip
    try:
        terminal.until(terminal.is_taken)  # the model is still to be loaded
        keys = [key for key in KEYS if key != "q"]
        while sent < HOW_MANY:
            burst = pick.choices(keys, k=pick.randrange(2, 51))
            if pick.random() < 0.1:
                burst = ["t", ENTER, *burst]  # a lens is trained meanwhile
            sent += len(burst)
            terminal.press("".join(burst))
            terminal.read(pick.choice([0.0, 0.02, 0.2]))
            terminal.assert_alive()
        end = time.monotonic() + 60
        while terminal.read(0.5) != b"" and time.monotonic() < end:
            pass
        terminal.press(QUIT + "d")  # and discard the lens, if one is in training
        assert terminal.end() == 0
    finally:
        terminal.kill()
    assert b"Traceback" not in terminal.received
    met, ran = map(int, Path(f"{record}.count").read_text().split())
    # that the record was at work; how many of them run something hangs on when each screen was painted
    assert met > 0.8 * HOW_MANY and ran > 0.05 * HOW_MANY, (met, ran)
    assert not record.exists(), record.read_text()


@pytest.mark.parametrize("burst", [":\rjk", ":zz\x1bjk"])
def test_keys_behind_an_action_of_the_palette_wait_for_its_screen(
    programs: Forked, tiny_model: Path, tmp_path: Path, burst: str
) -> None:
    programs.imports("lenstui.tui.app", "tests.programs.key_record")
    record = tmp_path / "record"
    terminal = Terminal(
        programs, [PROMPT, "--model", str(tiny_model)], tmp_path, width=120, height=40,
        environment={RECORD: str(record)},
    )  # fmt: skip
    try:
        terminal.until("tokens")
        terminal.press("\x1b")
        terminal.calm()
        for _ in range(4):
            terminal.press(burst)
        terminal.calm()
        terminal.press(QUIT)
        assert terminal.end() == 0
    finally:
        terminal.kill()
    assert not record.exists(), record.read_text()
