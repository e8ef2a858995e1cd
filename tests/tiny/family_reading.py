"""A family read by lenstui and by hand: what the tests assert and the page of families shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import transformers as hf
from torch import Tensor

from lenstui.lens import LensError, Model, read, wire
from lenstui.model.head import model_head
from lenstui.model.residual import residual_stream
from lenstui.model.sublayers import read_sublayers
from tests.by_hand import naive
from tests.tiny.byte_level import byte_level_tokenizer
from tests.tiny.families import FAMILIES, VOCABULARY
from tests.tiny.family import Family, random_model
from tests.tiny.refused_models import REFUSED

TEXT = "It was the best of times."
PINS = range(0, VOCABULARY, 5)


@dataclass(frozen=True)
class Reading:
    """What came of it. Every difference is a share of the largest value.

    Attributes:
        model: the tiny model.
        formula: the logits by hand from `h_L`, against the model's own: is the table of families right?
        stream: `h_0 … h_L`, lenstui's against what the blocks hand on.
        head: lenstui's head of every `h_i`, against the formula.
        cells: logits and log-probabilities of a readout, against the formula; of its last row, against the
            model's own.
        far: the head as one matrix against the model's own head, far from what the model ever reads.
        mid: whether there is a stream between attention and MLP; None where they cannot be told apart.
        parts: what attention and MLP add, together, against what the blocks add; 0 where they are refused.
    """

    model: Model
    formula: float
    stream: float
    head: float
    cells: float
    far: float
    mid: bool | None
    parts: float


@cache
def byte_tokenizer() -> Any:
    return byte_level_tokenizer()


@cache
def wired(name: str, dtype: torch.dtype = torch.float32) -> Model:
    """The tiny model of a family. Not to be changed."""
    return wire("tiny", random_model(FAMILIES[name].config).to(dtype), byte_tokenizer())


@cache
def reading(name: str) -> Reading:
    return compare(FAMILIES[name], wired(name))


def compare(family: Family, model: Model) -> Reading:
    ids = torch.tensor([byte_tokenizer()(TEXT)["input_ids"]])
    rows, logits = naive.handed_on(model.module, ids, family.blocks, family.halves, family.norm)
    wanted = family.logits(naive.weights(model.module), rows.double())
    ours = residual_stream(model.module, model.anatomy, ids)[:, 0]
    cells = read(model, TEXT, pins=PINS).lenses["logit"]
    with torch.no_grad():
        lens = torch.stack([model.head(h) for h in rows])
    pins = torch.from_numpy(cells.pin_logits)
    log_probs = torch.from_numpy(cells.pin_logprobs)
    final = logits.double().log_softmax(-1)
    mid, parts = _parts(model, ids[0].tolist(), rows)
    return Reading(
        model,
        formula=off(wanted[-1], logits),
        stream=off(ours, rows),
        head=off(lens, wanted),
        cells=max(
            off(pins, wanted[..., PINS]),
            off(log_probs, wanted.log_softmax(-1)[..., PINS]),
            off(log_probs[-1], final[..., PINS]),
        ),
        far=max(_far(model, size) for size in (0.01, 1.0, 30.0)),
        mid=mid,
        parts=parts,
    )


def _far(model: Model, size: float) -> float:
    x = size * torch.randn(7, model.d_model, generator=torch.Generator().manual_seed(1)).to(model.dtype)
    with torch.no_grad():
        return off(model.head.logits(x), model_head(model.module, model.anatomy, x))


def _parts(model: Model, ids: list[int], rows: Tensor) -> tuple[bool | None, float]:
    try:
        parts = read_sublayers(model, ids)
    except LensError as error:
        assert "cannot be told apart" in str(error)
        return None, 0.0
    return parts.mid is not None, off(parts.attention + parts.mlp, rows[1:] - rows[:-1])


@cache
def refusal(name: str) -> str:
    """Why a family is refused, without the numbers of a failed check."""
    model_class, config_class, options = REFUSED[name]
    module = random_model(getattr(hf, config_class)(**options), model_class=getattr(hf, model_class))
    try:
        wire("tiny", module, byte_tokenizer())
    except LensError as error:
        return str(error).partition(": off by")[0]
    raise AssertionError(f"{name} is not refused")


def off(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, as a share of the largest value."""
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    return float((ours.double() - theirs.double()).abs().max() / theirs.double().abs().max())
