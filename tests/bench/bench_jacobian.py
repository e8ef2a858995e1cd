"""How fast Jacobians are fitted, against the reference algorithm in the same process on the same prompts.

Run by hand: `python tests/bench/bench_jacobian.py --model FOLDER --data FILE [--reference FOLDER]`.
The reference is one forward pass of the prompt in copies, and one backward pass for every so many output
dimensions, as Gurnee et al. 2026 publish it: their own code with `--reference`, a folder that holds their
package `jlens`; else the same written out here. Its best batch size is compared. The two take turns, since a
busy machine is not the same twice, and the least processor time of each prompt counts. Both leave out `emb`.
Memory is what a process of its own takes on top during its first prompt.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psutil
import pyarrow.parquet
import torch
from torch import Tensor, nn

from lenstui.fitting.jacobian.graph import Derivative
from lenstui.fitting.jacobian.prompts import prompt_of
from lenstui.fitting.jacobian.ways import graph_of, proven_way
from lenstui.model.load import Model, load

LENGTH, FIRST = 128, 16
Fit = Callable[[str], Tensor]  # the Jacobians of a text, `[rows, d, d]`, of the rows above `emb`


@dataclass
class Measured:
    """Of one way: processor seconds, and seconds, of every prompt in every round."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    wall: dict[int, list[float]] = field(default_factory=dict)

    @property
    def per_prompt(self) -> float:
        return sum(map(min, self.seconds.values())) / len(self.seconds)

    @property
    def wall_per_prompt(self) -> float:
        return sum(map(min, self.wall.values())) / len(self.wall)


def memory_of(fit: Fit, text: str) -> int:
    """The most bytes that this process, which has fitted nothing before, takes on top during a fit."""
    process, done = psutil.Process(), threading.Event()
    before = most = process.memory_info().rss

    def watch() -> None:
        nonlocal most
        while not done.wait(0.002):
            most = max(most, process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        fit(text)
    finally:
        done.set()
        thread.join()
    return most - before


def ours(model: Model) -> Fit:
    of = Derivative(range(1, model.num_blocks), model.num_blocks, FIRST)
    d = model.d_model
    ways: list[Any] = []

    def fit(text: str) -> Tensor:
        ids = prompt_of(model.tokenizer, text, LENGTH)
        assert ids is not None
        if not ways:  # once for a fit
            ways.append(proven_way(model, ids, of))
            print(f"ours: {ways[0]}")
        way = ways[0]
        graph = graph_of(model, ids, of, way)
        pieces = [graph.jacobian(range(at, min(at + graph.chunk, d))) for at in range(0, d, graph.chunk)]
        return torch.cat(pieces, 1)

    return fit


def written_out(model: Model, batch: int) -> Fit:
    """The reference algorithm: block outputs by hooks, a replicated forward pass, one-hot cotangents."""
    blocks, d = model.anatomy.blocks, model.d_model

    def fit(text: str) -> Tensor:
        ids = prompt_of(model.tokenizer, text, LENGTH)
        assert ids is not None
        outputs: list[Tensor] = []

        def keep(block: nn.Module, args: Any, output: Any) -> None:
            h = output if isinstance(output, Tensor) else output[0]
            outputs.append(h.requires_grad_() if not outputs else h)

        handles = [block.register_forward_hook(keep) for block in blocks]
        with torch.enable_grad():
            model.anatomy.body(input_ids=ids.expand(batch, -1), use_cache=False)
        for handle in handles:
            handle.remove()
        *sources, target = outputs
        found = torch.zeros(len(sources), d, d)
        for start in range(0, d, batch):
            dims = torch.arange(start, min(start + batch, d))
            cotangent = torch.zeros_like(target)
            cotangent[torch.arange(len(dims))[:, None], torch.arange(FIRST, LENGTH - 1), dims[:, None]] = 1
            gradients = torch.autograd.grad(target, sources, cotangent, retain_graph=True)
            for row, gradient in enumerate(gradients):
                found[row, dims] = gradient[: len(dims), FIRST : LENGTH - 1].mean(1)
        return found

    return fit


def published(model: Model, batch: int, folder: str) -> Fit:
    """The reference code itself."""
    if folder not in sys.path:
        sys.path.insert(0, folder)
    code, adapter = importlib.import_module("jlens.fitting"), importlib.import_module("jlens.hf")
    wrapped = adapter.from_hf(model.module, model.tokenizer)
    layers = list(range(model.num_blocks - 1))

    def fit(text: str) -> Tensor:
        found, *_ = code.jacobian_for_prompt(wrapped, text, layers, dim_batch=batch, max_seq_len=LENGTH)
        return torch.stack([found[layer] for layer in layers])

    return fit


def all_ways(model: Model, given: argparse.Namespace) -> dict[str, Fit]:
    ways: dict[str, Fit] = {"ours": ours(model)}
    for batch in given.batches:
        ways[f"reference, {batch} at once"] = (
            published(model, batch, given.reference) if given.reference else written_out(model, batch)
        )
    return ways


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True, help="a Parquet file with a column `text`")
    parser.add_argument("--reference", help="folder of the reference code's package `jlens`")
    parser.add_argument("--prompts", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[2, 8], help="of the reference")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)  # in a process of its own
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model = load(given.model, device="cpu")
    for parameter in model.module.parameters():
        parameter.requires_grad_(False)
    texts = [
        text
        for text in pyarrow.parquet.read_table(given.data)["text"].to_pylist()
        if prompt_of(model.tokenizer, text, LENGTH) is not None
    ][: given.prompts]
    ways = all_ways(model, given)
    if given.memory_of is not None:
        print(memory_of(ways[given.memory_of], texts[0]))
        return
    measured = {name: Measured() for name in ways}
    for fit in ways.values():
        fit(texts[0])  # what is done once is not measured
    for _ in range(given.rounds):
        for number, text in enumerate(texts):
            found: dict[str, Tensor] = {}
            for name, fit in ways.items():
                clock, wall = time.process_time(), time.monotonic()
                found[name] = fit(text)
                measured[name].seconds.setdefault(number, []).append(time.process_time() - clock)
                measured[name].wall.setdefault(number, []).append(time.monotonic() - wall)
            wanted = found[name]
            worst = float(((found["ours"] - wanted).norm(dim=(1, 2)) / wanted.norm(dim=(1, 2))).max())
            assert worst < 1e-4, f"not the same Jacobian: {worst:.1e}"
    for name, found_of in measured.items():
        again = [sys.executable, *sys.argv, "--memory-of", name]
        memory = int(subprocess.run(again, check=True, capture_output=True, text=True).stdout.split()[-1])
        print(
            f"{name:<24} {found_of.per_prompt:7.2f} processor s/prompt  "
            f"{found_of.wall_per_prompt:7.2f} s/prompt  {memory / 1e6:6.0f} MB on top"
        )
    best = min(one.per_prompt for name, one in measured.items() if name != "ours")
    ratio = best / measured["ours"].per_prompt
    print(f"ours is {ratio:.2f} × as fast; worst difference {worst:.1e} of the norm")


if __name__ == "__main__":
    main()
