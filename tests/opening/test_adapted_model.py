"""An adapted model, its base, and their lenses: what opens, what is said of it, and what is loaded once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lenstui.fitting.names import claim_new
from lenstui.lens import Model, TunedLens, load, open_lens, save_lens
from lenstui.lens.card import Match
from lenstui.lens.catalog import list_lenses, match
from lenstui.lens.compatibility import compare_weights, fit_warning, is_of_base, lens_config
from lenstui.lens.fingerprint import are_of_same_weights, fingerprint
from lenstui.model.pretrained import Pretrained
from lenstui.opening.opened import Opened, open_model, source_of
from lenstui.opening.side_reading import SideReading, side_prompts, side_tiles
from lenstui.opening.sides import Side, Sides
from lenstui.readout.reading import Reading
from lenstui.support import paths
from lenstui.support.errors import LensError
from lenstui.support.request import Again, Start
from tests.tiny.adapters import adapter_in, changed, lora, merged, model_in
from tests.tiny.folders import neox_in

pytest.importorskip("peft", reason="adapters need peft: pip install 'lenstui[adapters]'")

TEXT = "Hello, you"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Path:
    return neox_in(tmp_path_factory.mktemp("adapted") / "base", byte_tokenizer, blocks=2)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    return adapter_in(tmp_path_factory.mktemp("adapted") / "lora", base)


@pytest.fixture(scope="module")
def model(base: Path, adapter: Path) -> Model:
    return load(str(base), adapter=str(adapter))


@pytest.fixture
def lenses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lenses folder, empty."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return paths.made(paths.lenses())


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of models whose weights are loaded from a disk, as they are."""
    loaded: list[str] = []
    from_disk = Pretrained.model

    def counted(files: Pretrained, placement: Any) -> Any:
        loaded.append(files.name)
        return from_disk(files, placement)

    monkeypatch.setattr(Pretrained, "model", counted)
    return loaded


def saved(model: Model, path: Path) -> TunedLens:
    blocks, d = model.num_blocks, model.d_model
    lens = TunedLens(0.1 * torch.randn(blocks, d, d), torch.zeros(blocks, d), config=lens_config(model))
    save_lens(lens, path)
    found = open_lens(path)
    assert isinstance(found, TunedLens)
    return found


def asked(base: Path, adapter: Path | None = None, **more: Any) -> Start:
    return Start(model=str(base), adapter=None if adapter is None else str(adapter), device="cpu", **more)


# Lenses


def test_a_lens_knows_its_adapter(base: Path, adapter: Path, model: Model, tmp_path: Path) -> None:
    assert model.base is not None
    assert model.adapter is not None
    own, of_base = saved(model, tmp_path / "own.pt"), saved(model.base, tmp_path / "base.pt")
    assert own.config["base_model_name_or_path"] == str(base)
    facts = {"name": str(adapter), "kind": "LoRA", "hash": model.adapter.digest}
    assert own.config["adapter"] == facts
    assert "adapter" not in of_base.config
    assert are_of_same_weights(fingerprint(model), fingerprint(model.base)) is False

    assert compare_weights(own.config, model).is_whole
    assert compare_weights(of_base.config, model.base).is_whole
    assert compare_weights(of_base.config, model).different == ("block 0", "block 1")
    assert compare_weights(own.config, model.base).different == ("block 0", "block 1")
    cards = {card.name: card for card in list_lenses(tmp_path)}
    assert match(cards["own"], model) is match(cards["base"], model.base) is Match.WEIGHTS
    assert match(cards["base"], model) is Match.BASE
    assert match(cards["own"], model.base) is Match.OTHER_WEIGHTS

    assert fit_warning(own, model) is None
    assert fit_warning(of_base, model) == (
        f"The tuned lens base is of the base ({base}), fitted without the adapter {adapter}: "
        "read its rows with care"
    )
    assert f"was made for other weights ({base} + {adapter})" in str(fit_warning(own, model.base))
    assert (is_of_base(own, model), is_of_base(of_base, model), is_of_base(own, model.base)) == (
        False,
        True,
        False,
    )


def test_a_lens_of_another_adapter_of_the_same_shape(base: Path, model: Model, tmp_path: Path) -> None:
    other = load(str(base), adapter=str(adapter_in(tmp_path / "other", base, seed=7)))
    lens = saved(other, tmp_path / "lens.pt")
    assert compare_weights(lens.config, model).different == ("block 0", "block 1")
    assert f"was made for other weights ({base} + {tmp_path / 'other'})" in str(fit_warning(lens, model))


def test_the_lens_of_the_base_opens_where_there_is_none_of_the_adapter(
    base: Path, adapter: Path, model: Model, lenses: Path
) -> None:
    assert model.base is not None
    saved(model.base, lenses / "of-base.pt")
    opened = open_model(asked(base, adapter))
    (lens,) = opened.fitted
    assert lens.name == "of-base"
    assert any("is of the base" in remark for remark in opened.remarks)
    assert [side.is_of_base for side in Sides.of(opened).facts] == [False, True]
    source = source_of(opened, opened.lenses)
    assert source.title == f"{base} + {adapter}"
    assert source.read_through == "tuned lens of-base.pt of the base"
    assert source.lenses[0].facts["of_base"]
    assert dict(source.versions).keys() == {"torch", "transformers", "peft"}

    saved(model, lenses / "own.pt")
    opened = open_model(asked(base, adapter))
    assert [lens.name for lens in opened.fitted] == ["own"]
    assert opened.remarks == ()
    assert source_of(opened, opened.lenses).read_through == "tuned lens own.pt"
    assert [lens.name for lens in open_model(asked(base)).fitted] == ["of-base"]


