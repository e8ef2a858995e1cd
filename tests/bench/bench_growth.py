"""How the time of a readout grows with rows, columns, vocabulary, width and text. Run by hand.

    python -m tests.bench.bench_growth [--device cuda] [--figure FILE.svg]

One size at a time grows, the others stay. The exponent of the time is fitted by least squares on logarithms,
over the larger sizes, where what does not grow with them counts least. It should be no larger than what the
mathematics needs: reading is linear in each of them, a forward pass linear in columns but for its attention,
which is quadratic. `text` is that of many prompts of one length, read one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lenstui.lens import Model, Prompt, read_tiles
from tests.bench.measuring import Peak, arguments, in_turn, random_llama, started, table

BASE = {"blocks": 6, "columns": 64, "vocabulary": 8192, "width": 192}
NOISE = 0.1  # that an exponent may be too large by


@dataclass(frozen=True)
class Growth:
    """How one size grows.

    Attributes:
        name: of the size.
        sizes: smallest first.
        most: the largest exponent that the mathematics needs.
        works: makes what is timed of a size.
    """

    name: str
    sizes: tuple[int, ...]
    most: float
    works: Callable[[int, str], Callable[[], object]]


def model_of(device: str, **sizes: int) -> Model:
    of = {**BASE, **sizes}
    return random_llama(
        device,
        vocab_size=of["vocabulary"],
        hidden_size=of["width"],
        intermediate_size=3 * of["width"],
        num_hidden_layers=of["blocks"],
        num_attention_heads=3,
        num_key_value_heads=3,
        max_position_embeddings=8192,
    )


def prompt_of(model: Model, columns: int) -> Prompt:
    return Prompt("", tuple(torch.randint(model.vocabulary, (columns,)).tolist()))


def reading(model: Model, columns: int, times: int = 1) -> Callable[[], object]:
    prompt = prompt_of(model, columns)

    def work() -> None:
        for _ in range(times):
            for _ in read_tiles(model, prompt):
                pass

    return work


def forward(model: Model, columns: int) -> Callable[[], object]:
    ids = torch.tensor([prompt_of(model, columns).ids])
    return lambda: model.stream(ids)


GROWTHS = (
    Growth(
        "rows", (6, 12, 24, 48), 1, lambda n, device: reading(model_of(device, blocks=n), BASE["columns"])
    ),
    Growth("columns", (64, 128, 256, 512), 1, lambda n, device: reading(model_of(device), n)),
    Growth(
        "vocabulary",
        (8192, 16384, 32768, 65536),
        1,
        lambda n, device: reading(model_of(device, vocabulary=n), BASE["columns"]),
    ),
    Growth(
        "width",
        (192, 384, 768, 1536),
        1,
        # The head's part alone: the blocks' matrices are quadratic in the width, as the model is.
        lambda n, device: reading(model_of(device, width=n, blocks=1), BASE["columns"]),
    ),
    Growth("text", (1, 2, 4, 8), 1, lambda n, device: reading(model_of(device), BASE["columns"], n)),
    Growth("forward, columns", (512, 1024, 2048, 4096), 2, lambda n, device: forward(model_of(device), n)),
)


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """The slope of the logarithms, over the larger half of the sizes and the one before."""
    some = slice(len(sizes) // 2 - 1, None)
    return float(np.polyfit(np.log(sizes[some]), np.log(seconds[some]), 1)[0])


def draw(path: Path, found: Sequence[tuple[Growth, Sequence[float]]]) -> None:
    """Draw the times over the sizes, both over the smallest, as SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "lenstui", "svg.fonttype": "path", "font.size": 8}):
        figure = Figure(figsize=(4.2, 3.0), layout="constrained")
        axes = figure.subplots()
        for (growth, seconds), marker in zip(found, "osD^v*", strict=False):
            over = np.array(growth.sizes) / growth.sizes[0]
            label = f"{growth.name}: {exponent(growth.sizes, seconds):.2f}"
            axes.loglog(over, np.array(seconds) / seconds[0], marker=marker, ms=4, lw=1, label=label)
        axes.loglog([1, 8], [1, 8], color="0.6", lw=0.8, ls="--", label="in proportion")
        axes.set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"])
        axes.set_yticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
        axes.minorticks_off()
        axes.set(xlabel="size, × the smallest", ylabel="time, × that of the smallest")
        axes.legend(fontsize=7, frameon=False, title="exponent", title_fontsize=7)
        figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--figure", type=Path, help="draw it, too, as SVG (needs matplotlib)")
    given = parser.parse_args()
    started(given)
    found, rows = [], []
    for growth in GROWTHS:
        works = {str(size): growth.works(size, given.device) for size in growth.sizes}
        with Peak(given.device) as peak:
            works[str(growth.sizes[-1])]()
        seconds = list(in_turn(works, given.repeat, given.device).values())
        found.append((growth, seconds))
        slope = exponent(growth.sizes, seconds)
        of_sizes = ", ".join(f"{size}: {took:.3g}" for size, took in zip(growth.sizes, seconds, strict=True))
        said = "yes" if slope <= growth.most + NOISE else "NO"
        rows.append([growth.name, of_sizes, slope, growth.most, said, peak.grown])
        print(f"{growth.name}: {slope:.2f}", flush=True)
    print(table(("grows", "size: seconds", "exponent", "needed", "holds", "+ MB"), rows))
    if given.figure is not None:
        draw(given.figure, found)


if __name__ == "__main__":
    main()
