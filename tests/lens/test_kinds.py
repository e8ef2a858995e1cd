"""A kind of lens that is registered while the program runs is in every form and on the command line."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lenstui.lens.kinds import LensKind, lens_kinds, register
from lenstui.lens.logit import LogitLens
from lenstui.lens.names import keys_of, lens_title
from lenstui.lens.tuned import untrained_lens
from tests.by_hand.mirrored import MirroredLens, mirrored_logits, registered
from tests.by_hand.naive_values import naive_values
from tests.programs.calls import status

TEXT = "hello"


@pytest.fixture(autouse=True)
def kind() -> Iterator[None]:
    with registered():
        yield


@pytest.fixture
def words(neox_folder: Path) -> tuple[object, ...]:
    """Reads a prompt through all kinds."""
    return ("read", TEXT, "--model", neox_folder, "--lens", neox_folder.parent / "mine.pt")


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="mirrored"):
        register(LensKind("mirrored", MirroredLens))
    assert [kind.key for kind in lens_kinds()] == ["logit", "tuned", "jacobian", "mirrored"]


def test_help_and_choices(words: tuple[object, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert status("read", "--help") == 0
    assert "logit, tuned, jacobian, mirrored" in " ".join(capsys.readouterr().out.split())
    assert status(*words, "--lenses", "upside") == 2
    assert "unknown lens 'upside': logit, tuned, jacobian, mirrored" in capsys.readouterr().err


def test_json_is_what_its_formula_gives(
    words: tuple[object, ...], neox_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(*words, "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    assert list(content["lenses"]) == ["logit", "tuned", "jacobian", "mirrored"]
    assert list(content["lens_files"]) == ["tuned"]  # it has no file
    wanted, read = naive_values(mirrored_logits(neox_folder, TEXT)), content["lenses"]["mirrored"]
    np.testing.assert_allclose(np.array(read["top_probs"])[..., 0], wanted["prob"], atol=1e-5)
    np.testing.assert_allclose(read["entropy"], wanted["entropy"], atol=1e-4)
    np.testing.assert_allclose(read["kl"], wanted["kl"], atol=1e-4)
    np.testing.assert_array_equal(read["final_rank"], wanted["rank"])
    assert np.abs(np.array(read["kl"]) - content["lenses"]["logit"]["kl"])[:-1].min() > 1e-3


def test_it_alone_is_read_alone(words: tuple[object, ...], capsys: pytest.CaptureFixture[str]) -> None:
    only = (*words[:4], "--lenses", "mirrored")  # and it needs no file
    assert status(*only, "--format", "json") == 0
    lenses = json.loads(capsys.readouterr().out)["lenses"]
    assert (lenses["logit"], lenses["tuned"]) == (None, None)
    assert lenses["mirrored"] is not None


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("table", "mirrored lens · KL from final"),
        ("md", "**mirrored lens** · KL from final"),
        ("svg", ">mirrored lens<"),
        ("html", '"title":"mirrored lens"'),
    ],
)
def test_forms_for_people(
    words: tuple[object, ...], form: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(*words, "--format", form, "--value", "kl") == 0
    assert shown in capsys.readouterr().out


def test_the_page_has_its_numbers(
    words: tuple[object, ...], neox_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(*words, "--format", "html") == 0
    data = json.loads(re.findall(r"<script[^>]*>(.*?)</script>", capsys.readouterr().out, re.DOTALL)[0])
    wanted = naive_values(mirrored_logits(neox_folder, TEXT))["kl"]
    found = data["lenses"]["mirrored"]["values"]["kl"]
    np.testing.assert_allclose(found, wanted.ravel(), rtol=2e-3, atol=1e-4)


def test_csv(words: tuple[object, ...], neox_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(*words, "--format", "csv") == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    wanted = naive_values(mirrored_logits(neox_folder, TEXT))["entropy"]
    mine = [line for line in lines if line["lens"] == "mirrored"]
    assert len(mine) == wanted.size
    for line in mine:
        expected = wanted[int(line["row_index"]), int(line["column"])]
        assert float(line["entropy"]) == pytest.approx(expected, abs=1e-4)


def test_prompt_sets_and_evaluations(
    words: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "set.txt"
    file.write_text("hello\nwhat\n")
    assert status("read", "--prompts", file, *words[2:], "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    assert list(content["means"]["lenses"]) == ["logit", "tuned", "jacobian", "mirrored"]
    assert status("read", "--prompts", file, *words[2:]) == 0
    assert "mirrored lens · KL from final, mean" in capsys.readouterr().out
    file.write_text("abc " * 99)
    assert status("eval", "--data", file, *words[2:], "--max-tokens", "32", "--format", "json") == 0
    judged = json.loads(capsys.readouterr().out)
    assert judged["mirrored"]["kl"][0] != judged["logit"]["kl"][0]


def test_keys_of_several_of_a_kind() -> None:
    named = [("tuned", "a"), ("logit", None), ("tuned", "b"), ("tuned", "b"), ("logit", None)]
    keys = keys_of(named)
    assert keys == ("tuned", "logit", "tuned:b", "tuned:b:3", "logit:2")
    assert [lens_title(key) for key in keys[:3]] == ["tuned lens", "logit lens", "tuned lens b"]


def test_two_lenses_of_one_kind_are_read_together(neox_folder: Path) -> None:
    from lenstui.lens import load, open_lens, read

    model, lens = load(str(neox_folder)), open_lens(neox_folder.parent / "mine.pt")
    other = untrained_lens(model.num_blocks, model.d_model)
    both = read(model, TEXT, [lens, other, LogitLens()]).lenses
    assert list(both) == ["tuned", "tuned:untrained", "logit"]
    alone = read(model, TEXT, lens).lenses
    np.testing.assert_allclose(both["tuned"].kl, alone["tuned"].kl, atol=1e-6)
    np.testing.assert_allclose(both["tuned:untrained"].kl, alone["logit"].kl, atol=1e-6)
