"""A model's fingerprint: fixed samples of its weights, by which a lens knows the model that it was fitted on.

The samples are of every tensor of the embedding, the blocks, the final norm and the head, spread over the
whole of it. They are taken on the tensor's own device; nothing but the samples is copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lenstui.model.anatomy import Anatomy
from lenstui.model.gguf import is_gguf
from lenstui.model.load import Model

EMBEDDING, BLOCK, FINAL_NORM, HEAD = "embedding", "block", "final norm", "head"
SCHEME = 1  # how the places are chosen; samples of another scheme cannot be compared

_SAMPLES = 16  # of each tensor
_IN_PART = 2048  # of each part at most, but two of a tensor: a block may have hundreds of experts
_STEP = 0x9E3779B97F4A7C15  # 2^64 by the golden ratio: multiples of it spread evenly, at any length
_RELATIVE = 5e-3  # what bfloat16 and float16 round away together: a change of dtype is no alarm
_FLOOR = 1e-4  # of the tensor's largest sample, for what float16 cannot hold
_ROUNDED = 0.5  # of the samples' norm: what 2-bit rounding may take away, and other weights never stay within


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a lens file's samples say of an open model, by part: `embedding`, `block 0`, …, `head`.

    Attributes:
        same: parts whose every sample agrees.
        different: parts of which some sample does not.
        unknown: parts that could not be compared, or not in all of their tensors.
        is_whole: every part was compared, and all are the same.
    """

    same: tuple[str, ...] = ()
    different: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    is_whole: bool = False


