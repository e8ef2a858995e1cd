"""Readout of 256 columns on a model of SmolLM2-135M's shape, against the bare product. Run by hand.

    python -m tests.bench.bench_readout [--dtypes float32 bfloat16] [--words-only] [--device cuda]

The bare product is what no readout can do without: `rows × columns × d × vocabulary`, one row at a time, in
the same dtype. Beside it stand the forward pass, which is in the readout too, and what else it takes: bytes
that functions read and write for each logit, the products' among them, and memory over the model's, of the
first readout in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

import torch

from lenstui.lens import Model, Prompt, read_tiles
from tests.bench.measuring import Peak, Traffic, arguments, in_turn, random_llama, started, table

COLUMNS = 256
VISIBLE = range(COLUMNS - 20, COLUMNS)  # on screen
BUDGETS = {"float32": 1.4, "bfloat16": 1.5}
MEMORY = 250  # MB


def readout(model: Model, prompt: Prompt, *, words_only: bool = False) -> float:
    """Read it, and return the seconds to the first tile."""
    began, first = time.perf_counter(), 0.0
    for _ in read_tiles(model, prompt, top_k=5, first=VISIBLE, words_only=words_only):
        first = first or time.perf_counter() - began
    return first


def measured(given: argparse.Namespace, dtype: str) -> dict[str, float]:
    """All numbers of one dtype, by name."""
    model = random_llama(given.device, dtype)
    ids = torch.randint(model.vocabulary, (COLUMNS,)).tolist()
    prompt = Prompt("", tuple(ids))
    x = torch.randn(COLUMNS, model.d_model).to(model.device, model.dtype)
    weight = model.module.lm_head.weight

    def bare() -> None:
        with torch.inference_mode():
            for _ in range(model.num_blocks + 1):
                torch.nn.functional.linear(x, weight)

    with Peak(given.device) as peak:
        first = readout(model, prompt)
    works = {
        "bare": bare,
        "forward": lambda: model.stream(torch.tensor([ids])),
        "readout": lambda: readout(model, prompt),
    }
    if given.words_only:
        works["words only"] = lambda: readout(model, prompt, words_only=True)
    with Traffic(model.vocabulary) as traffic:
        readout(model, prompt)
    logits = COLUMNS * (model.num_blocks + 1) * model.vocabulary
    found = in_turn(works, given.repeat, given.device)
    return {**found, "first": first, "peak": peak.grown, "bytes": traffic.bytes / logits}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--dtypes", nargs="+", default=list(BUDGETS), choices=BUDGETS)
    parser.add_argument("--words-only", action="store_true", help="time the readout filter, too")
    parser.add_argument("--child", choices=BUDGETS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        torch.set_num_threads(given.threads)
        print(json.dumps(measured(given, given.child)))
        return
    started(given)
    rows = []
    for dtype in given.dtypes:
        command = [sys.executable, "-m", "tests.bench.bench_readout", *sys.argv[1:], "--child", dtype]
        child = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(child.stdout)
        ratio = found["readout"] / found["bare"]
        rows.append(
            [
                dtype, found["bare"], found["forward"], found["readout"], ratio, BUDGETS[dtype],
                found["bytes"], found["peak"], MEMORY, found["first"],
                found.get("words only", 0.0) / found["readout"] or "–",
            ]
        )  # fmt: skip
    columns = (
        "dtype", "bare product, s", "forward pass, s", "readout, s", "readout / product", "budget",
        "bytes a logit", "+ MB", "budget, MB", "first tile, s", "words only / all",
    )  # fmt: skip
    print(table(columns, rows))


if __name__ == "__main__":
    main()
