"""Which of several ways to compute the same is fastest on this processor: tried, not known by its name."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch

_ROUNDS = 5
_CLEARLY = 0.8  # of the first way's time: less is no accident, so that the choice is the same each time

Name = TypeVar("Name")


def clearly_fastest(ways: Mapping[Name, Callable[[], object]]) -> Name:
    """Return the name of the fastest way if it is clearly so, and that of the first one otherwise.

    The ways take turns with one thread, and the least time of each counts: other work on the machine can only
    add to it. Two ways round differently, so one that is hardly faster is not worth that numbers change from
    run to run.

    Args:
        ways: by name; each is called six times, the first time to warm up.
    """
    least = dict.fromkeys(ways, float("inf"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on a busy machine several take any time
    try:
        for way in ways.values():
            way()
        for _ in range(_ROUNDS):
            for name, way in ways.items():
                began = time.perf_counter()
                way()
                least[name] = min(least[name], time.perf_counter() - began)
    finally:
        torch.set_num_threads(threads)
    first, best = next(iter(ways)), min(least, key=least.__getitem__)
    return best if least[best] < _CLEARLY * least[first] else first
