"""GGUF files: a tiny model written as one, read back, and compared by value with what it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lenstui.lens import load, read
from lenstui.model.gguf import check_gguf
from lenstui.model.hub import find_local, resolve
from lenstui.support.errors import LensError
from tests.tiny.gguf_file import D, gguf_in

gguf = pytest.importorskip("gguf", reason="the extra `gguf` is not installed")
pytest.importorskip("accelerate", reason="the extra `gguf` is not installed")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return file, gguf_in(file)


def test_a_gguf_file_is_read_as_what_it_was_made_from(made: tuple[Path, Any], capfd: Any) -> None:
    file, original = made
    model = load(str(file))
    assert capfd.readouterr().err == ""  # no bar is drawn across the screen
    assert (model.num_blocks, model.d_model, model.vocabulary, model.context) == (2, D, 259, 128)
    readout = read(model, "to the top", top_k=5)
    ids = torch.tensor([readout.prompt.ids])
    with torch.inference_mode():
        logits = original(ids).logits[0]
    best = logits.topk(5)
    cells = readout.lenses["logit"]
    np.testing.assert_array_equal(cells.top_ids[-1], best.indices)
    np.testing.assert_allclose(cells.top_logits[-1], best.values, rtol=1e-4, atol=1e-4)
    assert model.texts.join(readout.prompt.ids).endswith("to the top")


def test_a_folder_with_one_gguf_file_is_that_file(made: tuple[Path, Any]) -> None:
    file, _ = made
    assert resolve(str(file.parent)) == file
    assert find_local(str(file)) == file


def test_what_is_refused(made: tuple[Path, Any], tmp_path: Path) -> None:
    file, _ = made
    with pytest.raises(LensError, match="has no revision v1"):
        resolve(str(file), "v1")
    (tmp_path / "a.gguf").write_bytes(file.read_bytes()[:4096])
    with pytest.raises(LensError, match=r"is not understood|damaged"):
        load(str(tmp_path / "a.gguf"))
    (tmp_path / "b.gguf").write_bytes(b"PK\x03\x04")
    with pytest.raises(LensError, match=r"b\.gguf is no GGUF file"):
        resolve(str(tmp_path / "b.gguf"))
    with pytest.raises(LensError, match=r"holds 2 GGUF files: name one of them \(a\.gguf, b\.gguf\)"):
        resolve(str(tmp_path))


def test_without_the_packages(made: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lenstui.model.gguf.find_spec", lambda name: None)
    with pytest.raises(LensError, match=r"need gguf and accelerate: pip install 'lenstui\[gguf\]'"):
        check_gguf(made[0])
