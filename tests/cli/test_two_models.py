"""`lenstui read PROMPT --against-model`: numbers of both models in every form, and KL of their last rows."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from lenstui.model.load import Model
from tests.by_hand.naive_values import naive_logits, naive_values
from tests.programs.calls import status
from tests.tiny.folders import neox_in

TEXT = "Hello, you"
BLOCKS = 3, 4  # of the first and the second model

Printed = Callable[..., str]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> tuple[Path, Path]:
    """Two random models of unequal depth, each with a lens."""
    import torch

    from lenstui.lens import TunedLens, save_lens

    made = []
    for seed, blocks in enumerate(BLOCKS):
        folder = tmp_path_factory.mktemp("two") / f"model{blocks}"
        neox_in(folder, byte_tokenizer, seed=seed, blocks=blocks, width=24, vocabulary=300, context=40)
        save_lens(TunedLens(0.1 * torch.randn(blocks, 24, 24), torch.zeros(blocks, 24)), folder / "lens.pt")
        made.append(folder)
    return made[0], made[1]


@pytest.fixture
def printed(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> Printed:
    """What goes to stdout for further words."""
    first, second = folders

    def printed(*more: object) -> str:
        named = ("--model", first, "--against-model", second, "--device", "cpu", "--lenses", "logit")
        assert status("read", TEXT, *named, *more) == 0
        return capsys.readouterr().out

    return printed


def final_kl(folders: tuple[Path, Path]) -> np.ndarray:
    ours, others = (naive_logits(folder, TEXT)["logit"][-1] for folder in folders)
    p, q = (np.exp(z) / np.exp(z).sum(-1, keepdims=True) for z in (ours, others))
    return (p * np.log(p / q)).sum(-1)


def test_json_has_both_models_and_how_far_their_last_rows_part(
    printed: Printed, folders: tuple[Path, Path]
) -> None:
    content = json.loads(printed("--format", "json"))
    np.testing.assert_allclose(content["final_kl"], final_kl(folders), atol=1e-4)
    assert [side["side"] for side in content["sides"]] == ["first", "second"]
    for side, folder, blocks in zip(content["sides"], folders, BLOCKS, strict=True):
        naive = naive_values(naive_logits(folder, TEXT)["logit"])
        assert side["model"] == str(folder) and len(side["rows"]) == blocks + 1
        np.testing.assert_allclose(side["lenses"]["logit"]["entropy"], naive["entropy"], atol=1e-3)
        np.testing.assert_allclose(side["lenses"]["logit"]["kl"], naive["kl"], atol=1e-3)


def test_csv_and_parquet_have_a_side_a_depth_and_the_same_numbers(
    printed: Printed, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    lines = list(csv.DictReader(io.StringIO(printed("--format", "csv"))))
    printed("-o", tmp_path / "two.parquet")
    rows = pq.read_table(tmp_path / "two.parquet").to_pylist()
    assert len(lines) == len(rows) == sum(blocks + 1 for blocks in BLOCKS) * len(TEXT)
    naive = {
        name: naive_values(naive_logits(folder, TEXT)["logit"])
        for name, folder in zip(("first", "second"), folders, strict=True)
    }
    kl = final_kl(folders)
    for line, row in zip(lines, rows, strict=True):
        h, column, blocks = row["row_index"], row["column"], BLOCKS[row["side"] == "second"]
        assert line["side"] == row["side"] and int(line["row_index"]) == h
        assert row["depth"] == pytest.approx(h / blocks) and float(line["depth"]) == pytest.approx(h / blocks)
        assert row["final_kl"] == pytest.approx(kl[column], abs=1e-4)
        assert row["entropy"] == pytest.approx(naive[row["side"]]["entropy"][h, column], abs=1e-3)
        assert float(line["entropy"]) == pytest.approx(row["entropy"], rel=1e-6)
    source = json.loads(pq.read_schema(tmp_path / "two.parquet").metadata[b"lenstui"])
    assert [source[side]["model"] for side in ("first", "second")] == [str(folder) for folder in folders]


def test_of_chosen_rows_the_second_has_those_at_their_depth(printed: Printed) -> None:
    content = json.loads(printed("--format", "json", "--rows", "emb,1"))
    assert [side["rows"] for side in content["sides"]] == [["emb", "1", "2"], ["emb", "2", "3"]]


def test_a_table_has_both_and_a_line_of_kl(printed: Printed, folders: tuple[Path, Path]) -> None:
    shown = printed("--pin", "y")
    assert shown.index("First\nlogit lens") < shown.index("Second\nlogit lens")
    assert shown.count("pinned, in the last column") == 2
    assert "KL(first ‖ second) of the last rows by column, nats: 0: " in shown


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (("--append", "2"), "--append is of one model"),
        (("--edit", "ablate 0.attn"), "--edit is of one model"),
        (("--first", "y"), "--first is of one model"),
    ],
)
def test_what_is_of_one_model_is_refused(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str], more: tuple[str, ...], reason: str
) -> None:
    first, second = folders
    assert status("read", TEXT, "--model", first, "--against-model", second, *more) == 2
    assert reason in capsys.readouterr().err


def aligned(folders: tuple[Path, Path], value: str) -> tuple[np.ndarray, np.ndarray]:
    """A value of both models, `[4, columns]`: of the second `emb`, 0, 2 and 3, as a person rounds."""
    ours, others = (naive_values(naive_logits(folder, TEXT)["logit"])[value] for folder in folders)
    return ours, others[[0, 1, 3, 4]]


def test_markdown_has_both_with_their_names_and_the_rows_at_one_depth(
    printed: Printed, folders: tuple[Path, Path]
) -> None:
    shown = printed("--format", "md", "--value", "entropy")
    tables = [part.splitlines()[4:8] for part in shown.split("**logit lens of model")[1:]]
    for table, numbers in zip(tables, aligned(folders, "entropy"), strict=True):
        for line, row in zip(table, numbers[::-1], strict=True):
            cells = [float(cell.split()[-1]) for cell in line.strip("| ").split(" | ")[1:]]
            np.testing.assert_allclose(cells, row, atol=0.006)
    assert "rows of " in shown and "at the same relative depth: emb, 0, 2, 3" in shown
    assert "KL(first ‖ second) of the last rows by column, nats: 0: " in shown
    for folder in folders:
        assert f"`{folder}` · float32" in shown
    (command,) = re.findall("```sh\n(.*)\n```", shown)
    assert status(*shlex.split(command)[1:]) == 0


def test_a_difference_is_the_second_minus_the_first(
    printed: Printed, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = printed("--diff", "--value", "entropy")
    assert shown.startswith("logit lens of model4 − logit lens of model3 · entropy")
    ours, others = aligned(folders, "entropy")
    lines = [line for line in shown.splitlines() if re.match(" +(emb|[0-2])  ", line)]
    for line, row in zip(lines, (others - ours)[::-1], strict=True):
        numbers = [float(text.replace("−", "-")) for text in re.findall("[+−][0-9.]+", line)]
        np.testing.assert_allclose(numbers, row, atol=0.006)
    first, second = folders
    both = ("--model", first, "--lens", first / "lens.pt", "--against-model", second)
    assert status("read", TEXT, *both, "--diff", "--lenses", "logit,tuned") == 1
    assert "--diff of two models is of one lens each, and these are 2 and 1" in capsys.readouterr().err


def test_each_model_is_read_through_its_own_lenses(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = folders
    words = ("--model", first, "--against-model", second, "--against-lens", second / "lens.pt")
    lenses = ("--lenses", "logit", "--against-lenses", "tuned")
    assert status("read", TEXT, *words, *lenses, "--format", "json") == 0
    sides = json.loads(capsys.readouterr().out)["sides"]
    kinds = [[key for key, cells in side["lenses"].items() if cells] for side in sides]
    assert kinds == [["logit"], ["tuned"]]
    naive = naive_values(naive_logits(second, TEXT)["tuned"])
    np.testing.assert_allclose(sides[1]["lenses"]["tuned"]["kl"], naive["kl"], atol=1e-3)
    assert status("read", TEXT, "--model", first, "--against-lenses", "tuned") == 2
    assert "--against-lenses is of a second model" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["json", "md"])
def test_each_model_runs_once(printed: Printed, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    runs = list[int]()
    stream = Model.stream

    def counted(model: Model, ids: Any, *more: Any, **options: Any) -> Any:
        if tuple(ids.shape) == (1, len(TEXT)):  # and not the text of a wiring check
            runs.append(model.num_blocks)
        return stream(model, ids, *more, **options)

    monkeypatch.setattr(Model, "stream", counted)
    printed("--format", form)
    assert sorted(runs) == [*BLOCKS]


def test_a_lens_without_another_model_is_refused(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("read", TEXT, "--model", folders[0], "--against-lens", "logit") == 2
    assert "of one prompt name two --lens" in capsys.readouterr().err
