"""The tests that need a GPU, and every bench on it, in one report in Markdown, within ten minutes.

    python -m tests.bench.gpu_report [--device cuda] [--minutes 10] [--output FILE] [--only NAME …] [--small]

What matters most comes first. Each part is a process of its own with a time limit of its own; one that fails
or takes too long is said in its place, and the next one begins. The report is written after each part, so
that what was measured stays where this program is stopped. `--small` takes sizes that a processor does in the
time, which proves with `--device cpu` that the parts run; it says nothing of speed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.measuring import machine, need

ROOT = Path(__file__).parents[2]
TESTS = "tests/cuda tests/model/test_device_map.py"
MINUTES = 10
LEAST = 5  # seconds in which a part can show anything


@dataclass(frozen=True)
class Part:
    """A part of the report.

    Attributes:
        name: of the bench, after `bench_`; or `tests`.
        words: its options.
        small: those for a processor.
        limit: seconds, of all `MINUTES`.
    """

    name: str
    words: str
    small: str
    limit: int


PARTS = (
    Part("tests", "", "", 150),
    Part("readout", "", "--repeat 1 --dtypes bfloat16", 90),
    Part("fit", "--random", "--repeat 1", 60),
    Part("jacobian", "--prompts 2", "--prompts 1 --repeat 1 --batches 8", 90),
    Part("large", "--parameters 1.2", "--parameters 0.2", 90),
    Part("why", "--columns 32 256 1024", "--columns 32 --dtypes float32 --repeat 1", 60),
    Part("trace", "", "--repeat 1", 40),
    Part("precision", "--blocks 2", "--blocks 1 --dtypes float32", 60),
    Part("growth", "", "--repeat 1", 60),
    Part("evaluation", "--sets 0", "--sets 0 --repeat 1", 40),
    Part("scan", "--max-tokens 65536", "--max-tokens 4096 --seq-len 128", 40),
    Part("start", "--repeat 3", "--repeat 1", 60),
    Part("training", "--keys 50", "--keys 5", 60),
    Part("reopening", "--times 20 --skip 8", "--times 4 --skip 2", 40),
    Part("control_variate", "--prompts 8 --others 8", "--prompts 2 --others 2 --repeat 1", 60),
    Part("why_rounding", "", "--dtypes float32", 60),
)


@dataclass(frozen=True)
class Result:
    """What came of a part.

    Attributes:
        part: the part.
        verdict: one line; empty where all went well.
        output: what it printed, without the line about the machine.
        seconds: that it took.
    """

    part: Part
    verdict: str
    output: str
    seconds: float


def command(part: Part, device: str, small: bool) -> list[str]:
    """The words of a part's process."""
    if part.name == "tests":
        # Without a GPU the same tests run on what stands in for one.
        chosen = "cuda" if device.startswith("cuda") else "not cuda"
        words = f"-m pytest -n0 -rfE --tb=line -p no:cacheprovider {TESTS} -m"
        return [sys.executable, *words.split(), chosen]
    options = (part.small if small else part.words).split()
    return [sys.executable, "-m", f"tests.bench.bench_{part.name}", "--device", device, *options]


def done(part: Part, words: list[str], limit: float) -> Result:
    """Run a part, and end it with all that it started when its time is over."""
    began = time.monotonic()
    process = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        output, errors = process.communicate(timeout=limit)
        status = process.returncode
        verdict = "" if status == 0 else f"failed with status {status}: {last(errors)}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        verdict = f"not done within {limit:.0f} s"
    shown = without_machine(output).strip().replace(f"{ROOT}/", "")  # a path is this machine's own
    return Result(part, verdict, shown, time.monotonic() - began)


def last(errors: str) -> str:
    """The last line of what was written to standard error, which names what went wrong."""
    return next((line.strip() for line in reversed(errors.splitlines()) if line.strip()), "no word of why")


def without_machine(output: str) -> str:
    """What a bench printed below its line about the machine, which the report has once."""
    first, _, rest = output.partition("\n")
    return rest if " · torch " in first else output


def report(about: str, results: list[Result], missing: list[Part]) -> str:
    """The whole report."""
    lines = ["# lenstui on this machine", "", f"{about}", "", f"{datetime.now(UTC):%Y-%m-%d}", ""]
    failed = [each.part.name for each in results if each.verdict]
    lines += [f"{len(results) - len(failed)} of {len(PARTS)} parts went well."]
    lines += [f"Not well: {', '.join(failed)}."] if failed else []
    lines += [f"No time was left for: {', '.join(part.name for part in missing)}."] if missing else []
    for each in results:
        lines += ["", f"## {each.part.name}", "", f"{each.seconds:.0f} s. {each.verdict}".rstrip()]
        shown = f"```\n{each.output}\n```" if each.part.name == "tests" else each.output
        lines += ["", shown] if each.output else []
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, mps or cpu")
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help="that all of it may take, and each part in proportion"
    )
    parser.add_argument("--output", type=Path, default=Path("gpu-report.md"))
    parser.add_argument("--small", action="store_true", help="sizes for a processor")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[part.name for part in PARTS])
    given = parser.parse_args()
    need(given.device)
    end = time.monotonic() + 60 * given.minutes
    about, results = machine(given.device), list[Result]()
    left = [part for part in PARTS if given.only is None or part.name in given.only]
    while left and (time_left := end - time.monotonic()) > LEAST:
        part = left.pop(0)
        print(f"{part.name} …", end=" ", flush=True)
        limit = min(part.limit * given.minutes / MINUTES, time_left)
        result = done(part, command(part, given.device, given.small), limit)
        results.append(result)
        print(f"{result.seconds:.0f} s {result.verdict}", flush=True)
        given.output.write_text(report(about, results, left), encoding="utf-8")
    print(f"The report is in {given.output}.")
    raise SystemExit(1 if left or any(result.verdict for result in results) else 0)


if __name__ == "__main__":
    main()
