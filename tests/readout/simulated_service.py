"""A readout through a service that nnsight plays, beside the same readout here; a program of its own.

nnsight sends the pass to nobody: it writes it down, hides all modules that a service does not have, reads it
back, and runs it. It changes Python's own classes when it is imported, which is why this is no test module.

    python -m tests.readout.simulated_service FOLDER…
"""

from __future__ import annotations

import json
import pickletools
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lenstui.lens import JacobianLens, Lens, LogitLens, Model, TunedLens, load, read
from lenstui.model.remote_load import Weightless, envoy_of, wired
from lenstui.readout import remote
from lenstui.readout.cells import Cells

PROMPT = "the cat sat on a mat"


def modules_of(payload: bytes) -> set[str]:
    """The modules that a payload names: those that a service imports to read it."""
    texts: list[Any] = []
    memo: list[Any] = []
    named = set()
    operations: Any = pickletools.genops(payload)
    for operation, argument, _ in operations:
        match operation.name:
            case "SHORT_BINUNICODE" | "BINUNICODE":
                texts.append(argument)
            case "BINGET" | "LONG_BINGET":
                texts.append(memo[argument])
            case "MEMOIZE":
                memo.append(texts[-1] if texts else None)
            case "STACK_GLOBAL":
                named.add(str(texts[-2]))
    return named


def simulated(folder: Path, payloads: list[bytes], *, miswired: bool = False) -> Model:
    """The model of a folder, whose passes are sent as to a service; what is sent is added to `payloads`.

    Miswired, its head does something else where it is called than within the model's own pass.
    """
    from nnsight.intervention.backends.local import LocalSimulationBackend
    from nnsight.schema.request import RequestModel

    weightless = Weightless.read(folder.name, folder)
    envoy = envoy_of(str(folder), dispatch=True, dtype=torch.float32)
    if miswired:
        matrix = envoy.get("lm_head")._module
        own = matrix.forward
        matrix.forward = lambda x: own(x) * (1.0 if x.ndim == 3 else 1.1)

    class Noted(LocalSimulationBackend):
        def __call__(self, tracer: Any) -> None:
            payloads.append(RequestModel.serialize(tracer, compress=False))
            super().__call__(tracer)

    return wired(weightless, weightless.at("a simulated service", envoy, lambda: Noted(envoy)))


def lenses_of(model: Model) -> list[Lens]:
    """One of each kind; the Jacobian lens without some rows."""
    generator = torch.Generator().manual_seed(3)
    blocks, d = model.num_blocks, model.d_model

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) / 20

    matrices = {row: torch.eye(d) + drawn(d, d) for row in range(1, blocks)}
    return [LogitLens(), TunedLens(drawn(blocks, d, d), drawn(blocks, d)), JacobianLens(matrices)]


def worst(ours: Cells, theirs: Cells) -> float:
    """The largest difference of two floating numbers of a cell; inf where whole numbers or gaps differ.

    A rank may be off by one: of two tokens whose logits differ by less than rounding, either may be first.
    """
    found = 0.0
    for each in fields(Cells):
        one, other = getattr(ours, each.name), getattr(theirs, each.name)
        if one.shape != other.shape or not np.array_equal(np.isnan(one * 1.0), np.isnan(other * 1.0)):
            return float("inf")
        off = float(np.nan_to_num(np.abs(one * 1.0 - other)).max(initial=0.0))
        if one.dtype.kind == "f":
            found = max(found, off)
        elif off > each.name.endswith(("rank", "ranks")):
            return float("inf")
    return found


def main(folders: list[Path]) -> None:
    """Print one JSON object: for each folder the worst differences by lens, and what was sent."""
    said: dict[str, Any] = {}
    for folder in folders:
        payloads: list[bytes] = []
        here, there = load(str(folder), device="cpu"), simulated(folder, payloads)
        lenses, options = lenses_of(here), {"top_k": 4, "pins": (5, 9)}
        ours = read(here, PROMPT, lenses, **options)
        of_folder: dict[str, Any] = {"dtype": there.dtype_name, "d": there.d_model, "v": there.vocabulary}
        for name, largest in (("sent", remote.LARGEST_LENS), ("kept", 0)):
            remote.LARGEST_LENS, before, sent = largest, remote.LARGEST_LENS, len(payloads)
            theirs = read(there, PROMPT, lenses, **options)
            remote.LARGEST_LENS = before
            of_folder[name] = {key: worst(ours.lenses[key], theirs.lenses[key]) for key in ours.lenses}
            of_folder[f"{name} bytes"] = [len(payload) for payload in payloads[sent:]]
        words = [read(model, PROMPT, [LogitLens()], rows=[1], words_only=True) for model in (here, there)]
        of_folder["words"] = worst(*(each.lenses["logit"] for each in words))
        of_folder["modules"] = sorted(set().union(*map(modules_of, payloads)))
        try:
            there.stream(torch.tensor([[1, 2]]))
        except Exception as error:
            of_folder["refused"] = str(error)
        said[folder.name] = of_folder
    try:
        simulated(folders[0], [], miswired=True)
    except Exception as error:
        said["miswired"] = str(error)
    print(json.dumps(said))


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
