"""What a control variate saves: the time to equal errors of the reference code, the exact fit and it.

    python -m tests.bench.bench_control_variate [--model FOLDER] [--data FILE] [--reference FOLDER]
        [--device cuda]

Run by hand. Errors are those against the mean Jacobian of other prompts, as a share of its norm, less what
these prompts' own number adds. For the exact fit and the variate, subsets of the prompts are drawn many
times. `emb` is left out, as by the reference (see `bench_jacobian`). Seconds are medians of the prompts.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import torch
from torch import Tensor

from lenstui.fitting.jacobian.graph import Derivative
from lenstui.fitting.jacobian.mean_field import mean_field
from lenstui.fitting.jacobian.prompts import prompt_of
from lenstui.fitting.jacobian_options import EXACT_EVERY
from lenstui.model.load import Model, load
from tests.bench.bench_jacobian import FIRST, LENGTH, Fit, ours, published, texts_of, written_out
from tests.bench.measuring import Peak, arguments, clock, shown, started, table, with_model

DRAWS = 40


@dataclass
class Timed:
    """What was computed of some texts, the seconds of each, and the memory that it took at most, MB."""

    found: list[Tensor]
    seconds: list[float]
    peak: float = 0.0

    @property
    def per_prompt(self) -> float:
        return statistics.median(self.seconds)


def timed(fit: Fit, texts: list[str], device: str) -> Timed:
    result = Timed([], [])
    with Peak(device) as peak:
        for text in texts:
            began = clock(device)
            result.found.append(fit(text))
            result.seconds.append(clock(device) - began)
    result.peak = peak.grown
    return result


def fields(model: Model) -> Fit:
    of = Derivative(range(1, model.num_blocks), model.num_blocks, FIRST)

    def fit(text: str) -> Tensor:
        ids = prompt_of(model.tokenizer, text, LENGTH)
        assert ids is not None
        return mean_field(model, ids, of).cpu()

    return fit


def report(exact: Tensor, field: Tensor, others: Tensor, seconds: tuple[float, float, float]) -> None:
    """Print a table of the errors of equal work and the times to equal errors, by row.

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
    # Few prompts may be nearer than what is known of the others: no error is known then.
    plain, varied = (each.where(each > 0, torch.nan) for each in (plain, varied))
    cost = of_exact + EXACT_EVERY * of_field  # of the variate, for every exact prompt
    gain = plain / varied  # in exact prompts to an equal error
    of_rows = (plain.sqrt(), varied.sqrt(), gain * of_exact / cost, gain * of_reference / cost)
    names = (
        "row", f"error of {n} exact prompts", f"of the variate, {n * EXACT_EVERY} mean fields",
        "× as fast as exact", "× as fast as the reference",
    )  # fmt: skip
    print(
        table(
            names, [[row, *each] for row, each in enumerate(zip(*(t.tolist() for t in of_rows), strict=True))]
        )
    )
    print(
        f"\nseconds a prompt: reference {of_reference:.3g}, exact {of_exact:.3g}, mean field {of_field:.3g}"
    )
    overall = float((plain.sqrt().mean() / varied.sqrt().mean()) ** 2)
    of_exact_fit, of_code = (shown(overall * of_one / cost) for of_one in (of_exact, of_reference))
    print(
        f"to an equal mean error of the rows: {of_exact_fit} × as fast as exact, {of_code} × as the reference"
    )


def main() -> None:
    parser = with_model(arguments(__doc__))
    parser.add_argument("--reference", help="folder of the reference code's package `jlens`")
    parser.add_argument("--prompts", type=int, default=16, help="exact ones")
    parser.add_argument("--others", type=int, default=24)
    parser.add_argument("--batch", type=int, default=8, help="of the reference")
    given = parser.parse_args()
    started(given)
    model = load(given.model, device=given.device, dtype="float32")
    texts = texts_of(model, given.data)
    reference = (
        published(model, given.batch, given.reference) if given.reference else written_out(model, given.batch)
    )
    exact_texts, rest = texts[: given.prompts], texts[given.prompts :]
    more = rest[given.others :][: (EXACT_EVERY // 2) * given.prompts]
    of_reference = timed(reference, texts[: given.repeat], given.device)
    exact = timed(ours(model), exact_texts, given.device)
    others = timed(ours(model), rest[: given.others], given.device)
    field = timed(fields(model), exact_texts + more, given.device)
    seconds = (of_reference.per_prompt, exact.per_prompt, field.per_prompt)
    report(torch.stack(exact.found), torch.stack(field.found), torch.stack(others.found), seconds)
    peaks = ", ".join(
        f"{name} {of.peak:.0f}"
        for name, of in (("reference", of_reference), ("exact", exact), ("mean field", field))
    )
    print(f"MB on top at most, in this order in one process: {peaks}")


if __name__ == "__main__":
    main()
