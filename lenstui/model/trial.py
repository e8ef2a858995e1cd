"""Which of several ways to compute the same is fastest on this processor: tried, not known by its name."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

_ROUNDS = 5

Name = TypeVar("Name")


def fastest(ways: Mapping[Name, Callable[[], object]]) -> Name:
    """Return the name of the way that takes the least time.

    The ways take turns, and the least time of each counts: other work on the machine can only add to it.

    Args:
        ways: by name; each is called six times, the first time to warm up.
    """
    least = dict.fromkeys(ways, float("inf"))
    for way in ways.values():
        way()
    for _ in range(_ROUNDS):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            least[name] = min(least[name], time.perf_counter() - began)
    return min(least, key=least.__getitem__)
