"""A thread that does jobs in order of priority: one does all model work, others look at files and texts.

A lock would be unfair: a job that works in small steps would starve the prompt. The threads are daemons, so
that quitting never waits for them.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lenstui.support.errors import is_panic
from lenstui.support.memory import hand_back
from lenstui.support.stopping import stop_when

POST_EVERY = 0.1  # seconds between two messages about the progress of a job
_REST = 2.0  # seconds without a job after which memory is handed back

Stop = Callable[[], bool]
"""A function that returns whether a job should end now. Jobs call it between two of their steps."""

Work = Callable[[Stop], Iterator[None] | None]
"""A job, as a function. If it returns an iterator, it gives way after each step to jobs of its priority."""


@dataclass(order=True)
class _Job:
    priority: int
    serial: int
    kind: str | None = field(compare=False)
    work: Work = field(compare=False)
    answers: bool = field(compare=False, default=False)
    steps: Iterator[None] | None = field(compare=False, default=None)
    stopped: threading.Event = field(compare=False, default_factory=threading.Event)


class JobThread:
    """A thread that runs jobs one at a time; a new job stops the older ones of its kind."""

    def __init__(self, on_error: Callable[[BaseException], None]) -> None:
        """Prepare the thread; it starts with the first job.

        Args:
            on_error: called, on this thread, with an exception that a job did not handle.
        """
        self._on_error = on_error
        self._jobs: queue.PriorityQueue[_Job] = queue.PriorityQueue()
        self._newest: dict[str, _Job] = {}
        self._serials = itertools.count()
        self._thread = threading.Thread(target=self._run, name="lenstui-jobs", daemon=True)
        self._lock = threading.Lock()

    def submit(self, kind: str | None, work: Work, *, priority: int = 0, answers: bool = False) -> None:
        """Queue a job.

        Args:
            kind: a newer job of the same kind stops this one; with None nothing does.
            work: the job.
            priority: a lower number goes first.
            answers: whether somebody waits to hear how it ended: it begins even where it is stopped before,
                and says so itself.
        """
        with self._lock:
            job = _Job(priority, next(self._serials), kind, work, answers)
            if kind is not None:
                if kind in self._newest:
                    self._newest[kind].stopped.set()
                self._newest[kind] = job
            self._jobs.put(job)
            if self._thread.ident is None:  # it has not been started yet
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._go_on(self._next())

    def _go_on(self, job: _Job) -> None:
        """Do a step of a job, and queue it again where more are left."""
        has_more = False
        try:
            has_more = self._step(job)
        except BaseException as error:  # the thread outlives any job
            if not (isinstance(error, Exception) or is_panic(error)):
                raise
            self._on_error(error)
        if has_more:
            job.serial = next(self._serials)  # behind the others of its priority
            self._jobs.put(job)
        else:
            self._let_go(job)

    def _let_go(self, job: _Job) -> None:
        """Forget a job that is over: it holds the screen that asked for it."""
        with self._lock:
            if job.kind is not None and self._newest.get(job.kind) is job:
                del self._newest[job.kind]

    def _next(self) -> _Job:
        """Wait for the next job; where it is long in coming, hand back the memory of those before, once."""
        try:
            return self._jobs.get(timeout=_REST)
        except queue.Empty:
            hand_back()
            return self._jobs.get()

    def _step(self, job: _Job) -> bool:
        """Do a job, or its next step, and return whether more steps are left.

        A job that has begun is not dropped when it is stopped: it asks `Stop` itself, and can tidy up.
        """
        stop_when(job.stopped.is_set)
        if job.steps is None:
            if job.stopped.is_set() and not job.answers:
                return False
            job.steps = job.work(job.stopped.is_set)
        if job.steps is None:
            return False
        try:
            next(job.steps)
        except StopIteration:
            return False
        return True
