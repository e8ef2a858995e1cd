"""`lenstui scan` against a second model, revision or lens: what is written, shown and refused."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.cells import cell_len

from lenstui.scan.folder import parts_of
from tests.programs.calls import status
from tests.programs.eval_calls import WORDS
from tests.tiny.byte_level import byte_level_tokenizer
from tests.tiny.folders import CONTEXT, neox_in

LENGTH = 32
Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """Status, output and complaints of `lenstui scan` with some words."""

    def said(*words: object) -> tuple[int, str, str]:
        code = status("scan", *words)
        return code, *capsys.readouterr()

    return said


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory, neox_folder: Path, byte_tokenizer: Any) -> Path:
    """Folder of the same GPT-NeoX as `neox_folder` with a little noise in its weights."""
    import torch
    from transformers import GPTNeoXForCausalLM

    folder = tmp_path_factory.mktemp("second") / "perturbed"
    module = GPTNeoXForCausalLM.from_pretrained(neox_folder)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.05 * weight.std() * torch.randn(weight.shape, generator=generator))
    module.save_pretrained(folder)
    byte_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n\n".join(WORDS))
    return path


@pytest.fixture(scope="module")
def model(neox_folder: Path) -> tuple[object, ...]:
    """The options of a model with a tuned lens, for few short blocks."""
    size = ("--seq-len", LENGTH, "--max-tokens", 20 * LENGTH)
    return ("--model", neox_folder, "--device", "cpu", "--lens", lens_of(neox_folder), *size)


def lens_of(folder: Path) -> Path:
    return folder.parent / "mine.pt"


def records(folder: Path) -> list[dict[str, Any]]:
    return list(pa.concat_tables([pq.read_table(part.path) for part in parts_of(folder)]).to_pylist())


@pytest.fixture(scope="module")
def begun(text: Path, model: tuple[object, ...], second: Path, neox_folder: Path) -> tuple[object, ...]:
    """The words of a scan of two models, each through a tuned lens, without the folder."""
    return ("--data", text, *model, "--against-model", second, "--against-lens", lens_of(neox_folder))


@pytest.fixture(scope="module")
def folder(begun: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the records of two models; to be left as it is."""
    folder = tmp_path_factory.mktemp("scan") / "records"
    assert status("scan", folder, *begun) == 0
    return folder


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


# Two models.


