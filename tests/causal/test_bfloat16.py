"""Why on real weights in bfloat16: against the modules' own outputs, the manual's limit, and float32."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import lenstui
from lenstui.causal.contributions import Contributions
from lenstui.lens import Model, load
from tests.manual.pages import MANUAL

TEXT = "Once upon a time there was a little"


def limit() -> float:
    """What the manual states for the sum and for `rounding` in bfloat16, a share of the largest."""
    page = (MANUAL / "numbers.md").read_text(encoding="utf-8")
    (stated,) = re.findall(r"(\S+) in bfloat16, \S+ in\s+float16; a sum beyond is refused", page)
    return float(stated)


def largest(of: Contributions) -> float:
    return max(abs(each.contribution) for each in of.components)


@pytest.fixture(scope="module")
def stories(shared: Path) -> Model:
    folder = shared / "models" / "stories15M"
    if not folder.exists():
        pytest.skip("this checkout has no stories15M")
    return load(str(folder), device="cpu", dtype="bfloat16")


def run_by_hand(module: Any, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The stream `[L + 1, d]` and what attention and MLP put out `[L, 2, d]`, in the last column."""
    stream: list[torch.Tensor] = []
    parts: list[torch.Tensor] = []
    handles = [module.model.norm.register_forward_pre_hook(lambda _, args: stream.append(args[0][0, -1]))]
    for layer in module.model.layers:
        handles += [
            layer.register_forward_pre_hook(lambda _, args: stream.append(args[0][0, -1].clone())),
            layer.self_attn.register_forward_hook(lambda _, args, output: parts.append(output[0][0, -1])),
            layer.mlp.register_forward_hook(lambda _, args, output: parts.append(output[0, -1])),
        ]
    with torch.no_grad():
        module(ids)
    for handle in handles:
        handle.remove()
    return torch.stack(stream), torch.stack(parts).unflatten(0, (-1, 2))


def test_what_is_said_holds_in_bfloat16(stories: Model) -> None:
    of = lenstui.contributions(stories, TEXT)
    module = stories.module
    h, parts = run_by_hand(module, torch.tensor([of.ids]))
    last = h[-1].double()
    scale = (last.square().mean() + module.config.rms_norm_eps).sqrt()
    weight = module.lm_head.weight.detach().double()[: len(stories.tokenizer)]
    u = (weight[of.token] - weight.mean(0)) * module.model.norm.weight.detach().double() / scale
    assert of.logit == pytest.approx(float(u @ last), rel=2e-2)
    mid = h[:-1] + parts[:, 0]  # rounded as the stream is
    steps = torch.stack([mid.double() - h[:-1].double(), h[1:].double() - mid.double()], 1)
    shares = steps @ u
    torch.testing.assert_close(torch.from_numpy(of.attention).double(), shares[:, 0], rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(torch.from_numpy(of.mlp).double(), shares[:, 1], rtol=1e-2, atol=1e-2)
    off = ((steps - parts.double()) @ u).abs().max()
    assert of.rounding == pytest.approx(float(off), rel=2e-2)
    total = sum(each.contribution for each in of.components)
    assert of.error == pytest.approx(abs(total - of.logit), abs=1e-4)
    assert of.error <= limit() * largest(of)
    assert 0 < of.rounding <= limit() * largest(of) == pytest.approx(of.rounding_limit)
    assert of.no_sources == (None,) * len(h[:-1])


def test_it_says_what_float32_says(stories: Model, shared: Path) -> None:
    exact = lenstui.contributions(
        load(str(shared / "models" / "stories15M"), device="cpu", dtype="float32"), TEXT
    )
    of = lenstui.contributions(stories, TEXT)
    assert (of.ids, of.token, exact.rounding) == (exact.ids, exact.token, 0.0)
    room = limit() * largest(exact)
    for ours, theirs in ((of.attention, exact.attention), (of.mlp, exact.mlp), (of.heads, exact.heads)):
        assert float(abs(ours - theirs).max()) <= room
    assert float(abs(of.weights - exact.weights).max()) <= 0.05


def test_smollm2_in_bfloat16_reads_its_answer_from_the_name(smollm2: Path) -> None:
    model = load(str(smollm2), device="cpu", dtype="bfloat16")
    of = lenstui.contributions(model, "The capital of France is", token=" Paris")
    assert of.error <= limit() * largest(of)
    assert 0 < of.rounding <= limit() * largest(of)
    assert of.no_sources == (None,) * model.num_blocks
    strongest = max(of.named_heads, key=lambda head: head.contribution)
    read = int(of.sources[of.head(strongest.name)].argmax())
    assert "France" in model.texts[of.ids[read]]
