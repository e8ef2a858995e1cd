"""R-Lens: its rules against models whose norms and MLPs are written out by hand, with what is constant."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lenstui.fitting.jacobian.fitted import begin, fitted_lens
from lenstui.fitting.jacobian.graph import Derivative, Way, build_graph
from lenstui.fitting.jacobian.loop import jacobian_steps
from lenstui.fitting.jacobian.relp import Relp, held_activation
from lenstui.fitting.jacobian.relp_check import proven_relp
from lenstui.fitting.jacobian.ways import proven_way
from lenstui.fitting.jacobian_options import JacobianOptions
from lenstui.fitting.plan import FitPlan
from lenstui.lens import LensError, Model, wire
from lenstui.texts.documents import Documents
from tests.by_hand.jacobians import naive_jacobians
from tests.tiny.families import FAMILIES, random_model
from tests.tiny.family_reading import wired

FIRST = 3


def some_ids(cols: int = 9) -> Tensor:
    return torch.randint(2, 258, (cols,), generator=torch.Generator().manual_seed(3))


def ours(model: Model, ids: Tensor, rules: Any) -> Tensor:
    of = Derivative(range(model.num_blocks), model.num_blocks, FIRST)
    way = proven_way(model, ids, of, rules.applied)
    graph = build_graph(model, ids, of, way, rules.applied)
    d = model.d_model
    return torch.cat([graph.jacobian(range(start, start + 8)) for start in range(0, d, 8)], 1)


# by hand


def silu(z: Tensor) -> Tensor:
    return z * z.sigmoid().detach()


def gelu(z: Tensor) -> Tensor:
    return z * (0.5 * (1 + (z / math.sqrt(2)).erf())).detach()


def gelu_tanh(z: Tensor) -> Tensor:
    inner = math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)
    return z * (0.5 * (1 + inner.tanh())).detach()


def rms(norm: Any, plus: float = 0.0) -> Callable[[Tensor], Tensor]:
    eps = getattr(norm, "variance_epsilon", None) or norm.eps

    def forward(x: Tensor) -> Tensor:
        scale = (x.square().mean(-1, keepdim=True) + eps).rsqrt().detach()
        return x * scale * (norm.weight + plus)

    return forward


def layer_norm(norm: Any) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scale = (centred.square().mean(-1, keepdim=True) + norm.eps).rsqrt().detach()
        return centred * scale * norm.weight + norm.bias

    return forward


def gated(mlp: Any, act: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        gate, up = act(mlp.gate_proj(x)), mlp.up_proj(x)
        return mlp.down_proj((gate * up.detach() + gate.detach() * up) / 2)

    return forward


def neox_mlp(mlp: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: mlp.dense_4h_to_h(gelu(mlp.dense_h_to_4h(x)))


def gpt2_mlp(mlp: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: mlp.c_proj(gelu_tanh(mlp.c_fc(x)))


PLUS_ONE = {"Gemma-2", "Gemma-3"}  # whose norms multiply by 1 + w
MLPS = {"GPT-NeoX": neox_mlp, "GPT-2": gpt2_mlp}
NORMS = (
    *("input_layernorm", "post_attention_layernorm", "ln_1", "ln_2"),
    *("pre_feedforward_layernorm", "post_feedforward_layernorm"),
)


def write_out(name: str, module: Any) -> None:
    """Put what is written out by hand in the place of the norms and MLPs of all blocks."""
    for block in dict(module.named_modules())[FAMILIES[name].blocks]:
        for norm in (getattr(block, path) for path in NORMS if hasattr(block, path)):
            is_layer = getattr(norm, "bias", None) is not None
            norm.forward = layer_norm(norm) if is_layer else rms(norm, float(name in PLUS_ONE))
        act = gelu_tanh if name in PLUS_ONE else silu
        block.mlp.forward = MLPS[name](block.mlp) if name in MLPS else gated(block.mlp, act)


@pytest.mark.parametrize("name", ["Llama", "GPT-NeoX", "GPT-2", "Gemma-2", "Gemma-3", "Qwen3", "OLMo-2"])
def test_its_gradients_are_those_of_what_is_written_out_by_hand(name: str) -> None:
    family, model, ids = FAMILIES[name], wired(name), some_ids()
    by_hand = copy.deepcopy(model.module)
    write_out(name, by_hand)
    with torch.no_grad():  # what is written out is the same model
        torch.testing.assert_close(
            by_hand(input_ids=ids[None]).logits, model.module(input_ids=ids[None]).logits
        )
    wanted = naive_jacobians(by_hand, ids, family.blocks, family.norm, first=FIRST)
    plain = naive_jacobians(model.module, ids, family.blocks, family.norm, first=FIRST)
    found = ours(model, ids, proven_relp(model, ids)).double()
    for row in range(model.num_blocks):
        size = wanted[row].norm()
        assert float((found[row] - wanted[row]).norm() / size) < 1e-5
        assert float((plain[row] - wanted[row]).norm() / size) > 0.05  # the rule does something


@pytest.mark.parametrize(
    "name",
    ["Llama", "GPT-NeoX", "GPT-2", "GPT-J", "OPT", "Gemma-2", "Falcon", "BLOOM", "Mixtral", "Qwen3-Next"],
)
def test_the_forward_pass_is_bit_for_bit_the_same(name: str) -> None:
    model, ids = wired(name), some_ids(24)
    of, way = Derivative(range(model.num_blocks), model.num_blocks, FIRST), Way(True, True, 8)
    rules = proven_relp(model, ids)
    with_rules = build_graph(model, ids, of, way, rules.applied).target
    assert torch.equal(with_rules, build_graph(model, ids, of, way).target)
    assert with_rules.requires_grad


def test_attention_keeps_its_gradients_and_so_do_its_norms() -> None:
    """Qwen3 has norms within attention: none of them is held."""
    model = wired("Qwen3")
    parts = proven_relp(model, some_ids()).parts
    assert {type(call.module).__name__ for call in parts.held} == {"Qwen3RMSNorm", "Qwen3MLP"}
    assert len(parts.norms) == 2 * model.num_blocks
    assert not any(
        norm in block.self_attn.modules() for norm in parts.norms for block in model.anatomy.blocks
    )


def test_routed_experts_keep_their_gradients_and_the_card_says_so(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("\n\n".join(f"document number {number} is long enough" for number in range(6)))
    options = JacobianOptions(n_prompts=2, seq_len=12, skip_first=FIRST, rule="relp")
    for name, said in (("Mixtral", "normal gradients"), ("Llama", None)):
        fit = begin(wired(name), FitPlan(options, Documents((str(file),)), 0.2))
        list(jacobian_steps(fit))
        card = fitted_lens(fit).fit
        assert card.get("routed_experts") == said
        assert (card["rule"], card["preset"]) == ("relp", "r-lens")


def test_a_fit_with_the_rule_is_another_lens(tiny: Model, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("\n\n".join(f"document number {number} is long enough" for number in range(6)))
    options = JacobianOptions(n_prompts=2, seq_len=12, skip_first=FIRST, rule="relp")
    fit = begin(tiny, FitPlan(options, Documents((str(file),)), 0.2))
    list(jacobian_steps(fit))
    wanted = torch.stack([ours(tiny, ids, proven_relp(tiny, ids)) for ids in fit.prompts.train]).mean(0)
    for row, matrix in fitted_lens(fit).matrices.items():
        torch.testing.assert_close(matrix, wanted[row], rtol=1e-4, atol=1e-5)


# what is refused


class Odd(nn.Module):
    """An activation whose value at zero is not zero, so that it has no gate."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sigmoid()


