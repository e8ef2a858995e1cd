"""Why of one cell, all attention heads and what they read, against one forward with eager attention. By hand.

    python -m tests.bench.bench_why [--dtypes float32 bfloat16] [--columns 32 256 1024] [--device cuda]

A model of SmolLM2-135M's shape with random weights. The floor is the pass that reads the stream, with eager
attention and no other hook; both are timed in turn in one process, and the ratio is of the medians.
Every run is the first cell of its prompt: nothing is kept from one to the next but the maps of the model,
whose time is given apart. So is that of another token of a column that was read, for which no model is run.
"""

from __future__ import annotations

import argparse

import torch

from lenstui.causal.attribution import explain
from lenstui.causal.components import read_components
from lenstui.causal.maps import find_maps
from lenstui.lens import LogitLens
from lenstui.model.transformers_hacks import eager_attention
from tests.bench.measuring import Peak, arguments, in_turn, random_llama, seconds, started, table


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--columns", type=int, nargs="+", default=[256])
    given = parser.parse_args()
    started(given)
    rows = [measured(given, dtype, columns) for dtype in given.dtypes for columns in given.columns]
    names = ("dtype", "columns", "forward, eager, s", "why / forward", "budget", "maps / forward",
             "another token / forward", "+ MB")  # fmt: skip
    print(table(names, rows))


def measured(given: argparse.Namespace, dtype: str, columns: int) -> list[object]:
    """One row of the table."""
    model = random_llama(given.device, dtype)
    module = model.module
    ids = torch.randint(model.vocabulary, (columns,)).tolist()
    last = columns - 1

    def floor() -> None:
        with eager_attention(module):
            model.stream(torch.tensor([ids]))

    def why() -> None:
        components = read_components(model, ids, last)
        found = explain(components, LogitLens(), row=model.num_blocks)
        assert not any(found.no_sources), found.no_sources

    setup = seconds(lambda: find_maps(model), given.device)
    with Peak(given.device) as peak:
        why()
    components = read_components(model, ids, last)
    works = {
        "forward": floor,
        "why": why,
        "again": lambda: explain(components, LogitLens(), row=model.num_blocks, token=5, minus=7),
    }
    found = in_turn(works, given.repeat, given.device)
    eager = found["forward"]
    return [
        dtype, columns, eager, found["why"] / eager, 1.5, setup / eager, found["again"] / eager, peak.grown
    ]  # fmt: skip


if __name__ == "__main__":
    main()
