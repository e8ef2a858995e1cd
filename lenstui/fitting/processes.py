"""The processes that fit one lens together, as `torchrun` starts them.

A fit goes on in rounds. In a round each process does its part of the work, and at its end all of them meet:
then they are at the same place of the text, and take the same decisions. What is added up over the text
(normal equations, gradients, Jacobians) is in parts: their sum over the processes is what a single process
would have, and `gather` brings it to one of them. A fit by a single process does the same, and meets nobody.
PyTorch is imported where there are others to meet.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from lenstui.support.errors import LensError, advice, named_line
from lenstui.support.launch import Launch

if TYPE_CHECKING:
    from torch import Tensor

PATIENCE = timedelta(minutes=10)  # for a process that neither answers nor hangs up

_T = TypeVar("_T")
_Result = TypeVar("_Result")


class _Store(Protocol):
    """Numbers that all processes can look into."""

    def add(self, key: str, amount: int, /) -> int:
        """Add to a number, and return the sum."""


class Processes:
    """The processes of a fit, seen from one of them.

    Attributes:
        number: the number of this one, from 0 on.
        count: how many there are.
        count_here: how many there are on this machine.
        is_lost: whether another one has ended too early: then none can be reached any more.
    """

    def __init__(self, launch: Launch | None = None, store: _Store | None = None) -> None:
        """Keep the place of this process.

        Args:
            launch: how it was started; None for a single one.
            store: what all of them can look into; None where there is nobody to reach.
        """
        launch = launch or Launch()
        self.number, self.count, self.count_here = launch.number, launch.count, launch.count_here
        self.is_lost = False
        self._store = store
        self._raised: Exception | None = None  # in all of them

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.number == 0

    def own(self, places: range) -> range:
        """Return this process's part of the places of a round: one of them, or none."""
        return places[self.number : self.number + 1]

    def end(self, status: int) -> int:
        """End this process, whose work is done; a single one returns its exit status.

        Several leave nothing to Python. With PyTorch 2.13 one fit in ten had a process that aborted at its
        very end ("terminate called without an active exception"), which `torchrun` takes for a failure.
        """
        if self._store is None:
            return status
        import torch

        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        if not self.is_lost:
            if torch.cuda.is_available():
                torch.cuda.synchronize()  # what is on its way to another process still needs this one
            torch.distributed.destroy_process_group()
        os._exit(status)

    # ── meeting ──────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def together(self) -> Iterator[None]:
        """Raise in every process what the block raises in any of them.

        The block must not wait for the others.

        Raises:
            LensError: in a process whose own block went well.
        """
        if self._store is None:
            yield
            return
        error: Exception | None = None
        try:
            yield
        except Exception as caught:
            error = caught
        failed = self.highest(0 if error is None else self.count - self.number)
        if failed:
            number = self.count - failed  # the first of those that failed
            line = self.said_by(number, None if error is None else advice(error, "") or named_line(error))
            self._raised = error or LensError(f"Process {number} of {self.count}: {line}")
            raise self._raised

    def meeting(self, work: Generator[_T, None, _Result]) -> Generator[_T, None, _Result]:
        """Drive the work of this process to its end, where all of them meet, and return its result.

        Yields:
            What `work` yields where there is one process; of several, which work at their own pace, nothing.

        Raises:
            Exception: in every process, what is raised in any of them.
        """
        if self._store is None:
            return (yield from work)
        with self.together():
            result = _result_of(work)
        return result

    def is_raised_in_all(self, error: Exception) -> bool:
        """Return whether all processes have got this error, or its cause: they can still work together."""
        raised = self._raised is not None and self._raised in (error, error.__cause__)
        return self._store is None or (raised and not self.is_lost)

    def speaks_of(self, error: Exception) -> bool:
        """Return whether this is the process to say what the error is: one of those that are left does."""
        if not self.is_lost:
            return self.is_first or not self.is_raised_in_all(error)
        assert self._store is not None
        try:
            return int(self._store.add("lost", 1)) == 1
        except RuntimeError:  # the store was another process's, and has gone with it
            return True

    # ── one word ─────────────────────────────────────────────────────────────────────────────────────────

    def highest(self, number: int) -> int:
        """Return the highest of the numbers that the processes have."""
        if self._store is None:
            return number
        import torch

        kept = torch.tensor([number])
        self._call("all_reduce", kept, torch.distributed.ReduceOp.MAX)
        return int(kept)

    def decided(self, flag: bool) -> bool:
        """Return what the first process has decided."""
        return bool(self.highest(flag and self.is_first))

    def said_by(self, number: int, value: _T) -> _T:
        """Return the value that one of the processes has."""
        if self._store is None:
            return value
        kept = [value]
        self._call("broadcast_object_list", kept, number)
        return kept[0]

    def check_same(self, facts: Mapping[str, object]) -> None:
        """Refuse processes that do not do the same.

        Args:
            facts: what must be the same in all of them, by what it is called.

        Raises:
            LensError: in all of them, if something is not.
        """
        if self._store is None:
            return
        all_facts: list[Any] = [None] * self.count
        own = {name: repr(value) for name, value in facts.items()}
        self._call("all_gather_object", all_facts, own)
        with self.together():
            for number, theirs in enumerate(all_facts):
                if wrong := [name for name, value in theirs.items() if value != all_facts[0].get(name)]:
                    raise LensError(
                        f"Process {number} of {self.count} has another {wrong[0]} than process 0: start all "
                        "of them with the same command, model, text and version of lenstui."
                    )

    # ── tensors ──────────────────────────────────────────────────────────────────────────────────────────

    def sum(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over the processes, in all of them."""
        if self._store is not None:
            self._call("all_reduce", tensor)

    def gather(self, parts: Iterable[Tensor], to: int = 0) -> None:
        """Replace each tensor by its sum over the processes in one of them, and by zeros in the others."""
        if self._store is None:
            return
        for part in parts:
            self._call("reduce", part, to)
            if self.number != to:
                part.zero_()

    def send(self, tensors: Iterable[Tensor], source: int = 0) -> None:
        """Replace each tensor by that of one of the processes."""
        if self._store is None:
            return
        for tensor in tensors:
            self._call("broadcast", tensor, source)

    def _call(self, operation: str, *given: Any) -> None:
        """Do something of `torch.distributed` with all processes.

        Raises:
            LensError: if one of them has ended.
        """
        import torch

        try:
            with torch.no_grad():
                getattr(torch.distributed, operation)(*given)
        except RuntimeError as error:
            self.is_lost = True
            raise LensError(
                "Another process of this fit has ended or cannot be reached, so that this one ends, too."
            ) from error


ALONE = Processes()
"""The single process of a fit that was not started by `torchrun`."""


def joined(launch: Launch) -> Processes:
    """Meet the other processes that this one was started with, and return them all.

    Sums of tensors on CUDA devices go by NCCL, all else by gloo.

    Raises:
        LensError: if they cannot be reached.
    """
    if not launch.is_several:
        return Processes()
    import torch
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    has_nccl = torch.cuda.is_available() and distributed.is_nccl_available()
    backend = "cpu:gloo,cuda:nccl" if has_nccl else "gloo"
    try:
        store, number, count = next(rendezvous("env://", timeout=PATIENCE))
        distributed.init_process_group(backend, store=store, rank=number, world_size=count, timeout=PATIENCE)
    except (RuntimeError, ValueError, OSError) as error:
        raise LensError(
            f"The {launch.count} processes of this fit do not find each other: {named_line(error)}. "
            "Start them by torchrun."
        ) from error
    return Processes(launch, store)


def _result_of(work: Generator[object, None, _Result]) -> _Result:
    """Drive a generator to its end, and return its result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return cast(_Result, end.value)
