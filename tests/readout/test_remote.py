"""A readout of a model whose weights are elsewhere has the numbers that it has here."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from lenstui.lens import JacobianLens, LensError, LogitLens, Model, encode, read, read_tiles
from lenstui.lens.compatibility import compare_weights
from lenstui.lens.lens import lens_keys
from lenstui.model.rows import Row
from lenstui.readout import remote
from lenstui.readout.ranking import rank_cell
from lenstui.readout.words import read_words
from tests.by_hand.naive import random_lens
from tests.programs import ROOT
from tests.readout.simulated_service import worst
from tests.tiny.families import FAMILIES, random_model
from tests.tiny.folders import llama_in, neox_in
from tests.tiny.played_service import Played, elsewhere

SAME = 2e-5  # of numbers around 10: the service multiplies with another library
KNOWN_THERE = {"nnsight", "torch", "collections", "cloudpickle"}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> dict[str, Any]:
    """What the program says of a tiny GPT-NeoX, Llama and Gemma 2 (with its softcap), and the bundled one."""
    if find_spec("nnsight") is None:
        pytest.skip("nnsight is not installed: pip install 'lenstui[ndif]'")
    folder = tmp_path_factory.mktemp("models")
    folders = [neox_in(folder / "neox", byte_tokenizer), llama_in(folder / "llama", byte_tokenizer)]
    random_model(FAMILIES["Gemma-2"].config).save_pretrained(folder / "gemma")
    byte_tokenizer.save_pretrained(folder / "gemma")
    folders.append(folder / "gemma")
    words = [sys.executable, "-m", "tests.readout.simulated_service", *folders, ROOT / "assets" / "demo"]
    done = subprocess.run(list(map(str, words)), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("model", ["neox", "llama", "gemma", "demo"])
@pytest.mark.parametrize("lenses", ["sent", "kept"])
def test_it_has_the_numbers_that_it_has_here(said: dict[str, Any], model: str, lenses: str) -> None:
    """Whether a lens goes to the weights, or states come to the lens and go back."""
    off = said[model][lenses]
    assert set(off) == {"logit", "tuned", "jacobian"}
    assert max(off.values()) <= SAME
    assert said[model]["words"] <= SAME


def test_large_lenses_stay_here(said: dict[str, Any]) -> None:
    """The second of the two jobs takes states back, and no matrices."""
    (sent,), (asking, taking) = said["demo"]["sent bytes"], said["demo"]["kept bytes"]
    matrices = 4 * 192 * 192 * 11  # of six rows of a tuned lens, and of five of a Jacobian one
    assert sent > matrices
    assert asking < 20_000
    assert taking < matrices / 5


@pytest.mark.parametrize("model", ["neox", "llama", "demo"])
def test_what_is_sent_asks_for_nothing_that_a_service_lacks(said: dict[str, Any], model: str) -> None:
    """No module of this package, and none of Python's that a careful service does not let in."""
    assert {name.partition(".")[0] for name in said[model]["modules"]} <= KNOWN_THERE


def test_what_needs_the_weights_here_is_refused(said: dict[str, Any]) -> None:
    assert said["neox"]["refused"] == "That needs the weights here, and they are on a simulated service."


def test_a_head_that_is_read_wrongly_is_refused(said: dict[str, Any]) -> None:
    assert said["miswired"].startswith("Wiring check failed: head(final norm(h_L)) = the model's logits, on")


def test_it_is_not_imported_for_models_that_are_here(tmp_path: Path) -> None:
    code = "import sys, lenstui.readout.tiles; print({'nnsight', 'httpx'} & set(sys.modules))"
    words = [sys.executable, "-c", code]
    assert subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "set()\n"


# ── without nnsight ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("largest", [0, remote.LARGEST_LENS])
@pytest.mark.parametrize("words_only", [False, True])
def test_a_cell_in_full(tiny: Model, largest: int, words_only: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "LARGEST_LENS", largest)
    there, prompt = elsewhere(tiny), encode(tiny.tokenizer, "a cat sat")
    lenses = [LogitLens(), random_lens(tiny), JacobianLens({2: torch.randn(32, 32)})]
    for row in (Row(0), Row(2), Row(3)):
        ours, theirs = (
            rank_cell(model, prompt, row, 4, lenses, count=9, words_only=words_only)
            for model in (tiny, there)
        )
        assert ours.keys() == theirs.keys() == ({"logit", "tuned"} if row.h == 0 else set(lens_keys(lenses)))
        for key, ranking in ours.items():
            assert ranking.ids.tolist() == theirs[key].ids.tolist()
            assert ranking.ranks.tolist() == theirs[key].ranks.tolist()
            assert ranking.probs == pytest.approx(theirs[key].probs, rel=1e-4)


def test_what_is_on_screen_comes_first_and_a_short_prompt_in_one_job(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, prompt = elsewhere(tiny), encode(tiny.tokenizer, "a cat sat on a mat")
    assert isinstance(there.remote, Played)
    (tile,) = read_tiles(there, prompt, first=range(5, 9))
    assert (tile.start, tile.stop) == (0, 18)
    monkeypatch.setattr(remote, "_COLUMNS", 4)
    tiles = list(read_tiles(there, prompt, first=range(5, 9)))
    assert [(tile.start, tile.stop) for tile in tiles] == [
        (5, 9),
        (9, 13),
        (13, 17),
        (17, 18),
        (0, 4),
        (4, 5),
    ]
    whole = read(tiny, "a cat sat on a mat").lenses["logit"]
    for tile in tiles:
        assert worst(whole.columns_in(range(tile.start, tile.stop)), tile.lenses["logit"]) <= SAME
    assert there.remote.ran == ["read_columns"] * 7


def test_answers_to_other_questions_are_refused(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    there, prompt = elsewhere(tiny), encode(tiny.tokenizer, "a cat")
    for answer in ({}, {"kl": torch.zeros(4, 5)}, {"h": torch.zeros(3, 4, 5)}):
        monkeypatch.setattr(Played, "run", lambda *_, answer=answer: answer)
        with pytest.raises(LensError, match=r"^NDIF \(a.test\) answers what it was not asked"):
            list(read_tiles(there, prompt))
        with pytest.raises(LensError, match="answers what it was not asked"):
            rank_cell(there, prompt, Row(1), 2, count=3)


def test_what_takes_blocks_apart_is_refused(tiny: Model) -> None:
    there, prompt = elsewhere(tiny), encode(tiny.tokenizer, "a cat")
    with pytest.raises(LensError, match="needs the weights here, and they are on NDIF"):
        list(read_tiles(there, prompt, sublayers=True))
    assert there.allowed.weights is False
    (word,) = read_words(there, prompt, ["cats and dogs"])
    assert word.missing == "Words of several tokens are not read on NDIF (a.test)."
    assert compare_weights({"unembed_sample": [0.0] * 64}, there).same == ()
