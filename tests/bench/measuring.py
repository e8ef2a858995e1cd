"""What the benchmarks share: time and memory, the machine in general terms, one table, and a random model.

Two sides are timed in turn in one process, since a busy machine is not the same twice, and medians count. On
the processor time is that of the process, which other programs stretch less than the clock; on an accelerator
it is that of the clock, when its work is done.
"""

from __future__ import annotations

import argparse
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

from lenstui.lens import Model, wire
from lenstui.model.torch_hacks import cpu_is_fast_in_bfloat16

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


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes; `started` follows what was given."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, …")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=5)
    return parser


def started(given: argparse.Namespace) -> None:
    """Set the number of threads, and say what the machine is."""
    torch.set_num_threads(given.threads)
    print(machine(given.device), flush=True)


def machine(device: str = "cpu") -> str:
    """The machine in general terms, in one line."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    busy = os.getloadavg()[0]
    parts = [
        f"{os.cpu_count()} cores ({platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, "
        f"bfloat16 units: {'yes' if cpu_is_fast_in_bfloat16() else 'no'})",
        f"{memory:.0f} GB",
        f"{torch.get_num_threads()} thread(s)",
        f"load {busy:.1f}",
        f"torch {torch.__version__}",
    ]
    if device.startswith("cuda"):
        parts.insert(0, torch.cuda.get_device_name(device))
    return " · ".join(parts)


def seconds(work: Callable[[], object], device: str = "cpu") -> float:
    """Seconds of the processor, or of the clock where the work is an accelerator's."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    settle(device)
    began = clock()
    work()
    settle(device)
    return clock() - began


def settle(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


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


class Peak:
    """The most memory that was taken while it was open, MB over what there was before; on a GPU its own."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def _now(self) -> float:
        return torch.cuda.memory_allocated(self.device) / 1e6 if self.device != "cpu" else resident()

    def __enter__(self) -> Peak:
        if self.device != "cpu":
            torch.cuda.reset_peak_memory_stats(self.device)
        self.before = self.peak = self._now()
        self._open = True
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while self._open:
            self.peak = max(self.peak, self._now())
            time.sleep(0.002)

    def __exit__(self, *_: object) -> None:
        self._open = False
        self._thread.join()
        if self.device != "cpu":
            self.peak = torch.cuda.max_memory_allocated(self.device) / 1e6

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
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else (
        f"{value:.0f}" if isinstance(value, float) else str(value)
    )  # fmt: skip
