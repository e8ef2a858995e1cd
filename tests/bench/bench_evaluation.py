"""What an evaluation costs, whether its memory is flat, and whether its errors are right. Run by hand.

    python -m tests.bench.bench_evaluation [--data TEXT.parquet] [--model FOLDER] [--lens FILE]
        [--texts 20] [--blocks 64] [--seq-len 128] [--sets 1] [--device cuda]

First, the processor time of an evaluation with marginal bias, over that without it and over the bare forward
passes, each the median of some runs in turn; on an accelerator the time of the clock. Then disjoint texts of
some blocks each, one behind the other in the file: for each measure, the logarithm of its standard error
(root mean square over the texts) over the spread of its values between the texts, averaged over the rows but
the last; and the memory after the first text and after the last.

The spread of 20 values is itself 16 % off (1 / √38), the same way in all rows, as rows go together: several
sets of texts say what one cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lenstui.evaluation.measures import MEASURES
from lenstui.lens import Lens, LogitLens, Model, Quality, evaluate, load, open_lens
from lenstui.texts.blocks import token_blocks
from lenstui.texts.documents import Documents, read_documents
from tests.bench.measuring import Peak, allocated, arguments, in_turn, started, table, with_model

COST_BLOCKS = 8


def costs(model: Model, blocks: list[Tensor], lenses: list[Lens], repeat: int) -> str:
    """A table of seconds, and of what they are over the forward passes alone."""

    def forward() -> None:
        with torch.inference_mode():
            for block in blocks:
                model.module(input_ids=block[None].to(model.device), use_cache=False)

    works: dict[str, Callable[[], object]] = {
        "forward passes alone": forward,
        "without marginal bias": lambda: evaluate(model, blocks, lenses, marginal_bias=False),
        "with marginal bias": lambda: evaluate(model, blocks, lenses),
    }
    device = str(model.device)
    peaks = {}
    for name, work in works.items():
        with Peak(device) as peak:
            work()
        peaks[name] = peak.grown
    medians = in_turn(works, repeat, device)
    bare = medians["forward passes alone"]
    rows = [[name, took, took / bare, peaks[name]] for name, took in medians.items()]
    return table(("evaluation", "s", "× the forward passes", "+ MB"), rows)


def errors(sets: list[list[Mapping[str, Quality]]]) -> str:
    """A table of the logarithms of standard errors over spreads, of every set of texts."""
    rows: list[list[object]] = []
    for lens in sets[0][0]:
        for measure in MEASURES:
            ratios = np.array([log_ratio(qualities, lens, measure.name) for qualities in sets])
            rows.append(
                [lens, measure.name, float(ratios.mean()), " ".join(f"{each:+.2f}" for each in ratios)]
            )
    return table(("lens", "measure", "log(standard error / spread)", "by set"), rows)


def log_ratio(qualities: list[Mapping[str, Quality]], lens: str, measure: str) -> float:
    """Return the logarithm of the standard error over the spread, the mean over the rows but the last."""
    values = np.array([each[lens].of(measure) for each in qualities])[:, :-1]
    errors = np.array([each[lens].sem[measure] for each in qualities])[:, :-1]
    return float(np.log(np.sqrt((errors**2).mean(axis=0)) / values.std(axis=0, ddof=1)).mean())


def evaluated(
    model: Model, blocks: Iterator[Tensor], lenses: list[Lens], texts: int, count: int
) -> Iterator[Mapping[str, Quality]]:
    for number in range(texts):
        some = list(islice(blocks, count))
        if len(some) < count:
            raise SystemExit(f"The file holds {number} such texts only.")
        yield evaluate(model, some, lenses)
        if number in {0, texts - 1}:
            print(f"memory after text {number + 1}: {allocated(str(model.device)):.0f} MB", flush=True)


def main() -> None:
    parser = with_model(arguments(__doc__, repeat=3))
    parser.add_argument("--lens", type=Path)
    parser.add_argument("--texts", type=int, default=20)
    parser.add_argument("--blocks", type=int, default=64)
    parser.add_argument("--seq-len", type=int, default=128)
    parser.add_argument("--sets", type=int, default=1, help="how many times these texts; 0: the costs alone")
    given = parser.parse_args()
    started(given)
    model = load(given.model, device=given.device)
    lenses = [LogitLens(), *([] if given.lens is None else [open_lens(given.lens)])]
    documents = read_documents(Documents((given.data,)))
    blocks = token_blocks(model.tokenizer, documents, given.seq_len)
    print(costs(model, list(islice(blocks, COST_BLOCKS)), lenses, given.repeat), "\n", flush=True)
    if given.sets:
        sets = [list(evaluated(model, blocks, lenses, given.texts, given.blocks)) for _ in range(given.sets)]
        print(f"\n{errors(sets)}")


if __name__ == "__main__":
    main()
