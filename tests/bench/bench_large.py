"""Memory for a model of more than a billion parameters, against the size of its weights. Run by hand.

    python -m tests.bench.bench_large [--parameters 1.2] [--dtype bfloat16] [--work FOLDER] [--device cuda]

A random Llama is written to a temporary folder, shard by shard, in bfloat16. A process of its own loads it
and reads a prompt. What that held at most is printed, over the size of the weights in the dtype that it
loaded them in: private memory, and all of it, with pages of the files that the kernel may take back at any
time; on a GPU its own memory, too. The folder is removed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

from tests.bench.measuring import Peak, arguments, settle, started, table
from tests.tiny.byte_level import byte_level_tokenizer

D, VOCABULARY, TEXT = 2048, 32000, "The trees are green and the sky is blue."
BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}


def config_of(parameters: float) -> LlamaConfig:
    """As many blocks as it takes."""
    block = 4 * D * D + 3 * D * 4 * D
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=D,
        intermediate_size=4 * D,
        num_attention_heads=16,
        num_hidden_layers=max(1, round((parameters - 2 * VOCABULARY * D) / block)),
        max_position_embeddings=2048,
        tie_word_embeddings=False,
    )


def write(folder: Path, parameters: float) -> int:
    """Write a checkpoint, one tensor in memory at a time; how many parameters it has."""
    config = config_of(parameters)
    with torch.device("meta"):
        shapes = {name: each.shape for name, each in LlamaForCausalLM(config).state_dict().items()}
    config.architectures = ["LlamaForCausalLM"]
    config.dtype = torch.bfloat16
    config.save_pretrained(folder)
    byte_level_tokenizer().save_pretrained(folder)
    files = {}
    for number, (name, shape) in enumerate(shapes.items(), 1):
        file = f"model-{number:05d}-of-{len(shapes):05d}.safetensors"
        scale = 1.0 if len(shape) == 1 else 0.02
        tensor = (scale * torch.randn(shape)).bfloat16()
        save_file({name: tensor}, folder / file, metadata={"format": "pt"})
        files[name] = file
    total = sum(shape.numel() for shape in shapes.values())
    index = {"metadata": {"total_size": 2 * total}, "weight_map": files}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return total


def memory() -> tuple[int, int]:
    """Private bytes of this process, and all that are resident."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    private, whole = (int(lines[name].split()[0]) * 1024 for name in ("RssAnon", "VmRSS"))
    return private, whole


def watched(peaks: list[int], done: threading.Event) -> None:
    while not done.wait(0.005):
        peaks[:] = map(max, peaks, memory())


def read_large(folder: Path, dtype: str, device: str) -> Iterator[str]:
    """Load and read it here; a line for each stage: its seconds, and bytes at most over those before."""
    from lenstui.lens import load, read

    peaks, done = [0, 0], threading.Event()
    threading.Thread(target=watched, args=(peaks, done), daemon=True).start()
    before = memory()
    for stage in ("load", "read"):
        peaks[:], began = [0, 0], time.monotonic()
        with Peak(device) as of_device:
            if stage == "load":
                model = load(str(folder), device=device, dtype=dtype)
            else:
                cells = read(model, TEXT).lenses["logit"]
                assert cells.entropy.shape == (model.num_blocks + 1, len(TEXT))
            settle(device)
        took = time.monotonic() - began
        private, resident = (peak - was for peak, was in zip(peaks, before, strict=True))
        found = {"stage": stage, "seconds": took, "private": private, "resident": resident}
        if device != "cpu":
            found["device"] = 1e6 * of_device.peak
        yield json.dumps(found)
    done.set()


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--parameters", type=float, default=1.2, help="billions, about")
    parser.add_argument("--dtype", choices=BYTES, default="bfloat16")
    parser.add_argument("--work", type=Path, help="where to put the checkpoint for a while")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read is not None:
        torch.set_num_threads(given.threads)
        for line in read_large(given.read, given.dtype, given.device):
            print(line, flush=True)
        return
    started(given)
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        began = time.monotonic()
        count = write(Path(folder), given.parameters * 1e9)
        weights = count * BYTES[given.dtype]
        print(f"{count / 1e9:.2f} billion parameters written in {time.monotonic() - began:.0f} s\n")
        command = [sys.executable, "-m", "tests.bench.bench_large", *sys.argv[1:], "--read", folder]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            found = json.loads(line)
            shares = [found[kind] / weights for kind in ("private", "resident")]
            on_device = found["device"] / weights if "device" in found else "–"
            rows.append([found["stage"], weights / 1e9, given.dtype, found["seconds"], *shares, on_device])
        if process.wait():
            raise SystemExit(process.returncode)
    columns = (
        "stage", "weights, GB", "dtype", "s", "private memory / weights", "with pages of files / weights",
        "device's memory / weights",
    )  # fmt: skip
    print(table(columns, rows))


if __name__ == "__main__":
    main()
