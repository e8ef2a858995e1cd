"""Where the time of a tuned lens's fit goes, against the forward passes that it cannot do without.

    python -m tests.bench.bench_fit [--model FOLDER] [--data FILE] [--preset quick] [--device cuda]

Run by hand. `--random` takes a model of SmolLM2-135M's shape with random weights and random text instead,
which says what a size costs and nothing of how good the lens is. Seconds of a stage are medians of the
fits, and so are those of bare forward passes over as many tokens, in blocks as long, which are timed
between the fits. The text is cut into tokens in the first stage.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from itertools import accumulate

import pyarrow.parquet
import torch

from lenstui import FitOptions, Model, fit, load, preset
from lenstui.fitting.options import PRESETS
from lenstui.fitting.progress import FitProgress
from tests.bench.measuring import Peak, arguments, clock, random_llama, seconds, started, table, with_model

BLOCKS = 4  # of a timing of forward passes


def of_stages(
    model: Model, texts: list[str], options: FitOptions, device: str
) -> tuple[dict[str, float], FitProgress]:
    """Fit, and return the seconds of each stage and the last progress."""
    taken: dict[str, float] = defaultdict(float)
    last: list[FitProgress] = []
    before = clock(device)

    def look(progress: FitProgress) -> None:
        nonlocal before
        now = clock(device)
        taken[progress.stage] += now - before
        before, last[:] = now, [progress]

    fit(model, texts, options, on_progress=look)
    return taken, last[0]


def enough(texts: list[str], options: FitOptions) -> list[str]:
    """The first texts, as many as a fit needs: eight characters for a token are more than most take."""
    ends = accumulate(map(len, texts))
    most = 8 * (options.tokens + options.held_out_tokens)
    return [text for text, end in zip(texts, ends, strict=True) if end - len(text) < most]


def a_token(model: Model, length: int, device: str) -> float:
    """Seconds of a bare forward pass, by token."""
    ids = torch.randint(model.vocabulary, (1, length), device=model.device)

    def passes() -> None:
        with torch.inference_mode():
            for _ in range(BLOCKS):
                model.stream(ids)

    return seconds(passes, device) / (BLOCKS * length)


def main() -> None:
    parser = with_model(arguments(__doc__, repeat=3))
    parser.add_argument("--preset", choices=PRESETS, default="quick")
    parser.add_argument("--random", action="store_true", help="a random model, and random text")
    given = parser.parse_args()
    started(given)
    options = preset(given.preset)
    if given.random:
        model = random_llama(given.device)
        draw = torch.Generator().manual_seed(0)
        count = 2 * options.tokens + 2 * options.held_out_tokens
        texts = ["".join(map(chr, torch.randint(256, 40000, (count,), generator=draw).tolist()))]
    else:
        model = load(given.model, device=given.device)
        texts = enough(pyarrow.parquet.read_table(given.data)["text"].to_pylist(), options)
    length = min(options.seq_len, model.context or options.seq_len)
    found: list[dict[str, float]] = []
    bare: list[float] = []
    a_token(model, length, given.device)  # what is done once is not measured
    with Peak(given.device) as peak:
        of_stages(model, texts, options, given.device)
    for _ in range(given.repeat):
        bare.append(a_token(model, length, given.device))
        taken, last = of_stages(model, texts, options, given.device)
        found.append(taken)
    a_pass = statistics.median(bare)
    tokens = {
        "logit lens": last.measured_tokens,
        "closed form": last.tokens - last.step * options.tokens_per_step,
        "refining": last.step * options.tokens_per_step,
    }
    rows: list[list[object]] = []
    for stage in found[0]:
        took, columns = statistics.median(of[stage] for of in found), tokens.get(stage)
        passes: list[object] = ["–", "–"] if not columns else [columns / took, took / (columns * a_pass)]
        rows.append([stage, columns or "–", took, *passes, "–"])
    whole = statistics.median(sum(of.values()) for of in found)
    rows.append(
        ["whole", last.tokens, whole, last.tokens / whole, whole / (last.tokens * a_pass), peak.grown]
    )
    print(table(("stage", "tokens", "s", "tokens/s", "× forward passes", "+ MB"), rows))
    if last.held_out_kl is not None and last.logit_lens_kl is not None and not given.random:
        print(f"\nheld-out KL {last.logit_lens_kl.mean():.3g} → {last.held_out_kl.mean():.3g} nats")


if __name__ == "__main__":
    main()
