"""How long lenstui takes to its first paint, and to a grid, against a bare script that reads the same prompt.

    python tests/bench/bench_start.py [--model FOLDER] [--repeat 5]

Run by hand. Each run is a fresh process in a pseudo-terminal of 200 x 50. The bare script imports torch and
transformers, loads the model and runs the prompt once: nothing could show a grid sooner.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import termios
import time

from lenstui.paths import bundled_model

PROMPT = "The trees are green and the sky is"
FIRST_PAINT = b" prompt "
GRID = b" column "  # the detail's title, which comes with the first cells

BARE = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
with torch.inference_mode():
    ids = tokenizer(sys.argv[2], return_tensors="pt")["input_ids"]
    model(input_ids=ids).logits.argmax(-1).tolist()
"""


def bare(model: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", BARE, model, PROMPT], check=True, capture_output=True)
    return time.perf_counter() - began


def screen(model: str) -> tuple[float, float]:
    """Seconds to the first paint and to the grid."""
    began = time.perf_counter()
    process, terminal = pty.fork()
    if process == 0:
        os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        words = ["--demo"] if model == str(bundled_model()) else ["--model", model]
        os.execv(sys.executable, [sys.executable, "-m", "lenstui", *words, "-p", PROMPT])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    seen, painted = b"", 0.0
    try:
        while time.perf_counter() - began < 120:
            if select.select([terminal], [], [], 1)[0]:
                seen += os.read(terminal, 1 << 16)
            if not painted and FIRST_PAINT in seen:
                painted = time.perf_counter() - began
            if GRID in seen:
                return painted, time.perf_counter() - began
        raise SystemExit(f"no grid within 120 s; the last bytes were {seen[-500:]!r}")
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=str(bundled_model()))
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    bare(arguments.model), screen(arguments.model)  # warm the disk cache
    bares, paints, grids = [], [], []
    for _ in range(arguments.repeat):
        bares.append(bare(arguments.model))
        paint, grid = screen(arguments.model)
        paints.append(paint)
        grids.append(grid)
    for name, times in (("bare script", bares), ("first paint", paints), ("grid", grids)):
        print(f"{name:12} min {min(times):.2f}   median {statistics.median(times):.2f} s")
    print(f"grid / bare script: {min(grids) / min(bares):.2f}")


if __name__ == "__main__":
    main()