class Unnormed(nn.Module):
    """A norm by its name, whose scale is written in a way that nobody knows."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (-(x.square().mean(-1, keepdim=True)).log() / 2).exp()


def test_an_activation_without_a_gate_is_refused(byte_tokenizer: Any) -> None:
    model = wire("tiny", random_model(FAMILIES["Llama"].config), byte_tokenizer)
    model.anatomy.blocks[1].mlp.act_fn = Odd()
    with pytest.raises(LensError, match=r"mlp of block 1 \(LlamaMLP\) is not linear .* Leave --rule out"):
        proven_relp(model, some_ids())


def test_a_norm_that_is_not_held_is_refused(byte_tokenizer: Any) -> None:
    model = wire("tiny", random_model(FAMILIES["Llama"].config), byte_tokenizer)
    odd = type("OddNorm", (Unnormed,), {})()
    model.anatomy.blocks[2].post_attention_layernorm = odd
    with pytest.raises(LensError, match="block 2 shows 1 held norms of 2"):
        proven_relp(model, some_ids())


def test_rules_that_change_a_value_are_refused(monkeypatch: pytest.MonkeyPatch, tiny: Model) -> None:
    monkeypatch.setattr("lenstui.fitting.jacobian.relp._with_derivative", lambda y, z: z)
    with pytest.raises(LensError, match="not the same bit for bit"):
        proven_relp(tiny, some_ids(24))


def test_no_hook_is_left_behind(tiny: Model) -> None:
    def hooks() -> int:
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in tiny.module.modules())

    before = hooks()
    rules = proven_relp(tiny, some_ids())
    assert isinstance(rules, Relp)
    with rules.applied():
        assert hooks() > before
    assert hooks() == before


def test_the_gate_at_zero_is_that_beside_it() -> None:
    z = torch.tensor([0.0, 1.0, -2.0], requires_grad=True)
    y = held_activation(z, nn.functional.silu(z), nn.functional.silu)
    (gradient,) = torch.autograd.grad(y.sum(), z)
    torch.testing.assert_close(gradient, torch.tensor([0.0, 1.0, -2.0]).sigmoid(), atol=1e-4, rtol=1e-4)
    assert torch.equal(y, nn.functional.silu(z))
