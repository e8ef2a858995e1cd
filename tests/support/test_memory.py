"""Memory that is handed back, as the system counts it."""

from __future__ import annotations

import gc
import platform
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

from lenstui.support.memory import hand_back

MB = 1 << 20


def private() -> int:
    """The private memory of this process, in bytes."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems decide for themselves")
def test_pages_that_nothing_is_in_are_handed_back() -> None:
    """What is freed between blocks that are still used stays with the process, and is not used."""
    blocks = [np.ones(64 << 10, np.uint8) for _ in range(2048)]
    used = [blocks[place] for place in range(0, len(blocks), 64)]
    del blocks
    before = private()
    hand_back()
    assert before - private() > 100 * MB
    assert all(block.all() for block in used)


def test_what_nothing_refers_to_is_collected() -> None:
    class Widget:
        screen: Widget

    widget = Widget()
    widget.screen = widget
    gone = weakref.ref(widget)
    gc.disable()
    try:
        del widget
        assert gone() is not None
        hand_back()
        assert gone() is None
    finally:
        gc.enable()


def test_arrow_takes_the_memory_that_all_others_take() -> None:
    code = """if True:
        from lenstui.support.memory import keep_together
        keep_together()
        import pyarrow
        print(pyarrow.default_memory_pool().backend_name)
    """
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "system"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries decide for themselves")
def test_threads_take_their_memory_from_one_place() -> None:
    """What a thread has freed is used by the next ones: 64 MB of address space for each of them is not."""
    code = """if True:
        import sys, threading
        from pathlib import Path
        from lenstui.support.memory import keep_together
        if sys.argv[1] == "together":
            keep_together()
        def reserved():
            return int(Path("/proc/self/statm").read_text().split()[0])
        done, everyone = threading.Event(), threading.Barrier(5)
        def work():
            bytearray(100_000)
            everyone.wait()
            done.wait()
        before = reserved()
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        everyone.wait()
        print((reserved() - before) // (64 << 8))  # of 4 kB each
        done.set()
    """
    arenas = [
        int(subprocess.run([sys.executable, "-c", code, how], check=True, capture_output=True).stdout)
        for how in ("apart", "together")
    ]
    assert arenas[1] == 0 < arenas[0]