def fingerprint(model: Model) -> dict[str, Any]:
    """The samples of a model's weights, plain values only.

    Returns:
        `scheme`; `rounded`, whether the weights were unpacked from a quantised file; and `parts`: of each its
        tensors by name, each with its `shape` and `samples`. What holds no plain floats (quantised matrices,
        weights that accelerate has put away) is left out.
    """
    taken: dict[str, dict[str, Any]] = {}
    gathered: dict[torch.device, list[tuple[dict[str, Any], Tensor]]] = {}
    places: dict[tuple[Any, ...], tuple[Tensor, ...]] = {}
    with torch.no_grad():
        for part, tensors in _parts(model.anatomy, model.module):
            count = max(2, min(_SAMPLES, _IN_PART // max(1, len(tensors))))
            taken[part] = {}
            for name, tensor in tensors.items():
                if not _is_plain(tensor):
                    continue
                shape, device = tuple(tensor.shape), tensor.device
                if (key := (shape, count, device)) not in places:
                    places[key] = _places(shape, count, device)
                entry: dict[str, Any] = {"shape": list(shape)}
                taken[part][name] = entry
                gathered.setdefault(device, []).append((entry, tensor.detach()[places[key]].float()))
        for samples in gathered.values():
            values = torch.cat([sample for _, sample in samples]).tolist()  # one copy from each device
            for entry, sample in samples:
                entry["samples"], values = values[: len(sample)], values[len(sample) :]
    finite = {
        part: {name: entry for name, entry in tensors.items() if _all_finite(entry["samples"])}
        for part, tensors in taken.items()
    }
    return {"scheme": SCHEME, "rounded": is_gguf(Path(model.name)), "parts": finite}


def compare(theirs: object, model: Model) -> Comparison | None:
    """Compare a lens file's fingerprint with a model's weights; None where it has none that can be read.

    Args:
        theirs: from `fingerprint`, perhaps on another machine, with another dtype or device.
        model: the open model.
    """
    if not isinstance(theirs, Mapping) or theirs.get("scheme") != SCHEME:
        return None
    ours, their_parts = fingerprint(model), theirs["parts"]
    rounded = bool(ours["rounded"] or theirs.get("rounded"))
    verdicts: dict[str, list[str]] = {"same": [], "different": [], "unknown": []}
    for part, tensors in _parts(model.anatomy, model.module):
        verdict = _verdict(ours["parts"][part], their_parts.get(part, {}), set(tensors), rounded=rounded)
        verdicts[verdict].append(part)
    same, different, unknown = (tuple(verdicts[name]) for name in ("same", "different", "unknown"))
    return Comparison(same, different, unknown, is_whole=not different and not unknown)


def spoken(parts: Iterable[str]) -> str:
    """Parts in words: `blocks 0-5 and the final norm`."""
    numbers, others = [], []
    for part in parts:
        kind, _, number = part.partition(" ")
        if kind == BLOCK:
            numbers.append(int(number))
        else:
            others.append(f"the {part}")
    words = []
    if numbers:
        runs = [[n for _, n in run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
        named = ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
        words = [f"block{'s' if len(numbers) > 1 else ''} {named}"]
    before = [other for other in others if other == f"the {EMBEDDING}"]
    words = [*before, *words, *(other for other in others if other not in before)]
    *first, last = words or ["nothing"]
    return f"{', '.join(first)} and {last}" if first else last


def _verdict(ours: Mapping[str, Any], theirs: Mapping[str, Any], names: set[str], *, rounded: bool) -> str:
    """What the samples of one part say: `same`, `different` or `unknown`.

    Args:
        ours: of the open model.
        theirs: of the file.
        names: of all tensors that the open model has in this part.
        rounded: whether either's weights were unpacked from a quantised file.
    """
    unknown = names != set(theirs) or names != set(ours)
    for name in ours.keys() & theirs.keys():
        mine, other = ours[name], theirs[name]
        if mine["shape"] != other["shape"] or len(mine["samples"]) != len(other["samples"]):
            unknown = True
        elif not _agree(mine["samples"], other["samples"]):
            if not rounded or not _is_rounding(mine["samples"], other["samples"]):
                return "different"
            unknown = True
    return "unknown" if unknown else "same"


def _agree(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    """Whether two runs of samples are the same but for rounding to another dtype."""
    floor = _FLOOR * max(map(abs, (*ours, *theirs)), default=0.0)
    return all(
        abs(a - b) <= _RELATIVE * max(abs(a), abs(b)) + floor for a, b in zip(ours, theirs, strict=True)
    )


def _is_rounding(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    """Whether two runs of samples are as near as quantising leaves them."""
    largest = max(map(abs, (*ours, *theirs)))  # divided by, so that no square overflows
    off = sum(((a - b) / largest) ** 2 for a, b in zip(ours, theirs, strict=True))
    whole = max(sum((value / largest) ** 2 for value in run) for run in (ours, theirs))
    return off <= _ROUNDED**2 * whole


def _parts(anatomy: Anatomy, module: Any) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The tensors of each part by name, the embedding first. A tied matrix is in both of its parts."""
    blocks, norm = anatomy.blocks, anatomy.final_norm
    numbered = {id(parameter) for block in blocks for parameter in block.parameters()}
    normed = set() if norm is None else {id(parameter) for parameter in norm.parameters()}
    # Of tokens, and of positions and their like, with a norm or a projection: all that is beside the blocks.
    around = _around(anatomy.body, blocks[0])
    beside = {
        name: tensor for name, tensor in around.named_parameters() if id(tensor) not in numbered | normed
    }
    head = module.get_output_embeddings()
    parts = (
        (EMBEDDING, beside),
        *((f"{BLOCK} {number}", dict(block.named_parameters())) for number, block in enumerate(blocks)),
        (FINAL_NORM, {} if norm is None else dict(norm.named_parameters())),
        (HEAD, {} if head is None else dict(head.named_parameters())),
    )
    return ((part, tensors) for part, tensors in parts if tensors)


def _around(body: Any, block: Any) -> Any:
    """The module that holds the list of blocks: of a model that sees too, its text model."""
    around = body
    for module in body.modules():
        if any(child is part for child in module.children() for part in child.children() if part is block):
            around = module
    return around


def _places(shape: tuple[int, ...], count: int, device: torch.device) -> tuple[Tensor, ...]:
    """Where the samples of a tensor of that shape are: one index for each dimension."""
    size = torch.Size(shape).numel()
    flat = (
        range(size)
        if size <= count
        else [((k * _STEP) % (1 << 64)) * size >> 64 for k in range(1, count + 1)]
    )
    return torch.unravel_index(torch.tensor(list(flat), dtype=torch.long, device=device), shape)


def _is_plain(tensor: Tensor) -> bool:
    """Whether the entries of a tensor are its weights, and are here."""
    return (
        tensor.is_floating_point()
        and tensor.element_size() > 1  # 8-bit floats come with scales
        and tensor.ndim > 0
        and tensor.numel() > 0
        and tensor.device.type != "meta"
    )


def _all_finite(samples: Sequence[float]) -> bool:
    return all(value - value == 0 for value in samples)
