"""What a causal trace costs beside the forward passes that it is made of, and attribution patching beside it.

Run by hand: `python tests/bench/bench_trace.py --model FOLDER`. The floor is the same number of forward
passes of the corrupted prompt, in batches of the same size, each to the logits of the last column, and one of
either prompt. They take
turns, since a busy machine is not the same twice, and the least processor time of each counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from lenstui.edits.trace import _BATCH_COLUMNS, _last_logits, trace
from lenstui.edits.trace_options import WHATS, TraceOptions, What
from lenstui.model.load import Model, load
from lenstui.model.tokens import Prompt, encode

CLEAN = "Tom and Anna went to the park. Tom gave the ball to"
CORRUPTED = "Tom and Anna went to the park. Anna gave the ball to"


def timed(work: Callable[[], object], seconds: list[float]) -> None:
    clock = time.process_time()
    work()
    seconds.append(time.process_time() - clock)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model = load(given.model, device="cpu")
    clean, corrupted = (encode(model.tokenizer, text) for text in (CLEAN, CORRUPTED))
    for what in WHATS:
        report(model, clean, corrupted, what, given.rounds)


def report(model: Model, clean: Prompt, corrupted: Prompt, what: What, rounds: int) -> None:
    """Time one kind of trace, and print a line."""
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

    ours: list[float] = []
    bare: list[float] = []
    quick: list[float] = []
    approximate = replace(options, approximate=True)
    for _ in range(rounds):
        timed(lambda: trace(model, clean, corrupted, options), ours)
        timed(floor, bare)
        timed(lambda: trace(model, clean, corrupted, approximate), quick)
    estimated = trace(model, clean, corrupted, approximate)
    is_known = np.isfinite(found.recovered)
    alike = np.corrcoef(found.recovered[is_known], estimated.recovered[is_known])[0, 1]
    print(
        f"{what:<6} {is_known.sum():4} patches  {min(ours):6.3f} s  {min(ours) / min(bare):5.2f} × the passes"
        f"   approximate {min(quick):6.3f} s, r = {alike:.2f}"
    )


if __name__ == "__main__":
    main()
