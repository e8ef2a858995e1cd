"""Everything that a person does with the program, for hours, and what it comes to hold meanwhile.

    python -m tests.hostile.soak MODEL [--minutes 120] [--seed 0] [--every 30]

MODEL is a folder with a small Llama. The `scenes` are played in an order drawn by chance, on a real
pseudo-terminal, and what the program holds is measured between two of them, when it rests on Explore: a line
each, with the scenes since the line before.

The run fails if a scene does not show what it did, if the program ends or its log has anything, and if after
the first ten minutes its memory grows, or the number of its threads, open files, child processes or temporary
files. What stood on the screen where a scene was missed goes to standard error.
"""

from __future__ import annotations

import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import combinations
from pathlib import Path

import psutil

from tests.hostile.long_run import failures, parser
from tests.hostile.scenes.fits_and_models import tuned
from tests.hostile.scenes.registry import SCENES
from tests.hostile.scenes.user import User, model_for, start

SETTLED = 10.0  # minutes after which everything has been shown, imported and allocated once
GROWTH = 0.1  # MB a minute that is still no growth: 6 MB an hour
KEPT = 12  # lenses, records and exports that are left lying about: who works for a week tidies up
MORE = 2  # threads, or open files, that may be at work when one looks
REST = 5.0  # seconds: a thread of jobs that rests for 2 hands back the memory of what it did


@dataclass(frozen=True)
class Sample:
    """What the program holds at one time.

    Attributes:
        minute: minutes since its start.
        scenes: how many were played before.
        anonymous: its private memory, without that of files, in MB.
        resident: all that is in memory, in MB.
        threads: how many it has.
        files: how many are open.
        children: processes that it has started.
        temporary: files in the folder for temporary ones.
        stored: files that it keeps, its results included.
    """

    minute: float
    scenes: int
    anonymous: float
    resident: float
    threads: int
    files: int
    children: int
    temporary: int
    stored: int

    def line(self) -> str:
        """A line of the table."""
        texts = (f"{value:.1f}" if isinstance(value, float) else str(value) for value in astuple(self))
        return "".join(f"{text:>11}" for text in texts)


HEADER = "".join(f"{column.name:>11}" for column in fields(Sample))


def sample(user: User, minute: float, scenes: int) -> Sample:
    """Measure what the program holds, when it has rested."""
    user.terminal.rest(REST)
    pid = user.terminal.program.pid
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {name: int(value.split()[0]) for name, value in (line.split(":") for line in lines)}
    process = psutil.Process(pid)
    return Sample(
        minute,
        scenes,
        kilobytes["Anonymous"] / 1024,
        kilobytes["Rss"] / 1024,
        process.num_threads(),
        process.num_fds(),
        len(process.children(recursive=True)),
        sum(1 for _ in (user.folder / "tmp").rglob("*")),
        sum(1 for _ in (user.folder / "lenstui").rglob("*")),
    )


def slope(samples: Sequence[Sample]) -> float:
    """MB a minute by which memory grows: the median over all pairs of samples (Theil and Sen)."""
    return statistics.median(
        (two.anonymous - one.anonymous) / (two.minute - one.minute) for one, two in combinations(samples, 2)
    )


def order(pick: random.Random) -> Iterator[int]:
    """Yield places in `SCENES`: a tuned lens first, then rounds of all, each as often as it says, mixed."""
    yield [*SCENES].index(tuned)
    while True:
        places = [place for place, times in enumerate(SCENES.values()) for _ in range(times)]
        pick.shuffle(places)
        yield from places


def tidy(folder: Path) -> None:
    """Delete the oldest of the lenses, records and exports, as a person does now and then."""
    for kind in ("lenses", "scans", "exports"):
        paths = sorted((folder / "lenstui" / kind).glob("*"), key=lambda path: path.stat().st_mtime)
        for path in paths[:-KEPT]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@dataclass
