"""A family read in one dtype, on a stream as large as real ones, against float64 from the recorded states.

    python -m tests.tiny.dtype_reading

prints the largest difference of every number by dtype, and how many families it was found in.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np
import torch
import transformers as hf
from torch import Tensor, nn

from lenstui.lens import LensError, Model, read, wire
from lenstui.model.sublayers import read_sublayers
from lenstui.readout.cells import Cells
from tests.by_hand import naive
from tests.tiny.added import ADDED, BY_DEFAULT, FACTORS
from tests.tiny.families import FAMILIES
from tests.tiny.family import Family, capped, random_model
from tests.tiny.family_reading import TEXT, byte_tokenizer, off

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
SIZES = (
    2e4,
    2e3,
    2e2,
    20.0,
)  # of the largest entry; float16 overflows in families that norm behind their MLP
PINS = range(0, 272, 3)


@dataclass(frozen=True)
class DtypeReading:
    """The largest differences, each as a share of the largest value.

    Attributes:
        size: the largest entry of the stream.
        stream: `h_0 … h_L` as lenstui reads them, against what the blocks were seen to hand on.
        logits: of every row, in the model's dtype, against the family's formula in float64.
        cells: entropy, KL and log-probabilities of these logits, against float64, by the largest logit.
        parts: what attention and MLP put out, against what their modules were seen to put out.
        contributions: the logits that these add, against the formula in float64.
        left_over: what all parts together leave over of the final logits, against float64; NaN where the
            blocks cannot be told apart, as for the two before.
        sum_of_parts: that itself: how far they add up in this dtype.
    """

    size: float
    stream: float
    logits: float
    cells: float
    parts: float
    contributions: float
    left_over: float
    sum_of_parts: float


@cache
def dtype_reading(name: str, dtype: torch.dtype) -> DtypeReading:
    """Read a family in one dtype."""
    for size in SIZES:
        module = loud_model(name, dtype, size)
        family, tokenizer = FAMILIES[name], byte_tokenizer()
        ids = torch.tensor([tokenizer(TEXT)["input_ids"]])
        rows, logits = naive.handed_on(module, ids, family.blocks, family.halves, family.norm)
        if bool(rows.isfinite().all()) and bool(logits.isfinite().all()):
            break
    model = wire(name, module, tokenizer)
    parts = read_parts(name, model, ids, rows)
    with torch.no_grad():
        ours = torch.stack([model.head(h) for h in rows])
    p = naive.weights(module)
    by_hand = read(model, TEXT, pins=PINS)
    return DtypeReading(
        size=size,
        stream=off(naive_stream(model, ids), rows),
        logits=max(off(ours, family.logits(p, rows.double())), off(ours[-1], logits)),
        cells=cells_off(by_hand.lenses["logit"], ours, ids[0].tolist(), dtype),
        **parts,
    )


def loud_model(name: str, dtype: torch.dtype, size: float) -> Any:
    """The tiny model, with a massive activation in column 0 and a large dimension in all others."""
    module = random_model(FAMILIES[name].config).to(dtype)

    def louder(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        h = args[0].clone()
        h[:, 0, 3] += size
        h[:, 0, 11] -= size / 2
        h[:, 1:, 3] += size / 64
        return h, *args[1:]

    module.get_submodule(FAMILIES[name].blocks)[0].register_forward_pre_hook(louder)
    return module


def naive_stream(model: Model, ids: Tensor) -> Tensor:
    from lenstui.model.residual import residual_stream

    return residual_stream(model.module, model.anatomy, ids)[:, 0]


def cells_off(cells: Cells, logits: Tensor, ids: list[int], dtype: torch.dtype) -> float:
    """The numbers of all cells against float64, from the same logits. Ranks are equal, but for near ties."""
    largest = max(1.0, float(logits.abs().max()))
    # In float32 lenstui's own pass rounds otherwise than the one whose states were recorded.
    margin = 1e-5 * largest if dtype == torch.float32 else 0.0
    wanted, at_least, at_most = (naive.numbers(logits, ids, PINS, margin=m) for m in (0.0, margin, -margin))
    for rank in ("final_rank", "next_rank", "pin_ranks"):
        assert (getattr(cells, rank) >= at_least[rank]).all(), rank
        assert (getattr(cells, rank) <= at_most[rank]).all(), rank
    names = ("entropy", "kl", "js", "next_logprob", "pin_logprobs")
    return float(max(np.nanmax(np.abs(getattr(cells, name) - wanted[name])) for name in names)) / largest


def read_parts(name: str, model: Model, ids: Tensor, rows: Tensor) -> dict[str, float]:
    """What attention and MLP add: as they were seen to put out, in logits, and all together."""
    wanted = seen_parts(name, model, ids)
    try:
        ours = read_sublayers(model, ids[0].tolist())
    except LensError:
        assert wanted is None, "lenstui refuses what the source of this family adds"
        return dict.fromkeys(("parts", "contributions", "left_over", "sum_of_parts"), math.nan)
    assert wanted is not None, "lenstui takes apart what the source of this family does not simply add"
    both = [ours.attention, ours.mlp] if len(wanted) == 2 else [ours.attention + ours.mlp]
    parts = max(off(one, other) for one, other in zip(both, wanted, strict=True))
    try:
        readout = read(model, TEXT, pins=range(model.vocabulary), sublayers=True)
    except LensError as error:
        assert "is not linear" in str(error)
        return {"parts": parts} | dict.fromkeys(("contributions", "left_over", "sum_of_parts"), math.nan)
    p, h = naive.weights(model.module), rows.double()
    pins = torch.from_numpy(readout.lenses["logit"].pin_logits)
    logits = {
        "attn": contribution(FAMILIES[name], p, ours.attention.double(), h[-1]),
        "mlp": contribution(FAMILIES[name], p, ours.mlp.double(), h[-1]),
    }
    contributions = 0.0
    for place, label in enumerate(readout.rows):
        block, _, part = label.partition(".")
        if part in logits:
            contributions = max(contributions, off(pins[place], logits[part][int(block)]))
    total = contribution(
        FAMILIES[name], p, h[0] + (ours.attention.double() + ours.mlp.double()).sum(0), h[-1]
    )
    with torch.no_grad():
        final = model.module(ids, use_cache=False).logits[0].double()
    left_over = (with_biases(FAMILIES[name], p, total) - final).abs().amax(-1)
    assert readout.left_over is not None
    largest = float(final.abs().max())
    return {
        "parts": parts,
        "contributions": contributions,
        "left_over": float((torch.from_numpy(readout.left_over) - left_over).abs().max()) / largest,
        "sum_of_parts": float(left_over.max()) / largest,
    }


def seen_parts(name: str, model: Model, ids: Tensor) -> list[Tensor] | None:
    """What the modules that the source names put out, `[L, cols, d]` each; None where it is not a sum."""
    if FAMILIES[name].mid is None:
        return None
    kept: list[list[Tensor]] = []
    handles = []
    for paths in filter(None, ADDED.get(name, BY_DEFAULT)):
        outputs: list[Tensor] = []
        kept.append(outputs)
        for block in model.anatomy.blocks:
            modules = dict(block.named_modules())
            path = next(path for path in paths.split("|") if path in modules)

            def keep(_: nn.Module, args: Any, output: Any, outputs: list[Tensor] = outputs) -> None:
                hidden = output[0] if isinstance(output, tuple) else output
                outputs.append(FACTORS.get(name, 1.0) * hidden.detach().clone().reshape(ids.shape[1], -1))

            handles.append(modules[path].register_forward_hook(keep))
    with torch.no_grad():
        model.module(ids, use_cache=False)
    for handle in handles:
        handle.remove()
    return [torch.stack(outputs) for outputs in kept]


def contribution(family: Family, p: naive.Weights, part: Tensor, h_last: Tensor) -> Tensor:
    """The logits that a part adds, by hand: the final norm at the scale that it has for `h_last`."""
    if family.norm is not None:
        if family.kind.startswith("layer"):
            part, h_last = (x - x.mean(-1, keepdim=True) for x in (part, h_last))
        part = part / (h_last.square().mean(-1, keepdim=True) + family.eps).sqrt() * _gain(family, p)
    return family.scale * part @ p[family.unembedding].T


def with_biases(family: Family, p: naive.Weights, logits: Tensor) -> Tensor:
    """The final logits, from what all parts add to them."""
    if family.norm is not None and f"{family.norm}.bias" in p:
        logits = logits + family.scale * p[f"{family.norm}.bias"] @ p[family.unembedding].T
    if family.bias:
        logits = logits + family.scale * p[family.unembedding.replace("weight", "bias")]
    return logits if family.softcap is None else capped(logits, family.softcap)


def _gain(family: Family, p: naive.Weights) -> Tensor | float:
    if family.kind.endswith("no weight"):
        return 1.0
    return p[f"{family.norm}.weight"] + (1 if "1 + w" in family.kind else 0)


def states_off(name: str, dtype: torch.dtype) -> float:
    """`h_L` in a dtype against that of the same weights in float64; NaN where they cannot be run so."""
    family, size = FAMILIES[name], dtype_reading(name, dtype).size
    ids = torch.tensor([byte_tokenizer()(TEXT)["input_ids"]])
    module = loud_model(name, dtype, size)
    rows, _ = naive.handed_on(module, ids, family.blocks, family.halves, family.norm)
    try:
        exact, _ = naive.handed_on(
            copy.deepcopy(module).double(), ids, family.blocks, family.halves, family.norm
        )
    except RuntimeError:  # code of its own that is float32 alone
        return math.nan
    return off(rows[-1], exact[-1])


def table() -> str:
    """The largest differences by dtype, as Markdown."""
    found = {
        dtype: [dtype_reading(name, dtype) for name in FAMILIES if can_be_read(name, dtype)]
        for dtype in DTYPES
    }
    heads = [f"{str(dtype).removeprefix('torch.')} ({len(found[dtype])} families)" for dtype in DTYPES]
    lines = [f"| | {' | '.join(heads)} |", "|---|---|---|---|"]
    for field in fields(DtypeReading)[1:]:
        cells = [_largest([getattr(each, field.name) for each in found[dtype]]) for dtype in DTYPES]
        lines.append(f"| {field.name} | {' | '.join(cells)} |")
    states = [
        _largest([states_off(name, dtype) for name in FAMILIES if can_be_read(name, dtype)])
        for dtype in DTYPES
    ]
    return "\n".join([*lines, f"| states | {' | '.join(states)} |"])


def _largest(numbers: list[float]) -> str:
    """The largest number, and of how many families there is one."""
    known = [number for number in numbers if not math.isnan(number)]
    return f"{max(known):.1e} ({len(known)})"


def can_be_read(name: str, dtype: torch.dtype) -> bool:
    """Whether a family's own code runs in that dtype: xLSTM's is told its dtype by its config."""
    return not FAMILIES[name].is_unknown and (name != "xLSTM" or dtype == torch.float32)


if __name__ == "__main__":
    hf.utils.logging.set_verbosity_error()
    torch.set_num_threads(1)
    print(table())
