"""What a causal trace costs beside the forward passes that it is made of, and attribution patching beside it.

Run by hand: `python -m tests.bench.bench_trace [--model FOLDER] [--device cuda]`. The floor is as many
forward passes of the corrupted prompt, in batches of the same size, each to the logits of the last column,
and one of either prompt. They take turns, and the median of each counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from lenstui.edits.trace import _BATCH_COLUMNS, _last_logits, trace
from lenstui.edits.trace_options import WHATS, TraceOptions, What
from lenstui.model.load import Model, load
from lenstui.model.tokens import Prompt, encode
from tests.bench.measuring import Peak, arguments, in_turn, started, table, with_model

CLEAN = "Tom and Anna went to the park. Tom gave the ball to"
CORRUPTED = "Tom and Anna went to the park. Anna gave the ball to"


def main() -> None:
    parser = with_model(arguments(__doc__))
    given = parser.parse_args()
    started(given)
    model = load(given.model, device=given.device)
    clean, corrupted = (encode(model.tokenizer, text) for text in (CLEAN, CORRUPTED))
    rows = [measured(given, model, clean, corrupted, what) for what in WHATS]
    names = ("what", "patches", "trace, s", "trace / passes", "budget", "approximate, s", "its correlation",
             "+ MB")  # fmt: skip
    print(table(names, rows))


def measured(
    given: argparse.Namespace, model: Model, clean: Prompt, corrupted: Prompt, what: What
) -> list[object]:
    """One row of the table."""
    options = TraceOptions(what=what)
    found = trace(model, clean, corrupted, options)
    patched = int(np.isfinite(found.raw).sum(1).max())  # forward passes of a row
    size = _BATCH_COLUMNS // len(corrupted.ids)
    batches = [min(size, patched - start) for start in range(0, patched, size)]

    def floor() -> None:
        _last_logits(model, torch.tensor([clean.ids]), [])
        _last_logits(model, torch.tensor([corrupted.ids]), [])
        for batch in batches * len(found.rows):
            _last_logits(model, torch.tensor([corrupted.ids] * batch), [])

    approximate = replace(options, approximate=True)
    works: dict[str, Callable[[], object]] = {
        "ours": lambda: trace(model, clean, corrupted, options),
        "passes": floor,
        "quick": lambda: trace(model, clean, corrupted, approximate),
    }
    with Peak(given.device) as peak:
        works["ours"]()
    seconds = in_turn(works, given.repeat, given.device)
    estimated = trace(model, clean, corrupted, approximate)
    is_known = np.isfinite(found.recovered)
    alike = np.corrcoef(found.recovered[is_known], estimated.recovered[is_known])[0, 1]
    ours = seconds["ours"]
    patches, over = int(is_known.sum()), ours / seconds["passes"]
    return [what, patches, ours, over, 1.1, seconds["quick"], float(alike), peak.grown]


if __name__ == "__main__":
    main()