class Soak:
    """The run: what was played, missed and measured."""

    user: User
    minutes: float
    every: float

    def __post_init__(self) -> None:
        self.played: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self.samples: list[Sample] = []
        self._since: list[str] = []  # the scenes since the last of them

    def play(self) -> None:
        """Play scenes until the time is over."""
        user, scenes = self.user, [*SCENES]
        began = time.monotonic()
        print(HEADER)
        for place in order(user.pick):
            minute = (time.monotonic() - began) / 60
            is_over = minute >= self.minutes
            if not self.samples or is_over or minute >= self.samples[-1].minute + self.every / 60:
                self.samples.append(sample(user, minute, self.played.total()))
                print(self.samples[-1].line(), "", *self._since, flush=True)
                self._since.clear()
            if is_over:
                return
            self._play(scenes[place].__name__, scenes[place])
            tidy(user.folder)

    def _play(self, name: str, scene: object) -> None:
        assert callable(scene)
        self._since.append(name)
        try:
            scene(self.user)
            self.user.home()
            self.played[name] += 1
        except AssertionError as error:
            self.user.terminal.assert_alive()
            self.missed[name] += 1
            print(f"missed {name}: {error}", file=sys.stderr, flush=True)
            self._recover()

    def _recover(self) -> None:
        """Go back to where a scene begins, from wherever one was missed."""
        for patience in range(3):
            try:
                self.user.home()
                self.user.unpin()
                self.user.plain()
                self.user.restored()
            except AssertionError:
                self.user.terminal.assert_alive()
                if patience == 2:
                    raise
            else:
                return

    def wrong(self) -> list[str]:
        """What is wrong with the run, in words; empty if nothing is."""
        first = next((each for each in self.samples if each.minute >= SETTLED), self.samples[0])
        last, rest = self.samples[-1], [each for each in self.samples if each.minute >= first.minute]
        words = [f"missed: {name} {times} times" for name, times in self.missed.items()]
        words += [f"never played: {scene.__name__}" for scene in SCENES if not self.played[scene.__name__]]
        if len(rest) < 3:
            return [*words, f"less than {SETTLED:g} minutes: what it grows by is not known"]
        growth = slope(rest)
        print(f"from minute {first.minute:.1f} to {last.minute:.1f}: {growth:+.3f} MB a minute")
        if growth > GROWTH:
            words.append(f"memory grows by {growth:.3f} MB a minute; {GROWTH:g} would be none")
        for name, more in (("threads", MORE), ("files", MORE), ("children", 0), ("temporary", 0)):
            before, now = getattr(first, name), getattr(last, name)
            print(f"{name}: {before}, at the end {now}")
            if now > before + more:
                words.append(f"{name}: {before} → {now}")
        return words


def run(model: Path, minutes: float, seed: int, every: float, folder: Path) -> list[str]:
    """Play for some minutes in a folder, and return what is wrong."""
    copy = model_for(folder, model)
    terminal = start(folder, copy, "Once upon a time")
    soak = Soak(User(terminal, copy, folder, random.Random(seed)), minutes, every)
    try:
        terminal.until(terminal.is_taken)
        soak.user.see(" q Quit", r"\d tokens · \d")
        soak.play()
        wrong = soak.wrong()
        terminal.program.send(signal.SIGTERM)
        if (status := terminal.end()) not in (0, 128 + signal.SIGTERM):
            wrong.append(f"it ended with {status}")
    finally:
        terminal.kill()
        print(f"seed {seed}: {soak.played.total()} scenes: {dict(soak.played)}")
    if log := failures(folder):
        wrong.append(f"the log:\n{log}")
    return wrong


def main() -> int:
    """Run it, print the table, and what is wrong."""
    words = parser(__doc__)
    words.add_argument("--minutes", type=float, default=120)
    words.add_argument("--every", type=float, default=30, help="seconds between two lines of the table")
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        wrong = run(given.model, given.minutes, given.seed, given.every, Path(temporary))
    print(*(wrong or ["passed"]), sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
