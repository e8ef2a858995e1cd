"""To what precision the numbers of a readout hold: against the same model in float64. Run by hand.

    python -m tests.bench.bench_precision [--model FOLDER …] [--data FILE …] [--dtypes DTYPE …]
        [--device cuda]

Each model reads blocks of a text in each dtype, with tokens from all over its vocabulary pinned, so that
every depth of rank is seen. Everything is then computed once more in float64, from the checkpoint's weights
in float32: `whole` by the whole model, which is what a dtype costs, and in float32 also `head`, from the
hidden states as they were read, which leaves final norm, unembedding and what this program itself does.
Printed are the largest differences, of ranks by band of the rank in float64. float64 is the processor's,
whatever the device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lenstui.lens import Cells, Model, Prompt, load, read_tiles, wire
from lenstui.model.residual import residual_stream
from lenstui.support import paths
from lenstui.texts.blocks import token_blocks
from lenstui.texts.documents import Documents, read_documents
from tests.bench.measuring import arguments, started, table

BANDS = ((0, 0), (1, 9), (10, 99), (100, 999), (1000, 1 << 30))
PINNED = 96  # tokens, evenly over the vocabulary
COLUMNS = 64  # of a block

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Exact:
    """The numbers of some columns in float64, all `[rows, cols]` or `[rows, cols, tokens]`."""

    ranks: Numbers
    log_probs: Numbers
    entropy: Numbers
    kl: Numbers


def exact(logits: Iterator[Tensor], final: Tensor, tokens: Sequence[int], following: Tensor) -> Exact:
    """From the logits of each row, `[cols, vocabulary]`, and those of the last one.

    Tokens are those given, the same in each column, and behind them the final top-1 and the one that follows.
    """
    p = final.log_softmax(-1)
    columns = torch.cat(
        [torch.tensor(tokens).expand(len(final), -1), final.argmax(-1)[:, None], following[:, None]], dim=1
    )
    parts = []
    for z in logits:
        q = z.log_softmax(-1)
        own = z.gather(1, columns)
        not_greater = torch.searchsorted(z.sort(-1).values, own, right=True)
        entropy, kl = -(q.exp() * q).sum(-1), (p.exp() * (p - q)).sum(-1)
        parts.append((z.shape[1] - not_greater, q.gather(1, columns), entropy, kl))
    return Exact(*(torch.stack(each).double().numpy() for each in zip(*parts, strict=True)))


def ours(cells: Cells) -> Exact:
    """The same as they were read."""
    ranks = np.concatenate([cells.pin_ranks, cells.final_rank[..., None], cells.next_rank[..., None]], axis=2)
    # The log-probability of the final top-1 is no number of a cell.
    nothing = np.full(cells.kl.shape, np.nan)
    log_probs = np.concatenate(
        [cells.pin_logprobs, nothing[..., None], cells.next_logprob[..., None]], axis=2, dtype=np.float64
    )
    return Exact(ranks.astype(np.float64), log_probs, cells.entropy.astype(float), cells.kl.astype(float))


def in_float64(model: Model) -> Model:
    return wire(model.name, deepcopy(model.module).double(), model.tokenizer)


def logits_of(exact_model: Model, h: Tensor) -> list[Tensor]:
    """The logit lens of every row, float64."""
    linear = exact_model.head.linear
    assert linear is not None, "the head is no single matrix"
    with torch.inference_mode():
        return [linear(exact_model.head.norm(row)) for row in h.double()]


def measured(
    model: Model, exact_model: Model, blocks: Sequence[Tensor]
) -> dict[str, list[tuple[Exact, Exact]]]:
    """What was read and what is exact, of each block, by how it was computed."""
    pins = np.linspace(0, model.vocabulary - 1, PINNED).astype(int).tolist()
    found: dict[str, list[tuple[Exact, Exact]]] = {}
    for block in blocks:
        columns = len(block) - 1  # those that have a next token
        tiles = read_tiles(model, Prompt("", tuple(block.tolist())), pins=pins, top_k=1)
        cells = Cells.join([tile.lenses["logit"] for tile in tiles]).columns_in(range(columns))
        streams = {"whole": residual_stream(exact_model.module, exact_model.anatomy, block[None])}
        if model.dtype == torch.float32:
            streams["head"] = model.stream(block[None]).cpu()
        for name, h in streams.items():
            logits = logits_of(exact_model, h[:, 0, :columns])
            read = ours(cells)
            # Where another token is the final top-1, its rank is that of another token.
            other = cells.top_ids[-1, :, 0] != logits[-1].argmax(-1).numpy()
            read.ranks[:, other, PINNED] = -1
            found.setdefault(name, []).append((read, exact(iter(logits), logits[-1], pins, block[1:])))
    return found


def differences(pairs: Sequence[tuple[Exact, Exact]]) -> Iterator[list[object]]:
    """Rows of the table: of ranks and log-probabilities by band of rank, of KL and of entropy."""

    def both(name: str) -> tuple[Numbers, Numbers]:
        read, wanted = zip(*((getattr(one, name), getattr(other, name)) for one, other in pairs), strict=True)
        return np.concatenate([each.ravel() for each in read]), np.concatenate(
            [each.ravel() for each in wanted]
        )

    ranks, exact_ranks = both("ranks")
    log_probs, exact_log_probs = both("log_probs")
    for low, high in BANDS:
        here = (exact_ranks >= low) & (exact_ranks <= high) & (ranks >= 0)
        if not here.any():
            continue
        off = np.abs(ranks - exact_ranks)[here]
        nats = np.nanmax(np.abs(log_probs - exact_log_probs)[here], initial=0)
        band = f"{low}" if low == high else f"{low}–{high}" if high < 1 << 30 else f"{low}+"
        same, within = (off == 0).mean(), np.percentile(off, 99)
        yield [f"rank {band}", off.size, f"{same:.2%}", f"{off.max():.0f}", f"{within:.0f}", f"{nats:.1e}"]
    for name, label in (("kl", "KL"), ("entropy", "entropy")):
        read, wanted = both(name)
        worst = np.nanmax(np.abs(read - wanted))
        yield [f"{label}, up to {wanted.max():.1f}", wanted.size, "–", "–", "–", f"{worst:.1e}"]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--model", nargs="+", default=[str(paths.bundled_model())])
    parser.add_argument("--data", nargs="+", default=[str(paths.bundled_model() / "text.parquet")])
    parser.add_argument("--blocks", type=int, default=8, help=f"of {COLUMNS} tokens, of each file")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16", "float16"])
    given = parser.parse_args()
    started(given)
    rows: list[list[object]] = []
    for folder in given.model:
        reference = in_float64(load(folder, device="cpu", dtype="float32"))
        blocks: list[Tensor] = []
        for data in given.data:
            documents = read_documents(Documents((data,)))
            each = token_blocks(reference.tokenizer, documents, COLUMNS)
            blocks += [block for block, _ in zip(each, range(given.blocks), strict=False)]
        for dtype in given.dtypes:
            found = measured(load(folder, device=given.device, dtype=dtype), reference, blocks)
            for name, pairs in found.items():
                rows += ([Path(folder).name, dtype, name, *row] for row in differences(pairs))
    columns = (
        "model", "dtype", "in float64", "what", "numbers", "same rank", "largest difference of ranks",
        "99 % within", "largest difference, nats",
    )  # fmt: skip
    print(table(columns, rows))


if __name__ == "__main__":
    main()
