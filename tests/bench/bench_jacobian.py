"""How fast Jacobians are fitted, against the reference algorithm in the same process on the same prompts.

    python -m tests.bench.bench_jacobian [--model FOLDER] [--data FILE] [--reference FOLDER] [--device cuda]

Run by hand. The reference is one forward pass of the prompt in copies, and one backward pass for every so
many output dimensions, as Gurnee et al. 2026 publish it: their own code with `--reference`, a folder that
holds their package `jlens`; else the same written out here. Its best batch size is compared. The two take
turns, since a busy machine is not the same twice; the median of each prompt counts, and the mean of the
prompts. Both leave out `emb`, in float32. Memory is what a process of its own takes on top during its first
prompt.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pyarrow.parquet
import torch
from torch import Tensor, nn

from lenstui.fitting.jacobian.graph import Derivative
from lenstui.fitting.jacobian.prompts import prompt_of
from lenstui.fitting.jacobian.ways import graph_of, proven_way
from lenstui.model.load import Model, load
from tests.bench.measuring import Peak, arguments, clock, started, table, with_model

LENGTH, FIRST = 128, 16
Fit = Callable[[str], Tensor]  # the Jacobians of a text, `[rows, d, d]`, of the rows above `emb`


def ours(model: Model) -> Fit:
    of = Derivative(range(1, model.num_blocks), model.num_blocks, FIRST)
    d = model.d_model
    ways: list[Any] = []

    def fit(text: str) -> Tensor:
        ids = prompt_of(model.tokenizer, text, LENGTH)
        assert ids is not None
        if not ways:  # once for a fit
            ways.append(proven_way(model, ids, of))
        way = ways[0]
        graph = graph_of(model, ids, of, way)
        pieces = [graph.jacobian(range(at, min(at + graph.chunk, d))) for at in range(0, d, graph.chunk)]
        return torch.cat(pieces, 1).cpu()

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
            model.anatomy.body(input_ids=ids.to(model.device).expand(batch, -1), use_cache=False)
        for handle in handles:
            handle.remove()
        *sources, target = outputs
        found = torch.zeros(len(sources), d, d, device=model.device)
        for start in range(0, d, batch):
            dims = torch.arange(start, min(start + batch, d))
            cotangent = torch.zeros_like(target)
            cotangent[torch.arange(len(dims))[:, None], torch.arange(FIRST, LENGTH - 1), dims[:, None]] = 1
            gradients = torch.autograd.grad(target, sources, cotangent, retain_graph=True)
            for row, gradient in enumerate(gradients):
                found[row, dims] = gradient[: len(dims), FIRST : LENGTH - 1].mean(1)
        return found.cpu()

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
        return torch.stack([found[layer] for layer in layers]).cpu()

    return fit


def all_ways(model: Model, given: argparse.Namespace) -> dict[str, Fit]:
    ways: dict[str, Fit] = {"ours": ours(model)}
    for batch in given.batches:
        ways[f"reference, {batch} at once"] = (
            published(model, batch, given.reference) if given.reference else written_out(model, batch)
        )
    return ways


def texts_of(model: Model, data: str) -> list[str]:
    """The texts of a Parquet file that are long enough for a prompt, among its first 5000."""
    texts = pyarrow.parquet.read_table(data)["text"].to_pylist()[:5000]
    return [text for text in texts if prompt_of(model.tokenizer, text, LENGTH) is not None]


def main() -> None:
    parser = with_model(arguments(__doc__, repeat=3))
    parser.add_argument("--reference", help="folder of the reference code's package `jlens`")
    parser.add_argument("--prompts", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[2, 8], help="of the reference")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)  # in a process of its own
    given = parser.parse_args()
    if given.memory_of is None:
        started(given)
    torch.set_num_threads(given.threads)
    model = load(given.model, device=given.device, dtype="float32")
    for parameter in model.module.parameters():
        parameter.requires_grad_(False)
    texts = texts_of(model, given.data)[: given.prompts]
    ways = all_ways(model, given)
    if given.memory_of is not None:
        with Peak(given.device) as peak:
            ways[given.memory_of](texts[0])
        print(json.dumps(peak.grown))
        return
    taken: dict[str, list[list[float]]] = {name: [[] for _ in texts] for name in ways}
    for fit in ways.values():
        fit(texts[0])  # what is done once is not measured
    worst = 0.0
    for _ in range(given.repeat):
        for number, text in enumerate(texts):
            found: dict[str, Tensor] = {}
            for name, fit in ways.items():
                began = clock(given.device)
                found[name] = fit(text)
                taken[name][number].append(clock(given.device) - began)
            wanted = found[name]
            worst = max(
                worst, float(((found["ours"] - wanted).norm(dim=(1, 2)) / wanted.norm(dim=(1, 2))).max())
            )
            assert worst < 1e-4, f"not the same Jacobian: {worst:.1e}"
    per_prompt = {name: statistics.fmean(map(statistics.median, each)) for name, each in taken.items()}
    best = min(seconds for name, seconds in per_prompt.items() if name != "ours")
    rows: list[list[object]] = []
    for name, seconds in per_prompt.items():
        again = [sys.executable, "-m", "tests.bench.bench_jacobian", *sys.argv[1:], "--memory-of", name]
        child = subprocess.run(again, check=True, stdout=subprocess.PIPE, text=True)
        rows.append([name, seconds, best / seconds, json.loads(child.stdout)])
    print(table(("way", "s a prompt", "× as fast as the reference's best", "+ MB"), rows))
    print(f"\nworst difference {worst:.1e} of the norm")


if __name__ == "__main__":
    main()
