"""Why of one cell, all attention heads and what they read, against one forward with eager attention. By hand.

    python tests/bench/bench_why.py [--dtype bfloat16] [--columns 256] [--repeat 5] [--threads 1]
    python tests/bench/bench_why.py --device cuda

A model of SmolLM2-135M's shape with random weights. The floor is the pass that reads the stream, with eager
attention and no other hook; both are timed in turn in one process, and the ratio is of the fastest runs.
Every run is the first cell of its prompt: nothing is kept from one to the next but the maps of the model,
whose time is given apart. So is that of another token of a column that was read, for which no model is run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from transformers import LlamaForCausalLM

from lenstui.causal.attribution import explain
from lenstui.causal.components import read_components
from lenstui.causal.maps import find_maps
from lenstui.lens import LogitLens, wire
from lenstui.model.transformers_hacks import eager_attention
from tests.bench.bench_readout import CONFIG, Ids


def timed(work: Callable[[], object], device: str) -> float:
    """Seconds of the processor, which a busy machine stretches less; with a GPU those of the clock."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    began = clock()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--columns", type=int, default=256)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    module = LlamaForCausalLM(CONFIG).to(given.device, getattr(torch, given.dtype))
    model = wire("random", module, Ids())
    ids = torch.randint(CONFIG.vocab_size, (given.columns,)).tolist()
    last = given.columns - 1

    def floor() -> None:
        with eager_attention(module):
            model.stream(torch.tensor([ids]))

    def why() -> None:
        components = read_components(model, ids, last)
        found = explain(components, LogitLens(), row=model.num_blocks)
        assert not any(found.no_sources), found.no_sources

    setup = timed(lambda: find_maps(model), given.device)
    floors, whys = [], []
    for _ in range(given.repeat):
        floors.append(timed(floor, given.device))
        whys.append(timed(why, given.device))
        print(f"forward, eager {floors[-1]:.3f} s   why {whys[-1]:.3f} s")
    components = read_components(model, ids, last)
    again = timed(
        lambda: explain(components, LogitLens(), row=model.num_blocks, token=5, minus=7), given.device
    )
    eager = min(floors)
    print(f"once a model: its maps {setup / eager:.2f} × the forward")
    print(f"another token of the column: {again / eager:.2f} ×")
    print(
        f"{given.dtype}, {given.columns} columns: "
        f"why / forward with eager attention = {min(whys) / eager:.2f}"
    )


if __name__ == "__main__":
    main()
