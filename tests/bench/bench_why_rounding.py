"""What the contributions of Why are off by in each dtype, in every cell of three prompts. Run by hand.

    python -m tests.bench.bench_why_rounding [MODEL …] [--device cuda]

A model is a folder or a GGUF file; without any, the bundled one, through its three lenses. Two shares of the
largest contribution: how far the sum is from the lens's logit, and `rounding`, how far a component is from
what its module put out. A cell that is refused for its sum counts as such.
"""

from __future__ import annotations

import statistics

from lenstui.causal.attribution import explain
from lenstui.causal.components import read_components
from lenstui.model.tokens import encode
from lenstui.opening.opened import Opened, open_model
from lenstui.support.errors import LensError
from lenstui.support.request import Start
from tests.bench.measuring import arguments, started, table

PROMPTS = (
    "The trees are green and the sky is",
    "Once upon a time there was a little girl",
    "One day, a boy named Tim went to the park with his",
)
DTYPES = ("float32", "float16", "bfloat16")


def shares(opened: Opened, text: str) -> list[tuple[float, float] | None]:
    """The two shares for every row, column and lens; None for a cell that is refused."""
    model, found = opened.model, list[tuple[float, float] | None]()
    ids = encode(model.tokenizer, text, context=model.context).ids
    for column in range(len(ids)):
        components = read_components(model, ids, column, sources=False)
        for lens in opened.lenses:
            for row in range(model.num_blocks + 1):
                try:
                    of = explain(components, lens, row=row)
                except LensError as error:
                    if "add up" in str(error):
                        found.append(None)
                    continue  # a row that this lens does not read
                largest = max(abs(each.contribution) for each in of.components)
                found.append((of.error / largest, of.rounding / largest))
    return found


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--dtypes", nargs="+", default=DTYPES)
    given = parser.parse_args()
    started(given)
    rows: list[list[object]] = []
    for name in given.models or [None]:
        for dtype in given.dtypes:
            start = Start(
                model=name, demo=name is None, jacobian=name is None, dtype=dtype, device=given.device
            )
            opened = open_model(start)
            cells = [cell for text in PROMPTS for cell in shares(opened, text)]
            known = [cell for cell in cells if cell is not None]
            for what, of in (("sum", [off for off, _ in known]), ("rounding", [off for _, off in known])):
                found = [f"{statistics.median(of):.1e}", f"{max(of):.1e}"]
                rows.append([opened.model.name, dtype, what, *found, len(known), len(cells) - len(known)])
    columns = ("model", "dtype", "share of the largest contribution", "median", "largest", "cells", "refused")
    print(table(columns, rows))


if __name__ == "__main__":
    main()
