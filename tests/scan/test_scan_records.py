"""The records of a scan against full tensors in float64, position by position."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from lenstui.lens import JacobianLens, LensError, LogitLens, Model, TunedLens
from lenstui.lens.lens import Lens
from lenstui.scan.columns import all_columns, arrow_type
from lenstui.scan.folder import parts_of, write_part
from lenstui.scan.scan import scan
from lenstui.texts.blocks import numbered_blocks, token_blocks
from tests.by_hand import naive
from tests.tiny.families import FAMILIES

FAMILY = FAMILIES["GPT-NeoX"]
LENGTH = 24
DOCUMENTS = [f"Dog {i} ran after {i * i} cats.\n{'ä€' * (i % 3)}" for i in range(9)]


@pytest.fixture(scope="module")
def lens(tiny: Model) -> TunedLens:
    return naive.random_lens(tiny, size=0.3)


@pytest.fixture(scope="module")
def blocks(tiny: Model) -> list[tuple[torch.Tensor, list[int]]]:
    return list(numbered_blocks(tiny.tokenizer, DOCUMENTS, LENGTH))


@pytest.fixture(scope="module")
def records(
    tiny: Model, lens: TunedLens, blocks: Any, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("scan")
    scanned = scan(tiny, blocks, [LogitLens(), lens], folder)
    assert scanned.finished
    return all_records(folder)


def all_records(folder: Path) -> list[dict[str, Any]]:
    tables = [pq.read_table(part.path) for part in parts_of(folder)]
    return list(pa.concat_tables(tables).to_pylist())


def logs_of(model: Model, ids: torch.Tensor, lens: TunedLens | None) -> np.ndarray:
    """Log-probabilities `[rows, cols, vocabulary]`, float64."""
    h = naive.stream(model.module, ids[None], FAMILY.h_last)
    logits = FAMILY.logits(naive.weights(model.module), h if lens is None else naive.translated(h, lens))
    return logits.log_softmax(-1).numpy()


def positions(model: Model, blocks: Any, lens: TunedLens) -> Iterator[tuple[int, int, int, Any, Any]]:
    """Block, column, next token (-1 for none), and the log-probabilities of both, `[rows, vocabulary]`."""
    for number, (ids, _) in enumerate(blocks):
        logit, tuned = logs_of(model, ids, None), logs_of(model, ids, lens)
        following = [*ids.tolist()[1:], -1]
        for column, token in enumerate(following):
            yield number, column, token, logit[:, column], tuned[:, column]


def test_every_position_has_one_record_with_its_place_and_text(
    tiny: Model, blocks: Any, records: list[dict[str, Any]]
) -> None:
    assert len(blocks) > 10
    assert [(each["block"], each["column"]) for each in records] == [
        (number, column) for number in range(len(blocks)) for column in range(LENGTH)
    ]
    assert [each["position"] for each in records] == list(range(len(records)))
    decoded = tiny.tokenizer.decode
    for each in records:
        ids, documents = blocks[each["block"]]
        column = each["column"]
        assert each["token_id"] == ids[column]
        assert each["document"] == documents[column]
        assert each["before"] == decoded(ids[max(0, column - 23) : column + 1])
        assert each["after"] == decoded(ids[column + 1 : column + 13])
        assert (each["next_id"] is None) == (each["next"] is None) == (column == LENGTH - 1)
        if column < LENGTH - 1:
            assert each["next_id"] == ids[column + 1]
            assert each["next"] == tiny.texts[each["next_id"]]


def test_every_number_is_that_of_full_tensors(
    tiny: Model, lens: TunedLens, blocks: Any, records: list[dict[str, Any]]
) -> None:
    for each, (_, _, token, logit, tuned) in zip(records, positions(tiny, blocks, lens), strict=True):
        probs = np.exp(logit[-1])
        assert each["final_id"] == probs.argmax()
        assert each["final_prob"] == pytest.approx(probs.max(), rel=1e-4)
        assert each["final_entropy"] == pytest.approx(-(probs * logit[-1]).sum(), rel=1e-4)
        if token < 0:
            assert each["next_prob"] is each["next_rank"] is each["tuned_best_row"] is None
            assert each["tuned_swing"] is each["logit_swing_row"] is None
            assert each["tuned_next_logprob"] == [None] * 4
        else:
            assert each["next_prob"] == pytest.approx(probs[token], rel=1e-4)
            assert each["next_rank"] == (probs > probs[token]).sum()
        for key, logs in (("logit", logit), ("tuned", tuned)):
            check_of_lens(each, key, logs, token)


def check_of_lens(record: dict[str, Any], key: str, logs: np.ndarray, token: int) -> None:
    """Compare the columns of a lens with its log-probabilities, `[rows, vocabulary]`."""
    top1 = logs.argmax(-1)
    same = [row for row in range(len(logs)) if (top1[row:] == top1[-1]).all()]
    assert record[f"{key}_crystallization"] == min(same) - 1
    kl = (np.exp(logs[-1]) * (logs[-1] - logs)).sum(-1)
    np.testing.assert_allclose(record[f"{key}_kl"], kl, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(record[f"{key}_entropy"], -(np.exp(logs) * logs).sum(-1), rtol=1e-4)
    if token < 0:
        return
    mine = logs[:, token]
    np.testing.assert_allclose(record[f"{key}_next_logprob"], mine, rtol=1e-4)
    ranks = (logs > mine[:, None]).sum(-1)
    best = min(range(len(logs)), key=lambda row: (ranks[row], -mine[row]))
    assert record[f"{key}_best_row"] == best - 1
    assert record[f"{key}_best_rank"] == ranks[best]
    assert record[f"{key}_best_prob"] == pytest.approx(np.exp(mine[best]), rel=1e-4)
    changes = mine[1:] - mine[:-1]
    largest = np.abs(changes).argmax()
    assert record[f"{key}_swing"] == pytest.approx(changes[largest], rel=1e-3, abs=1e-5)
    assert record[f"{key}_swing_row"] == largest


def test_a_lens_of_some_rows_swings_between_those(tiny: Model, blocks: Any, tmp_path: Path) -> None:
    """Rows emb and 2, the last: what lies between them is not read."""
    lens = JacobianLens({0: torch.eye(32)})
    scan(tiny, blocks[:2], [lens], tmp_path)
    whole = [logs_of(tiny, ids, None) for ids, _ in blocks[:2]]
    for each in all_records(tmp_path):
        logs = whole[each["block"]][:, each["column"]]
        assert each["jacobian_kl"][1:3] == [None, None]
        if (token := each["next_id"]) is not None:
            assert each["jacobian_swing_row"] == 2
            assert each["jacobian_swing"] == pytest.approx(
                logs[3, token] - logs[0, token], rel=1e-3, abs=1e-5
            )


def test_the_documents_of_blocks_are_those_of_their_tokens(byte_tokenizer: Any) -> None:
    documents = ["abc", "", "defghij", "k"]  # each with an EOS behind it
    numbers = [number for number, text in enumerate(documents) for _ in range(len(text) + 1)]
    found = list(numbered_blocks(byte_tokenizer, documents, 5))
    assert [n for _, of_block in found for n in of_block] == numbers[:15]
    plain = list(token_blocks(byte_tokenizer, documents, 5))
    assert all(ids.equal(other) for (ids, _), other in zip(found, plain, strict=True))


def test_what_begins_a_block_is_of_the_document_that_goes_on(chat_tokenizer: Any) -> None:
    """That tokenizer puts BOS before every text."""
    found = list(numbered_blocks(chat_tokenizer, ["abc", "defgh"], 5))
    assert [of_block for _, of_block in found] == [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]


# Parts.


def ended_after(columns: int) -> Any:
    left = [columns]

    def go_on(read: int) -> bool:
        left[0] -= read
        return left[0] > 0

    return go_on


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_what_is_ended_goes_on_with_the_same_records(
    tiny: Model, lens: TunedLens, blocks: Any, records: Any, tmp_path: Path, seconds: float
) -> None:
    lenses: list[Lens] = [LogitLens(), lens]
    for end in (1, 3, 5, 8):  # blocks, those that are passed over too; the last is not whole
        scanned = scan(
            tiny, iter(blocks), lenses, tmp_path, part_seconds=seconds, go_on=ended_after(end * LENGTH)
        )
        assert not scanned.finished
        assert (scanned.blocks, scanned.records) == (end - 1, (end - 1) * LENGTH)
    assert scan(tiny, iter(blocks), lenses, tmp_path, part_seconds=seconds).finished
    assert all_records(tmp_path) == records
    assert len(parts_of(tmp_path)) == (len(blocks) if seconds == 0 else 4)


def test_a_full_disk_leaves_what_was_written(
    tiny: Model, blocks: Any, records: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fsync` is where a disk says that it is full at the latest."""
    import os

    written = [0]

    def fsync(number: int) -> None:
        written[0] += 1
        if written[0] == 3:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(LensError, match="cannot be written: No space left on device"):
            scan(tiny, blocks, [LogitLens()], tmp_path, part_seconds=0)
    assert len(all_records(tmp_path)) == 2 * LENGTH
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "part-00000000.parquet",
        "part-00000001.parquet",
    ]
    scan(tiny, blocks, [LogitLens()], tmp_path)
    shared = [name for name in records[0] if not name.startswith("tuned_")]
    assert all_records(tmp_path) == [{name: each[name] for name in shared} for each in records]


def test_parts_that_do_not_follow_each_other_are_refused(tmp_path: Path) -> None:
    columns = all_columns(["logit"])
    empty = pa.schema([(each.name, arrow_type(each)) for each in columns]).empty_table()
    write_part(tmp_path, 0, [empty, empty])
    write_part(tmp_path, 3, [empty])
    with pytest.raises(LensError, match="begins with block 2 is missing"):
        parts_of(tmp_path)
    (tmp_path / "part-00000002.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(LensError, match="is damaged"):
        parts_of(tmp_path)
