"""A model of which one block is on the processor and the rest on a GPU is read and fitted as in one place.

The parts are tied together by accelerate's hooks, as its `device_map` has them for parts that stay where they
are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lenstui import JacobianLens, TunedLens, edited, fit
from lenstui.fitting.jacobian.by_parts import PartsGraph
from lenstui.fitting.jacobian.graph import Derivative, Graph, Way
from lenstui.fitting.jacobian.ways import field_of, graph_of
from lenstui.fitting.options import preset
from lenstui.lens import Model, load, read, wire
from tests.cuda.devices import Device

hooks = pytest.importorskip("accelerate.hooks", reason="accelerate is not installed")

PROMPT, NATS = "Hello, you", 1e-3
TEXTS = [f"one two three {number} four five six seven eight nine ten " * 8 for number in range(12)]


@pytest.fixture
def pair(device: Device, folder: Path) -> tuple[Model, Model]:
    """The spread model, and the same in one place: the processor."""
    whole = load(str(folder), device="cpu", dtype="float32")
    module = load(str(folder), device="cpu", dtype="float32").module
    body = module.gpt_neox
    parts = [body.embed_in, body.rotary_emb, *body.layers, body.final_layer_norm, module.lm_head]
    for part in parts:
        place = torch.device("cpu") if part is body.layers[1] else torch.device(device.name)
        part.to(place)
        hooks.add_hook_to_module(part, hooks.AlignDevicesHook(execution_device=place))
    spread = wire(whole.name, module, whole.tokenizer)
    assert {parameter.device.type for parameter in module.parameters()} == {"cuda", "cpu"}
    return spread, whole


def test_hidden_states_are_gathered_at_the_head(pair: tuple[Model, Model]) -> None:
    spread, _ = pair
    assert spread.device == spread.module.lm_head.weight.device
    assert spread.stream(torch.tensor([[3, 4, 5]])).device == spread.device
    one, other = (read(model, PROMPT, sublayers=True).lenses["logit"] for model in pair)
    np.testing.assert_allclose(one.entropy, other.entropy, atol=NATS)
    np.testing.assert_allclose(one.kl, other.kl, atol=NATS)
    torch.manual_seed(0)
    lens = TunedLens(torch.randn(3, 32, 32) / 20, torch.randn(3, 32) / 20)  # on the processor
    one, other = (read(model, PROMPT, lens).lenses["tuned"] for model in pair)
    np.testing.assert_allclose(one.kl, other.kl, atol=NATS)


def test_a_lens_that_finds_no_room_goes_there_row_by_row(
    pair: tuple[Model, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    spread, whole = pair
    torch.manual_seed(0)
    lens = TunedLens(torch.randn(3, 32, 32) / 20, torch.randn(3, 32) / 20)
    taken = lens.weight.nbytes + lens.bias.nbytes
    assert lens.to(spread.device).weight.device == spread.device
    # What a CUDA device says: bytes that are free, and all it has.
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: ((1 << 30) + taken, 1 << 40))
    assert lens.to(spread.device) is lens
    matrices = JacobianLens({row: lens.weight[row] for row in range(3)})
    for each in (lens, matrices):
        one, other = (read(model, PROMPT, each).lenses[each.kind] for model in (spread, whole))
        np.testing.assert_allclose(one.kl, other.kl, atol=NATS)


def test_edits_reach_every_part(pair: tuple[Model, Model]) -> None:
    for edit in ("ablate 1.attn", "ablate 2.0 @2", "steer a rows 0-1 by 2"):
        one, other = (read(edited(model, [edit], PROMPT), PROMPT).lenses["logit"].kl for model in pair)
        np.testing.assert_allclose(one, other, atol=NATS, err_msg=edit)


def test_lenses_are_fitted_to_it(pair: tuple[Model, Model]) -> None:
    options = preset(
        "quick", steps=0, seq_len=32, held_out_tokens=64, closed_form_tokens=512, products="float32"
    )
    lenses = [fit(model, TEXTS, options) for model in pair]
    np.testing.assert_allclose(lenses[0].bias.cpu(), lenses[1].bias, atol=1e-2)
    one, other = (read(pair[1], PROMPT, lens).lenses["tuned"].kl for lens in lenses)
    np.testing.assert_allclose(one, other, atol=1e-2)


def test_jacobians_are_taken_through_all_devices_by_every_way(pair: tuple[Model, Model]) -> None:
    of, ids = Derivative(range(3), 3, 4), torch.arange(20)
    for way in (
        Way(prefix=True, batched=True, chunk=32),
        Way(prefix=False, batched=True, chunk=32, parts=True),
    ):
        one, other = (graph_of(model, ids, of, way) for model in pair)
        assert type(one) is type(other) is (PartsGraph if way.parts else Graph)  # taken apart on both
        assert_near(one.jacobian(range(32)), other.jacobian(range(32)))
    assert_near(*(field_of(model, ids, of) for model in pair))


def assert_near(found: Tensor, wanted: Tensor) -> None:
    off = (found.cpu() - wanted).flatten(1).norm(dim=1) / wanted.flatten(1).norm(dim=1)
    assert float(off.max()) < 1e-4
