"""The program killed at random moments of all that it does at length or writes, and started again.

    python -m tests.hostile.kills MODEL [--kills 100] [--seed 0] [--kind train,jacobian,scan,…]

MODEL is a folder with a small model. After each kill all files that have a final name must be whole: as they
were before, or as they are to be. The next run goes on where it can, ends as if nobody had been killed, and
takes away what the killed ones left. Half of the kills wait until a file is half written.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import psutil

from tests.hostile.long_run import parser
from tests.programs.forked import PATIENCE, Forked, Program, forked
from tests.programs.pty_terminal import Terminal

LONG_AGO = (0, 0)


class Running(Protocol):
    """A program under way."""

    @property
    def pid(self) -> int:
        """Its process."""

    def send(self, number: int) -> None:
        """Send it a signal."""

    def ended(self) -> int | None:
        """Its exit status as soon as it has ended."""


@dataclass(frozen=True)
class Place:
    """Where programs are started, and what with.

    Attributes:
        programs: where they are forked from.
        model: the folder of the model.
        folder: an empty folder of their own.
        environment: variables of theirs.
    """

    programs: Forked
    model: Path
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> Path:
        """A text of a few hundred short documents."""
        file = self.folder / "text.txt"
        if not file.exists():
            pick, nouns = random.Random(0), ("the", "cat", "dog", "sat", "on", "mat", "and", "ran", "sky")
            file.write_text("\n\n".join(" ".join(pick.choices(nouns, k=20)) for _ in range(120)))
        return file

    @property
    def results(self) -> Path:
        """The folder that is written into."""
        folder = self.folder / "results"
        folder.mkdir(exist_ok=True)
        return folder

    def start(self, *words: object) -> Program:
        """Start a program."""
        own = {f"XDG_{kind}_HOME": str(self.folder / "own") for kind in ("DATA", "CONFIG", "STATE", "CACHE")}
        environment = {**own, **self.environment}
        return self.programs.start(*words, environment=environment, modules=str(self.folder / "modules"))

    def warm(self) -> None:
        """Import whatever the last program that ended has imported: the next ones need not."""
        if (names := self.folder / "modules").exists():
            self.programs.imports(*names.read_text().split())


@dataclass(frozen=True)
class Work:
    """Something that the program does.

    Attributes:
        folder: where its files are.
        start: starts it, or has it go on where it was.
        check: fails where a file of a final name is not whole.
        finish: checks what it has come to in the end, and makes ready for another time.
        step: what is done again and again while it runs.
    """

    folder: Path
    start: Callable[[], Running]
    check: Callable[[], None]
    finish: Callable[[], None]
    step: Callable[[], object] = lambda: time.sleep(0.0005)


def half_written(folder: Path) -> list[Path]:
    """The files that are half there. `os.walk` takes no notice of folders that go meanwhile."""
    files = (Path(at, name) for at, _, names in os.walk(folder) for name in names)
    return [file for file in files if file.name.endswith((".lenstui-part", ".incomplete"))]


def kill(place: Place, work: Work, kills: int, pick: random.Random) -> Counter[str]:
    """Kill a work so often, and let it end; when the kills came."""
    came = Counter[str]()
    whole = math.inf
    while came.total() < kills:
        begun, known = time.monotonic(), {*half_written(work.folder)}
        if run(work, _moment(pick.random() * whole, known if pick.random() < 0.5 else None, work.folder)):
            came["while writing" if {*half_written(work.folder)} - known else "between writes"] += 1
        else:
            if whole == math.inf:  # the first one imported all
                place.warm()
            whole = min(whole, time.monotonic() - begun)
    run(work, lambda: False)
    return came


def _moment(seconds: float, known: set[Path] | None, folder: Path) -> Callable[[], bool]:
    """Return what says that the time to kill has come.

    Args:
        seconds: how long from now on it has not.
        known: files that were half written before; the kill waits for another one. None: it waits for none.
        folder: where these are.
    """
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end and (known is None or not known.issuperset(half_written(folder)))


def run(work: Work, kill_now: Callable[[], bool]) -> bool:
    """Run a work, to its end or until it is killed; whether it was killed."""
    for file in half_written(work.folder):
        os.utime(file, LONG_AGO)  # as if a minute had gone by: a part that is new may be another program's
    program = work.start()
    latest = time.monotonic() + PATIENCE
    while (status := program.ended()) is None and not kill_now():
        assert time.monotonic() < latest, "it does not end"
        work.step()
    if status is None:
        children = psutil.Process(program.pid).children(recursive=True)
        program.send(signal.SIGKILL)
        while (status := program.ended()) is None:
            time.sleep(0.001)
        _, alive = psutil.wait_procs(children, timeout=PATIENCE)
        assert not alive, f"outlived it: {alive}"
    work.check()
    if status == -signal.SIGKILL:
        return True
    assert status == 0, (status, getattr(program, "err", ""))
    work.finish()
    return False


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def assert_whole(folder: Path) -> None:
    """Fail where a file cannot be read by what reads it."""
    from pyarrow import parquet

    from lenstui.fitting.checkpoint import open_checkpoint
    from lenstui.lens import open_lens
    from lenstui.lens.formats.tensor_file import check_bytes

    for file in folder.rglob("*"):
        if file.name.startswith(".") or not file.is_file():
            continue
        if file.suffix == ".checkpoint":
            open_checkpoint(file)
        elif file.suffix == ".pt":
            check_bytes(file)
            open_lens(file)
        elif file.suffix == ".parquet":
            parquet.read_table(file)
        elif file.suffix in {".json", ".progress"}:
            json.loads(file.read_text())


# ── kinds of work ────────────────────────────────────────────────────────────────────────────────────────


def train(place: Place) -> Work:
    return _fit(place, "--steps", 120, "--tokens-per-step", 128)


def jacobian(place: Place) -> Work:
    return _fit(place, "--kind", "jacobian", "--n-prompts", 16, "--seq-len", 20, "--skip-first", 4)


def _fit(place: Place, *method: object) -> Work:
    """A fit, which writes a checkpoint every 20 ms, and goes on from it."""
    from lenstui.lens import JacobianLens, open_lens

    lens, checkpoint = place.results / "lens.pt", place.results / "lens.checkpoint"
    words = ("train", "--model", place.model, "--data", place.text, *method, "--save", lens)
    undisturbed: list[list[Any]] = []

    def start() -> Program:
        begin = ("train", "--resume", checkpoint) if checkpoint.exists() else words
        return place.start(*begin, "--checkpoint-every", 0.02)

    def finish() -> None:
        fitted = open_lens(lens)
        matrices = (
            [*fitted.matrices.values()] if isinstance(fitted, JacobianLens) else [fitted.weight, fitted.bias]
        )
        matrices = [matrix.clone() for matrix in matrices]  # the file is mapped, and goes
        undisturbed.append(matrices)
        assert all(one.equal(other) for one, other in zip(undisturbed[0], matrices, strict=True))
        assert [*place.results.iterdir()] == [lens]
        lens.unlink()

    return Work(place.results, start, lambda: assert_whole(place.results), finish)


def scan(place: Place) -> Work:
    """A scan, which writes a part for every few blocks, and goes on behind the last."""
    from pyarrow import parquet

    from lenstui.scan.folder import parts_of

    folder = place.results / "scan"
    size = ("--max-tokens", 3000, "--part-every", 0.02)
    words = ("scan", folder, "--model", place.model, "--data", place.text, *size, "--resume")
    undisturbed: list[Any] = []

    def check() -> None:
        assert_whole(folder)
        if folder.exists():
            parts_of(folder)

    def finish() -> None:
        tables = [parquet.read_table(part.path).replace_schema_metadata(None) for part in parts_of(folder)]
        import pyarrow

        undisturbed.append(pyarrow.concat_tables(tables))
        assert undisturbed[-1].equals(undisturbed[0])
        assert half_written(folder) == []
        for file in folder.iterdir():
            file.unlink()

    return Work(folder, lambda: place.start(*words), check, finish)


def trace(place: Place) -> Work:
    """A causal trace in each of its forms."""
    words = ("trace", "the cat sat", "the dog ran", "--model", place.model, "--metric", "kl")
    return _written(place, dict.fromkeys(("a.json", "a.csv", "a.svg", "a.md", "a.txt"), (*words, "-o")))


def export(place: Place) -> Work:
    """A readout in each of its forms, and a lens in other programs'."""
    import torch

    from lenstui.lens import TunedLens, save_lens

    lens = place.folder / "lens.pt"
    torch.manual_seed(0)
    save_lens(TunedLens(torch.randn(6, 200, 200), torch.randn(6, 200)), lens)
    read = ("read", "the cat sat on the mat", "--model", place.model, "-o")
    names = ("a.json", "a.csv", "a.parquet", "a.html", "a.svg", "a.md", "a.txt")
    convert = {"b.pt": ("convert", lens), "folder/params.pt": ("convert", lens)}
    return _written(place, {**dict.fromkeys(names, read), **convert})


