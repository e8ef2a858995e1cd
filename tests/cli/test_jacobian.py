"""Jacobian lenses on the command line: several lenses at once, every form, `eval`, `convert`, refusals."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lenstui.lens import load, open_lens
from tests.by_hand.jacobian import logits, matrices, own, reference, written
from tests.by_hand.naive_values import naive_values
from tests.programs.calls import run, status

TEXT = "hello"
BLOCKS, D = 2, 32  # of the model of `neox_folder`
BY_BLOCK = matrices(BLOCKS - 1, D)


@pytest.fixture
def jac(tmp_path: Path) -> Path:
    return written(tmp_path / "jac.pt", reference(BY_BLOCK))


@pytest.fixture
def tuned(neox_folder: Path) -> Path:
    return neox_folder.parent / "mine.pt"


def printed(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert status(*words) == 0
    return capsys.readouterr().out


def test_json_has_its_numbers_and_null_where_it_has_no_row(neox_folder: Path, tuned: Path, jac: Path) -> None:
    words = ("read", TEXT, "--model", neox_folder, "--lens", tuned, "--lens", jac)
    program = run(*map(str, words), "--lenses", "logit,tuned,jacobian", "--format", "json")
    assert program.returncode == 0, program.stderr
    assert b"The Jacobian lens jac has no row emb." in program.stderr
    content = json.loads(program.stdout)
    assert (content["lens"], list(content["lenses"])) == ("mine.pt", ["logit", "tuned", "jacobian"])
    assert {key: (of["kind"], of["file"]) for key, of in content["lens_files"].items()} == {
        "tuned": ("tuned", "mine.pt"),
        "jacobian": ("jacobian", "jac.pt"),
    }
    assert content["lens_files"]["jacobian"]["card"]["n_prompts"] == 10
    read = content["lenses"]["jacobian"]
    columns = len(content["tokens"])
    for name in ("entropy", "kl", "final_rank", "next_logprob"):
        assert read[name][0] == [None] * columns
    assert read["top_tokens"][0] == [[None] * 3] * columns
    by_row = logits(load(str(neox_folder)), TEXT, {1: BY_BLOCK[0].half()}, "gpt_neox.final_layer_norm")
    logit = content["lenses"]["logit"]
    np.testing.assert_allclose(np.array(read["top_logits"][1])[:, 0], by_row[1].max(-1).values, rtol=1e-5)
    entropy = naive_values(by_row[1].numpy()[None])["entropy"][0]
    np.testing.assert_allclose(read["entropy"][1], entropy, atol=1e-4)
    assert read["top_ids"][-1] == logit["top_ids"][-1]


def test_the_second_of_a_kind_has_its_name_in_its_key(
    neox_folder: Path, tmp_path: Path, jac: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = written(tmp_path / "other.pt", own(matrices(1, D, seed=1), torch.eye(D)))
    words = ("read", TEXT, "--model", neox_folder, "--lens", jac, "--lens", other, "--lens", jac)
    content = json.loads(printed(capsys, *words, "--format", "json"))
    assert list(content["lenses"]) == ["logit", "tuned", "jacobian", "jacobian:other"]
    assert content["lenses"]["tuned"] is None
    assert (content["lens"], content["lens_files"]["jacobian:other"]["card"]["target"]) == (None, "last")
    # Row emb of the second is the identity, and so that of the logit lens.
    of_logit, of_other = content["lenses"]["logit"], content["lenses"]["jacobian:other"]
    np.testing.assert_allclose(of_other["entropy"][0], of_logit["entropy"][0], atol=1e-5)


@pytest.mark.parametrize(
    ("words", "title"),
    [
        (("--lens", "JAC"), "Jacobian lens − logit lens"),
        (("--lens", "TUNED"), "tuned lens − logit lens"),
        (("--lens", "TUNED", "--lens", "JAC"), "Jacobian lens − tuned lens"),
        (("--lens", "TUNED", "--lens", "JAC", "--lenses", "logit,jacobian"), "Jacobian lens − logit lens"),
        (("--lens", "TUNED", "--lens", "JAC", "--lenses", "jacobian,tuned"), "tuned lens − Jacobian lens"),
    ],
)
def test_a_difference_is_of_the_given_lenses(
    neox_folder: Path,
    tuned: Path,
    jac: Path,
    words: tuple[str, ...],
    title: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [{"JAC": str(jac), "TUNED": str(tuned)}.get(word, word) for word in words]
    shown = printed(capsys, "read", TEXT, "--model", neox_folder, *given, "--diff")
    assert shown.splitlines()[0].startswith(title)
    emb = next(line for line in shown.splitlines() if line.strip().startswith("emb"))
    assert ("–" in emb) == ("Jacobian" in title)


def test_a_difference_of_three_is_refused(
    neox_folder: Path, tuned: Path, jac: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("read", TEXT, "--model", neox_folder, "--lens", tuned, "--lens", jac, "--diff")
    assert status(*words, "--lenses", "logit,tuned,jacobian") == 1
    assert "--diff is of two lenses, and these are 3" in capsys.readouterr().err
    assert status("read", TEXT, "--model", neox_folder, "--lenses", "logit,jacobian") == 0
    assert "There is no Jacobian lens for" in capsys.readouterr().err
    assert status("read", TEXT, "--model", neox_folder, "--lenses", "jacobian") == 1
    assert "name one with --lens FILE.\n" in capsys.readouterr().err


def test_every_form_has_it(
    neox_folder: Path, jac: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("read", TEXT, "--model", neox_folder, "--lens", jac, "--pin", "h")
    shown = {form: printed(capsys, *words, "--format", form) for form in ("table", "md", "csv", "html")}
    shown["svg"] = printed(capsys, *words[:-2], "--format", "svg")
    assert "\nJacobian lens · probability\n" in shown["table"]
    table_of_it = shown["table"].split("Jacobian lens · probability")[1]
    emb = next(line for line in table_of_it.splitlines() if line.strip().startswith("emb"))
    assert set(emb.replace("emb", "").split()) == {"–"}
    assert "Jacobian lens jac.pt" in shown["table"]
    assert "**Jacobian lens** · probability" in shown["md"]
    assert "Jacobian lens `jac.pt`" in shown["md"]
    assert "| emb | – |" in shown["md"]
    assert ">Jacobian lens<" in shown["svg"]
    assert "No Jacobian lens is fitted for row emb." in shown["html"]
    rows = list(csv.DictReader(io.StringIO(shown["csv"])))
    assert {row["lens"] for row in rows} == {"logit", "jacobian"}
    of_emb = [row for row in rows if row["lens"] == "jacobian" and row["row"] == "emb"]
    assert all(row["entropy"] == "" for row in of_emb)
    assert status(*words, "--format", "parquet", "-o", tmp_path / "x.parquet") == 0
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "x.parquet").to_pylist()
    assert {row["lens"] for row in table} == {"logit", "jacobian"}
    assert all(row["entropy"] is None for row in table if row["lens"] == "jacobian" and row["row"] == "emb")


def test_a_set_has_it(
    neox_folder: Path, jac: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "set.txt").write_text("hello\t!\nhi\t?\n")
    words = ("read", "--prompts", tmp_path / "set.txt", "--model", neox_folder, "--lens", jac)
    content = json.loads(printed(capsys, *words, "--format", "json"))
    for case in content["cases"]:
        of_case = case["lenses"]["jacobian"]
        assert of_case["entropy"][0] is None
        assert None not in of_case["entropy"][1:]
    means = content["means"]["lenses"]["jacobian"]["entropy"]["mean"]
    assert means[0] is None
    assert means[1] == pytest.approx(
        np.mean([case["lenses"]["jacobian"]["entropy"][1] for case in content["cases"]]), rel=1e-5
    )
    assert "Jacobian lens" in printed(capsys, *words)


def test_eval_measures_it_and_judges_it_by_nothing(
    neox_folder: Path, tuned: Path, jac: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text("A few words, and a few more of them.\n\n" * 8)
    words = ("eval", "--data", tmp_path / "text.txt", "--model", neox_folder, "--lens", tuned, "--lens", jac)
    content = json.loads(printed(capsys, *words, "--format", "json", "--seq-len", "32"))
    of_jac = content["jacobian"]
    assert (of_jac["kl"][0], of_jac["left_out"]) == (None, [0] * (BLOCKS + 1))
    assert of_jac["kl"][1] > 0
    assert of_jac["kl"][-1] == 0
    table = printed(capsys, *words, "--seq-len", "32")
    (mean,) = [line for line in table.splitlines() if line.startswith("mean KL")]
    assert "tuned" in mean
    assert "jacobian" not in mean
    assert "its KL does not say how good it is" in table


def test_convert_to_the_references_form_and_back(
    neox_folder: Path, tmp_path: Path, jac: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, theirs = tmp_path / "mine.pt", tmp_path / "theirs.pt"
    assert status("convert", jac, mine, "--model", neox_folder) == 0
    assert "a file of lenstui" in capsys.readouterr().err
    assert open_lens(mine).config["num_hidden_layers"] == BLOCKS
    assert status("convert", mine, theirs, "--format", "reference") == 0
    assert "as the reference code writes it" in capsys.readouterr().err
    content, before = (torch.load(path, weights_only=True) for path in (theirs, jac))
    assert content["n_prompts"] == 10
    assert torch.equal(content["J"][0], before["J"][0])
    emb = written(tmp_path / "emb.pt", own(BY_BLOCK, torch.eye(D)))
    assert status("convert", emb, theirs, "--format", "reference") == 0
    assert "has no row emb: its matrix was left out" in capsys.readouterr().err


def test_forms_that_a_lens_does_not_have(
    tmp_path: Path, jac: Path, tuned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("convert", jac, tmp_path / "folder/") == 1
    assert "The tuned-lens library has no Jacobian lenses" in capsys.readouterr().err
    assert status("convert", tuned, tmp_path / "x.pt", "--format", "reference") == 1
    assert "for Jacobian lenses, and this is a tuned lens" in capsys.readouterr().err
    assert status("convert", jac, f"{tmp_path}/", "--format", "reference") == 2


WRONG: dict[str, tuple[Any, str]] = {
    "width": (reference(matrices(1, D + 8)), "at least 2 blocks and width 40; the open model has 2 blocks"),
    "infinite": (reference({0: torch.eye(D) * 1e9}), "infinite or NaN"),
    "checkpoint": ({"format": "lenstui.checkpoint"}, "the checkpoint of a fit, not a lens"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_one_line_and_exit_1(neox_folder: Path, tmp_path: Path, case: str) -> None:
    content, message = WRONG[case]
    file = written(tmp_path / "wrong.pt", content)
    program = run("read", TEXT, "--model", str(neox_folder), "--lens", str(file))
    assert (program.returncode, program.stdout) == (1, b"")
    assert message in program.stderr.decode()
    assert program.stderr.count(b"\n") == 1
