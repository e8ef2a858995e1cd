"""`lenstui` as a process of its own that can be killed, forked from one that has imported everything already.

Started afresh it would need seconds to import torch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.programs import ROOT

PATIENCE = 60.0  # seconds; nothing here needs more than a few
RUNNING = 256  # instead of an exit status

# Reads jobs from stdin, one JSON object a line, and answers each with one.
DRIVER = """
import importlib, json, os, signal, sys, time, traceback

import torch

from lenstui.cli import main

RUNNING = int(sys.argv[1])


def child(job):
    os.setsid()
    os.chdir(job["cwd"])
    os.environ.update(job["environment"])
    for number, name in ((0, job["stdin"]), (1, job["stdout"]), (2, job["stderr"])):
        # A terminal that is opened to read as well becomes the one that this session is controlled by.
        flags = os.O_WRONLY if job["pipe"] else os.O_RDWR
        os.dup2(os.open(name, flags | os.O_CREAT), number)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)
    # As a shell starts a program in front, whatever the tests were started by: nohup and `&` ignore some.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGHUP", "SIGTERM", "SIGQUIT"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    for name in job["ignored"]:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    status = 70
    open(job["started"], "w").close()
    try:
        status = main(job["words"])
    except SystemExit as leaving:
        status = int(leaving.code or 0)
    except BaseException:
        traceback.print_exc()
    if job["modules"]:
        with open(job["modules"], "w") as file:
            file.write(" ".join(sys.modules))
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # nobody is there any more
            pass
    os._exit(status)


def waited(pid, patience):
    end = time.monotonic() + patience
    while not (came := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.kill(pid, signal.SIGABRT)
            came = os.waitpid(pid, 0)
            break
        time.sleep(0.002)
    return os.waitstatus_to_exitcode(came[1])


torch.set_num_threads(1)
for line in sys.stdin:
    job = json.loads(line)
    if "import" in job:
        for name in job["import"]:
            try:
                importlib.import_module(name)
            except Exception:
                pass
        answer = 0
    elif "ended" in job:
        came = os.waitpid(job["ended"], os.WNOHANG)
        answer = os.waitstatus_to_exitcode(came[1]) if came[0] else RUNNING
    elif "wait" in job:
        answer = waited(job["wait"], job["patience"])
    else:
        answer = os.fork()
        if not answer:
            child(job)
    print(answer, flush=True)
"""


@dataclass(frozen=True)
class Program:
    """One that was started.

    Attributes:
        pid: its process.
        started: by `time.monotonic`.
    """

    ask: Callable[[Any], int]
    pid: int
    folder: Path
    started: float

    @property
    def out(self) -> str:
        """What it printed so far."""
        return (self.folder / "stdout").read_text()

    @property
    def err(self) -> str:
        """What it said beside that so far."""
        return (self.folder / "stderr").read_text()

    def said(self, words: str) -> None:
        """Wait until it has said something."""
        self.until(lambda: words in self.err, words)

    def until(self, happened: Callable[[], bool], what: str) -> None:
        """Wait for something."""
        while not happened():
            assert time.monotonic() - self.started < PATIENCE, f"{what!r} never came:\n{self.err}"
            time.sleep(0.002)

    def send(self, number: int) -> None:
        """Send it a signal. It has not been waited for, so that its number is its own."""
        os.kill(self.pid, number)

    def ended(self) -> int | None:
        """Its exit status as soon as it has ended. To be asked no more then."""
        status = self.ask({"ended": self.pid})
        return None if status == RUNNING else status

    def status(self) -> int:
        """Wait for its end: the exit status, or less than 0 for the signal that killed it."""
        return self.ask({"wait": self.pid, "patience": PATIENCE})


class Forked:
    """Where programs are forked from."""

    def __init__(self, driver: subprocess.Popen[str], folder: Path) -> None:
        self._driver, self._folder, self._count = driver, folder, 0

    def ask(self, job: Any) -> int:
        """Have the driver do something."""
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        self._driver.stdin.write(json.dumps(job) + "\n")
        self._driver.stdin.flush()
        return int(self._driver.stdout.readline())

    def start(
        self,
        *words: object,
        ignored: Sequence[str] = (),
        cwd: Path | None = None,
        terminal: str = "",
        keyboard: bool = False,
        environment: Mapping[str, str] | None = None,
        modules: str = "",
    ) -> Program:
        """Start `lenstui` with these words.

        Args:
            words: of its command line.
            ignored: names of signals that it is told to ignore, as `nohup` does it.
            cwd: the folder that it runs in.
            terminal: the device or pipe that it talks to instead of files.
            keyboard: whether that terminal is what it listens to as well.
            environment: variables of its own.
            modules: a file to write the names of all imported modules to.
        """
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        job = {
            "words": [str(word) for word in words],
            "ignored": list(ignored),
            "cwd": str(cwd or folder),
            "started": str(folder / "started"),
            "stdin": terminal if keyboard else os.devnull,
            "environment": dict(environment or {}),
            "stdout": terminal or str(folder / "stdout"),
            "stderr": terminal or str(folder / "stderr"),
            "pipe": bool(terminal) and Path(terminal).is_fifo(),
            "modules": modules,
        }
        for name in ("stdout", "stderr"):
            (folder / name).touch()
        return Program(self.ask, self.ask(job), folder, time.monotonic())

    def warm(self, *words: object) -> None:
        """Do this once, and import whatever it imported: the next ones need not."""
        names = self._folder / "modules"
        program = self.start(*words, modules=str(names))
        assert program.status() == 0, program.err
        self.imports(*names.read_text().split())

    def imports(self, *names: str) -> None:
        """Import these modules: the next ones need not."""
        self.ask({"import": names})


@contextmanager
def forked(folder: Path) -> Iterator[Forked]:
    """Somewhere to fork from, with one thread for everything.

    Args:
        folder: for what the programs print.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(RUNNING)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as driver:
        yield Forked(driver, folder)
        assert driver.stdin is not None
        driver.stdin.close()