def test_the_files_of_a_fit_are_called_by_the_adapter(model: Model, lenses: Path) -> None:
    claimed = claim_new(model.label, "quick")
    assert claimed.lens == lenses / "lora-quick-1.pt"
    claimed.release()


# Weights in memory


def cells_of(sides: Sides) -> dict[int, Any]:
    wanted = SideReading(TEXT, Reading())
    prompts = side_prompts(sides, wanted)
    tiles = side_tiles(sides, wanted, prompts, [side.lens for side in sides.sides])
    return {place: cells for tile in tiles for place, cells in tile.sides.items()}


@pytest.mark.parametrize("which", ["adapted first", "base first"])
def test_base_and_adapted_are_two_sides_of_weights_loaded_once(
    which: str, base: Path, adapter: Path, lenses: Path, loads: list[str]
) -> None:
    first, second = asked(base, adapter), asked(base)
    if which == "base first":
        first, second = second, first
    opened = open_model(first)
    beside = open_model(second, at_hand=[opened])
    assert loads == [str(base)]
    sides = Sides((Side(opened, "logit"),)).with_model(0, beside)
    assert len(sides.models) == 2
    assert len({side.run for side in sides.sides}) == 2
    assert [side.adapter for side in sides.facts] == [each.adapter or "" for each in (first, second)]
    cells = cells_of(sides)

    ids = torch.tensor([opened.model.tokenizer(TEXT)["input_ids"]])
    for place, start in enumerate((first, second)):
        theirs = merged(adapter, base) if start.adapter else model_in(base)
        with torch.inference_mode():
            wanted = theirs(input_ids=ids).logits[0].softmax(-1).max(-1).values
        np.testing.assert_allclose(cells[place].top_probs[-1, :, 0], wanted, atol=1e-5)


def test_two_adapters_of_one_base(
    base: Path, adapter: Path, lenses: Path, loads: list[str], tmp_path: Path
) -> None:
    first = open_model(asked(base, adapter))
    other = adapter_in(tmp_path / "other", base, lora(use_rslora=True), seed=5)
    second = open_model(asked(base, other), at_hand=[first])
    assert loads == [str(base)]
    assert second.model.base is first.model.base
    third = open_model(asked(base), at_hand=[second])
    assert third.model is first.model.base


@pytest.mark.parametrize("other", ["dtype", "folder", "no adapter"])
def test_weights_are_loaded_where_those_in_memory_are_not_the_same(
    other: str, base: Path, adapter: Path, lenses: Path, loads: list[str], tmp_path: Path
) -> None:
    opened = open_model(asked(base) if other == "no adapter" else asked(base, adapter))
    wanted = asked(base)
    if other == "dtype":
        wanted = asked(base, dtype="bfloat16")
    if other == "folder":
        wanted = asked(shutil.copytree(base, tmp_path / "copy"))
    again = open_model(wanted, at_hand=[opened])
    assert len(loads) == 2
    assert again.model.module is not opened.model.module


# What is asked for


def test_an_adapter_alone_opens_its_base(base: Path, adapter: Path, lenses: Path) -> None:
    for start in (Start(model=str(adapter), device="cpu"), Start(adapter=str(adapter), device="cpu")):
        model = open_model(start).model
        assert model.adapter is not None
        assert (model.name, model.adapter.name) == (str(base), str(adapter))


def test_the_last_session_was_with_an_adapter(
    base: Path, adapter: Path, lenses: Path, tmp_path: Path
) -> None:
    again = Again(str(base), adapter=str(adapter))
    opened = open_model(Start(again=again, device="cpu"))
    assert opened.model.title == f"{base} + {adapter}"
    assert f"{base} + {adapter} is the model of the last session" in str(opened.reason)


@pytest.mark.parametrize(
    ("start", "line"),
    [
        (lambda base, adapter: Start(model=adapter, adapter=adapter), "is an adapter too"),
        (lambda base, adapter: Start(adapter=base), "is a whole model"),
        (
            lambda base, adapter: Start(model=adapter, trust_remote_code=True),
            "--trust-remote-code is for a model that you name and know: give --model .* --adapter",
        ),
    ],
)
def test_what_does_not_go_together(
    start: Callable[[str, str], Start], line: str, base: Path, adapter: Path
) -> None:
    with pytest.raises(LensError, match=line):
        open_model(start(str(base), str(adapter)))


def test_an_adapter_on_another_base_of_the_same_shape(
    adapter: Path, tmp_path: Path, byte_tokenizer: Any, lenses: Path
) -> None:
    other = neox_in(tmp_path / "other", byte_tokenizer, blocks=2, seed=9)
    folder = changed(adapter, tmp_path / "lost", base_model_name_or_path="/nowhere")
    opened = open_model(asked(other, folder))
    assert isinstance(opened, Opened)
    assert opened.model.title == f"{other} + {folder}"
