"""Instant lenses on disk: one for each model's weights, opened with it where there is no better one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lenstui.lens import LensError, TunedLens, load, save_lens
from lenstui.lens.compatibility import lens_config
from lenstui.lens.instant import instant_file, keep_instant_lens, kept_instant_lens
from lenstui.lens.tuned import untrained_lens
from lenstui.model.load import Model
from lenstui.opening.opened import files_to_name, open_model
from lenstui.support import paths
from lenstui.support.request import Start
from tests.tiny.folders import neox_in


@pytest.fixture(autouse=True)
def _own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for kind in ("DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))


@pytest.fixture
def folder(tmp_path: Path, byte_tokenizer: Any) -> Path:
    return neox_in(tmp_path / "model", byte_tokenizer)


def lens_of(model: Model) -> TunedLens:
    fit = {"method": "closed form", "preset": "instant", "tokens": 512, "held_out_kl": [1.0, 1.0, 1.0]}
    return replace(untrained_lens(model.num_blocks, model.d_model), config=lens_config(model), fit=fit)


def kept(folder: Path) -> Path:
    """Keep an instant lens of a model, and return its file."""
    model = load(str(folder))
    file = keep_instant_lens(lens_of(model), instant_file(model)).file
    assert file is not None
    return file


def opened_with(folder: Path, *, instant: bool = True) -> TunedLens | None:
    lens = open_model(Start(model=str(folder), instant=instant)).lens("tuned")
    assert lens is None or isinstance(lens, TunedLens)
    return lens


def test_it_is_found_again_by_the_weights_alone(folder: Path, tmp_path: Path) -> None:
    file = kept(folder)
    assert file.parent == paths.instant_lenses()
    elsewhere = shutil.move(folder, tmp_path / "another name")
    lens = opened_with(Path(elsewhere))
    assert lens is not None
    assert (lens.file, lens.name, lens.fit["preset"]) == (file, "instant", "instant")


def test_it_is_not_opened_where_that_is_turned_off(folder: Path) -> None:
    kept(folder)
    assert opened_with(folder, instant=False) is None


def test_other_weights_have_another_file(folder: Path) -> None:
    kept(folder)
    model = load(str(folder))
    before = instant_file(model)
    with torch.no_grad():
        model.module.gpt_neox.layers[1].mlp.dense_4h_to_h.weight.mul_(1.5)
    assert instant_file(model) != before
    assert kept_instant_lens(model) is None


def test_a_lens_that_was_fitted_wins(folder: Path) -> None:
    kept(folder)
    model = load(str(folder))
    paths.made(paths.lenses())
    save_lens(replace(lens_of(model), fit={"preset": "quick"}), paths.lenses() / "mine.pt")
    lens = opened_with(folder)
    assert lens is not None
    assert lens.name == "mine"


def test_a_damaged_file_is_as_none(folder: Path) -> None:
    kept(folder).write_bytes(b"PK\x03\x04 not whole")
    assert opened_with(folder) is None


def test_a_folder_that_cannot_be_written_is_one_clear_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    model = load(str(folder))
    with pytest.raises(LensError, match="cannot be made"):
        keep_instant_lens(lens_of(model), instant_file(model))
    assert opened_with(folder) is None


def test_a_command_does_not_name_its_file(folder: Path) -> None:
    kept(folder)
    opened = open_model(Start(model=str(folder), instant=True))
    assert opened.lens_file is not None
    assert files_to_name(opened, opened.lenses) == ()
