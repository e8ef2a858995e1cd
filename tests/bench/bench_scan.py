"""What a scan of a long text costs, and whether its memory is flat. Run by hand.

    python -m tests.bench.bench_scan [--data TEXT.parquet] [--model FOLDER] [--lens FILE]
        [--max-tokens 1000000] [--seq-len 512] [--folder FOLDER] [--device cuda]

The text is scanned into an empty folder. Between, one block in some is run through the model bare, so that
both are measured in the same minutes: time a token of the scan over that of the forward passes, and the
memory (of a GPU its own) after a tenth of the text, after half of it, and at the end.
"""

from __future__ import annotations

import tempfile
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
from tests.bench.measuring import allocated, arguments, clock, started, table, with_model

BARE_EVERY = 16


@dataclass
class Bare:
    """The bare forward passes so far.

    Attributes:
        blocks: how many.
        took: seconds, by `clock`.
    """

    blocks: int = 0
    took: float = 0.0


def with_bare_passes(
    model: Model, blocks: Iterator[tuple[Tensor, list[int]]], bare: Bare
) -> Iterator[tuple[Tensor, Sequence[int]]]:
    """Yield the blocks, and run one in some through the model alone."""
    device = str(model.device)
    for number, (ids, documents) in enumerate(blocks):
        if number % BARE_EVERY == 1:
            began = clock(device)
            with torch.inference_mode():
                model.module(input_ids=ids[None].to(model.device), use_cache=False)
            bare.took += clock(device) - began
            bare.blocks += 1
        yield ids, documents


def main() -> None:
    parser = with_model(arguments(__doc__))
    parser.add_argument("--lens", type=Path)
    parser.add_argument("--max-tokens", type=int, default=1_000_000)
    parser.add_argument("--seq-len", type=int, default=512)
    parser.add_argument(
        "--folder", type=Path, help="for the records (default: one that is removed at the end)"
    )
    given = parser.parse_args()
    started(given)
    model = load(given.model, device=given.device)
    lenses = [LogitLens(), *([] if given.lens is None else [open_lens(given.lens)])]
    documents = read_documents(Documents((given.data,)))
    most = given.max_tokens // given.seq_len
    bare, columns, tenth = Bare(), 0, max(1, most * given.seq_len // 10)
    blocks = islice(numbered_blocks(model.tokenizer, documents, given.seq_len), most)
    memory: dict[int, float] = {}  # by tenths of the text

    def go_on(more: int) -> bool:
        nonlocal columns
        columns += more
        if columns // tenth > (columns - more) // tenth:
            memory[columns // tenth] = allocated(given.device)
        return True

    with tempfile.TemporaryDirectory() as emptied:
        folder = given.folder or Path(emptied)
        folder.mkdir(parents=True, exist_ok=True)
        began = clock(given.device)
        scanned = scan(model, with_bare_passes(model, blocks, bare), lenses, folder, go_on=go_on)
        took = clock(given.device) - began - bare.took
        size = sum(path.stat().st_size for path in folder.iterdir())
    whole = bare.took / bare.blocks * scanned.blocks
    names = ("tokens", "records", "bytes a record", "scan, s", "forward passes, s", "scan / passes",
             "MB at a tenth", "MB at half", "MB at the end")  # fmt: skip
    at = [memory.get(tenths, "–") for tenths in (1, 5)]
    row = [columns, scanned.records, size / scanned.records, took, whole, took / whole, *at]
    print(table(names, [[*row, allocated(given.device)]]))


if __name__ == "__main__":
    main()
