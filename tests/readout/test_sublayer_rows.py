"""Rows of sublayers in readouts: against the families' formulas and hooks of the test's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lenstui.lens import Cells, LensError, Model, encode, read, read_tiles, wire
from lenstui.lens.logit import LogitLens
from lenstui.model.contribution import find_contribution
from lenstui.model.rows import Row, is_sublayer, stream_places
from lenstui.model.sublayers import parts_of, read_sublayers
from lenstui.readout import streams
from lenstui.readout import tiles as readout
from lenstui.readout.cells import crystallization_rows
from lenstui.readout.ranking import rank_cell
from lenstui.readout.streams import rows_to_read
from tests.by_hand import naive
from tests.by_hand.checked_cells import assert_cells
from tests.by_hand.naive import Weights
from tests.by_hand.widest import Widest
from tests.tiny.families import FAMILIES
from tests.tiny.family import layer_norm, random_model

TEXT = "Call me Ishmael."
PINS = (3, 71, 71, 270)

# Family → the modules of a block that add to the stream, whether they run side by side, and the names of the
# final norm's weight and bias and of the head's matrix.
ADDED: dict[str, tuple[str, str, bool, str, str]] = {
    "GPT-NeoX": ("attention", "mlp", True, "gpt_neox.final_layer_norm", "lm_head"),
    "GPT-2": ("attn", "mlp", False, "transformer.ln_f", "lm_head"),
    "Llama": ("self_attn", "mlp", False, "model.norm", "lm_head"),
    "Gemma-2": ("post_attention_layernorm", "post_feedforward_layernorm", False, "model.norm", "lm_head"),
    "Granite": ("self_attn", "mlp", False, "model.norm", "lm_head"),
    "Phi": ("self_attn", "mlp", True, "model.final_layernorm", "lm_head"),
    "Cohere": ("self_attn", "mlp", True, "model.norm", "lm_head"),
}
TAKES_MEAN_OFF = {"GPT-NeoX", "GPT-2", "Phi", "Cohere"}
SCALE = {"Cohere": 0.2, "Granite": 1 / 8}
FACTOR = {"Granite": 0.2}


def wired(family: str, tokenizer: Any) -> Model:
    return wire(family, random_model(FAMILIES[family].config), tokenizer)


def added(model: Model, family: str, ids: Tensor) -> tuple[Tensor, Tensor]:
    """What attention and MLP of every block put out, `[L, cols, d]` each, float64."""
    kept: dict[str, list[Tensor]] = {name: [] for name in ADDED[family][:2]}
    handles = []
    for block in model.anatomy.blocks:
        for name, outputs in kept.items():

            def keep(_: nn.Module, args: Any, output: Any, outputs: list[Tensor] = outputs) -> None:
                outputs.append((output[0] if isinstance(output, tuple) else output).detach().clone())

            handles.append(block.get_submodule(name).register_forward_hook(keep))
    with torch.no_grad():
        model.module(ids)
    for handle in handles:
        handle.remove()
    attention, mlp = (
        FACTOR.get(family, 1.0) * torch.stack(outputs).reshape(len(outputs), ids.shape[1], -1).double()
        for outputs in kept.values()
    )
    return attention, mlp


def contribution(family: str, p: Weights, part: Tensor, h_last: Tensor) -> Tensor:
    """Logits of a part by hand: the final norm without its bias, at the scale that it has for `h_last`."""
    norm, head = ADDED[family][3:]
    gain = p[f"{norm}.weight"] + (1 if family == "Gemma-2" else 0)
    eps = 1e-6 if family not in TAKES_MEAN_OFF else 1e-5
    if family in TAKES_MEAN_OFF:
        part, h_last = (x - x.mean(-1, keepdim=True) for x in (part, h_last))
    scale = (h_last.square().mean(-1, keepdim=True) + eps).sqrt()
    return SCALE.get(family, 1.0) * (part / scale * gain) @ p[f"{head}.weight"].T


@pytest.mark.parametrize("family", ADDED)
def test_every_number_of_every_row(family: str, byte_tokenizer: Any) -> None:
    model = wired(family, byte_tokenizer)
    p, ids = naive.weights(model.module), naive.ids_of(model, TEXT)
    h = naive.stream(model.module, ids, FAMILIES[family].h_last)
    attention, mlp = added(model, family, ids)
    logits, labels = [FAMILIES[family].logits(p, h[0])], ["emb"]
    for k in range(model.num_blocks):
        rows = {
            f"{k}.attn": contribution(family, p, attention[k], h[-1]),
            f"{k}.mid": FAMILIES[family].logits(p, h[k] + attention[k]),
            f"{k}.mlp": contribution(family, p, mlp[k], h[-1]),
            f"{k}": FAMILIES[family].logits(p, h[k + 1]),
        }
        if ADDED[family][2]:
            del rows[f"{k}.mid"]
        labels += rows
        logits += rows.values()
    ours = read(model, TEXT, pins=PINS, top_k=5, sublayers=True)
    assert ours.rows == tuple(labels)
    assert_cells(ours.lenses["logit"], torch.stack(logits), ids[0].tolist(), top_k=5, tolerance=1e-4)


@pytest.mark.parametrize("family", ADDED)
def test_the_parts_of_a_column_add_up_to_its_final_logits(family: str, byte_tokenizer: Any) -> None:
    """Less the biases of norm and head, and before the softcap."""
    model = wired(family, byte_tokenizer)
    p, ids = naive.weights(model.module), naive.ids_of(model, TEXT)
    with torch.no_grad():
        final = model.module(ids).logits[0].double()
    if family == "Gemma-2":
        final = 3.0 * torch.atanh(final / 3.0)
    norm, head = ADDED[family][3:]
    biases = p.get(f"{norm}.bias", torch.zeros(1)) @ p[f"{head}.weight"].T if f"{norm}.bias" in p else 0.0
    biases = biases + p.get(f"{head}.bias", 0.0)
    every = range(model.vocabulary)
    cells = read(model, TEXT, pins=every, sublayers=True)
    parts = [place for place, label in enumerate(cells.rows) if label.endswith(("attn", "mlp"))]
    h = read_sublayers(model, ids[0].tolist()).stream
    with torch.inference_mode():
        total = find_contribution(model.head, h[-1])(h[0], h[-1]).double().numpy()
    total = total + cells.lenses["logit"].pin_logits[parts].astype(np.float64).sum(0)
    # Where the cap is flat its inverse has few digits.
    sure = np.abs(final.numpy()) < 6 if family == "Gemma-2" else np.full(final.shape, True)
    np.testing.assert_allclose(total[sure], (final - biases).numpy()[sure], rtol=1e-3, atol=2e-3)
    assert sure.mean() > 0.3


@pytest.mark.parametrize("family", ["GPT-NeoX", "Llama", "Gemma-2"])
def test_the_parts_are_what_the_block_adds(family: str, byte_tokenizer: Any) -> None:
    model = wired(family, byte_tokenizer)
    ids = naive.ids_of(model, TEXT)
    attention, _ = added(model, family, ids)
    parts, columns = read_sublayers(model, ids[0].tolist()), slice(2, 7)
    for k in range(model.num_blocks):
        got = {part: parts.of(Row(k + 1, part), columns).double() for part in ("attn", "mid", "mlp")}
        h = parts.stream[:, columns].double()
        torch.testing.assert_close(got["attn"], attention[k, columns], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(got["attn"] + got["mlp"], h[k + 1] - h[k], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(got["mid"], h[k] + attention[k, columns], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(parts.of(Row(k + 1), columns).double(), h[k + 1])


def test_the_other_rows_are_what_they_are_without(tiny: Model) -> None:
    lens = naive.random_lens(tiny)
    with_parts = read(tiny, TEXT, lens, pins=PINS, sublayers=True)
    without = read(tiny, TEXT, lens, pins=PINS)
    places = stream_places(with_parts.rows)
    assert tuple(with_parts.rows[place] for place in places) == without.rows
    for name, cells in without.lenses.items():
        for field in fields(Cells):
            np.testing.assert_allclose(
                getattr(with_parts.lenses[name], field.name)[places], getattr(cells, field.name), atol=2e-5
            )
        settled = [with_parts.rows[row] for row in with_parts.crystallization(name)]
        assert settled == [without.rows[row] for row in without.crystallization(name)]


def test_the_tuned_lens_has_no_number_of_a_sublayer(tiny: Model) -> None:
    ours = read(tiny, TEXT, naive.random_lens(tiny), pins=PINS, sublayers=True)
    places = [place for place, label in enumerate(ours.rows) if is_sublayer(label)]
    assert len(places) == 2 * tiny.num_blocks
    for field in fields(Cells):
        numbers = getattr(ours.lenses["tuned"], field.name)[places]
        assert np.isnan(numbers).all() if numbers.dtype == np.float32 else (numbers == -1).all(), field.name
        assert np.isfinite(getattr(ours.lenses["logit"], field.name)[places][:, :-1]).all(), field.name
    labels, cells = ours.rows_of("tuned")
    assert labels == ("emb", "0", "1", "2")
    np.testing.assert_array_equal(cells.kl, ours.lenses["tuned"].kl[stream_places(ours.rows)])


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        ([1, 3], ("0.attn", "0.mlp", "0", "2.attn", "2.mlp", "2")),
        ([0], ("emb", "2.attn", "2.mlp", "2")),
    ],
)
def test_a_chosen_row_brings_the_parts_of_its_block(
    tiny: Model, rows: Sequence[int], labels: tuple[str, ...]
) -> None:
    some, whole = (read(tiny, TEXT, rows=chosen, sublayers=True) for chosen in (rows, None))
    assert some.rows == labels
    places = [whole.rows.index(label) for label in labels]
    np.testing.assert_allclose(some.lenses["logit"].kl, whole.lenses["logit"].kl[places], atol=1e-5)
    assert tuple(row.label for row in rows_to_read(tiny, rows, sublayers=True)) == labels


def test_without_the_final_norm_parts_pass_over_it_too(tiny: Model) -> None:
    p, prompt = naive.weights(tiny.module), encode(tiny.tokenizer, TEXT)
    attention, _ = added(tiny, "GPT-NeoX", torch.tensor([prompt.ids]))
    (tile,) = read_tiles(tiny, prompt, pins=range(9), sublayers=True, final_norm=False)
    logits = attention[1] @ p["lm_head.weight"].T
    place = [row.label for row in rows_to_read(tiny, sublayers=True)].index("1.attn")
    np.testing.assert_allclose(tile.lenses["logit"].pin_logits[place], logits[:, :9], rtol=1e-4, atol=1e-4)


def test_crystallization_is_of_the_residual_stream_alone() -> None:
    labels = ("emb", "0.attn", "0.mlp", "0", "1.attn", "1.mlp", "1")
    top1 = np.array([[5, 5], [1, 2], [1, 2], [7, 6], [3, 3], [8, 8], [7, 5]], np.int32)
    np.testing.assert_array_equal(crystallization_rows(top1, labels), [3, 6])


def test_labels_name_rows_and_rows_labels() -> None:
    for row in (Row(0), Row(1), Row(12), Row(12, "attn"), Row(1, "mid"), Row(1, "mlp")):
        assert Row.of(row.label) == row
    assert [Row(0).label, Row(4).label, Row(4, "mid").label] == ["emb", "3", "3.mid"]


@pytest.mark.parametrize("label", ["1", "1.attn", "2.mlp", "0.mid", "2"])
def test_the_list_of_a_cell_begins_with_the_cells_tokens(label: str, byte_tokenizer: Any) -> None:
    model = wired("Llama", byte_tokenizer)
    lens = naive.random_lens(model)
    cells = read(model, TEXT, lens, top_k=4, sublayers=True)
    rankings = rank_cell(model, cells.prompt, Row.of(label), 5, lens, count=40)
    place = cells.rows.index(label)
    assert set(rankings) == ({"logit"} if "." in label else {"logit", "tuned"})
    for name, ranking in rankings.items():
        np.testing.assert_allclose(ranking.logits[:4], cells.lenses[name].top_logits[place, 5], atol=1e-4)
        np.testing.assert_array_equal(ranking.ids[:4], cells.lenses[name].top_ids[place, 5])


def test_no_more_logits_than_one_row_of_a_tile_at_once(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = encode(tiny.tokenizer, TEXT * 3)
    parts = read_sublayers(tiny, prompt.ids)
    parts_of(tiny)
    monkeypatch.setattr(streams, "read_sublayers", lambda *_: parts)  # the model's own is another matter
    monkeypatch.setattr(readout, "_cells_at_once", lambda model: 10)
    with Widest(tiny.vocabulary) as widest:
        list(read_tiles(tiny, prompt, naive.random_lens(tiny), sublayers=True))
    assert 0 < widest.logits <= 10 * tiny.vocabulary


def test_hooks_are_gone_afterwards_also_when_a_block_is_refused(byte_tokenizer: Any) -> None:
    model = wired("Llama", byte_tokenizer)

    def hooks() -> int:
        return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.module.modules())

    before = hooks()
    read(model, TEXT, sublayers=True)
    assert hooks() == before

    def more(_: Any, args: Any, output: Any) -> Any:
        return (output[0] + 0.1, *output[1:]) if isinstance(output, tuple) else output + 0.1

    handle = model.anatomy.blocks[1].register_forward_hook(more)
    with pytest.raises(LensError, match="block 1"):
        read(model, TEXT, sublayers=True)
    handle.remove()
    assert hooks() == before


class Doubling(nn.Module):
    """A final norm that is none."""

    def forward(self, h: Tensor) -> Tensor:
        return h.abs() * h


def test_a_final_norm_of_another_kind_is_refused(tiny: Model) -> None:
    from dataclasses import replace

    head = replace(tiny.head, anatomy=replace(tiny.anatomy, final_norm=Doubling()))
    with pytest.raises(LensError, match="Doubling, is neither"):
        find_contribution(head, torch.randn(4, tiny.d_model))


def test_a_head_that_is_not_linear_is_refused(byte_tokenizer: Any) -> None:
    from dataclasses import replace

    model = wired("Gemma-2", byte_tokenizer)
    head = replace(model.head, linear=None)  # then its softcap is not known
    with pytest.raises(LensError, match="not linear"):
        find_contribution(head, 9 * torch.randn(4, model.d_model))


def test_a_linear_head_that_is_not_one_matrix_will_do(byte_tokenizer: Any) -> None:
    """OPT-350m's: a projection, then the matrix; and no final norm."""
    model = wired("OPT-350m", byte_tokenizer)
    p, part, h = naive.weights(model.module), torch.randn(3, model.d_model), torch.randn(3, model.d_model)
    with torch.inference_mode():
        logits = find_contribution(model.head, h)(part, h)
    wanted = part.double() @ p["model.decoder.project_out.weight"].T @ p["lm_head.weight"].T
    torch.testing.assert_close(logits.double(), wanted, rtol=1e-4, atol=1e-4)


