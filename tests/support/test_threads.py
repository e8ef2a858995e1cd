"""How many threads PyTorch gets: by affinity, control groups, SLURM, the environment and the user."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lenstui.support.threads import prepare_threads, usable_cores

Root = Callable[[dict[str, str]], Path]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    def written(files: dict[str, str]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content + "\n")
        return tmp_path

    return written


CORES = {f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": f"{cpu}" for cpu in range(8)}
SHARED = {
    f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": f"{cpu % 4},{cpu % 4 + 4}"
    for cpu in range(8)
}
V2, V1 = {"proc/self/cgroup": "0::/user/job"}, {"proc/self/cgroup": "3:cpuset:/\n1:cpu,cpuacct:/docker/a"}
JOB, AROUND = "sys/fs/cgroup/user/job/cpu.max", "sys/fs/cgroup/user/cpu.max"
DOCKER = "sys/fs/cgroup/cpu,cpuacct/docker/a"
DOCKER_INSIDE = "sys/fs/cgroup/cpu"  # where a container sees its own group


def quota(folder: str, cores: float) -> dict[str, str]:
    share = "-1" if cores < 0 else str(round(cores * 100_000))
    return {f"{folder}/cpu.cfs_quota_us": share, f"{folder}/cpu.cfs_period_us": "100000"}


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        (CORES, 8),
        (SHARED, 4),  # two processors of one core count once
        ({**CORES, **V2, JOB: "max 100000"}, 8),
        ({**CORES, **V2, JOB: "300000 100000"}, 3),
        ({**CORES, **V2, JOB: "350000 100000"}, 3),  # what is left over of a core would be waited for
        ({**CORES, **V2, JOB: "50000 100000"}, 1),
        ({**CORES, **V2, JOB: "max 100000", AROUND: "200000 100000"}, 2),
        ({**CORES, **V2, JOB: "500000 100000", AROUND: "200000 100000"}, 2),
        ({**CORES, **V2, "sys/fs/cgroup/cpu.max": "200000 100000"}, 2),  # as in a container
        ({**CORES, **V2, JOB: "nonsense"}, 8),
        ({**CORES, **V2, JOB: "100000 0"}, 8),
        ({**CORES, **V1, **quota(DOCKER, -1)}, 8),
        ({**CORES, **V1, **quota(DOCKER, 2)}, 2),
        ({**CORES, **V1, **quota(DOCKER_INSIDE, 3)}, 3),
        ({**CORES, **V1, JOB: "100000 100000"}, 8),  # another version's, of another group
        ({**SHARED, **V2, JOB: "600000 100000"}, 4),
    ],
)
def test_cores_by_processors_and_control_groups(root: Root, files: dict[str, str], cores: int) -> None:
    assert usable_cores({}, root(files), range(8)) == cores


@pytest.mark.parametrize(("value", "cores"), [("3", 3), ("16", 8), ("0", 1), ("", 8), ("all", 8), ("-2", 8)])
def test_slurm_gives_a_task_cores(root: Root, value: str, cores: int) -> None:
    assert usable_cores({"SLURM_CPUS_PER_TASK": value}, root(CORES), range(8)) == cores


def test_the_least_limit_counts(root: Root) -> None:
    files = {**CORES, **V2, JOB: "600000 100000", AROUND: "500000 100000"}
    assert usable_cores({"SLURM_CPUS_PER_TASK": "7"}, root(files), range(8)) == 5
    assert usable_cores({"SLURM_CPUS_PER_TASK": "4"}, root(files), range(8)) == 4
    assert usable_cores({"SLURM_CPUS_PER_TASK": "4"}, root(files), {0, 5}) == 2


def test_here_there_is_at_least_one() -> None:
    assert usable_cores() >= 1


def test_threads_wait_asleep_and_are_as_many_as_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lenstui.support.threads.usable_cores", lambda environ: 5)
    environ: dict[str, str] = {}
    prepare_threads(None, environ)
    assert environ == {
        "OMP_NUM_THREADS": "5", "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"
    }  # fmt: skip


def test_what_the_user_has_set_stays() -> None:
    own = {"OMP_NUM_THREADS": "3", "OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": "9", "KMP_BLOCKTIME": "7"}
    environ = dict(own)
    prepare_threads(None, environ)
    assert environ == own
    prepare_threads(2, environ)  # --threads, and `threads` in the settings, go before the environment
    assert environ == {**own, "OMP_NUM_THREADS": "2"}


WHAT_PYTORCH_DOES = """
import sys
from lenstui.cli import arguments
parser = arguments.Parser("x", "")
arguments.add_model(parser)
arguments.model_start(parser, parser.parse_args(sys.argv[1:]))
assert "torch" not in sys.modules
import torch
print(torch.get_num_threads())
"""


@pytest.mark.parametrize(
    ("words", "settings", "threads"), [(("--threads", "1"), "threads = 2", 1), ((), "threads = 1", 1)]
)
def test_pytorch_uses_them(
    words: tuple[str, ...], settings: str, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more than one, PyTorch takes no more than there are cores here."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    (tmp_path / "lenstui").mkdir()
    (tmp_path / "lenstui" / "config.toml").write_text(settings)
    command = [sys.executable, "-c", WHAT_PYTORCH_DOES, *words]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == f"{threads}\n"
