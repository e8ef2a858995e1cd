"""Altered copies of what a file holds: each differs from the original in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

import torch
from torch import Tensor

REMOVED = object()

# In place of a value that is no tensor.
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**9,
    2**63,
    10**400,
    0.5,
    float("nan"),
    float("inf"),
    "",
    "x" * 1_000_000,
    "\x1b]52;c;aGk=\x07\n\u202e\ud800",
    [],
    {},
    b"\xff",
    REMOVED,
)

TENSORS: tuple[Callable[[Tensor], Any], ...] = (
    lambda tensor: tensor.new_zeros(0),
    lambda tensor: tensor[..., :-1].clone() if tensor.ndim else tensor.new_zeros(3),
    lambda tensor: tensor.new_zeros(1).expand(2**40),  # one number in the file
    lambda tensor: tensor.to("meta"),
    lambda tensor: tensor.to(torch.complex64),
    lambda tensor: tensor.to(torch.int8),
    lambda tensor: tensor.double() if tensor.ndim < 2 else tensor.to_sparse(),
    lambda tensor: torch.full_like(tensor, 1).bool(),
    lambda tensor: torch.quantize_per_tensor(tensor.float(), 0.1, 0, torch.qint8),
)


def altered(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Copies of a value, each with where it was altered and how.

    Tables lose and get entries, tensors another shape, layout or dtype, all else another type or size.
    """
    if isinstance(value, Tensor):
        for number, change in enumerate(TENSORS):
            yield f"{place}: tensor {number}", change(value)
        others: tuple[Any, ...] = (None, 1.0, "x", [])
        for other in others:
            yield f"{place}: {other!r}", other
    elif isinstance(value, Mapping):
        for key, item in value.items():
            for where, copy in altered(item, f"{place}/{key}"):
                changed = {**value, key: copy}
                if copy is REMOVED:
                    del changed[key]
                yield where, changed
        yield f"{place}: one more", {**value, "more": 1}
        yield f"{place}: keys of numbers", dict(enumerate(value.values()))
        yield from _others(place, dict)
    elif isinstance(value, list | tuple):
        for number in sorted({0, len(value) - 1} & set(range(len(value)))):
            for where, copy in altered(value[number], f"{place}/{number}"):
                if copy is not REMOVED:
                    yield where, [*value[:number], copy, *value[number + 1 :]]
        yield f"{place}: one less", list(value[:-1])
        yield f"{place}: doubled", [*value, *value]
        yield from _others(place, list)
    else:
        for other in VALUES:
            if not (type(other) is type(value) and other == value):
                yield f"{place}: {_short(other)}", other


def _others(place: str, kind: type) -> Iterator[tuple[str, Any]]:
    for other in VALUES:
        if not (isinstance(other, kind) and not other):
            yield f"{place}: {_short(other)}", other


def _short(value: Any) -> str:
    return "removed" if value is REMOVED else repr(value)[:30]


def altered_bytes(content: bytes, seed: int) -> Iterator[tuple[str, bytes]]:
    """Copies of a file's bytes, without end: each is cut, flipped, blanked, doubled or renumbered."""
    random = Random(seed)
    numbers = (b"\xff" * 8, b"\xff" * 4, b"\x7f" + b"\xff" * 7, b"\x00" * 8, b"99999999", b"-1", b"\x80")
    while True:
        at = random.choice((random.randrange(len(content)), random.randrange(min(64, len(content)))))
        upto = at + random.choice((1, 2, 16, 1024))
        run = content[at:upto]
        yield f"cut at {at}", content[:at]
        yield f"without {at} to {upto}", content[:at] + content[upto:]
        yield (
            f"bit at {at}",
            content[:at] + bytes([content[at] ^ (1 << random.randrange(8))]) + content[at + 1 :],
        )
        yield f"blank {at} to {upto}", content[:at] + b"\0" * len(run) + content[upto:]
        yield f"doubled {at} to {upto}", content[:upto] + run * random.choice((1, 50)) + content[upto:]
        number = random.choice(numbers)
        yield f"{number!r} at {at}", content[:at] + number + content[at + len(number) :]
