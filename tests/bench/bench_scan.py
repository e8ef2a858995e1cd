"""What a scan of a long text costs, and whether its memory is flat. Run by hand.

    python tests/bench/bench_scan.py --data TEXT.parquet [--model FOLDER] [--lens FILE]
        [--max-tokens 1000000] [--seq-len 512] [--folder FOLDER]

The text is scanned into an empty folder. Between, one block in some is run through the model bare, so that
both are measured in the same minutes: processor time a token of the scan over that of the forward passes,
and the memory of the process after every tenth of the text.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from lenstui.lens import LogitLens, Model, load, open_lens
from lenstui.scan.scan import scan
from lenstui.texts.blocks import numbered_blocks
from lenstui.texts.documents import Documents, read_documents
from tests.bench.measuring import resident

BARE_EVERY = 16


@dataclass
class Bare:
    """The bare forward passes so far.

    Attributes:
        blocks: how many.
        took: their processor time, seconds.
    """

    blocks: int = 0
    took: float = 0.0


def with_bare_passes(
    model: Model, blocks: Iterator[tuple[Tensor, list[int]]], bare: Bare
) -> Iterator[tuple[Tensor, Sequence[int]]]:
    """Yield the blocks, and run one in some through the model alone."""
    for number, (ids, documents) in enumerate(blocks):
        if number % BARE_EVERY == 1:
            began = time.process_time()
            with torch.inference_mode():
                model.module(input_ids=ids[None].to(model.device), use_cache=False)
            bare.took += time.process_time() - began
            bare.blocks += 1
        yield ids, documents


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, nargs="+")
    parser.add_argument("--model", default="assets/demo")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--lens", type=Path)
    parser.add_argument("--max-tokens", type=int, default=1_000_000)
    parser.add_argument("--seq-len", type=int, default=512)
    parser.add_argument(
        "--folder", type=Path, help="for the records (default: one that is removed at the end)"
    )
    given = parser.parse_args()
    model = load(given.model, device=given.device)
    lenses = [LogitLens(), *([] if given.lens is None else [open_lens(given.lens)])]
    documents = read_documents(Documents(tuple(given.data)))
    most = given.max_tokens // given.seq_len
    bare, columns, tenth = Bare(), 0, most * given.seq_len // 10
    blocks = islice(numbered_blocks(model.tokenizer, documents, given.seq_len), most)

    def go_on(more: int) -> bool:
        nonlocal columns
        columns += more
        if columns // tenth > (columns - more) // tenth:
            print(f"{columns} tokens: {resident():.0f} MB", flush=True)
        return True

    with tempfile.TemporaryDirectory() as emptied:
        folder = given.folder or Path(emptied)
        folder.mkdir(parents=True, exist_ok=True)
        began = time.process_time()
        scanned = scan(model, with_bare_passes(model, blocks, bare), lenses, folder, go_on=go_on)
        took = time.process_time() - began - bare.took
        size = sum(path.stat().st_size for path in folder.iterdir())
    whole = bare.took / bare.blocks * scanned.blocks
    print(f"{scanned.records} records in {took:.0f} s, {size / scanned.records:.0f} bytes each on the disk")
    print(f"the bare forward passes: {whole:.0f} s; the scan takes {took / whole:.1f} × that")


if __name__ == "__main__":
    main()
