"""How much faster several processes fit a lens than one does, and what that costs the processor.

Run by hand: `python -m tests.bench.bench_processes --model FOLDER --data FILE [--counts 1 2] [--repeat 3]`.
`torchrun` starts the real command with each number of processes in turn, since a busy machine is not the
same twice; the medians count. Seconds are those of the fit itself, by the clock, the model loaded and the
text read; processor seconds are those of all processes from their start to their end.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.measuring import arguments, started, table

FITS = {
    "quick": ["--preset", "quick"],
    "32 steps of 512 tokens": ["--steps", "32", "--tokens-per-step", "512"],
    "16 steps of 2048 tokens": ["--steps", "16", "--tokens-per-step", "2048"],
    "Jacobian, 8 prompts": ["--kind", "jacobian", "--n-prompts", "8"],
    "control variate, 24 prompts": [
        *("--kind", "jacobian", "--n-prompts", "24", "--estimator", "control-variate")
    ],
}


def seconds_of(count: int, words: list[str]) -> tuple[float, float]:
    """Seconds of a fit by the clock, and those of the processor that its processes took."""
    before = of_processor()
    with tempfile.TemporaryDirectory() as folder:
        run = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m", "lenstui"]
        command = [sys.executable, *run, *words, "--save", str(Path(folder) / "lens.pt"), "--format", "json"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["seconds"], of_processor() - before


def of_processor() -> float:
    """Seconds of the processor that all processes took that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--fits", nargs="+", default=[*FITS], help="some of them")
    given = parser.parse_args()
    started(given)
    rows: list[list[object]] = []
    for name in given.fits:
        where = ["--model", given.model, "--data", given.data, "--device", given.device]
        words = ["train", *where, "--threads", str(given.threads), *FITS[name]]
        taken: dict[int, list[tuple[float, float]]] = {count: [] for count in given.counts}
        for _ in range(given.repeat):
            for count in given.counts:
                taken[count].append(seconds_of(count, words))
        clock, processor = (
            [statistics.median(each[place] for each in taken[count]) for count in given.counts]
            for place in (0, 1)
        )
        ratios = [f"{clock[0] / each:.2f}" for each in clock[1:]]
        rows.append([name, *clock, *ratios, *processor])
        print(rows[-1], flush=True)
    counts = given.counts
    columns = ["fit", *(f"{count}: s" for count in counts), *(f"{count}: × as fast" for count in counts[1:])]
    print(table([*columns, *(f"{count}: processor s" for count in counts)], rows))


if __name__ == "__main__":
    main()