def _written(place: Place, commands: Mapping[str, tuple[object, ...]]) -> Work:
    """Files that are written one after the other, each by a command, in place of older ones."""
    wanted: dict[str, str] = {}
    before: dict[str, str] = {}
    turn = count()

    def names() -> list[str]:
        return [*commands]

    now = names()[0]

    def start() -> Program:
        nonlocal now
        now = names()[next(turn) % len(commands)]
        file = place.results / now
        for each in place.results.rglob("*"):
            if each.is_file() and not each.name.startswith("."):
                before[str(each)] = digest(each)
        target = f"{file.parent}{os.sep}" if file.name == "params.pt" else file
        return place.start(*commands[now], target)

    def check() -> None:
        for file in place.results.rglob("*"):
            if file.is_file() and not file.name.startswith("."):
                found = digest(file)
                assert found in {before.get(str(file)), wanted.get(file.name, found)}, file
        for name, was in before.items():
            assert was is None or Path(name).exists() or "folder" in name, name

    def finish() -> None:
        file = place.results / now
        found = digest(file)
        assert wanted.setdefault(file.name, found) == found
        assert not [part for part in half_written(file.parent) if part.name.startswith(f".{file.name}.")]

    return Work(place.results, start, check, finish)


def download(place: Place) -> Work:
    """A lens from the hub, which goes on at the byte where it was."""
    place.folder.joinpath("own", "lenstui").mkdir(parents=True)
    place.folder.joinpath("own", "lenstui", "config.toml").write_text(
        '[[lens_repositories]]\nrepository = "acme/big"\nkind = "jacobian"\nfiles = "*/lens.pt"\n'
    )
    words = ("lenses", "--hub", "--get", "acme/big")
    cache = place.folder / "hub"
    undisturbed: list[str] = []

    def blobs() -> list[Path]:
        return [file for file in cache.rglob("blobs/*") if not file.name.endswith(".lenstui-part")]

    def check() -> None:
        for link in cache.rglob("snapshots/**/*"):
            assert link.exists() or not link.is_symlink(), f"{link} leads nowhere"
        undisturbed.extend(map(digest, blobs()))
        assert len(set(undisturbed)) <= 1

    def finish() -> None:
        assert len(blobs()) == 1
        assert half_written(cache) == []
        for file in [*blobs(), *cache.rglob("snapshots/*/*/*")]:
            file.unlink()

    return Work(cache, lambda: place.start(*words), check, finish)


