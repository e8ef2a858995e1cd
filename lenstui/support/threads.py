"""How many cores this process may really use, and what PyTorch's threads are told before it is imported."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path

# Waiting threads sleep. Those that look for work all the time take the core from the one that they wait for:
# on a busy machine two threads were ten times as slow as one.
_PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}


def prepare_threads(threads: int | None, environ: MutableMapping[str, str] = os.environ) -> None:
    """Tell PyTorch, which is not imported yet, how many threads to use, and to let them wait asleep.

    Args:
        threads: the number that the user named; None for as many as there are cores to use, or as the
            environment says in OMP_NUM_THREADS.
        environ: the variables of the environment, which are changed. Those that the user has set stay.
    """
    for name, value in _PASSIVE.items():
        environ.setdefault(name, value)
    if threads is not None:
        environ["OMP_NUM_THREADS"] = str(threads)
    else:
        environ.setdefault("OMP_NUM_THREADS", str(usable_cores(environ)))


def usable_cores(
    environ: Mapping[str, str] = os.environ, root: Path = Path("/"), cpus: Iterable[int] | None = None
) -> int:
    """Return the number of cores that this process may use, at least 1.

    The least of these counts: the cores of the processors that it may run on, of which two may share one; the
    quota of its control group, of either version, and of the groups around it; what SLURM gave to the task.

    Args:
        environ: the variables of the environment.
        root: where `proc` and `sys` are.
        cpus: the processors that it may run on; None to ask the system.
    """
    cores = len({_core(root, cpu) for cpu in (_allowed() if cpus is None else cpus)})
    limits = [int(quota) for quota in _quotas(root)]
    if (task := environ.get("SLURM_CPUS_PER_TASK", "")).isdecimal():
        limits.append(int(task))
    return max(1, min(cores, *limits) if limits else cores)


def _allowed() -> Iterable[int]:
    """Return the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return range(os.cpu_count() or 1)


def _core(root: Path, cpu: int) -> str:
    """Return a name of a processor's core, which is the same for all processors of the core."""
    siblings = root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
    return _text(siblings) or str(cpu)


def _quotas(root: Path) -> Iterator[float]:
    """Yield the quotas, in cores, of the control groups that this process is in."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        hierarchy, controllers, group = [*line.split(":", 2), "", ""][:3]
        mounts = root / "sys/fs/cgroup"
        if hierarchy == "0" and not controllers:  # version 2
            for folder in _upwards(mounts, group):
                quota, _, period = _text(folder / "cpu.max").partition(" ")
                yield from _share(quota, period)
        elif "cpu" in controllers.split(","):
            for mount in (mounts / "cpu", mounts / controllers):
                for folder in _upwards(mount, group):
                    quota = _text(folder / "cpu.cfs_quota_us")
                    yield from _share(quota, _text(folder / "cpu.cfs_period_us"))


def _upwards(mount: Path, group: str) -> Iterator[Path]:
    """Yield the folders of a group and of those around it; in a container the first may not be there."""
    parts = [part for part in group.split("/") if part not in {"", ".", ".."}]
    for depth in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:depth])


def _share(quota: str, period: str) -> Iterator[float]:
    """Yield the cores of a quota: none where there is no limit (`max` or -1), or no such file."""
    if quota.isdecimal() and period.isdecimal() and int(period):
        yield int(quota) / int(period)


def _text(path: Path) -> str:
    """Return the content of a file of the system, or nothing where it cannot be read."""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
