"""The lenses in a folder: found, ordered, matched to a model by its weights."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lenstui.lens import Model, TunedLens, save_lens, wire
from lenstui.lens.catalog import FittingLens, fitting_lens, list_lenses
from lenstui.lens.compatibility import lens_config
from lenstui.lens.tuned import untrained_lens
from tests.tiny.families import FAMILIES, random_model


def lens_for(model: Model, **fit: Any) -> TunedLens:
    return replace(untrained_lens(model.num_blocks, model.d_model), config=lens_config(model), fit=fit)


@pytest.fixture
def folder(tmp_path: Path, tiny: Model, byte_tokenizer: Any) -> Path:
    """Two lenses for `tiny`, one for other weights of its shape, and what is no lens."""
    other = wire("other", random_model(FAMILIES["GPT-NeoX"].config, seed=1), byte_tokenizer)
    for age, (name, lens) in enumerate(
        {"other": lens_for(other), "new": lens_for(tiny, steps=2), "old": lens_for(tiny, steps=1)}.items()
    ):
        save_lens(lens, tmp_path / f"{name}.pt")
        os.utime(tmp_path / f"{name}.pt", (1e9 - age, 1e9 - age))
    (tmp_path / "damaged.pt").write_bytes((tmp_path / "new.pt").read_bytes()[:500])
    (tmp_path / "empty.pt").touch()
    torch.save({"format": "something else"}, tmp_path / "foreign.pt")
    (tmp_path / "notes.txt").write_text("not a lens")
    return tmp_path


def test_newest_first_and_only_lenses(folder: Path) -> None:
    cards = list_lenses(folder)
    assert [card.path.stem for card in cards] == ["other", "new", "old"]
    assert cards[1].fit["steps"] == 2
    assert cards[1].size == (folder / "new.pt").stat().st_size


def test_the_newest_that_was_made_for_these_weights(folder: Path, tiny: Model) -> None:
    assert fitting_lens(tiny, folder) == FittingLens(folder / "new.pt", "newest of 2")


def test_none_where_none_fits(tmp_path: Path, tiny: Model) -> None:
    assert fitting_lens(tiny, tmp_path) is None
    assert fitting_lens(tiny, tmp_path / "no such folder") is None


def test_a_hostile_file_is_left_out_and_never_run(tmp_path: Path, tiny: Model) -> None:
    sentinel = tmp_path / "ran"

    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(sentinel),)

    (tmp_path / "hostile.pt").write_bytes(pickle.dumps(Hostile()))
    torch.save({"format": "lenstui.tuned_lens", "config": Hostile()}, tmp_path / "zip.pt")
    assert list_lenses(tmp_path) == []
    assert not sentinel.exists()


def test_the_best_on_the_text_of_the_newest(tmp_path: Path, tiny: Model) -> None:
    rows = tiny.num_blocks
    alike, otherwise = [2.0] * rows, [3.0] * rows
    fits = {
        "newest": (alike, [1.5] * rows),
        "best": ([2.0001] * rows, [1.2] * rows),
        "on another text": (otherwise, [0.1] * rows),
        "worse": (alike, [1.9] * rows),
        "not measured": (None, None),
    }
    for age, (name, (logit, tuned)) in enumerate(fits.items()):
        path = tmp_path / f"{name}.pt"
        save_lens(lens_for(tiny, logit_lens_kl=logit, held_out_kl=tuned), path)
        os.utime(path, (1e9 - age, 1e9 - age))
    assert fitting_lens(tiny, tmp_path) == FittingLens(tmp_path / "best.pt", "best of 3")
    for name in ("newest", "best", "worse"):
        (tmp_path / f"{name}.pt").unlink()
    assert fitting_lens(tiny, tmp_path) == FittingLens(tmp_path / "on another text.pt", "newest of 2")
