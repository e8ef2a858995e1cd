"""What the records say of a second side, against full tensors in float64, position by position."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from lenstui.lens import JacobianLens, LogitLens, Model, TunedLens, wire
from lenstui.lens.lens import Lens
from lenstui.readout.against import Against
from lenstui.scan.columns import OF_SECOND, all_columns
from lenstui.scan.folder import parts_of
from lenstui.scan.scan import scan
from lenstui.texts.blocks import numbered_blocks
from tests.by_hand import naive
from tests.tiny.families import FAMILIES, random_model

FAMILY = FAMILIES["GPT-NeoX"]
LENGTH = 24
DOCUMENTS = [f"Dog {i} ran after {i * i} cats.\n{'ä€' * (i % 3)}" for i in range(6)]


@pytest.fixture(scope="module")
def lens(tiny: Model) -> TunedLens:
    return naive.random_lens(tiny, size=0.3)


@pytest.fixture(scope="module")
def other_lens(tiny: Model) -> TunedLens:
    return naive.random_lens(tiny, size=0.3, seed=1)


@pytest.fixture(scope="module")
def blocks(tiny: Model) -> list[tuple[torch.Tensor, list[int]]]:
    return list(numbered_blocks(tiny.tokenizer, DOCUMENTS, LENGTH))


@pytest.fixture(scope="module")
def perturbed(tiny: Model, byte_tokenizer: Any) -> Model:
    """The same model with a little noise in every weight, as another revision might have."""
    module = random_model(FAMILY.config)
    module.load_state_dict(tiny.module.state_dict())
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.1 * weight.std() * torch.randn(weight.shape, generator=generator))
    return wire("perturbed", module, byte_tokenizer)


def other_config(**changed: int) -> Any:
    """The configuration of the family with something changed."""
    return type(FAMILY.config)(**FAMILY.config.to_dict() | changed)


def scanned(
    model: Model, blocks: Any, lenses: list[Lens], folder: Path, second: Model, pairs: Mapping[str, Lens]
) -> list[dict[str, Any]]:
    """The records of a scan against a second side."""
    assert scan(model, blocks, lenses, folder, against=Against(second, pairs)).finished
    tables = [pq.read_table(part.path) for part in parts_of(folder)]
    return list(pa.concat_tables(tables).to_pylist())


def logs_of(model: Model, ids: torch.Tensor, lens: TunedLens | None) -> np.ndarray:
    """Log-probabilities `[rows, cols, vocabulary]`, float64."""
    h = naive.stream(model.module, ids[None], FAMILY.h_last)
    logits = FAMILY.logits(naive.weights(model.module), h if lens is None else naive.translated(h, lens))
    return logits.log_softmax(-1).numpy()


def check_pair(record: Mapping[str, Any], key: str, first: np.ndarray, second: np.ndarray) -> None:
    """Compare the columns of a pair with the log-probabilities of both, `[rows, vocabulary]`."""
    kl = (np.exp(first) * (first - second)).sum(-1)
    np.testing.assert_allclose(record[f"{key}_against_kl"], kl, rtol=1e-4, atol=1e-5)
    assert record[f"{key}_farthest"] == pytest.approx(kl.max(), rel=1e-4, abs=1e-5)
    assert kl[record[f"{key}_farthest_row"] + 1] == pytest.approx(kl.max(), rel=1e-4, abs=1e-5)
    one, other = first.argmax(-1), second.argmax(-1)
    same = one == other
    assert record[f"{key}_same_top1"] == same.tolist()
    alike = [row for row in range(len(same)) if (same[row:] == same[-1]).all()]
    wanted = (
        {"joins": min(alike) - 1, "parts": None} if same[-1] else {"joins": None, "parts": min(alike) - 1}
    )
    assert {name: record[f"{key}_{name}"] for name in wanted} == wanted
    settled = [row for row in range(len(other)) if (other[row:] == other[-1]).all()]
    assert record[f"{key}_against_crystallization"] == min(settled) - 1
    if (token := record["next_id"]) is not None:
        np.testing.assert_allclose(record[f"{key}_against_next_logprob"], second[:, token], rtol=1e-4)
    else:
        assert record[f"{key}_against_next_logprob"] == [None] * len(same)


def check_finals(record: Mapping[str, Any], first: np.ndarray, second: np.ndarray) -> None:
    """Compare the columns of a second model with the final log-probabilities of both, `[vocabulary]`."""
    probs = np.exp(second)
    assert record["against_final_id"] == probs.argmax()
    assert record["against_final_prob"] == pytest.approx(probs.max(), rel=1e-4)
    assert record["against_final_entropy"] == pytest.approx(-(probs * second).sum(), rel=1e-4)
    kl = (np.exp(first) * (first - second)).sum()
    assert record["against_kl"] == pytest.approx(kl, rel=1e-4, abs=1e-5)
    if (token := record["next_id"]) is None:
        assert record["against_next_prob"] is record["against_next_rank"] is None
    else:
        assert record["against_next_prob"] == pytest.approx(probs[token], rel=1e-4)
        assert record["against_next_rank"] == (probs > probs[token]).sum()


def test_two_models_by_full_tensors(
    tiny: Model, perturbed: Model, lens: TunedLens, other_lens: TunedLens, blocks: Any, tmp_path: Path
) -> None:
    """Each model through its own lenses."""
    pairs = {"logit": LogitLens(), "tuned": other_lens}
    records = scanned(tiny, blocks, [LogitLens(), lens], tmp_path, perturbed, pairs)
    whole = [
        [logs_of(*each) for each in ((tiny, ids, None), (perturbed, ids, None))]
        + [logs_of(*each) for each in ((tiny, ids, lens), (perturbed, ids, other_lens))]
        for ids, _ in blocks
    ]
    assert len(records) == len(blocks) * LENGTH
    for each in records:
        of_block = [logs[:, each["column"]] for logs in whole[each["block"]]]
        check_finals(each, of_block[0][-1], of_block[1][-1])
        check_pair(each, "logit", *of_block[:2])
        check_pair(each, "tuned", *of_block[2:])
    assert 0 < sum(each["final_id"] != each["against_final_id"] for each in records) < len(records)
    assert len({each["logit_parts"] for each in records}) > 2
    assert len({each["tuned_joins"] for each in records}) > 2
    assert list(records[0]) == [each.name for each in all_columns(list(pairs), pairs, second_model=True)]


def test_two_lenses_of_one_model_by_full_tensors(
    tiny: Model, lens: TunedLens, other_lens: TunedLens, blocks: Any, tmp_path: Path
) -> None:
    records = scanned(tiny, blocks, [LogitLens(), lens], tmp_path, tiny, {"tuned": other_lens})
    for each in records:
        ids, column = blocks[each["block"]][0], each["column"]
        check_pair(each, "tuned", *(logs_of(tiny, ids, one)[:, column] for one in (lens, other_lens)))
        assert each["tuned_against_kl"][-1] == 0  # the last row is every lens's
        assert each["tuned_parts"] is None
    assert not {"logit_parts", *(column.name for column in OF_SECOND)} & set(records[0])


def test_a_second_lens_runs_the_model_no_second_time(
    tiny: Model, lens: TunedLens, blocks: Any, tmp_path: Path
) -> None:
    runs = [0]
    handle = tiny.module.register_forward_pre_hook(lambda *_: runs.__setitem__(0, runs[0] + 1))
    try:
        scanned(tiny, blocks[:3], [LogitLens()], tmp_path, tiny, {"logit": lens})
    finally:
        handle.remove()
    assert runs == [3]


def test_a_lens_of_some_rows_is_compared_in_those(
    tiny: Model, perturbed: Model, blocks: Any, tmp_path: Path
) -> None:
    """Rows emb and the last: what lies between is not read, and not counted as a difference."""
    pairs = {"jacobian": JacobianLens({0: torch.eye(32)})}
    lenses: list[Lens] = [JacobianLens({0: torch.eye(32), 1: torch.eye(32)})]
    for each in scanned(tiny, blocks[:2], lenses, tmp_path, perturbed, pairs):
        ids, column = blocks[each["block"]][0], each["column"]
        first, second = (logs_of(model, ids, None)[:, column] for model in (tiny, perturbed))
        kl = (np.exp(first) * (first - second)).sum(-1)
        assert each["jacobian_against_kl"][1:3] == [None, None]
        assert each["jacobian_same_top1"][1:3] == [None, None]
        assert each["jacobian_against_kl"][0] == pytest.approx(kl[0], rel=1e-4, abs=1e-5)
        assert each["jacobian_parts"] is each["jacobian_joins"] is None  # who knows what they do between


def test_models_of_another_depth_are_compared_by_their_last_rows(
    tiny: Model, byte_tokenizer: Any, blocks: Any, tmp_path: Path
) -> None:
    deeper = wire("deeper", random_model(other_config(num_hidden_layers=4)), byte_tokenizer)
    for each in scanned(tiny, blocks[:2], [LogitLens()], tmp_path, deeper, {}):
        ids, column = blocks[each["block"]][0], each["column"]
        check_finals(each, *(logs_of(model, ids, None)[-1, column] for model in (tiny, deeper)))
        assert "logit_parts" not in each


def test_against_itself_nothing_differs(
    tiny: Model, lens: TunedLens, blocks: Any, tmp_path: Path, byte_tokenizer: Any
) -> None:
    """A second copy of the model, which is run anew, and a lens against itself."""
    module = random_model(FAMILY.config)
    module.load_state_dict(tiny.module.state_dict())
    pairs: dict[str, Lens] = {"logit": LogitLens(), "tuned": lens}
    for place, second in enumerate((wire("copy", module, byte_tokenizer), tiny)):
        folder = tmp_path / str(place)
        folder.mkdir()
        for each in scanned(tiny, blocks, [LogitLens(), lens], folder, second, pairs):
            for key in pairs:
                np.testing.assert_allclose(each[f"{key}_against_kl"], 0, atol=1e-6)
                assert each[f"{key}_parts"] is None
                assert each[f"{key}_joins"] == -1
            if place == 0:
                assert each["against_kl"] == pytest.approx(0, abs=1e-6)
                assert each["against_final_id"] == each["final_id"]
                assert each["against_next_prob"] == pytest.approx(each["next_prob"], rel=1e-5)


def test_of_a_padded_vocabulary_what_both_have_is_compared(
    tiny: Model, byte_tokenizer: Any, blocks: Any, tmp_path: Path
) -> None:
    """272 logits against 300: distributions over the first 272, for each side as first and as second."""
    padded = wire("padded", random_model(other_config(vocab_size=300)), byte_tokenizer)
    for place, (first, second) in enumerate(((tiny, padded), (padded, tiny))):
        folder = tmp_path / str(place)
        folder.mkdir()
        for each in scanned(first, blocks[:2], [LogitLens()], folder, second, {"logit": LogitLens()}):
            ids, column = blocks[each["block"]][0], each["column"]
            cut = [logs_of(model, ids, None)[:, column, :272] for model in (first, second)]
            one, other = (logs - np.log(np.exp(logs).sum(-1, keepdims=True)) for logs in cut)
            check_finals(each, one[-1], other[-1])
            kl = (np.exp(one) * (one - other)).sum(-1)
            np.testing.assert_allclose(each["logit_against_kl"], kl, rtol=1e-4, atol=1e-5)


def test_logits_that_are_not_finite_are_missing(
    tiny: Model, perturbed: Model, blocks: Any, tmp_path: Path
) -> None:
    """A lens whose transport overflows in row 0: there is no number there, and no token."""
    weight, bias = torch.zeros(3, 32, 32), torch.zeros(3, 32)
    bias[1] = float("nan")
    for each in scanned(
        tiny, blocks[:1], [LogitLens()], tmp_path, perturbed, {"logit": TunedLens(weight, bias)}
    ):
        assert each["logit_against_kl"][1] is None
        assert each["logit_same_top1"][1] is None
        assert each["logit_farthest_row"] != 0
        since = each["logit_parts"] if each["logit_joins"] is None else each["logit_joins"]
        assert since >= 1  # what is no number is neither the same nor another


def test_what_is_ended_goes_on_with_the_same_records(
    tiny: Model, perturbed: Model, lens: TunedLens, blocks: Any, tmp_path: Path
) -> None:
    (whole := tmp_path / "whole").mkdir()
    (halted := tmp_path / "halted").mkdir()
    pairs: dict[str, Lens] = {"logit": LogitLens()}
    wanted = scanned(tiny, blocks, [LogitLens(), lens], whole, perturbed, pairs)
    for end in (2, 4):
        left = [end * LENGTH]

        def go_on(read: int, left: list[int] = left) -> bool:
            left[0] -= read
            return left[0] > 0

        against = Against(perturbed, pairs)
        assert not scan(tiny, blocks, [LogitLens(), lens], halted, against=against, go_on=go_on).finished
    assert scanned(tiny, blocks, [LogitLens(), lens], halted, perturbed, pairs) == wanted
    assert len(parts_of(halted)) == 3
