"""Memory that is not given back when models are opened one after the other. Run by hand.

    python -m tests.bench.bench_reopening [--times 50] [--skip 10] [--device cuda]

Two small models are opened and read in turn in one process, as the screen does it. Each is 20 MB, so that
one that stays shows at once. The table has the memory after every so many, of the process and of the GPU, and
how many of the models are still there; below it stands what grew after the first few.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import tempfile
import weakref
from pathlib import Path
from typing import Any

from tests.bench.measuring import allocated, arguments, resident, started, table


def kept() -> float:
    """Memory of this process, MB, after what is free has gone back to the system."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    return resident()


def write(folder: Path) -> None:
    import torch
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, LlamaConfig, LlamaForCausalLM

    from tests.tiny.byte_level import byte_level_tokenizer

    sizes: dict[str, Any] = {
        "vocab_size": 4096, "hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 4,
        "num_attention_heads": 4, "max_position_embeddings": 128,
    }  # fmt: skip
    torch.manual_seed(0)
    models = {
        "llama": LlamaForCausalLM(LlamaConfig(**sizes)),
        "neox": GPTNeoXForCausalLM(GPTNeoXConfig(**sizes)),
    }
    for name, model in models.items():
        model.save_pretrained(folder / name)
        byte_level_tokenizer().save_pretrained(folder / name)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--times", type=int, default=50, help="how often a model is opened")
    parser.add_argument("--skip", type=int, default=10, help="opened before the measuring begins")
    given = parser.parse_args()
    started(given)
    device, every = given.device, max(1, given.times // 5)
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as work:
        os.environ |= {f"XDG_{kind}_HOME": f"{work}/{kind}" for kind in ("DATA", "CONFIG", "STATE")}
        write(Path(work))
        from lenstui.jobs.messages import LoadFailed, ReadFailed
        from lenstui.jobs.model import ModelJobs
        from lenstui.jobs.read import ReadJobs
        from lenstui.jobs.read_request import ReadRequest
        from lenstui.readout.reading import Reading
        from lenstui.support.request import Start

        failures: list[object] = []

        def post(message: object) -> None:
            if isinstance(message, LoadFailed | ReadFailed):
                failures.append(message)

        job = ModelJobs(post)
        reading = ReadJobs(job)
        models: list[weakref.ref[Any]] = []
        base = 0.0
        for number in range(given.times):
            job.load(Start(model=f"{work}/{('llama', 'neox')[number % 2]}", device=device), lambda: False)
            assert job.opened is not None
            models.append(weakref.ref(job.opened.model.module))
            request = ReadRequest(number, "The trees are green.", 20, 3, Reading())
            reading.read(request, post, lambda: False)
            assert not failures, failures
            if number + 1 == given.skip:
                base = kept()
            if (number + 1) % every == 0:
                alive = sum(ref() is not None for ref in models)
                rows.append([number + 1, kept(), "–" if device == "cpu" else allocated(device), alive])
        grown = kept() - base
        each = grown / (given.times - given.skip)
    print(table(("opened", "process, MB", "device, MB", "models alive"), rows))
    print(f"\ngrown by {grown:.1f} MB after the first {given.skip}: {each:.2f} MB for each model opened")


if __name__ == "__main__":
    main()