def save(place: Place) -> Work:
    """The screen, which keeps every prompt that is typed, and at its end how all looked."""
    state, screen = place.folder / "lenstui", _Screen(place)

    def check() -> None:
        for file in state.glob("*.json"):
            json.loads(file.read_text())
        if screen.read:
            history = json.loads((state / "history.json").read_text())["prompts"]
            assert {*screen.read[-100:]} <= {*history}

    def finish() -> None:
        assert (state / "session.json").exists()
        assert half_written(state) == []

    return Work(state, screen.start, check, finish, screen.step)


@dataclass(eq=False)
class _Screen:
    """The screen, and who types prompts there for half a second and quits.

    Attributes:
        typed: the prompt that was typed last.
        read: all prompts that were read, here and before.
    """

    place: Place
    typed: str = ""
    read: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = count()
        self._terminal: Terminal | None = None
        self._ends = math.inf

    def start(self) -> Running:
        if self._terminal is not None:
            os.close(self._terminal.ours)
        words = ["first", "--model", str(self.place.model)]
        place = self.place
        self._terminal = Terminal(place.programs, words, place.folder, environment=place.environment)
        self.typed, self._ends = "first", math.inf
        return self._terminal.program

    def step(self) -> None:
        terminal = self._terminal
        assert terminal is not None
        with suppress(OSError):  # it has ended
            terminal.read(0.002)
            if f" {self.typed}" not in terminal.text or "tokens ·" not in terminal.text:
                return
            now = time.monotonic()
            self._ends = min(self._ends, now + 0.5)
            if self.typed != "first":
                self.read.append(self.typed)
            if now > self._ends:
                terminal.press("\x11")
                return
            self.typed = f"prompt{next(self._numbers)}"
            terminal.press(f"i\x05\x15{self.typed}\r")


KINDS: dict[str, Callable[[Place], Work]] = {
    each.__name__: each for each in (train, jacobian, scan, trace, save, export, download)
}


@contextmanager
def hub(kind: str, folder: Path) -> Iterator[dict[str, str]]:
    """A hub with a lens, for a download; the variables that name it, for a program."""
    if kind != "download":
        yield {}
        return
    from tests.programs.lens_hub import reference_file, serving

    with serving() as server:
        server.slow = 0.4
        server.put("acme/big", {"x/lens.pt": reference_file(7, 300)})
        yield {
            **{"HF_ENDPOINT": server.url, "no_proxy": "127.0.0.1,localhost", "HF_HUB_OFFLINE": "0"},
            **{"HF_HUB_CACHE": str(folder / "hub"), "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": ""},
        }


def kill_kind(kind: str, programs: Forked, model: Path, folder: Path, kills: int, seed: int) -> Counter[str]:
    """Kill one kind of work so often; when the kills came."""
    with hub(kind, folder) as environment:
        place = Place(programs, model, folder, environment)
        return kill(place, KINDS[kind](place), kills, random.Random(seed))


def main() -> int:
    words = parser(__doc__)
    words.add_argument("--kills", type=int, default=100)
    words.add_argument("--kind", default=",".join(KINDS))
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "programs").mkdir()
        with forked(folder / "programs") as programs:
            programs.imports("lenstui.tui.app", "lenstui.tui.explore.parts")
            programs.warm("read", "x", "--model", given.model, "--format", "csv")
            for kind in given.kind.split(","):
                own = folder / kind
                own.mkdir()
                begun = time.monotonic()
                came = kill_kind(kind, programs, given.model, own, given.kills, given.seed)
                seconds = time.monotonic() - begun
                print(f"{kind}: {came.total()} kills, {dict(came)}; {seconds:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
