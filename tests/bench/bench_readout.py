"""Readout of 256 columns on a model of SmolLM2-135M's shape, against the bare product. Run by hand.

    python tests/bench/bench_readout.py [--dtype bfloat16] [--repeat 3] [--words-only]

The bare product is what no readout can do without: `rows x columns x d x vocabulary`, one row at a time, in
the same dtype. Both are timed in turn in one process; the ratio is of the fastest runs. With `--words-only`
the readout filter is timed in turn with them.
"""

from __future__ import annotations

import argparse
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lenstui.lens import Model, Prompt, read_tiles, wire

COLUMNS = 256
CONFIG = LlamaConfig(
    vocab_size=49152,
    hidden_size=576,
    num_hidden_layers=30,
    num_attention_heads=9,
    num_key_value_heads=3,
    intermediate_size=1536,
    max_position_embeddings=2048,
    tie_word_embeddings=True,
)


class Ids(SimpleNamespace):
    """Stands in for a tokenizer: the benchmark reads random ids."""

    bos_token_id = None

    def __call__(self, text: str, **_: object) -> dict[str, list[int]]:
        return {"input_ids": [ord(character) for character in text]}

    def get_vocab(self) -> dict[str, int]:
        return {chr(token): token for token in range(CONFIG.vocab_size)}

    def convert_ids_to_tokens(self, ids: int | list[int]) -> str | list[str]:
        return chr(ids) if isinstance(ids, int) else [chr(token) for token in ids]

    def decode(self, ids: list[int], **_: object) -> str:
        return "".join(map(chr, ids))


def resident() -> float:
    """Memory of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


class Peak:
    """The most memory that was taken while it was open, MB over what there was before."""

    def __enter__(self) -> Peak:
        self.before = self.peak = resident()
        self._open = True
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while self._open:
            self.peak = max(self.peak, resident())
            time.sleep(0.002)

    def __exit__(self, *_: object) -> None:
        self._open = False
        self._thread.join()

    @property
    def grown(self) -> float:
        return self.peak - self.before


def bare_product(model: Model, x: torch.Tensor) -> float:
    weight = model.module.lm_head.weight
    began = time.perf_counter()
    with torch.inference_mode():
        for _ in range(model.num_blocks + 1):
            torch.nn.functional.linear(x, weight)
    return time.perf_counter() - began


def readout(model: Model, prompt: Prompt, *, words_only: bool = False) -> tuple[float, float, float]:
    """Seconds in all, seconds to the first tile with 20 columns on screen, MB."""
    visible = range(COLUMNS - 20, COLUMNS)
    began = time.perf_counter()
    first = 0.0
    with Peak() as peak:
        for tile in read_tiles(model, prompt, top_k=5, first=visible, words_only=words_only):
            first = first or time.perf_counter() - began
            del tile
    return time.perf_counter() - began, first, peak.grown


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--words-only", action="store_true")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    dtype = getattr(torch, arguments.dtype)
    model = wire("random", LlamaForCausalLM(CONFIG).to(dtype), Ids())
    prompt = Prompt("", tuple(torch.randint(CONFIG.vocab_size, (COLUMNS,)).tolist()))
    x = torch.randn(COLUMNS, CONFIG.hidden_size, dtype=dtype)
    bare, ours, filtered = [], [], []
    if arguments.words_only:
        began = time.perf_counter()
        words, seconds = int(model.texts.words.sum()), time.perf_counter() - began
        print(f"{words} of {CONFIG.vocab_size} tokens are words, found in {seconds:.2f} s")
    for _ in range(arguments.repeat):
        bare.append(bare_product(model, x))
        ours.append(readout(model, prompt))
        print(
            f"bare product {bare[-1]:.2f} s   readout {ours[-1][0]:.2f} s   "
            f"first tile {ours[-1][1]:.2f} s   + {ours[-1][2]:.0f} MB"
        )
        if arguments.words_only:
            filtered.append(readout(model, prompt, words_only=True))
            print(f"words only: readout {filtered[-1][0]:.2f} s   + {filtered[-1][2]:.0f} MB")
    if filtered:
        print(f"words only / all tokens = {min(f[0] for f in filtered) / min(o[0] for o in ours):.3f}")
    print(f"{arguments.dtype}: readout / bare product = {min(o[0] for o in ours) / min(bare):.2f}")


if __name__ == "__main__":
    main()
