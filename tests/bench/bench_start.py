"""How long lenstui takes to its first paint, and to a grid, against a bare script that reads the same prompt.

    python -m tests.bench.bench_start [--model FOLDER] [--repeat 5] [--device cuda]

Run by hand. Each run is a fresh process in a pseudo-terminal of 200 x 50, from compiled modules. The bare
script imports torch and transformers, loads the model and runs the prompt once: nothing could show a grid
sooner. The bare app is a Textual app with a text box, a line and a footer: no screen could be painted sooner.
"""

from __future__ import annotations

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

import psutil

from lenstui.support.paths import bundled_model
from tests.bench.measuring import arguments, started, table

PROMPT = "The trees are green and the sky is"
FIRST_PAINT = b" prompt "
GRID = b" column "  # the detail's title, which comes with the first cells

BARE = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
name, prompt, device = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(name)
dtype = torch.float32 if device == "cpu" else "auto"
model = AutoModelForCausalLM.from_pretrained(name, dtype=dtype).to(device).eval()
with torch.inference_mode():
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"].to(device)
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


def bare(model: str, device: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", BARE, model, PROMPT, device], check=True, capture_output=True)
    return time.perf_counter() - began


def screen(model: str, device: str) -> tuple[list[float], float]:
    """Seconds to the first paint and to the grid, and the memory of the program then, MB."""
    words = ["--demo"] if model == str(bundled_model()) else ["--model", model]
    return times(["-m", "lenstui", *words, "-p", PROMPT, "--device", device], FIRST_PAINT, GRID)


def times(words: list[str], *marks: bytes) -> tuple[list[float], float]:
    """Seconds until a program in a terminal has written each of the marks, and its memory then, MB."""
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
                    return found, psutil.Process(process).memory_info().rss / 1e6
        raise SystemExit(f"no {marks[len(found)]!r} within 120 s; the last bytes were {seen[-500:]!r}")
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--model", default=str(bundled_model()))
    given = parser.parse_args()
    started(given)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every start compiles what changed
    os.environ["OMP_NUM_THREADS"] = str(given.threads)
    bare(given.model, given.device), screen(given.model, given.device)  # warm the disk cache
    apps, paints, bares, grids, memory = (list[float]() for _ in range(5))
    for _ in range(given.repeat):
        bares.append(bare(given.model, given.device))
        app, _ = times(["-c", BARE_APP], FIRST_PAINT)
        (paint, grid), taken = screen(given.model, given.device)
        for each, of in ((apps, app[0]), (paints, paint), (grids, grid), (memory, taken)):
            each.append(of)
    rows = []
    for name, ours, floor, budget in (
        ("first paint, a bare app", paints, apps, 1.4), ("first grid, a bare script", grids, bares, 1.0)
    ):  # fmt: skip
        middle = [statistics.median(each) for each in (ours, floor)]
        rows.append([name, *middle, middle[0] / middle[1], budget, min(ours) / min(floor)])
    names = ("what, and its floor", "s", "floor, s", "s / floor", "budget", "of the least of each")
    print(table(names, rows))
    print(f"\nThe program with its first grid takes {statistics.median(memory):.0f} MB.")


if __name__ == "__main__":
    main()