def test_an_odd_width_has_a_gain_too() -> None:
    """The vector that it is found with then has a mean."""
    from types import SimpleNamespace

    norm = nn.LayerNorm(7)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    matrix = torch.randn(5, 7)
    head: Any = SimpleNamespace(
        anatomy=SimpleNamespace(final_norm=norm),
        norm=norm,
        linear=None,
        logits=lambda x: x @ matrix.T,
        model=None,
    )
    part, h = torch.randn(3, 7), torch.randn(3, 7)
    with torch.inference_mode():
        logits = find_contribution(head, h)(part, h)
    centred = part.double() - part.double().mean(-1, keepdim=True)
    spread = (h.double().var(-1, unbiased=False, keepdim=True) + norm.eps).sqrt()
    wanted = (centred / spread * norm.weight.double()) @ matrix.double().T
    torch.testing.assert_close(logits.double(), wanted, rtol=1e-4, atol=1e-5)
    whole = layer_norm(h.double(), norm.weight.double(), norm.bias.double()) @ matrix.double().T
    with torch.inference_mode():
        own = find_contribution(head, h)(h, h)
    torch.testing.assert_close(
        own.double() + norm.bias.double() @ matrix.double().T, whole, atol=1e-5, rtol=1e-4
    )


def test_each_lens_says_by_which_norm_its_parts_are_read(byte_tokenizer: Any) -> None:
    """Two logit lenses, through the final norm and past it, as if each was read alone."""
    model = wired("GPT-NeoX", byte_tokenizer)
    past = LogitLens(final_norm=False)
    both = read(model, TEXT, [LogitLens(), past], sublayers=True)
    for lens, cells in zip((LogitLens(), past), both.lenses.values(), strict=True):
        alone = read(model, TEXT, [lens], sublayers=True)
        named = read(model, TEXT, final_norm=lens.final_norm, sublayers=True)
        for other in (alone, named):
            for field in fields(Cells):
                np.testing.assert_array_equal(
                    getattr(cells, field.name), getattr(other.lenses["logit"], field.name)
                )
        assert (alone.left_over is None) == (not lens.final_norm)