def test_the_comparison_at_the_end_is_that_of_the_records(said: Said, folder: Path) -> None:
    code, out, _ = said(folder, "--comparison", "--format", "json")
    assert code == 0
    found = json.loads(out)["comparison"]
    every = records(folder)
    assert (found["positions"], found["blocks"]) == (len(every), len(every) // LENGTH)
    assert found["kl"] == pytest.approx(mean([each["against_kl"] for each in every]), rel=1e-5)
    parted = [float(each["final_id"] != each["against_final_id"]) for each in every]
    assert 0 < sum(parted) < len(parted)
    assert found["parted"] == pytest.approx(mean(parted))
    assert found["second"]["model"].endswith("perturbed")
    for key, by_row in found["by_row"].items():
        for name, column in (("kl", "against_kl"), ("same_top1", "same_top1")):
            wanted = [
                mean(list(row)) for row in zip(*(each[f"{key}_{column}"] for each in every), strict=True)
            ]
            assert by_row[name] == pytest.approx(wanted, rel=1e-5)
            assert all(0 < error < 0.1 * max(by_row[name]) for error in by_row[f"{name}_sem"])
        for name in ("parts", "joins"):
            places = [each[f"{key}_{name}"] for each in every]
            assert by_row[name] == [places.count(row) for row in (-1, 0, 1)]
        assert sum(by_row["parts"]) == sum(parted)
        assert by_row["kl"][-1] == pytest.approx(found["kl"])
    assert list(found["by_row"]) == ["logit", "tuned"]


def test_the_comparison_in_every_form(said: Said, folder: Path, tmp_path: Path) -> None:
    found = json.loads(said(folder, "--comparison", "--format", "json")[1])["comparison"]
    table = said(folder, "--comparison")[1]
    assert " ‖ " in table.splitlines()[0]
    assert f"{found['kl']:.4f} ± {found['kl_sem']:.4f}" in table
    assert f"{found['parted']:.1%} ± {found['parted_sem']:.1%}" in table
    for by_row in found["by_row"].values():
        assert all(
            f"{kl:.4f} ± {error:.4f}" in table
            for kl, error in zip(by_row["kl"], by_row["kl_sem"], strict=True)
        )
    out = said(folder, "--comparison", "--format", "md")[1]
    assert "| logit KL | same top-1 | parts | joins |" in out
    assert "| tuned KL | same top-1 | parts | joins |" in out
    assert f"lenstui scan {folder} --comparison --format md" in out
    file = tmp_path / "comparison.csv"
    assert said(folder, "--comparison", "-o", file)[0] == 0
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["lens"], row["row"]) for row in rows] == [
        (key, row) for key in ("logit", "tuned") for row in ("emb", "0", "1")
    ]
    for row in rows:
        by_row, place = found["by_row"][row["lens"]], int(row["row_index"])
        for name in ("kl", "kl_sem", "same_top1", "same_top1_sem", "parts", "joins"):
            assert float(row[name]) == by_row[name][place]
        assert float(row["final_kl"]) == found["kl"]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_comparison_fits_its_line(
    said: Said, folder: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for words in (("--comparison",), ("--query", "parted"), ("--query", "largest-by-row")):
        lines = said(folder, *words)[1].splitlines()
        assert all(cell_len(line) <= width for line in lines if " " in line.strip())  # a path is never broken
        assert any(line.split()[:3] == ["row", "logit", "KL"] for line in lines)


def test_the_largest_differences_come_first(said: Said, folder: Path) -> None:
    every = {each["position"]: each for each in records(folder)}
    words = ("--format", "json", "--top", "9999", "--query")
    largest = json.loads(said(folder, *words, "largest-difference")[1])
    assert [row["position"] for row in largest["top"]] == sorted(
        every, key=lambda place: (-every[place]["against_kl"], place)
    )
    assert (
        largest["comparison"] == json.loads(said(folder, "--comparison", "--format", "json")[1])["comparison"]
    )
    parted = json.loads(said(folder, *words, "parted")[1])
    assert {row["position"] for row in parted["top"]} == {
        place for place, each in every.items() if each["final_id"] != each["against_final_id"]
    }
    by_row = json.loads(said(folder, *words, "largest-by-row", "--by", "logit")[1])
    farthest = [max(every[row["position"]]["logit_against_kl"]) for row in by_row["top"]]
    assert farthest == sorted(farthest, reverse=True)
    assert set(by_row["by_row"]) == {"crystallization", "best_row", "parts", "joins"}


def test_a_table_shows_the_second_model_where_that_is_asked_for(said: Said, folder: Path) -> None:
    for words in (("--query", "parted"), ("--where", "tuned_parts = 1"), ("--sort", "against_kl desc")):
        out = said(folder, *words, "--top", "3", "--by", "tuned")[1]
        head = next(line for line in out.splitlines() if line.lstrip().startswith("at "))
        assert head.split()[2:9] == ["next", "final", "prob", "second", "prob", "KL", "farthest"]
        assert "same top-1" in out
    out = said(folder, "--query", "never-settled", "--top", "3")[1]
    head = next(line for line in out.splitlines() if line.lstrip().startswith("at "))
    assert "settles" in head
    assert "second" not in head
    assert "same top-1" not in out


def test_a_scan_and_a_query_at_once(
    said: Said, begun: tuple[object, ...], folder: Path, tmp_path: Path
) -> None:
    code, out, err = said(tmp_path / "both", *begun, "--query", "parted", "--top", "2")
    assert code == 0
    assert "has 640 records, of 20 blocks." in err
    assert out == said(folder, "--query", "parted", "--top", "2")[1]


def test_going_on_takes_the_same_second_side(
    said: Said,
    begun: tuple[object, ...],
    text: Path,
    model: tuple[object, ...],
    folder: Path,
    neox_folder: Path,
    tmp_path: Path,
) -> None:
    folder = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert "holds the whole scan already" in said(folder, *begun, "--resume")[2]
    before = records(folder)
    plain = ("--data", text, *model)
    for words, what in (
        (plain, "against a second model or lens"),
        ((*begun[:-3], neox_folder, *begun[-2:]), "with another second model"),
        (begun[:-2], "with another second lens"),
    ):
        code, out, err = said(folder, *words, "--resume")
        assert (code, out) == (1, "")
        assert f"{folder} was scanned {what}" in err
    (folder / "part-00000000.parquet").unlink()
    manifest = json.loads((folder / "_scan.json").read_text())
    (folder / "_scan.json").write_text(json.dumps(manifest | {"finished": False}))
    assert said(folder, *begun, "--resume")[0] == 0
    assert records(folder) == before


def test_a_folder_without_a_second_side_says_so(
    said: Said, text: Path, model: tuple[object, ...], begun: tuple[object, ...], tmp_path: Path
) -> None:
    assert said(tmp_path / "plain", "--data", text, *model)[0] == 0
    code, _, err = said(tmp_path / "plain", *begun, "--resume")
    assert code == 1
    assert "was scanned without a second model or lens" in err
    for words in (("--comparison",), ("--query", "parted"), ("--query", "largest-by-row")):
        code, out, err = said(tmp_path / "plain", *words)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "compare nothing: scan with --against-model or --against-lens" in err
    found = json.loads(said(tmp_path / "plain", "--format", "json")[1])
    assert found["comparison"] is None


def test_a_model_without_the_lens_of_the_other(said: Said, begun: tuple[object, ...], tmp_path: Path) -> None:
    code, out, err = said(tmp_path / "logit", *begun[:-2])
    assert code == 0
    assert "has a tuned lens: by row they are compared through the logit lens." in err
    assert "tuned KL" not in out
    code, out, err = said(tmp_path / "logit", "--query", "largest-by-row", "--format", "json")
    assert json.loads(out)["by"] == "logit"
    code, out, err = said(tmp_path / "logit", "--query", "largest-by-row", "--by", "tuned")
    assert (code, out) == (1, "")
    assert "the tuned lens is not compared: --by logit" in err


def test_models_of_another_depth(
    said: Said, text: Path, model: tuple[object, ...], tmp_path: Path, byte_tokenizer: Any
) -> None:
    deeper = neox_in(tmp_path / "deeper", byte_tokenizer, blocks=3, heads=2, context=CONTEXT)
    code, out, err = said(tmp_path / "records", "--data", text, *model, "--against-model", deeper)
    assert code == 0
    assert "has 3 rows" in err
    assert "deeper 4: their final distributions are compared." in err
    assert "KL of the final distributions" in out
    assert "no other row is compared" in out
    lines = list(
        csv.DictReader(said(tmp_path / "records", "--comparison", "--format", "csv")[1].splitlines())
    )
    assert len(lines) == 1
    assert float(lines[0]["final_kl"]) > 0
    code, _, err = said(tmp_path / "records", "--query", "largest-by-row")
    assert code == 1
    assert "not of the same depth" in err


# Two lenses of one model.


def test_a_lens_against_the_logit_lens(
    said: Said, text: Path, model: tuple[object, ...], tmp_path: Path
) -> None:
    code, out, err = said(tmp_path / "records", "--data", text, *model, "--against-lens", "logit")
    assert code == 0
    assert "The tuned lens is compared with the logit lens." in err
    assert "tuned lens mine.pt ‖ logit lens" in out
    assert "tuned ‖ logit KL" in out
    assert "parts" not in out  # in the last row all lenses are the same
    for each in records(tmp_path / "records"):
        assert each["tuned_against_kl"][-1] == 0
        assert each["tuned_against_next_logprob"] == each["logit_next_logprob"]
    code, out, _ = said(tmp_path / "records", "--query", "largest-by-row", "--top", "2")
    assert code == 0
    assert "farthest" in out
    code, _, err = said(tmp_path / "records", "--query", "parted")
    assert code == 1
    assert "two lenses of one model: largest-by-row is of those" in err


def test_a_lens_against_another_of_its_kind(
    said: Said, text: Path, model: tuple[object, ...], tmp_path: Path
) -> None:
    import torch

    from lenstui.lens import TunedLens, save_lens

    save_lens(TunedLens(torch.zeros(2, 32, 32), torch.zeros(2, 32)), tmp_path / "other.pt")
    code, out, err = said(
        tmp_path / "records", "--data", text, *model, "--against-lens", tmp_path / "other.pt"
    )
    assert code == 0
    assert "The tuned lens is compared with the tuned lens other." in err
    assert "tuned lens mine.pt ‖ tuned lens other.pt" in out
    for each in records(tmp_path / "records"):  # a tuned lens of zeros is the logit lens
        assert each["tuned_against_next_logprob"] == pytest.approx(
            each["logit_next_logprob"], rel=1e-4, nan_ok=True
        )


# Complaints.


def test_what_does_not_go_together_is_one_line_and_no_folder(
    said: Said, text: Path, model: tuple[object, ...], tmp_path: Path, neox_folder: Path
) -> None:
    import torch

    from lenstui.lens import TunedLens, save_lens

    tokenizer = byte_level_tokenizer()
    tokenizer.add_tokens(["the"])
    other = neox_in(tmp_path / "other", tokenizer, blocks=2, heads=2, context=CONTEXT, vocabulary=259)
    save_lens(TunedLens(torch.zeros(5, 16, 16), torch.zeros(5, 16)), tmp_path / "wrong.pt")
    words = ("--data", text, *model)
    for more, what in (
        (("--against-model", other), "other do not agree: they have 258 and 259 tokens."),
        (("--against-model", tmp_path / "none"), "none"),
        (("--against-lens", tmp_path / "wrong.pt"), "This lens is for a model of 5 blocks and width 16"),
        (("--against-lens", tmp_path / "none.pt"), "none.pt"),
        (
            ("--against-model", neox_folder, "--against-lens", tmp_path / "wrong.pt"),
            "for a model of 5 blocks",
        ),
        (("--against-lens", "logit", "--query", "parted"), "two lenses of one model"),
        (
            ("--against-model", neox_folder, "--where", "against_kll > 1"),
            "there is no column against_kll: the nearest",
        ),
    ):
        code, out, err = said(tmp_path / "new", *words, *more)
        assert (code, out) == (1, "")
        assert what in err.splitlines()[-1]
        assert not (tmp_path / "new").exists()
    without = ("--model", neox_folder, "--device", "cpu", "--data", text, "--seq-len", LENGTH)
    code, _, err = said(tmp_path / "new", *without, "--against-lens", "logit")
    assert (code, err.count("\n")) == (1, 1)
    assert "The logit lens is the only one of" in err


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--against-lens", "a.pt"), "--against-lens is for reading a text: name one with --data FILE"),
        (("--against-model", "m"), "--against-model is for reading a text"),
        (
            ("--data", "t", "--against-lens", "a", "--against-lens", "b"),
            "without --against-model it is one lens",
        ),
        (
            ("--data", "t", "--against-revision", "r", "--demo"),
            "--against-revision needs --against-model or --model",
        ),
        (("--data", "t", "--against-model", "o/m@a", "--against-revision", "b"), "names the revision a"),
        (
            ("--data", "t", "--against-model", "m", "--against-lens", "logit"),
            "--against-lens logit is of one model",
        ),
        (("--data", "t", "--comparison"), "--comparison needs --against-model or --against-lens"),
        (("--comparison", "--query", "late"), "--comparison is of all positions"),
    ],
)
def test_a_wrong_call(said: Said, words: tuple[str, ...], what: str) -> None:
    code, out, err = said("x", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert what in err


def test_a_revision_alone_is_one_of_the_same_model() -> None:
    """Nothing is opened: what is asked for is the model by its name, at another revision."""
    import argparse

    from lenstui.cli.against import add_against, asked_against
    from lenstui.cli.arguments import Parser
    from lenstui.support.request import Start

    parser = Parser("lenstui scan", "")
    add_against(parser)

    def asked(*words: str, first: Start) -> Start:
        given: argparse.Namespace = parser.parse_args(words)
        found = asked_against(parser, given, first)
        assert found is not None
        assert found.model is not None
        return found.model

    first = Start(model="owner/name", revision="step1", lenses=(Path("a.pt"),), dtype="bfloat16")
    same = asked("--against-revision", "step9", first=first)
    assert (same.model, same.revision, same.lenses, same.dtype) == ("owner/name", "step9", (), "bfloat16")
    other = asked("--against-model", "owner/other@step2", first=Start(demo=True))
    assert (other.model, other.revision, other.demo) == ("owner/other", "step2", False)
