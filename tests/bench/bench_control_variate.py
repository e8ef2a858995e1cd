"""What a control variate saves: the time to equal errors of the reference code, the exact fit and it.

Run by hand: `python tests/bench/bench_control_variate.py --model FOLDER --data FILE [--reference FOLDER]`.
Errors are those against the mean Jacobian of other prompts, as a share of its norm, less what these prompts'
own number adds. For the exact fit and the variate, subsets of the prompts are drawn many times. `emb` is left
out, as by the reference (see `bench_jacobian`).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import pyarrow.parquet
import torch
from torch import Tensor

from lenstui.fitting.jacobian.graph import Derivative
from lenstui.fitting.jacobian.mean_field import mean_field
from lenstui.fitting.jacobian.prompts import prompt_of
from lenstui.fitting.jacobian_options import EXACT_EVERY
from lenstui.model.load import Model, load
from tests.bench.bench_jacobian import FIRST, LENGTH, Fit, ours, published, written_out

DRAWS = 40


@dataclass
class Timed:
    """What was computed of some texts, and the processor seconds of each."""

    found: list[Tensor]
    seconds: list[float]

    @property
    def per_prompt(self) -> float:
        return sorted(self.seconds)[len(self.seconds) // 2]


def timed(fit: Fit, texts: list[str]) -> Timed:
    result = Timed([], [])
    for text in texts:
        clock = time.process_time()
        result.found.append(fit(text))
        result.seconds.append(time.process_time() - clock)
    return result


def fields(model: Model) -> Fit:
    of = Derivative(range(1, model.num_blocks), model.num_blocks, FIRST)

    def fit(text: str) -> Tensor:
        ids = prompt_of(model.tokenizer, text, LENGTH)
        assert ids is not None
        return mean_field(model, ids, of)

    return fit


def report(exact: Tensor, field: Tensor, others: Tensor, seconds: tuple[float, float, float]) -> None:
    """Print the errors, and the times to equal errors.

    Args:
        exact: Jacobians of some prompts, `[n, rows, d, d]`.
        field: mean fields of more, of which these are the first, `[N, rows, d, d]`.
        others: Jacobians of other prompts.
        seconds: a prompt of the reference, of the exact fit, and of the mean field.
    """
    of_reference, of_exact, of_field = seconds
    n = max(1, min(len(exact) // 2, len(field) // EXACT_EVERY))
    pick = torch.Generator().manual_seed(0)
    wanted = others.mean(0)
    noise = others.var(0).sum((-2, -1)) / len(others)  # of what they are compared to

    def squared_error(estimate: Tensor) -> Tensor:
        return ((estimate - wanted).square().sum((-2, -1)) - noise) / wanted.square().sum((-2, -1)) / DRAWS

    plain, varied = torch.zeros(exact.shape[1]), torch.zeros(exact.shape[1])
    for _ in range(DRAWS):
        some = torch.randperm(len(exact), generator=pick)[:n]
        rest = torch.randperm(len(field), generator=pick)
        rest = rest[~torch.isin(rest, some)][: n * (EXACT_EVERY - 1)]
        all_fields = field[torch.cat([some, rest])].mean(0)
        plain += squared_error(exact[some].mean(0))
        varied += squared_error(all_fields + (exact[some] - field[some]).mean(0))
    cost = of_exact + EXACT_EVERY * of_field  # of the variate, for every exact prompt
    print(f"seconds a prompt: reference {of_reference:.2f}, exact {of_exact:.2f}, mean field {of_field:.2f}")
    print(f"{n} exact prompts, {n * EXACT_EVERY} mean fields, by row from 0")
    print("error, exact fit  ", *(f"{value:7.3f}" for value in plain.sqrt().tolist()))
    print("error, variate    ", *(f"{value:7.3f}" for value in varied.sqrt().tolist()))
    gain = plain / varied  # in exact prompts to an equal error
    print("time, × exact     ", *(f"{value:7.2f}" for value in (gain * of_exact / cost).tolist()))
    print("time, × reference ", *(f"{value:7.2f}" for value in (gain * of_reference / cost).tolist()))
    overall = float((plain.sqrt().mean() / varied.sqrt().mean()) ** 2)
    print(
        f"to an equal mean error of the rows: {overall * of_exact / cost:.2f} × as fast as the exact fit, "
        f"{overall * of_reference / cost:.2f} × as fast as the reference"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True, help="a Parquet file with a column `text`")
    parser.add_argument("--reference", help="folder of the reference code's package `jlens`")
    parser.add_argument("--prompts", type=int, default=16, help="exact ones")
    parser.add_argument("--others", type=int, default=24)
    parser.add_argument("--batch", type=int, default=8, help="of the reference")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model = load(given.model, device="cpu")
    texts = [
        text
        for text in pyarrow.parquet.read_table(given.data)["text"].to_pylist()[:5000]
        if prompt_of(model.tokenizer, text, LENGTH) is not None
    ]
    reference = (
        published(model, given.batch, given.reference) if given.reference else written_out(model, given.batch)
    )
    exact = timed(ours(model), texts[: given.prompts])
    others = timed(ours(model), texts[given.prompts : given.prompts + given.others])
    more = texts[given.prompts + given.others :][: (EXACT_EVERY // 2) * given.prompts]
    field = timed(fields(model), texts[: given.prompts] + more)
    seconds = (timed(reference, texts[:3]).per_prompt, exact.per_prompt, field.per_prompt)
    report(torch.stack(exact.found), torch.stack(field.found), torch.stack(others.found), seconds)


if __name__ == "__main__":
    main()
