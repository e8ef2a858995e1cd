"""What the benchmarks share: time and memory, the machine in general terms, one table, and a random model.

Two sides are timed in turn in one process, since a busy machine is not the same twice, and medians count. On
the processor time is that of the process, which other programs stretch less than the clock; on an accelerator
it is that of the clock, when its work is done. Memory is that of the process, on an accelerator its own.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import LlamaConfig, LlamaForCausalLM

from lenstui.lens import LensError, Model, wire
from lenstui.model.device import pick_device
from lenstui.model.torch_hacks import cpu_is_fast_in_bfloat16
from lenstui.support import paths

SMOLLM2 = {  # the shape of SmolLM2-135M
    "vocab_size": 49152,
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 1536,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
}


class Ids(SimpleNamespace):
    """Stands in for a tokenizer: the benchmarks read random ids."""

    bos_token_id = None
    vocabulary = SMOLLM2["vocab_size"]

    def __call__(self, text: str, **_: object) -> dict[str, list[int]]:
        return {"input_ids": [ord(character) % self.vocabulary for character in text]}

    def get_vocab(self) -> dict[str, int]:
        return {chr(token): token for token in range(self.vocabulary)}

    def convert_ids_to_tokens(self, ids: int | list[int]) -> str | list[str]:
        return chr(ids) if isinstance(ids, int) else [chr(token) for token in ids]

    def decode(self, ids: list[int], **_: object) -> str:
        return "".join(map(chr, ids))


def random_llama(device: str = "cpu", dtype: str = "float32", **shape: object) -> Model:
    """A Llama with random weights, of SmolLM2-135M's shape where nothing else is said."""
    torch.manual_seed(0)
    config = LlamaConfig(**{**SMOLLM2, **shape})
    module = LlamaForCausalLM(config).to(device, getattr(torch, dtype))
    return wire("random", module, Ids(vocabulary=config.vocab_size))


def arguments(description: str | None, *, repeat: int = 5) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes; `started` follows what was given."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N or mps")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=repeat, help="whose median counts")
    return parser


def with_model(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add a model and a text, of which the bundled ones are at hand everywhere."""
    parser.add_argument("--model", default=str(paths.bundled_model()))
    parser.add_argument("--data", default=str(paths.bundled_model() / "text.parquet"))
    return parser


def started(given: argparse.Namespace) -> None:
    """Set the number of threads, and say what the machine is; end with one line if it lacks the device."""
    need(given.device)
    torch.set_num_threads(given.threads)
    print(f"{machine(given.device)}\n", flush=True)


def need(device: str) -> None:
    """End the program with one line and status 1 where this machine does not have a device."""
    try:
        pick_device(device)
    except LensError as error:
        raise SystemExit(str(error)) from None


def machine(device: str = "cpu") -> str:
    """The machine in general terms, in one line: never its name."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    busy = os.getloadavg()[0]
    parts = [
        f"{processor()}, {os.cpu_count()} cores ({platform.machine()}, "
        f"{torch.backends.cpu.get_cpu_capability()}, "
        f"bfloat16 units: {'yes' if cpu_is_fast_in_bfloat16() else 'no'})",
        f"{memory:.0f} GB",
        f"{torch.get_num_threads()} thread(s)",
        f"load {busy:.1f}",
        f"torch {torch.__version__}",
    ]
    if device.startswith("cuda"):
        own = torch.cuda.get_device_properties(device)
        parts.insert(0, f"{own.name}, {own.total_memory / 1e9:.0f} GB, CUDA {torch.version.cuda}")
    elif device != "cpu":
        parts.insert(0, device)
    return " · ".join(parts)


def processor() -> str:
    """The processor's maker, family and model, as Linux tells them; elsewhere what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "a processor"
    known = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    names = ("vendor_id", "cpu family", "model")
    return " ".join(f"{name} {known[name]}".removeprefix("vendor_id ") for name in names if name in known)


def clock(device: str = "cpu") -> float:
    """Seconds of the processor, or of the clock where the work is an accelerator's, which is done by then."""
    settle(device)
    return time.process_time() if device == "cpu" else time.perf_counter()


def seconds(work: Callable[[], object], device: str = "cpu") -> float:
    """Seconds that a work takes, by `clock`."""
    began = clock(device)
    work()
    return clock(device) - began


def settle(device: str) -> None:
    """Wait until an accelerator has done what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device.startswith("mps"):
        torch.mps.synchronize()


def in_turn(works: Mapping[str, Callable[[], object]], repeat: int, device: str = "cpu") -> dict[str, float]:
    """The median seconds of each work; they take turns, after one round that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeat + 1):
        for name, work in works.items():
            taken[name].append(seconds(work, device))
    return {name: statistics.median(each[1:]) for name, each in taken.items()}


def resident() -> float:
    """Memory of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def allocated(device: str = "cpu") -> float:
    """Memory that tensors take on an accelerator, or all of this process, MB."""
    if device.startswith("cuda"):
        return torch.cuda.memory_allocated(device) / 1e6
    return torch.mps.current_allocated_memory() / 1e6 if device.startswith("mps") else resident()


class Peak:
    """The most memory that was taken while it was open, MB over what there was before.

    CUDA counts it itself; elsewhere a thread looks every 2 ms.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self._counts_itself = device.startswith("cuda")

    def __enter__(self) -> Peak:
        settle(self.device)
        self.before = self.peak = allocated(self.device)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        if self._counts_itself:
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._done.wait(0.002):
            self.peak = max(self.peak, allocated(self.device))

    def __exit__(self, *_: object) -> None:
        settle(self.device)
        if self._counts_itself:
            self.peak = torch.cuda.max_memory_allocated(self.device) / 1e6
            return
        self._done.set()
        self._thread.join()

    @property
    def grown(self) -> float:
        return self.peak - self.before


class Traffic(TorchDispatchMode):
    """Counts the bytes that PyTorch's functions read and write of large tensors; views are free."""

    def __init__(self, least: int) -> None:
        super().__init__()
        self.least = least
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            for tensor in tensors((args, result)):  # what is passed as `out` is the result
                self.bytes += tensor.nbytes if tensor.numel() >= self.least else 0
        return result


def tensors(of: object) -> Iterator[torch.Tensor]:
    """All tensors in nested tuples, lists and dictionaries."""
    if isinstance(of, torch.Tensor):
        yield of
    elif isinstance(of, Mapping):
        yield from tensors(list(of.values()))
    elif isinstance(of, tuple | list):
        for each in of:
            yield from tensors(each)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; numbers that are no whole ones with three digits."""
    lines = [columns, ["--:"] * len(columns), *([shown(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return "–"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
