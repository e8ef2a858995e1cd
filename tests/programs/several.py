"""`lenstui train` in several processes that fit together, started as `torchrun` starts them, but forked.

`torchrun` itself would need seconds to import torch in each. It tells its processes their places by variables
of the environment, and when one has died it ends the others.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Sequence

from tests.programs.forked import PATIENCE, Forked, Program


def start_several(
    programs: Forked, count: int, *words: object, each: Sequence[Sequence[object]] = ()
) -> list[Program]:
    """Start processes of one fit.

    Args:
        programs: where they are forked from.
        count: how many.
        words: of their command lines.
        each: further words of each.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for number in range(count):
        place = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = {name: str(value) for name, value in {**place, **address}.items()}
        more = each[number] if each else ()
        started.append(programs.start(*words, *more, environment=environment))
    return started


def ended_by_themselves(processes: list[Program], within: float = PATIENCE) -> list[int]:
    """Wait for the end of all of them, and return their exit statuses."""
    statuses: dict[int, int] = {}
    begin = time.monotonic()
    while len(statuses) < len(processes):
        for number, process in enumerate(processes):
            if number not in statuses and (status := process.ended()) is not None:
                statuses[number] = status
        if time.monotonic() - begin > within:
            for number, process in enumerate(processes):
                if number not in statuses:
                    process.send(signal.SIGKILL)
            raise AssertionError(f"only {statuses} ended: {[process.err for process in processes]}")
        time.sleep(0.01)
    return [statuses[number] for number in range(len(processes))]
