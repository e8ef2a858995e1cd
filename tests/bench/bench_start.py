"""How long lenstui takes to its first paint, and to a grid, against a bare script that reads the same prompt.

    python tests/bench/bench_start.py [--model FOLDER] [--repeat 5]

Run by hand. Each run is a fresh process in a pseudo-terminal of 200 x 50, from compiled modules. The bare
script imports torch and transformers, loads the model and runs the prompt once: nothing could show a grid
sooner. The bare app is a Textual app with a text box, a line and a footer: no screen could be painted sooner.
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

from lenstui.support.paths import bundled_model

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


BARE_APP = """
from textual.app import App
from textual.widgets import Footer, Static, TextArea

class Bare(App):
    def compose(self):
        yield Static(" prompt ")
        yield TextArea("the text")
        yield Footer()

Bare().run()
"""


def bare(model: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", BARE, model, PROMPT], check=True, capture_output=True)
    return time.perf_counter() - began


def screen(model: str) -> tuple[float, float]:
    """Seconds to the first paint and to the grid."""
    words = ["--demo"] if model == str(bundled_model()) else ["--model", model]
    painted, read = times(["-m", "lenstui", *words, "-p", PROMPT], FIRST_PAINT, GRID)
    return painted, read


def times(words: list[str], *marks: bytes) -> list[float]:
    """Seconds until a program in a terminal has written each of the marks."""
    began = time.perf_counter()
    process, terminal = pty.fork()
    if process == 0:
        os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        os.execv(sys.executable, [sys.executable, *words])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    seen = b""
    found: list[float] = []
    try:
        while time.perf_counter() - began < 120:
            if select.select([terminal], [], [], 1)[0]:
                seen += os.read(terminal, 1 << 16)
            while marks[len(found)] in seen:
                found.append(time.perf_counter() - began)
                if len(found) == len(marks):
                    return found
        raise SystemExit(f"no {marks[len(found)]!r} within 120 s; the last bytes were {seen[-500:]!r}")
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
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every start compiles what changed
    bare(arguments.model), screen(arguments.model)  # warm the disk cache
    bares, apps, paints, grids = [], [], [], []
    for _ in range(arguments.repeat):
        bares.append(bare(arguments.model))
        apps += times(["-c", BARE_APP], FIRST_PAINT)
        paint, grid = screen(arguments.model)
        paints.append(paint)
        grids.append(grid)
    for name, taken in (("bare app", apps), ("first paint", paints), ("bare script", bares), ("grid", grids)):
        print(f"{name:12} min {min(taken):.2f}   median {statistics.median(taken):.2f} s")
    print(f"first paint / bare app: {min(paints) / min(apps):.2f}   (budget: 1.40)")
    print(f"grid / bare script: {min(grids) / min(bares):.2f}   (budget: 1.00)")


if __name__ == "__main__":
    main()
