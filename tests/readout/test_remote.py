"""A readout of a model whose weights are elsewhere has the numbers that it has here."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.programs import ROOT
from tests.tiny.folders import llama_in, neox_in

SAME = 2e-5  # of numbers around 10: the service multiplies with another library
KNOWN_THERE = {"nnsight", "torch", "collections", "cloudpickle"}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> dict[str, Any]:
    """What the program says of a tiny GPT-NeoX, a tiny Llama and the bundled model."""
    if find_spec("nnsight") is None:
        pytest.skip("nnsight is not installed: pip install 'lenstui[ndif]'")
    folder = tmp_path_factory.mktemp("models")
    folders = [neox_in(folder / "neox", byte_tokenizer), llama_in(folder / "llama", byte_tokenizer)]
    words = [sys.executable, "-m", "tests.readout.simulated_service", *folders, ROOT / "assets" / "demo"]
    done = subprocess.run(list(map(str, words)), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("model", ["neox", "llama", "demo"])
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
