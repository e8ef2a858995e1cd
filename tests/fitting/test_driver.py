"""The driver of a fit: what failed can be gone on with, and a lens goes elsewhere rather than nowhere."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lenstui.fitting.checkpoint import open_checkpoint
from lenstui.fitting.driver import FitDriver, begun, resumed
from lenstui.fitting.fit import read_text
from lenstui.fitting.loop import fit_steps
from lenstui.fitting.names import claim
from lenstui.fitting.plan import FitPlan
from lenstui.fitting.progress import FitProgress
from lenstui.fitting.state import Fit
from lenstui.lens import FitOptions, Lens, LensError, Model, TunedLens, open_lens
from lenstui.texts.documents import Documents

OPTIONS = FitOptions(closed_form_tokens=64, steps=4, tokens_per_step=64, seq_len=32, held_out_tokens=64)


@pytest.fixture
def plan(tmp_path: Path) -> FitPlan:
    file = tmp_path / "text.txt"
    file.write_text("\n\n".join(f"Fox number {number} ran over the hills." for number in range(30)))
    return FitPlan(OPTIONS, Documents((str(file),)), held_out=0.2)


def driven(model: Model, plan: FitPlan, lens: Path, checkpoint_every: float = 0) -> FitDriver:
    return begun(model, plan, read_text(model, plan), claim(lens), checkpoint_every)


def weight_of(lens: Lens) -> Tensor:
    assert isinstance(lens, TunedLens)
    return lens.weight


def fail_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fit fails, once, when so many steps are done."""
    errors = [ZeroDivisionError("no")]

    def until_it_fails(fit: Fit) -> Iterator[FitProgress]:
        for progress in fit_steps(fit):
            if progress.step == step and errors:
                raise errors.pop()
            yield progress

    monkeypatch.setattr("lenstui.fitting.kinds.fit_steps", until_it_fails)


def test_a_fit_that_failed_goes_on_from_memory_and_from_its_checkpoint(
    tiny: Model, plan: FitPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = driven(tiny, plan, tmp_path / "undisturbed.pt")
    whole = [progress.step for progress in undisturbed.steps()]
    assert undisturbed.checkpoint_step is None  # nobody asked for one
    expected = weight_of(undisturbed.keep().lens)
    assert torch.equal(expected, weight_of(open_lens(tmp_path / "undisturbed.pt")))

    fail_at(2, monkeypatch)
    failed = driven(tiny, plan, tmp_path / "failed.pt")
    with pytest.raises(ZeroDivisionError):
        list(failed.steps())
    assert failed.has_checkpoint
    assert failed.checkpoint_step == 2
    checkpoint = open_checkpoint(failed.checkpoint_file)
    assert max(progress.step for progress in failed.steps()) == max(whole)
    assert torch.equal(weight_of(failed.keep().lens), expected)
    failed.remove_checkpoint()
    assert not failed.checkpoint_file.exists()
    failed.release()

    again = resumed(tiny, checkpoint, claim(tmp_path / "failed.pt"))
    assert again.checkpoint_step == 2
    list(again.steps())
    assert torch.equal(weight_of(again.keep().lens), expected)


def test_a_checkpoint_is_written_when_it_is_due_and_when_it_cannot_be_the_fit_goes_on(
    tiny: Model, plan: FitPlan, tmp_path: Path
) -> None:
    often = driven(tiny, plan, tmp_path / "often.pt", checkpoint_every=1e-9)
    for progress in often.steps():
        assert open_checkpoint(often.checkpoint_file).state["step"] == progress.step == often.checkpoint_step

    (tmp_path / "file").touch()
    nowhere = driven(tiny, plan, tmp_path / "file" / "lens.pt", checkpoint_every=1e-9)
    assert [progress.stage for progress in nowhere.steps()][-1] == "done"
    assert "cannot be written" in str(nowhere.checkpoint_error)
    assert not nowhere.has_checkpoint


def test_a_lens_that_cannot_go_where_it_was_to_go_is_elsewhere_or_in_memory(
    tiny: Model, plan: FitPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    driver = driven(tiny, plan, tmp_path / "file" / "lens.pt")
    kept = driver.keep()
    assert kept.file is not None
    assert kept.file.name == "lens.pt"
    assert open_lens(kept.file).name == kept.lens.name == "lens"
    assert [str(driver.lens_file) in str(error) for error in kept.errors] == [True]
    kept.file.unlink()

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    kept = driver.keep()
    assert kept.file is None
    assert [place in str(error) for place, error in zip(("file", "missing"), kept.errors, strict=True)] == [
        True,
        True,
    ]


def test_a_lens_that_can_be_saved_nowhere_leaves_no_folder(
    tiny: Model, plan: FitPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(lens: object, path: Path) -> None:
        raise LensError(f"{path} cannot be written: No space left on device.")

    monkeypatch.setattr("lenstui.fitting.driver.save_lens", full)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept = driven(tiny, plan, tmp_path / "lens.pt").keep()
    assert kept.file is None
    assert len(kept.errors) == 2
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
