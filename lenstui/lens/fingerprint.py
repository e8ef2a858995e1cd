"""A model's fingerprint: fixed samples of its weights, by which a lens identifies the model it was fitted on.

Every tensor of the embedding, the blocks, the final norm and the head is sampled, spread over all of its
entries. Samples are taken on the tensor's own device; nothing else is copied.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lenstui.model.anatomy import Anatomy
from lenstui.model.gguf import is_gguf
from lenstui.model.load import Model

EMBEDDING, BLOCK, FINAL_NORM, HEAD = "embedding", "block", "final norm", "head"
SCHEME = 1  # the version of the choice of places; samples of another scheme cannot be compared

_SAMPLES = 16  # samples of each tensor
_IN_PART = 2048  # most samples of a part, but at least two a tensor: a block may have hundreds of experts
_STEP = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: its multiples spread evenly, at any length
_RELATIVE = 5e-3  # rounding to bfloat16 and float16 together: allows for a change of dtype
_FLOOR = 1e-4  # of the tensor's largest sample, for numbers too small for float16
_WRAPPED = re.compile(r"(?<![^.])base_layer\.")  # what peft puts into the names of matrices
_ROUNDED = 0.5  # of the samples' norm: 2-bit rounding stays within, other weights never do


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of a lens file's samples with an open model, by part: `embedding`, `block 0`, …, `head`.

    Attributes:
        same: parts in which every sample agrees.
        different: parts in which some sample differs.
        unknown: parts that could not be compared in all of their tensors.
        is_whole: whether every part was compared and is the same.
    """

    same: tuple[str, ...] = ()
    different: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    is_whole: bool = False


def fingerprint(model: Model) -> dict[str, Any]:
    """Return the samples of a model's weights, as plain values.

    Returns:
        `scheme`; `rounded`, whether the weights were unpacked from a quantised file; and `parts`: for each
            part its tensors by name, each with `shape` and `samples`. Tensors without plain floats (quantised
            matrices, offloaded weights) are left out. Of an adapted model `adapter`, the adapter's hash, too.
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
    adapter = {} if model.adapter is None else {"adapter": model.adapter.digest}
    return {"scheme": SCHEME, "rounded": is_gguf(Path(model.name)), "parts": finite, **adapter}


def fingerprint_digest(model: Model) -> str:
    """Return a hash of a model's fingerprint: 32 hexadecimal digits, other ones for another dtype."""
    content = json.dumps(fingerprint(model), sort_keys=True)
    return blake2b(content.encode(), digest_size=16).hexdigest()


def compare(theirs: object, model: Model) -> Comparison | None:
    """Compare a lens file's fingerprint with a model's weights; None where the file has no readable one.

    Args:
        theirs: from `fingerprint`, perhaps on another machine, with another dtype or device.
        model: the open model.
    """
    if not isinstance(theirs, Mapping) or theirs.get("scheme") != SCHEME:
        return None
    ours, their_parts = fingerprint(model), theirs["parts"]
    rounded = bool(ours["rounded"] or theirs.get("rounded"))
    is_other = ours.get("adapter") != theirs.get("adapter")  # what one of them has more is the adapter's
    verdicts: dict[str, list[str]] = {"same": [], "different": [], "unknown": []}
    for part, tensors in _parts(model.anatomy, model.module):
        verdict = _verdict(ours["parts"][part], their_parts.get(part, {}), set(tensors), rounded=rounded)
        if is_other and part in their_parts and set(their_parts[part]) != set(tensors):
            verdict = "different"
        verdicts[verdict].append(part)
    same, different, unknown = (tuple(verdicts[name]) for name in ("same", "different", "unknown"))
    return Comparison(same, different, unknown, is_whole=not different and not unknown)


def are_of_same_weights(ours: object, theirs: object) -> bool | None:
    """Return whether two lens files' fingerprints are of the same weights; None where that cannot be said."""
    if not all(isinstance(found, Mapping) and found.get("scheme") == SCHEME for found in (ours, theirs)):
        return None
    assert isinstance(ours, Mapping) and isinstance(theirs, Mapping)
    if ours["parts"].keys() != theirs["parts"].keys() or ours.get("adapter") != theirs.get("adapter"):
        return False
    rounded = bool(ours.get("rounded") or theirs.get("rounded"))
    verdicts = {
        _verdict(tensors, theirs["parts"][part], set(tensors), rounded=rounded)
        for part, tensors in ours["parts"].items()
    }
    return False if "different" in verdicts else True if "same" in verdicts else None


def spoken(parts: Iterable[str]) -> str:
    """Return parts in words: `blocks 0-5 and the final norm`."""
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
    """Return the verdict on one part: `same`, `different` or `unknown`.

    Args:
        ours: samples of the open model.
        theirs: samples of the file.
        names: names of all tensors of the open model in this part.
        rounded: whether the weights of either were unpacked from a quantised file.
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
    """Return whether two runs of samples are equal but for rounding to another dtype."""
    floor = _FLOOR * max(map(abs, (*ours, *theirs)), default=0.0)
    return all(
        abs(a - b) <= _RELATIVE * max(abs(a), abs(b)) + floor for a, b in zip(ours, theirs, strict=True)
    )


def _is_rounding(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    """Return whether the difference of two runs of samples is within what quantisation can cause."""
    largest = max(map(abs, (*ours, *theirs)))  # divided by, so that no square overflows
    off = sum(((a - b) / largest) ** 2 for a, b in zip(ours, theirs, strict=True))
    whole = max(sum((value / largest) ** 2 for value in run) for run in (ours, theirs))
    return off <= _ROUNDED**2 * whole


def _parts(anatomy: Anatomy, module: Any) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield the tensors of each part by name, the embedding first. A tied matrix is in both of its parts.

    A matrix under an adapter has the name that it has without.
    """
    blocks, norm = anatomy.blocks, anatomy.final_norm
    numbered = {id(parameter) for block in blocks for parameter in block.parameters()}
    normed = set() if norm is None else {id(parameter) for parameter in norm.parameters()}
    # All parameters beside the blocks: embeddings of tokens and positions, their norm or projection.
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
    return (
        (part, {_WRAPPED.sub("", name): tensor for name, tensor in tensors.items()})
        for part, tensors in parts
        if tensors
    )


def _around(body: Any, block: Any) -> Any:
    """Return the module that holds the list of blocks; of a multimodal model, its text model."""
    around = body
    for module in body.modules():
        if any(child is part for child in module.children() for part in child.children() if part is block):
            around = module
    return around


def _places(shape: tuple[int, ...], count: int, device: torch.device) -> tuple[Tensor, ...]:
    """Return the indices of the samples of a tensor with a shape: one index tensor for each dimension."""
    size = torch.Size(shape).numel()
    flat = (
        range(size)
        if size <= count
        else [((k * _STEP) % (1 << 64)) * size >> 64 for k in range(1, count + 1)]
    )
    return torch.unravel_index(torch.tensor(list(flat), dtype=torch.long, device=device), shape)


def _is_plain(tensor: Tensor) -> bool:
    """Return whether the entries of a tensor are the weights themselves, and loaded."""
    return (
        tensor.is_floating_point()
        and tensor.element_size() > 1  # 8-bit floats come with scales
        and tensor.ndim > 0
        and tensor.numel() > 0
        and tensor.device.type != "meta"
    )


def _all_finite(samples: Sequence[float]) -> bool:
    return all(value - value == 0 for value in samples)
